//! A folder as BuildKit receives it: entries in the order that it demands, and where their bytes come from.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::Path;

use bytes::Bytes;

use super::wire::Stat;
use crate::digest::ContentHash;
use crate::fingerprint::{FileEntry, FileKind};
use crate::path::RelPath;
use crate::workspace::{Error, Snapshot, Verified};

/// The second that every file of a context is said to be changed in: the first of 1980 (UTC), before which zip cannot count.
///
/// The nanoseconds below it come from the content, because BuildKit takes a file for the one it has when path, size, mode
/// and time are equal. Layers keep whole seconds alone, so the layer does not depend on them.
pub const MTIME_SECONDS: i64 = 315_532_800;

/// The kind bits of Go's `os.FileMode`, and its bits for setuid, setgid and sticky.
const GO_FOLDER: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;

/// All entries of one folder in the order of [`tree_order`], parents included.
pub(super) struct Folder {
    entries: Vec<Entry>,
    snapshot: Option<Snapshot>,
}

/// One entry.
pub(super) struct Entry {
    pub(super) path: RelPath,
    pub(super) mode: u32,
    pub(super) content: Content,
}

/// What an entry holds.
pub(super) enum Content {
    Folder,
    Link(Vec<u8>),
    /// A file of the snapshot, with the hash and the size that were recorded.
    Recorded(ContentHash, u64),
    /// A file that exists only here.
    Given(Bytes),
}

impl Folder {
    /// The snapshot's entries, with the folders that they lie in.
    pub(super) fn of_snapshot(snapshot: Snapshot) -> Self {
        let recorded = snapshot.files().entries();
        let mut entries: Vec<Entry> = recorded.iter().map(Entry::of_file).collect();
        let folders = recorded.iter().filter(|entry| entry.kind == FileKind::Folder);
        let mut known: HashSet<RelPath> = folders.map(|entry| entry.path.clone()).collect();
        for entry in recorded {
            let mut above = entry.path.parent();
            while let Some(parent) = above.filter(|parent| !parent.is_root() && known.insert(parent.clone())) {
                above = parent.parent();
                entries.push(Entry { path: parent, mode: 0o755, content: Content::Folder });
            }
        }
        Self::sorted(entries, Some(snapshot))
    }

    /// A folder of files that are given here.
    pub(super) fn of_given(files: impl IntoIterator<Item = (RelPath, Bytes)>) -> Self {
        let entry = |(path, bytes)| Entry { path, mode: 0o644, content: Content::Given(bytes) };
        Self::sorted(files.into_iter().map(entry).collect(), None)
    }

    fn sorted(mut entries: Vec<Entry>, snapshot: Option<Snapshot>) -> Self {
        entries.sort_unstable_by(|a, b| tree_order(a.path.as_bytes(), b.path.as_bytes()));
        Self { entries, snapshot }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Opens a recorded file; its reader fails where the bytes are not the recorded ones.
    pub(super) fn open(&self, path: &RelPath) -> Result<Verified, Error> {
        match &self.snapshot {
            Some(snapshot) => snapshot.open(path),
            None => Err(Error::Changed { path: path.below(Path::new("")) }),
        }
    }

    /// The index of the entry at `path`.
    pub(super) fn find(&self, path: &[u8]) -> Option<usize> {
        self.entries.binary_search_by(|entry| tree_order(entry.path.as_bytes(), path)).ok()
    }

    /// The indices of the entry at `path` and of all below it.
    pub(super) fn at_and_below(&self, path: &[u8]) -> std::ops::Range<usize> {
        let Some(start) = self.find(path) else { return 0..0 };
        let inside = |entry: &Entry| {
            let bytes = entry.path.as_bytes();
            bytes.starts_with(path) && (bytes.len() == path.len() || bytes[path.len()] == b'/')
        };
        start..start + self.entries[start..].partition_point(inside)
    }
}

impl Entry {
    fn of_file(entry: &FileEntry) -> Self {
        let content = match &entry.kind {
            FileKind::Folder => Content::Folder,
            FileKind::File { hash, size } => Content::Recorded(*hash, *size),
            FileKind::Link { target } => Content::Link(unescaped(target)),
        };
        Self { path: entry.path.clone(), mode: entry.mode, content }
    }

    /// The entry as it is announced.
    pub(super) fn stat(&self) -> Stat {
        let (kind, size, nanoseconds, link) = match &self.content {
            Content::Folder => (GO_FOLDER, 0, 0, Vec::new()),
            Content::Link(target) => (GO_LINK, target.len() as u64, 0, target.clone()),
            Content::Recorded(hash, size) => (0, *size, nanoseconds(hash.as_bytes()), Vec::new()),
            Content::Given(bytes) => (0, bytes.len() as u64, nanoseconds(blake3::hash(bytes).as_bytes()), Vec::new()),
        };
        Stat {
            path: self.path.as_bytes().to_vec(),
            mode: kind | go_permissions(self.mode),
            uid: 0,
            gid: 0,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modified: MTIME_SECONDS * 1_000_000_000 + nanoseconds,
            link,
        }
    }
}

/// The order of fsutil: by path, where `/` comes before every other byte, so that a folder's content follows it at once.
pub(super) fn tree_order(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { u16::from(*byte) + 1 };
    a.iter().map(rank).cmp(b.iter().map(rank))
}

fn nanoseconds(hash: &[u8; 32]) -> i64 {
    let [a, b, c, d, ..] = *hash;
    i64::from(u32::from_le_bytes([a, b, c, d])) % 1_000_000_000
}

fn go_permissions(mode: u32) -> u32 {
    let bit = |from: u32, to: u32| if mode & from == 0 { 0 } else { to };
    (mode & 0o777) | bit(0o4000, GO_SETUID) | bit(0o2000, GO_SETGID) | bit(0o1000, GO_STICKY)
}

/// The bytes of a link's target from their text in a [`FileKind::Link`].
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let mut byte = [0];
        rest = match (first, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) if hex::decode_to_slice([*high, *low], &mut byte).is_ok() => {
                bytes.push(byte[0]);
                tail
            }
            (b'\\', [b'\\', tail @ ..]) => {
                bytes.push(b'\\');
                tail
            }
            _ => {
                bytes.push(first);
                tail
            }
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fingerprint::FileSet;
    use crate::workspace::Origin;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn folder(entries: &[(&str, FileKind, u32)]) -> Folder {
        let entry =
            |(at, kind, mode): &(&str, FileKind, u32)| FileEntry { path: path(at), kind: kind.clone(), mode: *mode };
        let files = FileSet::new(entries.iter().map(entry).collect());
        Folder::of_snapshot(Snapshot::new(Arc::new(files), Arc::new(Origin::Folder("/nowhere".into()))))
    }

    fn file(content: &[u8]) -> FileKind {
        let hash = ContentHash::from_bytes(*blake3::hash(content).as_bytes());
        FileKind::File { hash, size: content.len() as u64 }
    }

    #[test]
    fn a_folder_is_followed_by_its_content_and_missing_parents_appear() {
        let folder =
            folder(&[("a-b", file(b""), 0o644), ("a/b/c", file(b""), 0o755), ("a.b", FileKind::Folder, 0o755)]);
        let paths: Vec<_> = folder.entries().iter().map(|entry| entry.path.to_string()).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c", "a-b", "a.b"]);
        assert_eq!(folder.entries()[1].stat().mode, GO_FOLDER | 0o755);
        assert_eq!(folder.at_and_below(b"a"), 0..3);
        assert_eq!(folder.at_and_below(b"a/b/c"), 2..3);
        assert_eq!(folder.at_and_below(b"x"), 0..0);
    }

    #[test]
    fn order_compares_parts_and_not_bytes() {
        for (less, more) in [("a/z", "a-b"), ("a/b", "a!"), ("a", "a/b"), ("a\u{1}", "b"), ("ab/c", "abc")] {
            assert_eq!(tree_order(less.as_bytes(), more.as_bytes()), Ordering::Less, "{less} {more}");
            assert_eq!(tree_order(more.as_bytes(), less.as_bytes()), Ordering::Greater, "{more} {less}");
        }
    }

    #[test]
    fn a_same_size_edit_changes_the_time_but_not_its_second() {
        let folder = folder(&[("x", file(b"one"), 0o644), ("y", file(b"two"), 0o644), ("z", file(b"one"), 0o644)]);
        let times: Vec<_> = folder.entries().iter().map(|entry| entry.stat().modified).collect();
        assert_ne!(times[0], times[1]);
        assert_eq!(times[0], times[2]);
        assert!(times.iter().all(|time| time / 1_000_000_000 == MTIME_SECONDS), "{times:?}");
    }

    #[test]
    fn links_and_special_modes_in_gos_words() {
        let link = FileKind::Link { target: "a\\xff\\\\b".to_owned() };
        let folder = folder(&[("l", link, 0o777), ("s", file(b""), 0o4755)]);
        let [link, setuid] = folder.entries() else { panic!() };
        assert_eq!(link.stat().link, b"a\xff\\b");
        assert_eq!((link.stat().mode, link.stat().size), (GO_LINK | 0o777, 4));
        assert_eq!(setuid.stat().mode, GO_SETUID | 0o755);
    }
}
