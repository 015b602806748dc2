//! What stands at a path of an image's file system while it is put together.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::AssembleError;
use crate::digest::{ContentHash, Digest};
use crate::path::RelPath;
use crate::workspace::Snapshot;

/// Permissions and owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// The twelve permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Meta {
    /// A folder that nobody described: 0755, root's.
    pub(super) const FOLDER: Self = Self { mode: 0o755, uid: 0, gid: 0 };
}

/// Extended attributes by name, sorted.
pub(super) type Attributes = Arc<[(Vec<u8>, Vec<u8>)]>;

/// One entry of a file system.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub kind: NodeKind,
    pub meta: Meta,
    pub attributes: Attributes,
}

/// What an entry is.
#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Folder,
    File(FileNode),
    /// A symbolic link and its target's bytes.
    Link(Arc<[u8]>),
    Device(Device),
}

/// A regular file.
#[derive(Clone, Debug)]
pub(super) struct FileNode {
    pub content: Content,
    pub hash: ContentHash,
    pub size: u64,
    /// Equal for the names of one file, where it may have more than one.
    pub identity: Option<Identity>,
}

/// A device or a named pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// As in tar headers: `3` character, `4` block, `6` pipe.
    pub flag: u8,
    pub major: u32,
    pub minor: u32,
}

/// Which names are one file. Two identities are equal only if one is a copy of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity(u64);

impl Identity {
    /// One that no other file has.
    pub(super) fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// In a context, where they are checked against what was hashed.
    Snapshot(Snapshot, RelPath),
    /// In memory.
    Bytes(Arc<[u8]>),
    /// In a file of ours.
    Packed(Arc<Pack>, u64),
    /// In a layer of a base: the how-manieth entry of its tar.
    Layer(Digest, usize),
}

impl Node {
    pub(super) fn folder(meta: Meta) -> Self {
        Self { kind: NodeKind::Folder, meta, attributes: Arc::default() }
    }

    /// A file whose bytes are in memory.
    pub(super) fn bytes(bytes: &[u8], meta: Meta) -> Self {
        let file = FileNode {
            content: Content::Bytes(bytes.into()),
            hash: ContentHash::from_bytes(*blake3::hash(bytes).as_bytes()),
            size: bytes.len() as u64,
            identity: None,
        };
        Self { kind: NodeKind::File(file), meta, attributes: Arc::default() }
    }

    pub(super) const fn is_folder(&self) -> bool {
        matches!(self.kind, NodeKind::Folder)
    }
}

impl FileNode {
    /// Opens the bytes. Those in a layer must have been packed before.
    pub(super) fn open(&self) -> Result<Box<dyn Read + Send>, AssembleError> {
        Ok(match &self.content {
            Content::Snapshot(snapshot, path) => Box::new(snapshot.open(path)?),
            Content::Bytes(bytes) => Box::new(io::Cursor::new(Arc::clone(bytes))),
            Content::Packed(pack, offset) => {
                Box::new(PackReader { pack: Arc::clone(pack), at: *offset, end: offset + self.size })
            }
            Content::Layer(digest, _) => unreachable!("the content of layer {digest} is packed before it is read"),
        })
    }
}

/// A temporary file that holds the bytes of many small ones, one after the other. It goes with its last user.
#[derive(Debug)]
pub(super) struct Pack(File);

/// The only writer of a [`Pack`]. What was added can be read at once.
pub(super) struct PackWriter {
    pack: Arc<Pack>,
    at: u64,
}

impl PackWriter {
    pub(super) fn new() -> Result<Self, AssembleError> {
        let file = tempfile::tempfile().map_err(AssembleError::io("create", &std::env::temp_dir()))?;
        Ok(Self { pack: Arc::new(Pack(file)), at: 0 })
    }

    /// Takes all of `reader`.
    pub(super) fn add(&mut self, reader: &mut impl Read) -> io::Result<FileNode> {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 64 * 1024];
        let start = self.at;
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&buffer[..count]);
            self.pack.0.write_all_at(&buffer[..count], self.at)?;
            self.at += count as u64;
        }
        Ok(FileNode {
            content: Content::Packed(Arc::clone(&self.pack), start),
            hash: ContentHash::from_bytes(*hasher.finalize().as_bytes()),
            size: self.at - start,
            identity: None,
        })
    }
}

struct PackReader {
    pack: Arc<Pack>,
    at: u64,
    end: u64,
}

impl Read for PackReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let count = self.pack.0.read_at(&mut buffer[..wanted], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
