//! Bytes of files, with and without a trace in their size and time.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Class, class};
use crate::case::Case;
use crate::dice::Dice;

pub(super) const CLASSES: &[Class] = &[
    class("edit", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let mut content = fs::read(&path).ok()?;
        content.extend(format!("{}\n", dice.word()).bytes());
        replace(&path, &content);
        Some(format!("edit {}", case.show(&path)))
    }),
    class("edit of the same size, time restored", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let modified = path.metadata().ok()?.modified().ok()?;
        let mut content = fs::read(&path).ok()?;
        let first = content.first_mut()?;
        *first = if *first == b'X' { b'Y' } else { b'X' };
        fs::write(&path, content).ok()?;
        set_time(&path, modified);
        Some(format!("edit {} and set its time back", case.show(&path)))
    }),
    class("empty a file", |case, dice| {
        let archive = |path: &Path| path.extension().is_some_and(|extension| extension == "tar");
        let files: Vec<_> = case.files().into_iter().filter(|path| !archive(path)).collect();
        let path = dice.pick(&files)?.clone();
        replace(&path, b"");
        Some(format!("empty {}", case.show(&path)))
    }),
    class("ends of lines", |case, dice| {
        let files: Vec<_> = case.files().into_iter().filter(|path| is_text(path)).collect();
        let path = dice.pick(&files)?.clone();
        let text = fs::read_to_string(&path).ok()?;
        replace(&path, text.replace('\n', "\r\n").as_bytes());
        Some(format!("{} to CRLF", case.show(&path)))
    }),
    class("a README", |case, dice| {
        let files: Vec<_> =
            case.files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
        let path = dice.pick(&files)?.clone();
        replace(&path, format!("{} {}\n", case.salt, dice.word()).as_bytes());
        Some(format!("edit {}", case.show(&path)))
    }),
    class("two files swap their contents", |case, dice| {
        let files = case.files();
        let (a, b) = (dice.pick(&files)?.clone(), dice.pick(&files)?.clone());
        let (first, second) = (fs::read(&a).ok()?, fs::read(&b).ok()?);
        if first == second {
            return None;
        }
        fs::write(&a, second).ok()?;
        fs::write(&b, first).ok()?;
        Some(format!("swap {} and {}", case.show(&a), case.show(&b)))
    }),
    class("touch", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        set_time(&path, SystemTime::now() + Duration::from_secs(dice.below(1000) as u64));
        Some(format!("touch {}", case.show(&path)))
    }),
    class("a time long ago", |case, dice| {
        for path in case.files() {
            set_time(&path, SystemTime::UNIX_EPOCH + Duration::from_secs(dice.below(1_000_000_000) as u64));
        }
        Some("set all times back".to_owned())
    }),
    class("written anew with the same bytes", |case, dice| {
        let path = dice.pick(&case.files())?.clone();
        let (content, mode) = (fs::read(&path).ok()?, path.metadata().ok()?.permissions());
        fs::remove_file(&path).ok()?;
        fs::write(&path, content).ok()?;
        fs::set_permissions(&path, mode).ok()?;
        Some(format!("write {} anew", case.show(&path)))
    }),
    class("a file that only an unused stage reads", |case, dice| {
        let path = case.root.join("app/unused").join(if dice.once_in(2) { "left.txt".to_owned() } else { dice.word() });
        fs::write(&path, dice.word()).ok()?;
        Some(format!("write {}", case.show(&path)))
    }),
    class("the value of a secret", |case, dice| {
        let path = case.spec.secrets.values().next()?.clone();
        case.write(&path, &dice.word());
        Some(format!("write {path}"))
    }),
    class("a file of a base", |case, dice| {
        let folder = case.spec.bases.values().next()?.clone();
        let name = *dice.pick(&["part.txt", "other.txt", "new.txt"])?;
        let before = fs::read_to_string(case.root.join(&folder).join(name)).unwrap_or_default();
        case.text(&format!("{folder}/{name}"), &format!("{before}{}\n", dice.word()));
        Some(format!("edit {folder}/{name}"))
    }),
    class("a file of a named context", |case, dice| {
        let folder = case.spec.contexts.values().next()?.clone();
        let name = *dice.pick(&["common.txt", "sub/inner.txt", "skipped.log", "new.txt"])?;
        case.write(&format!("{folder}/{name}"), &dice.word());
        Some(format!("write {folder}/{name}"))
    }),
    class("git's own files", |case, dice| {
        let folder = dice.pick(&case.folders())?.join(".git");
        fs::create_dir_all(folder.join("refs")).ok()?;
        fs::write(folder.join("HEAD"), dice.word()).ok()?;
        fs::write(case.root.join("deploy.lock"), "{}\n").ok()?;
        Some(format!("write {}", case.show(&folder)))
    }),
];

fn replace(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
}

fn is_text(path: &Path) -> bool {
    let archive = path.extension().is_some_and(|extension| extension == "tar");
    !archive && fs::read(path).is_ok_and(|content| content.contains(&b'\n'))
}

fn set_time(path: &Path, time: SystemTime) {
    // A file that may not be written has its time set all the same.
    let file = fs::File::open(path).unwrap();
    file.set_modified(time).unwrap();
}

/// A change that several classes need: a project whose Dockerfile's text is changed.
pub(super) fn rewrite(
    case: &mut Case,
    change: impl FnOnce(&str, &mut Dice) -> Option<String>,
    dice: &mut Dice,
) -> Option<()> {
    let path = case.root.join(&case.spec.dockerfile);
    let text = fs::read_to_string(&path).ok()?;
    let changed = change(&text, dice)?;
    if changed == text {
        return None;
    }
    fs::write(path, changed).ok()
}
