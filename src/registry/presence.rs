use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::name::RepositoryName;
use crate::digest::Digest;
use crate::oci::RawManifest;

/// The repositories of one host that are known to have a blob. Who holds the lock is the only one who sends it.
pub(super) type Slot = Arc<tokio::sync::Mutex<BTreeSet<String>>>;

/// Which blobs this process has seen or put where, so that images which share layers ask and send once.
#[derive(Debug, Default)]
pub(super) struct Presence(Mutex<HashMap<Place, Slot>>);

/// A host, a repository of it (or all), and a blob.
type Place = (String, Option<String>, Digest);

impl Presence {
    /// The slot of a blob: one for the whole host where what is in one repository can be mounted into the next (so the second waits for
    /// the first, and sends nothing), else one for each repository.
    pub(super) fn slot(&self, repository: &RepositoryName, digest: Digest, mounts: bool) -> Slot {
        let path = (!mounts).then(|| repository.path.clone());
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((repository.host.clone(), path, digest)).or_default())
    }
}

/// The most that is kept of manifests, in bytes: some ten thousand of them.
const MANIFESTS: usize = 32 * 1024 * 1024;

/// The manifests that this process has read or written, by digest, so that their bytes are not asked for again.
#[derive(Debug, Default)]
pub(super) struct Manifests(Mutex<(HashMap<Digest, RawManifest>, usize)>);

impl Manifests {
    pub(super) fn get(&self, digest: &Digest) -> Option<RawManifest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.get(digest).cloned()
    }

    /// Keeps a manifest of which the bytes are what its digest says, while there is room.
    pub(super) fn keep(&self, manifest: &RawManifest) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.1 + manifest.bytes().len();
        if bytes <= MANIFESTS && kept.0.insert(manifest.digest(), manifest.clone()).is_none() {
            kept.1 = bytes;
        }
    }
}
