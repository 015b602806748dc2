//! The snapshot of a context: exactly what was hashed, and where its bytes are.

use std::path::PathBuf;
use std::sync::Arc;

use crate::fingerprint::{FileKind, FileSet};
use crate::path::RelPath;

use super::error::Error;
use super::verify::Verified;

/// What an executor may see of one context. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    files: Arc<FileSet>,
    origin: Arc<Origin>,
}

/// Where the entries of a snapshot lie on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Below one folder.
    Folder(PathBuf),
    /// Each part of the context below (or at) a place of its own; the longest part that holds a path wins.
    Assembled(Vec<(RelPath, PathBuf)>),
}

impl Snapshot {
    /// A set of files and where they lie.
    pub fn new(files: Arc<FileSet>, origin: Arc<Origin>) -> Self {
        Self { files, origin }
    }

    /// The entries, as hashed.
    pub fn files(&self) -> &FileSet {
        &self.files
    }

    /// Where the entries lie on disk.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Opens the file at `path`; its reader checks that the bytes still are the recorded ones.
    ///
    /// # Errors
    /// [`Error::Changed`] if the snapshot holds no file there, or the disk holds another one.
    pub fn open(&self, path: &RelPath) -> Result<Verified, Error> {
        let place = self.path_of(path);
        let entries = self.files.entries();
        let found = entries.binary_search_by(|entry| entry.path.cmp(path)).map(|index| &entries[index].kind);
        let Ok(FileKind::File { hash, size }) = found else { return Err(Error::Changed { path: place }) };
        Verified::open(&place, *hash, *size)
    }

    /// Where the bytes of the entry at `path` lie on disk.
    pub fn path_of(&self, path: &RelPath) -> PathBuf {
        match &*self.origin {
            Origin::Folder(root) => path.below(root),
            Origin::Assembled(parts) => {
                let part = parts
                    .iter()
                    .filter(|(to, _)| path.starts_with(to))
                    .max_by_key(|(to, _)| to.as_bytes().len())
                    .expect("every entry of an assembled context lies in one of its parts");
                let (to, from) = part;
                let rest = if to.is_root() { path.as_bytes() } else { &path.as_bytes()[to.as_bytes().len()..] };
                let rest = RelPath::new(rest.strip_prefix(b"/").unwrap_or(rest)).unwrap_or_default();
                rest.below(from)
            }
        }
    }
}
