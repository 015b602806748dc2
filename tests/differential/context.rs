//! What `docker build` would be given: the whole context after the ignore file. Walked and hashed here, without the product's walk,
//! selection and stat cache, so that their mistakes show.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orchestrate::digest::ContentHash;
use orchestrate::fingerprint::{FileEntry, FileKind, FileSet};
use orchestrate::ignore::Ignore;
use orchestrate::path::{RelPath, escape};
use orchestrate::problem::Source;
use orchestrate::workspace::{Origin, Snapshot};

use crate::case::Case;

/// The main context.
pub fn main(case: &Case) -> Snapshot {
    let own = format!("{}.dockerignore", case.spec.dockerfile);
    if case.spec.parts.is_empty() {
        return folder(case, &case.spec.context, &[own, format!("{}/.dockerignore", case.spec.context)]);
    }
    let ignore = ignore(case, &[own]);
    let mut entries = Vec::new();
    let mut places: Vec<(RelPath, PathBuf)> = Vec::new();
    for (from, to) in &case.spec.parts {
        let (place, to) = (case.root.join(from), RelPath::new(to.as_bytes()).unwrap());
        add(&place, to.clone(), &Rules { ignore: &ignore, case }, &mut entries);
        places.push((to, place));
    }
    Snapshot::new(Arc::new(FileSet::new(entries)), Arc::new(Origin::Assembled(places)))
}

/// A named context.
pub fn named(case: &Case, folder: &str) -> Snapshot {
    self::folder(case, folder, &[format!("{folder}/.dockerignore")])
}

/// The context of an image that the one of the case builds on.
pub fn of_base(case: &Case, folder: &str) -> Snapshot {
    let ignores = [format!("{folder}/Dockerfile.dockerignore"), format!("{folder}/.dockerignore")];
    self::folder(case, folder, &ignores)
}

fn folder(case: &Case, folder: &str, ignores: &[String]) -> Snapshot {
    let root = case.root.join(folder).canonicalize().unwrap();
    let ignore = ignore(case, ignores);
    let rules = Rules { ignore: &ignore, case };
    let mut entries = Vec::new();
    // Where a change made a file of it there is nothing to be had: the docker command refuses it, and BuildKit does if it is needed.
    let listed = if root.is_dir() { Some(fs::read_dir(&root).unwrap()) } else { None };
    for entry in listed.into_iter().flatten() {
        let entry = entry.unwrap();
        let path = RelPath::root().join(entry.file_name().as_bytes());
        add(&entry.path(), path, &rules, &mut entries);
    }
    Snapshot::new(Arc::new(FileSet::new(entries)), Arc::new(Origin::Folder(root)))
}

/// The first of these ignore files that there is.
fn ignore(case: &Case, paths: &[String]) -> Ignore {
    let found = paths.iter().find_map(|path| Some((path, fs::read_to_string(case.root.join(path)).ok()?)));
    found.map_or_else(Ignore::empty, |(path, text)| Ignore::parse(&Source::new(path.as_str(), text)).unwrap())
}

struct Rules<'a> {
    ignore: &'a Ignore,
    case: &'a Case,
}

/// What stands at `place`, and all below it. Each path is asked about by itself.
fn add(place: &Path, path: RelPath, rules: &Rules<'_>, entries: &mut Vec<FileEntry>) {
    let own = [".orchestrate", "deploy.lock"].map(|name| rules.case.root.join(name));
    if path.name() == b".git" || own.iter().any(|own| own == place) {
        return;
    }
    let metadata = place.symlink_metadata().unwrap();
    let sent = !rules.ignore.matched(&path).is_ignored();
    let exact = metadata.permissions().mode() & 0o7777;
    let mode = |git: u32| if rules.case.spec.exact { exact } else { git };
    if metadata.is_dir() {
        for entry in fs::read_dir(place).unwrap() {
            let entry = entry.unwrap();
            add(&entry.path(), path.join(entry.file_name().as_bytes()), rules, entries);
        }
        if sent {
            entries.push(FileEntry { path, kind: FileKind::Folder, mode: mode(0o755) });
        }
    } else if sent && metadata.is_symlink() {
        let target = escape(fs::read_link(place).unwrap().as_os_str().as_bytes());
        entries.push(FileEntry { path, kind: FileKind::Link { target }, mode: 0o777 });
    } else if sent {
        let content = fs::read(place).unwrap();
        let hash = ContentHash::from_bytes(*blake3::hash(&content).as_bytes());
        let mode = mode(if exact & 0o100 == 0 { 0o644 } else { 0o755 });
        entries.push(FileEntry { path, kind: FileKind::File { hash, size: metadata.len() }, mode });
    }
}
