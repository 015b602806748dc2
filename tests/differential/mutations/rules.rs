//! Ignore files, and files that they are about.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Class, class};
use crate::case::Case;
use crate::dice::Dice;

/// Patterns that mean something in the projects.
const PATTERNS: &[&str] = &[
    "*.md",
    "**/*.txt",
    "src",
    "src/deep",
    "src/*.txt",
    "lib/*",
    "!src",
    "!**/one.txt",
    "!lib/a.js",
    "docs",
    "unused",
    "main.txt",
    "**/node_modules",
    "**",
    "!data",
    ".*",
    "**/.*",
    "src/**/t*",
    "/lib/",
    "s?c",
    "[l-m]*",
    "common.txt",
    "sub",
    "!sub/inner.txt",
    "link",
    "src/link",
    "run.sh",
    "data/empty",
];

pub(super) const CLASSES: &[Class] = &[
    class("a comment in an ignore file", |case, dice| {
        let path = dice.pick(&ignore_files(case))?.clone();
        let text = fs::read_to_string(&path).ok()?;
        fs::write(&path, format!("# {}\n\n{text}\n", dice.word())).ok()?;
        Some(format!("comment in {}", case.show(&path)))
    }),
    class("one more pattern", |case, dice| {
        let path = dice.pick(&ignore_files(case))?.clone();
        let text = fs::read_to_string(&path).ok()?;
        let pattern = dice.pick(PATTERNS)?;
        fs::write(&path, format!("{text}\n{pattern}\n")).ok()?;
        Some(format!("`{pattern}` in {}", case.show(&path)))
    }),
    class("one pattern less", |case, dice| {
        let path = dice.pick(&ignore_files(case))?.clone();
        let text = fs::read_to_string(&path).ok()?;
        let mut lines: Vec<&str> = text.lines().collect();
        let line = lines.remove(dice.below(lines.len()));
        fs::write(&path, format!("{}\n", lines.join("\n"))).ok()?;
        Some(format!("no `{line}` in {}", case.show(&path)))
    }),
    class("patterns in another order", |case, dice| {
        let path = dice.pick(&ignore_files(case))?.clone();
        let text = fs::read_to_string(&path).ok()?;
        let mut lines: Vec<&str> = text.lines().collect();
        let at = dice.below(lines.len());
        lines.rotate_left(at);
        fs::write(&path, format!("{}\n", lines.join("\n"))).ok()?;
        Some(format!("order of {}", case.show(&path)))
    }),
    class("an ignore file with ends of Windows", |case, dice| {
        let path = dice.pick(&ignore_files(case))?.clone();
        let text = fs::read_to_string(&path).ok()?;
        fs::write(&path, format!("\u{feff}{}", text.replace('\n', "\r\n"))).ok()?;
        Some(format!("{} to CRLF and BOM", case.show(&path)))
    }),
    class("delete an ignore file", |case, dice| {
        let path = dice.pick(&ignore_files(case))?.clone();
        fs::remove_file(&path).ok()?;
        Some(format!("delete {}", case.show(&path)))
    }),
    class("a new ignore file", |case, dice| {
        let path = case.root.join(&case.spec.context).join(".dockerignore");
        new_file(case, &path, dice)
    }),
    class("a new ignore file of the Dockerfile", |case, dice| {
        let path = case.root.join(format!("{}.dockerignore", case.spec.dockerfile));
        new_file(case, &path, dice)
    }),
    class("an ignore file where nobody reads it", |case, dice| {
        let contexts: Vec<PathBuf> = case.contexts().iter().map(|folder| case.root.join(folder)).collect();
        let folders: Vec<PathBuf> = case.folders().into_iter().filter(|folder| !contexts.contains(folder)).collect();
        let path = dice.pick(&folders)?.join(".dockerignore");
        new_file(case, &path, dice)
    }),
    class("a new file that is ignored", |case, dice| {
        let ignored = ["lib/node_modules/y.js", "docs/more.md", "new.md", "src/deep/more", "unused/more", "lib/bb.js"];
        let path = format!("{}/{}", case.spec.context, dice.pick(&ignored)?);
        if case.root.join(&path).exists() || !case.root.join(&path).parent()?.is_dir() || ignore_files(case).is_empty()
        {
            return None;
        }
        case.write(&path, &dice.word());
        Some(format!("add {path}"))
    }),
    class("a file in a nested folder that is left out", |case, dice| {
        let path = case.root.join("app/lib/node_modules/x/index.js");
        fs::write(&path, dice.word()).ok()?;
        Some(format!("write {}", case.show(&path)))
    }),
];

fn new_file(case: &Case, path: &Path, dice: &mut Dice) -> Option<String> {
    if path.exists() {
        return None;
    }
    let patterns = [dice.pick(PATTERNS)?, dice.pick(PATTERNS)?, dice.pick(PATTERNS)?];
    fs::write(path, format!("{}\n{}\n{}\n", patterns[0], patterns[1], patterns[2])).ok()?;
    Some(format!("{} with {patterns:?}", case.show(path)))
}

fn ignore_files(case: &Case) -> Vec<PathBuf> {
    let mut found =
        case.places(|path, metadata| metadata.is_file() && path.to_string_lossy().ends_with(".dockerignore"));
    let own = case.root.join(format!("{}.dockerignore", case.spec.dockerfile));
    found.extend(own.is_file().then_some(own));
    found.sort();
    found.dedup();
    found.retain(|path| fs::read_to_string(path).is_ok_and(|text| !text.trim().is_empty()));
    found
}
