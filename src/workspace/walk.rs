//! Walking a folder: names and stats of all that the ignore file leaves, in parallel, links never followed.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, FileType};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::ignore::{Ignore, State};
use crate::path::RelPath;
use crate::tree::{Node, NodeKind};

use super::error::Error;
use super::stat::FileStat;

/// What is never part of a context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Never {
    /// Absolute paths without links.
    pub paths: Vec<PathBuf>,
    /// Whether everything called `.git` is left out.
    pub git: bool,
}

/// Names and stats, sorted by path.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub nodes: Vec<(Node, FileStat)>,
    /// Folders that may not be listed.
    pub unreadable: Vec<RelPath>,
    /// What is called `.git` and left out for that alone.
    pub git: Vec<RelPath>,
}

/// Walks the folder `disk`, which stands at `at` in its context (the root unless the context is assembled).
pub(super) fn walk(disk: &Path, at: &RelPath, ignore: &Ignore, never: &Never) -> Result<Found, Error> {
    let names = never.paths.iter().filter_map(|path| path.file_name().map(OsStr::to_owned)).collect();
    let paths = never.paths.iter().map(PathBuf::as_path).collect();
    let walker = Walker { ignore, names, paths, git: never.git };
    let mut state = State::default();
    let mut folder = RelPath::root();
    for name in at.as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        folder = folder.join(name);
        state = ignore.folder(&folder, &state).1;
    }
    walker.level(disk, at, &state)
}

struct Walker<'a> {
    ignore: &'a Ignore,
    names: HashSet<OsString>,
    paths: HashSet<&'a Path>,
    git: bool,
}

struct Folder {
    disk: PathBuf,
    path: RelPath,
    stat: FileStat,
    /// Whether the ignore file leaves it out, though not all below it.
    ignored: bool,
    state: State,
}

impl Walker<'_> {
    fn level(&self, disk: &Path, at: &RelPath, state: &State) -> Result<Found, Error> {
        let mut found = Found::default();
        let entries = match std::fs::read_dir(disk) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.unreadable.push(at.clone());
                return Ok(found);
            }
            Err(error) => return Err(Error::io("list", disk)(error)),
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("list", disk))?;
            match self.entry(&entry, at, state) {
                Ok(Some(Kept::Node(node, stat))) => found.nodes.push((node, stat)),
                Ok(Some(Kept::Folder(folder))) => folders.push(folder),
                Ok(Some(Kept::Git(path))) => found.git.push(path),
                Ok(None) => {}
                // What went away while we looked is not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("read", &entry.path())(error)),
            }
        }
        folders.sort_unstable_by(|a, b| order_below(a.path.as_bytes(), b.path.as_bytes()));
        let below = folders
            .par_iter()
            .map(|folder| match self.level(&folder.disk, &folder.path, &folder.state) {
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Found::default()),
                below => below,
            })
            .collect::<Result<Vec<_>, _>>()?;
        for (folder, below) in folders.iter().zip(&below) {
            if !folder.ignored || !below.nodes.is_empty() {
                found.nodes.push((Node { path: folder.path.clone(), kind: NodeKind::Folder }, folder.stat));
            }
        }
        found.nodes.sort_unstable_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        Ok(merge(found, below))
    }

    fn entry(&self, entry: &DirEntry, at: &RelPath, state: &State) -> io::Result<Option<Kept>> {
        let name = entry.file_name();
        if self.names.contains(&name) && self.paths.contains(entry.path().as_path()) {
            return Ok(None);
        }
        let path = at.join(name.as_bytes());
        if self.git && name == ".git" {
            let ignored = self.ignore.child(&path, state).is_ignored();
            return Ok((!ignored).then_some(Kept::Git(path)));
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let (verdict, state) = self.ignore.folder(&path, state);
            let ignored = verdict.is_ignored();
            if ignored && !self.ignore.may_keep_below(&path) {
                return Ok(None);
            }
            let stat = FileStat::of(&entry.metadata()?);
            return Ok(Some(Kept::Folder(Folder { disk: entry.path(), path, stat, ignored, state })));
        }
        // Sockets mean nothing outside the process that listens.
        if kind.is_socket() || self.ignore.child(&path, state).is_ignored() {
            return Ok(None);
        }
        let stat = FileStat::of(&entry.metadata()?);
        Ok(Some(Kept::Node(Node { path, kind: node_kind(kind, &entry.path())? }, stat)))
    }
}

enum Kept {
    Node(Node, FileStat),
    Folder(Folder),
    /// Something called `.git`, which is left out.
    Git(RelPath),
}

/// The kind of something that is no folder; pipes and devices count as files here and are refused as inputs.
pub(super) fn node_kind(kind: FileType, disk: &Path) -> io::Result<NodeKind> {
    if !kind.is_symlink() {
        return Ok(NodeKind::File);
    }
    let target = std::fs::read_link(disk)?;
    Ok(NodeKind::Link(target.into_os_string().into_vec().into_boxed_slice()))
}

/// How all that lies below `a` is ordered against all that lies below `b`, two names of one folder.
fn order_below(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let slash = std::iter::once(&b'/');
    a.iter().chain(slash.clone()).cmp(b.iter().chain(slash))
}

/// Puts what lies below the folders between the entries of this level, so that the whole is sorted bytewise.
fn merge(found: Found, below: Vec<Found>) -> Found {
    let Found { nodes: own, mut unreadable, mut git } = found;
    let mut nodes = Vec::with_capacity(own.len() + below.iter().map(|below| below.nodes.len()).sum::<usize>());
    let mut own = own.into_iter().peekable();
    for below in below {
        unreadable.extend(below.unreadable);
        git.extend(below.git);
        let Some((first, _)) = below.nodes.first() else { continue };
        while let Some(node) = own.next_if(|(node, _)| node.path < first.path) {
            nodes.push(node);
        }
        nodes.extend(below.nodes);
    }
    nodes.extend(own);
    Found { nodes, unreadable, git }
}
