//! What stands where: new, gone, moved, of another kind.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Class, class};
use crate::case::Case;
use crate::dice::Dice;

pub(super) const CLASSES: &[Class] = &[
    class("a new file", |case, dice| add(case, dice, |dice| format!("{}.txt", dice.word()))),
    class("a new file of a known kind", |case, dice| {
        add(case, dice, |dice| format!("t{}{}", dice.word(), ["", ".js", ".md", ".go"][dice.below(4)]))
    }),
    class("a new hidden file", |case, dice| add(case, dice, |dice| format!(".{}", dice.word()))),
    class("a new file without a text as name", |case, dice| {
        let mut name = dice.word().into_bytes();
        name.extend(b"\xff\xc3.txt");
        let path = dice.pick(&case.folders())?.join(OsStr::from_bytes(&name));
        fs::write(&path, &case.salt).ok()?;
        Some(format!("add {}", case.show(&path)))
    }),
    class("a new folder, empty", |case, dice| {
        let path = dice.pick(&case.folders())?.join(dice.word());
        fs::create_dir(&path).ok()?;
        Some(format!("make {}", case.show(&path)))
    }),
    class("a new file deep below", |case, dice| {
        let path = dice.pick(&case.folders())?.join(dice.word()).join("inner/deep.txt");
        fs::create_dir_all(path.parent()?).ok()?;
        fs::write(&path, &case.salt).ok()?;
        Some(format!("add {}", case.show(&path)))
    }),
    class("delete a file", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        fs::remove_file(&path).ok()?;
        Some(format!("delete {}", case.show(&path)))
    }),
    class("delete a folder", |case, dice| {
        let path = dice.pick(&case.folders())?.clone();
        fs::remove_dir_all(&path).ok()?;
        Some(format!("delete {}", case.show(&path)))
    }),
    class("rename a file", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        moved(case, &path, &path.with_file_name(format!("{}.txt", dice.word())))
    }),
    class("rename a file to other case", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let name = path.file_name()?.to_str()?;
        let other = if name.chars().any(char::is_lowercase) { name.to_uppercase() } else { name.to_lowercase() };
        moved(case, &path, &path.with_file_name(other))
    }),
    class("move a file to another folder", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let to = dice.pick(&case.folders())?.join(path.file_name()?);
        moved(case, &path, &to)
    }),
    class("rename a folder", |case, dice| {
        let path = dice.pick(&case.folders())?.clone();
        moved(case, &path, &path.with_file_name(dice.word()))
    }),
    class("copy a file under another name", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let to = path.with_file_name(format!("{}.js", dice.word()));
        fs::copy(&path, &to).ok()?;
        Some(format!("copy {} to {}", case.show(&path), case.show(&to)))
    }),
    class("a folder instead of a file", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        fs::remove_file(&path).ok()?;
        fs::create_dir(&path).ok()?;
        Some(format!("{} is a folder", case.show(&path)))
    }),
    class("a file instead of a folder", |case, dice| {
        let path = dice.pick(&case.folders())?.clone();
        fs::remove_dir_all(&path).ok()?;
        fs::write(&path, &case.salt).ok()?;
        Some(format!("{} is a file", case.show(&path)))
    }),
    class("re-aim a link", |case, dice| {
        let path = dice.pick(&case.links())?.clone();
        let target = dice.pick(&targets(case, &path))?.clone();
        aim(case, &path, &target)
    }),
    class("aim a link outside", |case, dice| {
        let path = dice.pick(&case.links())?.clone();
        let target = *dice.pick(&["/etc/hostname", "../../../outside", "/nowhere"])?;
        aim(case, &path, Path::new(target))
    }),
    class("edit what a link points at", |case, dice| {
        let path = dice.pick(&case.links())?.clone();
        let target = path.canonicalize().ok().filter(|target| target.is_file() && target.starts_with(&case.root))?;
        fs::write(&target, dice.word()).ok()?;
        Some(format!("edit {} behind {}", case.show(&target), case.show(&path)))
    }),
    class("a link instead of a file", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let target = dice.pick(&targets(case, &path))?.clone();
        aim(case, &path, &target)
    }),
    class("a file instead of a link", |case, dice| {
        let path = dice.pick(&case.links())?.clone();
        let content = fs::read(&path).unwrap_or_else(|_| case.salt.clone().into_bytes());
        fs::remove_file(&path).ok()?;
        fs::write(&path, content).ok()?;
        Some(format!("{} is a file", case.show(&path)))
    }),
    class("a new link", |case, dice| {
        let path = dice.pick(&case.folders())?.join(format!("{}.txt", dice.word()));
        let target = dice.pick(&targets(case, &path))?.clone();
        aim(case, &path, &target)
    }),
    class("a new link to nothing", |case, dice| {
        let path = dice.pick(&case.folders())?.join(dice.word());
        aim(case, &path, Path::new("surely/nothing"))
    }),
];

fn add(case: &Case, dice: &mut Dice, name: impl FnOnce(&mut Dice) -> String) -> Option<String> {
    let folder = dice.pick(&case.folders())?.clone();
    let path = folder.join(name(dice));
    fs::write(&path, &case.salt).ok()?;
    Some(format!("add {}", case.show(&path)))
}

fn moved(case: &Case, from: &Path, to: &Path) -> Option<String> {
    if from == to || to.symlink_metadata().is_ok() {
        return None;
    }
    fs::rename(from, to).ok()?;
    Some(format!("move {} to {}", case.show(from), case.show(to)))
}

/// What a link at `path` could point at: files and folders of the project, relative to the link.
fn targets(case: &Case, path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else { return Vec::new() };
    let up = |from: &Path| -> PathBuf { from.components().map(|_| "..").collect() };
    let mut targets = Vec::new();
    for place in case.places(|_, metadata| metadata.is_file() || metadata.is_dir()) {
        let common = folder.ancestors().find(|above| place.starts_with(above));
        let (Some(common), true) = (common, place != path && !path.starts_with(&place)) else { continue };
        let (back, on) = (folder.strip_prefix(common).ok(), place.strip_prefix(common).ok());
        if let (Some(back), Some(on)) = (back, on) {
            targets.push(up(back).join(on));
        }
    }
    targets
}

fn aim(case: &Case, path: &Path, target: &Path) -> Option<String> {
    if fs::read_link(path).is_ok_and(|old| old == target) {
        return None;
    }
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path).ok()?;
    }
    symlink(target, path).ok()?;
    Some(format!("{} points at {}", case.show(path), target.display()))
}
