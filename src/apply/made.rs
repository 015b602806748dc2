//! An image of the run that exists by now.

use std::collections::BTreeMap;

use super::publish::Fresh;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::platform::Platform;

/// What an image is, and where.
#[derive(Clone, Debug)]
pub struct Made {
    /// What stands under its key: a manifest, or an index if there are several platforms.
    pub digest: Digest,
    /// The manifests of its platforms, as far as they are known.
    pub children: BTreeMap<Platform, Digest>,
    /// The destinations that hold it (indices into the image's), its home first.
    pub held: Vec<usize>,
    /// Whether its blobs lie in the run's store.
    pub stored: bool,
    /// What became of it.
    pub outcome: Outcome,
}

impl Made {
    /// What was built and is published nowhere.
    pub fn unpublished(fresh: &Fresh) -> Self {
        let children = fresh.children.clone();
        Self { digest: fresh.digest, children, held: Vec::new(), stored: true, outcome: Outcome::Built }
    }
}
