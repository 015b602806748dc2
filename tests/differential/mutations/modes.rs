//! What the disk says of a file beside its bytes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use super::{Class, class};

pub(super) const CLASSES: &[Class] = &[
    class("x bit", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let mode = mode(&path);
        set(&path, if mode & 0o100 == 0 { mode | 0o111 } else { mode & !0o111 });
        Some(format!("x bit of {}", case.show(&path)))
    }),
    class("x bit of the owner alone", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        set(&path, mode(&path) ^ 0o100);
        Some(format!("owner's x bit of {}", case.show(&path)))
    }),
    class("x bit of the group alone", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        set(&path, mode(&path) ^ 0o010);
        Some(format!("group's x bit of {}", case.show(&path)))
    }),
    class("x bit of a file that no text is run in", |case, dice| {
        let places = case.places(|path, metadata| metadata.is_file() && case.is_script_of_the_build(path));
        let path = dice.pick(&places)?.clone();
        set(&path, mode(&path) ^ 0o111);
        Some(format!("x bit of {}", case.show(&path)))
    }),
    class("umask", |case, dice| {
        let mask = *dice.pick(&[0o002, 0o027, 0o077])?;
        for path in case.places(|_, metadata| !metadata.is_symlink()) {
            let bits = if mode(&path) & 0o100 == 0 { 0o666 } else { 0o777 };
            set(&path, bits & !mask);
        }
        Some(format!("umask {mask:03o} for everything"))
    }),
    class("bits for others", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        set(&path, mode(&path) ^ dice.pick(&[0o004, 0o040, 0o022, 0o060])?);
        Some(format!("mode of {}", case.show(&path)))
    }),
    class("mode of a folder", |case, dice| {
        let path = dice.pick(&case.folders())?.clone();
        set(&path, *dice.pick(&[0o700, 0o775, 0o1777, 0o750])?);
        Some(format!("mode of {}", case.show(&path)))
    }),
    class("set-user-id bit", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        set(&path, mode(&path) ^ 0o4000);
        Some(format!("set-user-id bit of {}", case.show(&path)))
    }),
    class("owner", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let (mode, owner) = (mode(&path), path.metadata().ok()?.uid());
        // Only root may give a file away.
        chown(&path, Some(owner + 1000), Some(owner + 1000)).ok()?;
        set(&path, mode);
        Some(format!("owner of {}", case.show(&path)))
    }),
    class("a hard link instead of a copy", |case, dice| {
        let files = case.files();
        let (from, to) = (dice.pick(&files)?.clone(), dice.pick(&files)?.with_file_name(dice.word()));
        fs::hard_link(&from, &to).ok()?;
        Some(format!("{} is a hard link to {}", case.show(&to), case.show(&from)))
    }),
    class("two names of one file", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let aside = case.root.join("aside");
        fs::copy(&path, &aside).ok()?;
        fs::remove_file(&path).ok()?;
        fs::hard_link(&aside, &path).ok()?;
        Some(format!("{} has a second name outside", case.show(&path)))
    }),
];

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
