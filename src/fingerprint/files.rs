//! The files of a context, as they are hashed and as they are sent: the snapshot.

use serde::{Deserialize, Serialize};

use crate::digest::ContentHash;
use crate::path::RelPath;

/// What stands at a path of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FileKind {
    /// A folder. Empty ones count.
    Folder,
    /// A regular file.
    File {
        /// blake3 of its bytes.
        hash: ContentHash,
        /// Number of its bytes.
        size: u64,
    },
    /// A symbolic link, never followed.
    Link {
        /// What it points at, as stored (bytes that are not UTF-8 are written `\xNN`, a backslash `\\`).
        target: String,
    },
}

/// One entry of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it stands in the context.
    pub path: RelPath,
    /// What it is.
    #[serde(flatten)]
    pub kind: FileKind,
    /// Permission bits as sent: 0644 or 0755 (folders 0755, links 0777), or the real ones with `modes: exact`.
    pub mode: u32,
}

/// The entries of one context that one image's build can see, sorted by path, with their hash.
///
/// Many images may share one set, so it is kept behind an `Arc` and hashed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSet {
    entries: Vec<FileEntry>,
    hash: [u8; 32],
}

impl FileSet {
    /// Sorts the entries by path (bytewise) and hashes them.
    pub fn new(mut entries: Vec<FileEntry>) -> Self {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let hash = hash(&entries);
        Self { entries, hash }
    }

    /// The entries, sorted by path.
    pub fn entries(&self) -> &[FileEntry] {
        &self.entries
    }

    /// The hash over all entries: labelled, with lengths.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

fn hash(entries: &[FileEntry]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("orchestrate 2026-11 file set v1");
    let mut buffer = Vec::with_capacity(256);
    for entry in entries {
        buffer.clear();
        let path = entry.path.as_bytes();
        buffer.extend((path.len() as u64).to_le_bytes());
        buffer.extend(path);
        buffer.extend(entry.mode.to_le_bytes());
        match &entry.kind {
            FileKind::Folder => buffer.push(b'd'),
            FileKind::File { hash, size } => {
                buffer.push(b'f');
                buffer.extend(size.to_le_bytes());
                buffer.extend(hash.as_bytes());
            }
            FileKind::Link { target } => {
                buffer.push(b'l');
                buffer.extend((target.len() as u64).to_le_bytes());
                buffer.extend(target.as_bytes());
            }
        }
        hasher.update(&buffer);
    }
    *hasher.finalize().as_bytes()
}
