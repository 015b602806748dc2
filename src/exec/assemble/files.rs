//! The file system of a stage: what an instruction changed, on what was there before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Fault;
use super::node::{Content, FileNode, Meta, Node, NodeKind};
use super::owner::Owner;
use crate::fingerprint::{FileEntry, FileKind};
use crate::path::RelPath;
use crate::problem::Code;
use crate::workspace::Snapshot;

/// So many links are followed in one path.
///
/// Source: containerd/continuity, `fs.RootPath`.
const MOST_LINKS: usize = 255;

/// The permission bit of a folder whose group new entries inherit.
const SETGID: u32 = 0o2000;

/// A file system: changes by path on another one.
///
/// A folder that goes, or that something else replaces, leaves a `None` for every path that was below it, so that looking a
/// path up never has to look at its parents.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    below: Below,
    own: BTreeMap<RelPath, Option<Node>>,
}

#[derive(Clone, Debug, Default)]
enum Below {
    #[default]
    Nothing,
    Files(Arc<Files>),
    Snapshot(Snapshot),
}

impl Files {
    /// What a context holds.
    pub(super) fn of_snapshot(snapshot: Snapshot) -> Self {
        Self { below: Below::Snapshot(snapshot), own: BTreeMap::new() }
    }

    /// No change yet on `below`.
    pub(super) fn on(below: &Arc<Self>) -> Self {
        Self { below: Below::Files(Arc::clone(below)), own: BTreeMap::new() }
    }

    /// The changes, by path; `None` is gone.
    pub(super) const fn changes(&self) -> &BTreeMap<RelPath, Option<Node>> {
        &self.own
    }

    /// What stands at `path`. The root is always a folder.
    pub(super) fn get(&self, path: &RelPath) -> Option<Node> {
        match self.own.get(path) {
            Some(change) => change.clone(),
            None => self.get_below(path),
        }
    }

    /// What stood at `path` before the changes.
    pub(super) fn get_below(&self, path: &RelPath) -> Option<Node> {
        let found = match &self.below {
            Below::Nothing => None,
            Below::Files(files) => files.get(path),
            Below::Snapshot(snapshot) => in_snapshot(snapshot, path),
        };
        found.or_else(|| path.is_root().then(|| Node::folder(Meta::FOLDER)))
    }

    /// All that lies strictly below `folder`, sorted by path.
    pub(super) fn subtree(&self, folder: &RelPath) -> Vec<(RelPath, Node)> {
        let mut found = BTreeMap::new();
        self.collect(folder, &mut found);
        found.into_iter().filter_map(|(path, node)| Some((path, node?))).collect()
    }

    fn collect(&self, folder: &RelPath, into: &mut BTreeMap<RelPath, Option<Node>>) {
        match &self.below {
            Below::Nothing => {}
            Below::Files(files) => files.collect(folder, into),
            Below::Snapshot(snapshot) => {
                for entry in entries_below(snapshot, folder) {
                    into.insert(entry.path.clone(), Some(node_of(snapshot, entry)));
                }
            }
        }
        let start = first_below(folder);
        let range = self.own.range(start..).take_while(|(path, _)| path.starts_with(folder));
        into.extend(range.filter(|(path, _)| !path.is_root()).map(|(path, node)| (path.clone(), node.clone())));
    }

    /// Puts `node` at `path`, whose folder must be there. Whatever it replaces goes, unless both are folders.
    pub(super) fn put(&mut self, path: RelPath, node: Node) {
        if !node.is_folder() && self.get(&path).is_some_and(|old| old.is_folder()) {
            self.remove(&path);
        }
        self.own.insert(path, Some(node));
    }

    /// Takes away what stands at `path`, with all below it.
    pub(super) fn remove(&mut self, path: &RelPath) {
        for (below, _) in self.subtree(path) {
            self.own.insert(below, None);
        }
        self.own.insert(path.clone(), None);
    }

    /// Makes the folder `path` and those above it where they are missing: with the permissions that are given or 0755, and the owner's
    /// or root's. In a folder with the setgid bit a new one gets that bit, and its group unless there is an owner, as from the kernel.
    ///
    /// Source: Linux, inode(7), `S_ISGID`.
    pub(super) fn make_folders(
        &mut self,
        path: &RelPath,
        (owner, mode): (Option<Owner>, Option<u32>),
    ) -> Result<(), Fault> {
        // Not by a call for each folder: the depth comes from outside, and the stack is short.
        let mut missing = Vec::new();
        let mut next = path.clone();
        loop {
            match self.get(&next) {
                Some(node) if node.is_folder() => break,
                Some(_) => return Err(Fault::new(Code::BadDestination, format!("`/{next}` is not a folder"))),
                None => {
                    let parent = next.parent();
                    missing.push(next);
                    let Some(parent) = parent else { break };
                    next = parent;
                }
            }
        }
        while let Some(folder) = missing.pop() {
            let around = self.get(&folder.parent().unwrap_or_default()).map_or(Meta::FOLDER, |node| node.meta);
            let inherited = around.mode & SETGID;
            let gid = if inherited == 0 { 0 } else { around.gid };
            let Owner { uid, gid } = owner.unwrap_or(Owner { uid: 0, gid });
            // The kernel takes no other bits for a new folder.
            let mode = mode.map_or(Meta::FOLDER.mode, |mode| mode & 0o777);
            let meta = Meta { mode: mode | inherited, uid, gid };
            self.own.insert(folder, Some(Node::folder(meta)));
        }
        Ok(())
    }

    /// Where `path` leads below `root` if all links on the way are followed, the last part's too. Neither `..` nor a link
    /// leaves `root`; parts that do not exist stay as they are.
    pub(super) fn resolve(&self, root: &RelPath, path: &[u8]) -> Result<RelPath, Fault> {
        let mut todo: Vec<Vec<u8>> = parts(path);
        let mut done = root.clone();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == b".." {
                if done != *root {
                    done = done.parent().unwrap_or_default();
                }
                continue;
            }
            let next = done.join(&part);
            match self.get(&next).map(|node| node.kind) {
                Some(NodeKind::Link(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        let message = format!("too many links in `/{}`", crate::path::escape(path));
                        return Err(Fault::new(Code::BadDestination, message));
                    }
                    if target.starts_with(b"/") {
                        done = root.clone();
                    }
                    todo.extend(parts(&target));
                }
                _ => done = next,
            }
        }
        Ok(done)
    }
}

/// The parts of a path, last one first, without empty ones and `.`.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').rev().filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect()
}

/// The smallest path that sorts before everything strictly below `folder`.
fn first_below(folder: &RelPath) -> RelPath {
    if folder.is_root() { RelPath::root() } else { folder.join(b"\x01") }
}

fn entries_below<'a>(snapshot: &'a Snapshot, folder: &RelPath) -> &'a [FileEntry] {
    let entries = snapshot.files().entries();
    if folder.is_root() {
        return &entries[usize::from(entries.first().is_some_and(|entry| entry.path.is_root()))..];
    }
    let mut prefix = folder.as_bytes().to_vec();
    prefix.push(b'/');
    let start = entries.partition_point(|entry| entry.path.as_bytes() < prefix.as_slice());
    let length = entries[start..].partition_point(|entry| entry.path.as_bytes().starts_with(&prefix));
    &entries[start..start + length]
}

fn in_snapshot(snapshot: &Snapshot, path: &RelPath) -> Option<Node> {
    let entries = snapshot.files().entries();
    match entries.binary_search_by(|entry| entry.path.cmp(path)) {
        Ok(index) => Some(node_of(snapshot, &entries[index])),
        // A narrowed context may hold a file and not its folder.
        Err(_) => (!entries_below(snapshot, path).is_empty()).then(|| Node::folder(Meta::FOLDER)),
    }
}

fn node_of(snapshot: &Snapshot, entry: &FileEntry) -> Node {
    let kind = match &entry.kind {
        FileKind::Folder => NodeKind::Folder,
        FileKind::File { hash, size } => NodeKind::File(FileNode {
            content: Content::Snapshot(snapshot.clone(), entry.path.clone()),
            hash: *hash,
            size: *size,
            identity: None,
        }),
        FileKind::Link { target } => NodeKind::Link(crate::path::unescape(target).unwrap_or_default().into()),
    };
    Node { kind, meta: Meta { mode: entry.mode & 0o7777, uid: 0, gid: 0 }, attributes: Arc::default() }
}
