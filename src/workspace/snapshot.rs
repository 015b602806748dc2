//! The snapshot of a context: exactly what was hashed, and where its bytes are.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
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
    placeholders: Arc<BTreeSet<RelPath>>,
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
        Self { files, origin, placeholders: Arc::default() }
    }

    /// The same, with entries that are recorded and sent as empty files whatever the disk holds there.
    #[must_use]
    pub fn with_placeholders(self, placeholders: Arc<BTreeSet<RelPath>>) -> Self {
        Self { placeholders, ..self }
    }

    /// Whether an empty file stands in for what the disk holds at `path`.
    pub fn is_placeholder(&self, path: &RelPath) -> bool {
        self.placeholders.contains(path)
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
        if self.is_placeholder(path) {
            return Ok(Verified::empty());
        }
        Verified::open(&place, *hash, *size)
    }

    /// Where the bytes of the entry at `path` lie on disk.
    pub fn path_of(&self, path: &RelPath) -> PathBuf {
        self.origin.place(path)
    }

    /// The path of the entry that lies at this absolute place on disk.
    pub fn holds(&self, disk: &Path) -> Option<RelPath> {
        let entries = self.files.entries();
        let is_entry = |path: &RelPath| entries.binary_search_by(|entry| entry.path.cmp(path)).is_ok();
        self.origin.paths_at(disk).into_iter().find(is_entry)
    }

    /// The entries, to be shared.
    pub fn shared_files(&self) -> Arc<FileSet> {
        Arc::clone(&self.files)
    }
}

impl Origin {
    /// Where the entry at `path` lies on disk.
    pub fn place(&self, path: &RelPath) -> PathBuf {
        match self {
            Self::Folder(root) => path.below(root),
            Self::Assembled(parts) => {
                let part = parts
                    .iter()
                    .filter(|(to, _)| path.starts_with(to))
                    .max_by_key(|(to, _)| to.as_bytes().len())
                    .expect("every entry of an assembled context lies in one of its parts");
                let (to, from) = part;
                path.relative_to(to).unwrap_or_default().below(from)
            }
        }
    }

    /// The paths at which the context shows what lies at `disk`.
    pub(super) fn paths_at(&self, disk: &Path) -> Vec<RelPath> {
        let below = |to: &RelPath, from: &Path| {
            let rest = RelPath::new(disk.strip_prefix(from).ok()?.as_os_str().as_bytes())?;
            Some(if rest.is_root() { to.clone() } else { to.join(rest.as_bytes()) })
        };
        match self {
            Self::Folder(root) => below(&RelPath::root(), root).into_iter().collect(),
            Self::Assembled(parts) => parts.iter().filter_map(|(to, from)| below(to, from)).collect(),
        }
    }
}
