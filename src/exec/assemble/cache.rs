//! What is shared by the images of a run, and by runs: written layers, and what the layers of bases hold.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::base::Known;
use super::error::AssembleError;
use super::files::Files;
use super::index::Index;
use super::layer::Written;
use crate::digest::Digest;
use crate::oci::Descriptor;
use crate::platform::Platform;
use crate::registry::ContentStore;

/// The folder of written layers is kept below this many bytes; what was not used for the longest time goes first.
const MOST_BYTES: u64 = 4 << 30;

/// The folder is looked over when so many layers were written to it by this process, and at the first.
const SHRINK_EVERY: u32 = 64;

/// Values that are made once, however many ask for them at the same time.
#[derive(Debug)]
pub(super) struct Slots<K, V>(Mutex<HashMap<K, Slot<V>>>);

type Slot<V> = Arc<Mutex<Option<V>>>;

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Hash + Eq, V: Clone> Slots<K, V> {
    /// The value of `key`; made by `make` if it is the first to ask, or if those before failed.
    pub(super) fn get<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let slot = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        let mut value = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*value {
            return Ok(value.clone());
        }
        let made = make()?;
        *value = Some(made.clone());
        Ok(made)
    }
}

/// Remembers layers by what they hold, so that a hundred images that share a COPY compress it once.
///
/// In memory, and in a folder (`.orchestrate/cache`) where that can be written. Losing it costs time alone.
#[derive(Debug, Default)]
pub struct Cache {
    folder: Option<PathBuf>,
    /// How many layers this process has written to it.
    kept: AtomicU32,
    layers: Slots<[u8; 32], Written>,
    pub(super) known: Slots<(Digest, Platform), Arc<Known>>,
    pub(super) indexes: Slots<Digest, Arc<Index>>,
    /// The whole file systems of bases, by the digest of their manifest.
    pub(super) files: Slots<Digest, Arc<Files>>,
}

/// What is written about a layer in the folder.
#[derive(Serialize, Deserialize)]
struct Entry {
    blob: Descriptor,
    diff_id: Digest,
}

impl Cache {
    /// A cache in memory alone.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// A cache that is also kept in `folder`, as far as it can be read and written.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..Self::default() }
    }

    /// A file of the cache.
    pub(super) fn file(&self, kind: &str, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(kind).join(name))
    }

    /// Writes a file of the cache whole or not at all; that it cannot be written is no error.
    pub(super) fn keep(&self, kind: &str, name: &str, bytes: &[u8]) {
        let Some(path) = self.file(kind, name) else { return };
        let Some(folder) = path.parent() else { return };
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| tempfile::NamedTempFile::new_in(folder))
            .and_then(|mut file| std::io::Write::write_all(&mut file, bytes).map(|()| file));
        if let Ok(file) = written {
            drop(file.persist(&path));
        }
    }

    /// The layer with this key, its blob in `store`; written by `write` where nobody did it before.
    pub(super) fn layer(
        &self,
        key: blake3::Hash,
        store: &ContentStore,
        write: impl Fn() -> Result<Written, AssembleError>,
    ) -> Result<Written, AssembleError> {
        let written = self.layers.get(*key.as_bytes(), || {
            if let Some(written) = self.read_layer(key, store) {
                return Ok(written);
            }
            let written = write()?;
            self.keep_layer(key, store, &written);
            Ok::<_, AssembleError>(written)
        })?;
        // Another store than the one that it was written to.
        if !store.holds(&written.blob) && self.read_layer(key, store).is_none() {
            write()?;
        }
        Ok(written)
    }

    fn blob(&self, digest: &Digest) -> Option<PathBuf> {
        self.file("layers", &digest.hex())
    }

    fn read_layer(&self, key: blake3::Hash, store: &ContentStore) -> Option<Written> {
        let text = std::fs::read(self.file("layers", &format!("{}.json", key.to_hex()))?).ok()?;
        let Entry { blob, diff_id } = serde_json::from_slice(&text).ok()?;
        if !store.holds(&blob) {
            let kept = self.blob(&blob.digest)?;
            if std::fs::metadata(&kept).ok()?.len() != blob.size {
                return None;
            }
            link_or_copy(&kept, &store.path(&blob.digest)).ok()?;
            // The age of a blob is the time of its last use.
            if let Ok(file) = File::open(&kept) {
                drop(file.set_modified(SystemTime::now()));
            }
        }
        Some(Written { blob, diff_id })
    }

    fn keep_layer(&self, key: blake3::Hash, store: &ContentStore, written: &Written) {
        let Some(kept) = self.blob(&written.blob.digest) else { return };
        if written.blob.size > MOST_BYTES / 4 {
            return;
        }
        if link_or_copy(&store.path(&written.blob.digest), &kept).is_err() {
            return;
        }
        let entry = Entry { blob: written.blob.clone(), diff_id: written.diff_id };
        let text = serde_json::to_vec(&entry).expect("a descriptor holds only text and numbers");
        self.keep("layers", &format!("{}.json", key.to_hex()), &text);
        let before = self.kept.fetch_add(1, Ordering::Relaxed);
        if let (true, Some(folder)) = (before.is_multiple_of(SHRINK_EVERY), kept.parent()) {
            shrink(folder, MOST_BYTES);
        }
    }
}

/// Makes `to` the file `from`: another name for it where the disk allows, else a copy. Whole or not at all.
fn link_or_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.is_file() {
        return Ok(());
    }
    let folder = to.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(folder)?;
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let mut copy = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    std::io::copy(&mut File::open(from)?, &mut copy)?;
    copy.persist(to).map(drop).map_err(|error| error.error)
}

/// Removes the files that were not used for the longest time until at most `most` bytes are left.
fn shrink(folder: &Path, most: u64) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let data = entry.metadata().ok()?;
            Some((data.modified().ok()?, data.len(), entry.path()))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in files {
        if total <= most {
            return;
        }
        if std::fs::remove_file(path).is_ok() {
            total -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_files_go_first() {
        let folder = tempfile::tempdir().unwrap();
        for (age, name) in [(30, "old"), (20, "middle"), (10, "new")] {
            let path = folder.path().join(name);
            std::fs::write(&path, [0; 100]).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
        shrink(folder.path(), 200);
        let left = |name: &str| folder.path().join(name).exists();
        assert_eq!([left("old"), left("middle"), left("new")], [false, true, true]);
    }

    #[test]
    fn a_slot_is_filled_once_and_again_after_a_failure() {
        let slots: Slots<u8, u8> = Slots::default();
        assert_eq!(slots.get(1, || Err("no")), Err("no"));
        assert_eq!(slots.get(1, || Ok::<_, ()>(7)), Ok(7));
        assert_eq!(slots.get(1, || Ok::<_, ()>(8)), Ok(7));
    }
}
