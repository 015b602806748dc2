//! An image of the run that exists by now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::publish::Fresh;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::platform::Platform;
use crate::registry::Lent;

/// What an image is, and where.
#[derive(Clone, Debug)]
pub struct Made {
    /// What stands under its key: a manifest, or an index if there are several platforms.
    pub digest: Digest,
    /// The manifests of its platforms, as far as they are known.
    pub children: BTreeMap<Platform, Digest>,
    /// The destinations that hold it (indices into the image's), its home first.
    pub held: Vec<usize>,
    /// Whether its blobs lie in the run's store, but for those that are lent.
    pub stored: bool,
    /// Layers of its bases that are not in the store, and who has them.
    pub lent: Arc<Lent>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Made {
    /// What was built and is published nowhere.
    pub fn unpublished(fresh: &Fresh) -> Self {
        let children = fresh.children.clone();
        Self {
            digest: fresh.digest,
            children,
            held: Vec::new(),
            stored: true,
            lent: Arc::clone(&fresh.lent),
            outcome: Outcome::Built,
        }
    }
}
