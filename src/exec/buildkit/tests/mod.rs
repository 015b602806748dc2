//! The executor against a server that speaks BuildKit's wire, with faults. `tests/buildkit.rs` has the real one.

mod context;
mod export;
mod fake;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{BuildError, Buildkit, Built, Request};
use crate::digest::ContentHash;
use crate::fingerprint::{FileEntry, FileKind, FileSet};
use crate::name::ImageName;
use crate::path::RelPath;
use crate::problem::Source;
use crate::registry::ContentStore;
use crate::workspace::{Origin, Snapshot};

/// A snapshot of the files of one folder.
fn snapshot(folder: &Path, files: &[(&str, &[u8])]) -> Snapshot {
    let entries = files.iter().map(|(name, bytes)| {
        std::fs::write(folder.join(name), bytes).unwrap();
        let hash = ContentHash::from_bytes(*blake3::hash(bytes).as_bytes());
        let kind = FileKind::File { hash, size: bytes.len() as u64 };
        FileEntry { path: RelPath::new(name.as_bytes()).unwrap(), kind, mode: 0o644 }
    });
    Snapshot::new(Arc::new(FileSet::new(entries.collect())), Arc::new(Origin::Folder(folder.to_owned())))
}

/// The least that a build can be asked for.
pub(super) fn request(context: Snapshot) -> Request {
    Request {
        image: ImageName::new("x"),
        platform: "linux/arm64".parse().unwrap(),
        dockerfile: Source::new("Dockerfile", "FROM scratch"),
        context,
        contexts: Default::default(),
        shared: Default::default(),
        args: Default::default(),
        target: None,
        labels: Default::default(),
        annotations: Default::default(),
        secrets: Default::default(),
        masks: Default::default(),
        ssh: Default::default(),
        entitlements: Default::default(),
        cache_from: Vec::new(),
        cache_to: Vec::new(),
        no_cache: false,
        lent: Default::default(),
        output: Default::default(),
        source_date_epoch: None,
        timeout: Duration::from_secs(20),
    }
}

async fn build(buildkit: &Buildkit, request: Request, store: &ContentStore) -> Result<Built, BuildError> {
    buildkit.build(request, store, mpsc::unbounded_channel().0, CancellationToken::new()).await
}

/// The names in a store's folder of blobs.
fn names(store: &ContentStore) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(store.root().join("blobs/sha256")) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
