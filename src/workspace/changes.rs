//! What differs from the commit, by `git status`. Nothing is written: git takes no optional lock for us.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::dockerfile::{Read, select};
use crate::fingerprint::FileKind;
use crate::ignore::Ignore;
use crate::path::RelPath;
use crate::tree::{Node, NodeKind, Tree};

use super::error::Error;
use super::git::{GitState, git};
use super::snapshot::{Origin, Snapshot};
use super::unseen;

/// What differs from the commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    top: PathBuf,
    /// Changed, untracked or gone, relative to `top`; a folder stands for all below it. Files that git ignores are not here.
    paths: BTreeSet<RelPath>,
    /// Untracked files that only this person's rules ignore. Git calls the checkout clean, but an input among them is in no commit.
    personal: BTreeSet<RelPath>,
}

/// Looks at every file that git knows: costs what `git status` does, so it is asked only where something needs the answer.
///
/// # Errors
/// [`Error::Git`] where git refuses.
pub fn changes(state: &GitState) -> Result<Changes, Error> {
    let status = git(&state.top, &["status", "--porcelain=v2", "-z", "--untracked-files=normal"])?;
    let path = |path: Vec<u8>| RelPath::new(path.strip_suffix(b"/").unwrap_or(&path)).filter(|path| !path.is_root());
    let mut paths = parse_status(&status.unwrap_or_default());
    paths.extend(unseen::behind_bits(&state.top)?.into_iter().filter_map(path));
    let personal = unseen::ignored_by_this_person(&state.top)?.into_iter().filter_map(path).collect();
    Ok(Changes { top: state.top.clone(), paths, personal })
}

impl Changes {
    /// Whether no input can differ.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.personal.is_empty()
    }

    /// Whether anything differs of which git is to know.
    pub fn any(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Whether the file or folder at this absolute place differs.
    pub fn touches(&self, place: &Path) -> bool {
        self.places().any(|changed| place.starts_with(changed))
    }

    fn places(&self) -> impl Iterator<Item = PathBuf> {
        self.paths.iter().chain(&self.personal).map(|path| path.below(&self.top))
    }

    /// The entries of a snapshot that differ from the commit.
    pub fn within(&self, snapshot: &Snapshot) -> Vec<RelPath> {
        let mut found = BTreeSet::new();
        for changed in self.places() {
            match snapshot.origin() {
                Origin::Folder(root) => below(snapshot, &changed, &RelPath::root(), root, &mut found),
                Origin::Assembled(parts) => {
                    for (to, from) in parts {
                        below(snapshot, &changed, to, from, &mut found);
                    }
                }
            }
        }
        found.into_iter().collect()
    }

    /// The paths that `reads` (`None`: everything) would see besides the snapshot if nothing had been removed since the commit.
    pub fn removed(&self, snapshot: &Snapshot, reads: Option<&[Read]>, ignore: &Ignore) -> Vec<RelPath> {
        let gone: Vec<PathBuf> = self.places().filter(|place| place.symlink_metadata().is_err()).collect();
        let parts = match snapshot.origin() {
            Origin::Folder(root) => &[(RelPath::root(), root.clone())][..],
            Origin::Assembled(parts) => parts,
        };
        let within = parts.iter().flat_map(|(to, from)| gone.iter().filter_map(|place| place_in(place, to, from)));
        let gone: BTreeSet<RelPath> =
            within.filter(|path| !path.is_root() && !ignore.matched(path).is_ignored()).collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let Some(reads) = reads else { return gone.into_iter().collect() };
        let tree = with_removed(snapshot, &gone);
        let selection = select(&tree, reads);
        let seen = |path: &RelPath| tree.find(path).is_some_and(|node| selection.contains(node));
        gone.into_iter().filter(|path| seen(path)).collect()
    }
}

/// The names of a snapshot and of what was removed from it.
fn with_removed(snapshot: &Snapshot, gone: &BTreeSet<RelPath>) -> Tree {
    let kept = snapshot.files().entries().iter().map(|entry| {
        let kind = match &entry.kind {
            FileKind::Folder => NodeKind::Folder,
            FileKind::File { .. } => NodeKind::File,
            FileKind::Link { target } => NodeKind::Link(target.as_bytes().into()),
        };
        (entry.path.clone(), kind)
    });
    let mut names: BTreeMap<RelPath, NodeKind> = kept.collect();
    for path in gone {
        names.entry(path.clone()).or_insert(NodeKind::File);
        let mut above = path.parent();
        while let Some(folder) = above.filter(|folder| !folder.is_root()) {
            above = folder.parent();
            names.entry(folder).or_insert(NodeKind::Folder);
        }
    }
    Tree::new(names.into_iter().map(|(path, kind)| Node { path, kind }).collect())
}

/// Adds the entries of the part `to` (on disk at `from`) that are `changed` or lie below it.
fn below(snapshot: &Snapshot, changed: &Path, to: &RelPath, from: &Path, found: &mut BTreeSet<RelPath>) {
    let Some(within) = place_in(changed, to, from) else { return };
    let entries = snapshot.files().entries();
    let start = entries.partition_point(|entry| entry.path < within);
    // What begins with the same bytes is contiguous; look-alikes (`a-b` beside `a/b`) are passed over.
    let alike = entries[start..].iter().take_while(|entry| entry.path.as_bytes().starts_with(within.as_bytes()));
    found.extend(
        alike
            .filter(|entry| {
                entry.path.starts_with(&within)
                    && !matches!(entry.kind, FileKind::Folder)
                    && !snapshot.is_placeholder(&entry.path)
            })
            .filter(|entry| snapshot.path_of(&entry.path).starts_with(changed))
            .map(|entry| entry.path.clone()),
    );
}

/// Where a place on disk lies in a context of which the part `to` lies at `from`.
fn place_in(place: &Path, to: &RelPath, from: &Path) -> Option<RelPath> {
    if from.starts_with(place) {
        return Some(to.clone());
    }
    let rest = RelPath::new(place.strip_prefix(from).ok()?.as_os_str().as_bytes())?;
    Some(if to.is_root() { rest } else { to.join(rest.as_bytes()) })
}

/// Source: git-status(1), "Porcelain Format Version 2" and "Pathname Format Notes and -z".
fn parse_status(bytes: &[u8]) -> BTreeSet<RelPath> {
    let mut changed = BTreeSet::new();
    let mut records = bytes.split(|byte| *byte == 0);
    let mut add = |path: &[u8]| changed.extend(RelPath::new(path.strip_suffix(b"/").unwrap_or(path)));
    while let Some(record) = records.next() {
        // The number of fields before the path is fixed for each kind of record; the path may hold blanks.
        let path = |fields: usize| record.splitn(fields + 1, |byte| *byte == b' ').nth(fields).unwrap_or_default();
        match record.first() {
            Some(b'1') => add(path(8)),
            Some(b'2') => {
                add(path(9));
                add(records.next().unwrap_or_default());
            }
            Some(b'u') => add(path(10)),
            Some(b'?') => add(path(1)),
            _ => {}
        }
    }
    changed.remove(&RelPath::root());
    changed
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use super::super::git::git_state;
    use super::*;
    use crate::digest::ContentHash;
    use crate::dockerfile::ReadKind;
    use crate::fingerprint::{FileEntry, FileSet};
    use crate::problem::Source;

    fn shell(folder: &Path, script: &str) {
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(folder).env("HOME", folder);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@b");
        }
        assert!(command.status().unwrap().success(), "{script}");
    }

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn snapshot(names: &[&str], origin: Origin) -> Snapshot {
        let kind = || FileKind::File { hash: ContentHash::from_bytes([0; 32]), size: 0 };
        let entries = names.iter().map(|name| FileEntry { path: path(name), kind: kind(), mode: 0o644 });
        Snapshot::new(Arc::new(FileSet::new(entries.collect())), Arc::new(origin))
    }

    fn read(pattern: &str) -> Read {
        let location = Source::new("Dockerfile", pattern).at(0, pattern.len());
        Read {
            pattern: pattern.to_owned(),
            kind: ReadKind::Copy,
            parents: false,
            exclude: Vec::new(),
            location,
            text: pattern.to_owned(),
        }
    }

    fn text(paths: &[RelPath]) -> String {
        paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn status_records_of_all_kinds() {
        let text = "1 .M N... 100644 100644 100644 aa bb a file\0\
            2 R. N... 100644 100644 100644 aa bb R100 new name\0old name\0\
            u UU N... 100644 100644 100644 100644 aa bb cc both\0\
            ? folder/\0! ignored\0";
        let changed: Vec<String> = parse_status(text.as_bytes()).iter().map(ToString::to_string).collect();
        assert_eq!(changed, ["a file", "both", "folder", "new name", "old name"]);
    }

    #[test]
    fn what_differs_is_found_in_each_context() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        shell(&top, "git init -q . && mkdir sub && echo 1 > sub/a && echo 1 > b && git add . && git commit -qm x");
        let state = git_state(&top, &BTreeMap::new()).unwrap().unwrap();
        assert!(!changes(&state).unwrap().any());
        shell(&top, "echo 2 > sub/a && mkdir new && echo 1 > new/x");
        let changes = changes(&state).unwrap();
        assert!(changes.any() && changes.touches(&top.join("new/deeper")) && !changes.touches(&top.join("b")));

        let whole = snapshot(&["b", "new/x", "new-er", "sub/a", "sub/c"], Origin::Folder(top.clone()));
        assert_eq!(text(&changes.within(&whole)), "new/x sub/a");
        let parts = vec![(path("fresh"), top.join("new")), (path("s"), top.join("sub"))];
        let assembled = snapshot(&["fresh/x", "s/a", "s/c"], Origin::Assembled(parts));
        assert_eq!(text(&changes.within(&assembled)), "fresh/x s/a");
    }

    #[test]
    fn what_was_removed_counts_where_it_would_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let script = "git init -q . && mkdir -p sub && echo 1 > sub/a && echo 1 > sub/b.md && echo 1 > c
            git add . && git commit -qm x && git rm -qr sub && rm c && echo 1 > d";
        shell(&top, script);
        let state = git_state(&top, &BTreeMap::new()).unwrap().unwrap();
        let changes = changes(&state).unwrap();
        let now = snapshot(&["d"], Origin::Folder(top.clone()));
        let ignore = Ignore::parse(&Source::new(".dockerignore", "**/*.md\n")).unwrap();
        let removed = |reads: Option<&[Read]>| text(&changes.removed(&now, reads, &ignore));
        assert_eq!(removed(None), "c sub/a");
        assert_eq!(removed(Some(&[read("sub")])), "sub/a");
        assert_eq!(removed(Some(&[read("d")])), "");
        assert_eq!(removed(Some(&[read("*")])), "c sub/a");
    }
}
