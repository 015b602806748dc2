use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Bytes, BytesMut};
use futures::stream::StreamExt;

use super::body::BlobSource;
use super::client::{Client, Stored};
use super::control::{Control, Doomed, Held, TagDigests};
use super::daemon::Daemon;
use super::error::Error;
use super::layout::Layout;
use super::name::{By, RepositoryName};
use super::upload::Mount;
use crate::digest::Digest;
use crate::oci::{Descriptor, RawManifest};

/// How many repositories are asked to lend a blob before it is sent.
const MOUNT_CANDIDATES: usize = 3;

/// A place for the manifests and blobs of one image: a repository of a registry, or an image layout on disk.
#[derive(Clone, Debug)]
pub enum Repository {
    /// At a registry.
    Remote {
        /// The client.
        client: Client,
        /// Host and path.
        name: RepositoryName,
    },
    /// On disk.
    Layout(Layout),
}

/// How a blob came to be where it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was there.
    Existing,
    /// The registry took it from another repository of its own.
    Mounted,
    /// It was sent.
    Sent,
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote { name, .. } => name.fmt(f),
            Self::Layout(layout) => layout.store().root().display().fmt(f),
        }
    }
}

impl Repository {
    /// A repository of a registry.
    pub fn remote(client: &Client, name: impl Into<RepositoryName>) -> Self {
        Self::Remote { client: client.clone(), name: name.into() }
    }

    /// An image layout in a folder.
    pub fn layout(root: impl Into<std::path::PathBuf>) -> Self {
        Self::Layout(Layout::new(root))
    }

    /// A repository of the local Docker daemon: what is tagged is loaded into it; keys and records are kept in the layout `root`.
    pub fn docker(client: &Client, root: impl Into<std::path::PathBuf>, repository: &str) -> Self {
        let daemon = Daemon::new(&client.0.settings.docker_host, repository);
        Self::Layout(Layout::of_daemon(root, daemon))
    }

    /// The clock of the registry, in seconds since 1970, as its last answer said; ours where it said nothing.
    pub fn now(&self) -> i64 {
        let ahead = match self {
            Self::Remote { client, name } => client.0.host(&name.host).map_or(0, |host| host.ahead.load(Relaxed)),
            Self::Layout(_) => 0,
        };
        super::transport::now().saturating_add(ahead)
    }

    /// Where a tag points, or whether a digest is there; `None` if the manifest or the repository does not exist.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the layout cannot be read.
    pub async fn head_manifest(&self, by: By<'_>) -> Result<Option<Descriptor>, Error> {
        match self {
            Self::Remote { client, name } => client.head_manifest(name, by).await,
            Self::Layout(layout) => layout.head_manifest(by).await,
        }
    }

    /// A manifest with its digest verified; `None` if it or the repository does not exist.
    ///
    /// # Errors
    /// As [`head_manifest`](Self::head_manifest); and if the bytes are not what their digest says.
    pub async fn get_manifest(&self, by: By<'_>) -> Result<Option<RawManifest>, Error> {
        match self {
            Self::Remote { client, name } => client.get_manifest(name, by).await,
            Self::Layout(layout) => layout.get_manifest(by).await,
        }
    }

    /// Writes a manifest under its digest, or under a tag, which thereby moves.
    ///
    /// # Errors
    /// As [`Client::put_manifest`]; and if the layout cannot be written to.
    pub async fn put_manifest(&self, by: By<'_>, manifest: &RawManifest) -> Result<Stored, Error> {
        match self {
            Self::Remote { client, name } => client.put_manifest(name, by, manifest).await,
            Self::Layout(layout) => layout.put_manifest(by, manifest).await.map(|()| Stored { refers: false }),
        }
    }

    /// Deletes a manifest, or a tag alone; `false` if there was none.
    ///
    /// # Errors
    /// If the registry refuses (many do), or the layout cannot be written to.
    pub async fn delete_manifest(&self, by: By<'_>) -> Result<bool, Error> {
        match self {
            Self::Remote { client, name } => client.delete_manifest(name, by).await,
            Self::Layout(layout) => layout.delete_manifest(by).await,
        }
    }

    /// How many manifests are best deleted together.
    pub fn delete_at_once(&self) -> usize {
        if self.control().is_some() { 100 } else { 20 }
    }

    /// Deletes manifests; gives how many of them there were.
    ///
    /// # Errors
    /// As [`delete_manifest`](Self::delete_manifest).
    pub async fn delete_manifests(&self, digests: &[Digest]) -> Result<usize, Error> {
        if let Some((control, name)) = self.control() {
            let doomed: Vec<Doomed> = digests.iter().copied().map(Doomed::Manifest).collect();
            return Ok(control.delete(name, &doomed).await?);
        }
        let mut deleted = 0;
        for digest in digests {
            deleted += usize::from(self.delete_manifest(By::Digest(*digest)).await?);
        }
        Ok(deleted)
    }

    /// Where many tags point, asked at once; those that do not exist are left out. `None` where that cannot be asked at once.
    ///
    /// # Errors
    /// If the cloud's API refuses or cannot be reached.
    pub async fn digests(&self, tags: &[String]) -> Result<Option<TagDigests>, Error> {
        match self.control() {
            Some((control, name)) => Ok(control.digests(name, tags).await?),
            None => Ok(None),
        }
    }

    /// Whether [`digests`](Self::digests) may be worth asking.
    pub fn has_control(&self) -> bool {
        self.control().is_some()
    }

    /// Everything that lies here, what has no tag too; `None` where only the tags lead to it.
    ///
    /// # Errors
    /// If the cloud's API refuses or cannot be reached.
    pub async fn inventory(&self) -> Result<Option<Vec<Held>>, Error> {
        match self.control() {
            Some((control, name)) => Ok(Some(control.inventory(name).await?.unwrap_or_default())),
            None => Ok(None),
        }
    }

    fn control(&self) -> Option<(&Arc<dyn Control>, &RepositoryName)> {
        match self {
            Self::Remote { client, name } => Some((client.control(&name.host)?, name)),
            Self::Layout(_) => None,
        }
    }

    /// All tags, sorted, each once.
    ///
    /// # Errors
    /// As [`head_manifest`](Self::head_manifest).
    pub async fn tags(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::Remote { client, name } => client.tags(name).await,
            Self::Layout(layout) => layout.tags().await,
        }
    }

    /// What refers to the manifest `subject`, of one artifact type.
    ///
    /// # Errors
    /// As [`head_manifest`](Self::head_manifest).
    pub async fn referrers(&self, subject: Digest, artifact_type: &str) -> Result<Vec<Descriptor>, Error> {
        match self {
            Self::Remote { client, name } => client.referrers(name, subject, Some(artifact_type)).await,
            Self::Layout(layout) => layout.referrers(subject, Some(artifact_type)).await,
        }
    }

    /// What refers to the manifest `subject`, of whatever type.
    ///
    /// # Errors
    /// As [`head_manifest`](Self::head_manifest).
    pub async fn all_referrers(&self, subject: Digest) -> Result<Vec<Descriptor>, Error> {
        match self {
            Self::Remote { client, name } => client.referrers(name, subject, None).await,
            Self::Layout(layout) => layout.referrers(subject, None).await,
        }
    }

    /// Where to read a blob of this repository from.
    pub fn blob(&self, digest: &Digest) -> BlobSource {
        match self {
            Self::Remote { client, name } => BlobSource::Remote(client.clone(), name.clone()),
            Self::Layout(layout) => layout.store().source(digest),
        }
    }

    /// A small blob at once, with digest and length verified.
    ///
    /// # Errors
    /// If it is larger than `limit` bytes, cannot be read, or is not what its descriptor says.
    pub async fn read_blob(&self, blob: &Descriptor, limit: u64) -> Result<Bytes, Error> {
        if blob.size > limit {
            return Err(Error::TooLarge { subject: format!("blob {} of {self}", blob.digest), limit });
        }
        let mut stream = self.blob(&blob.digest).open(blob, 0, blob.size).await?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        if blob.size == 0 {
            super::body::wrong_digest(&format!("blob {} of {self}", blob.digest), blob.digest, Digest::of(b""))?;
        }
        Ok(bytes.freeze())
    }

    /// The bytes of a manifest, by its digest. One that this process has read or written somewhere is not asked for again: this is no word
    /// on whether it is still here.
    ///
    /// # Errors
    /// As [`get_manifest`](Self::get_manifest).
    pub async fn manifest_bytes(&self, digest: Digest) -> Result<Option<RawManifest>, Error> {
        if let Self::Remote { client, .. } = self
            && let Some(known) = client.0.manifests.get(&digest)
        {
            return Ok(Some(known));
        }
        self.get_manifest(By::Digest(digest)).await
    }

    /// Sends a blob without asking whether it is here, unless this process knows that it is.
    ///
    /// # Errors
    /// As [`ensure_blob`](Self::ensure_blob).
    pub async fn send_blob(&self, blob: &Descriptor, source: &BlobSource) -> Result<Arrival, Error> {
        let Self::Remote { client, name } = self else { return self.ensure_blob(blob, source, &[]).await };
        let mounts = client.0.host(&name.host)?.mounts.load(Relaxed);
        let slot = client.0.presence.slot(name, blob.digest, mounts);
        let mut known = slot.lock().await;
        if known.contains(&name.path) {
            return Ok(Arrival::Existing);
        }
        client.upload_blob(name, blob, source, None).await?;
        known.insert(name.path.clone());
        Ok(Arrival::Sent)
    }

    /// Makes sure that a blob is here: has it mounted from where this process has put it before or from one of `mount_from` (paths of
    /// repositories on the same host), or finds it here, else sends it.
    ///
    /// To mount costs what to ask costs, so where a registry mounts, it is not asked first.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the blob is not what its descriptor says.
    pub async fn ensure_blob(
        &self,
        blob: &Descriptor,
        source: &BlobSource,
        mount_from: &[String],
    ) -> Result<Arrival, Error> {
        let (client, name) = match self {
            Self::Remote { client, name } => (client, name),
            Self::Layout(layout) => {
                if layout.store().holds(blob) {
                    return Ok(Arrival::Existing);
                }
                layout.store().fetch(blob, source).await?;
                return Ok(Arrival::Sent);
            }
        };
        let host = client.0.host(&name.host)?;
        let slot = client.0.presence.slot(name, blob.digest, host.mounts.load(Relaxed));
        let mut known = slot.lock().await;
        if known.contains(&name.path) {
            return Ok(Arrival::Existing);
        }
        let mut candidates: Vec<&String> = Vec::new();
        for candidate in known.iter().chain(mount_from) {
            if *candidate != name.path && !candidates.contains(&candidate) && candidates.len() < MOUNT_CANDIDATES {
                candidates.push(candidate);
            }
        }
        let asked = candidates.is_empty() || !host.mounts.load(Relaxed);
        if asked && client.blob_exists(name, blob.digest).await? {
            known.insert(name.path.clone());
            return Ok(Arrival::Existing);
        }
        let mut session = None;
        for candidate in candidates {
            match client.mount_blob(name, candidate, blob.digest).await? {
                Mount::Mounted => {
                    known.insert(name.path.clone());
                    return Ok(Arrival::Mounted);
                }
                refused => {
                    if known.contains(candidate) {
                        // It is there for certain, so this registry mounts nothing: nobody need wait for anybody.
                        host.mounts.store(false, Relaxed);
                    }
                    match refused {
                        Mount::Upload(opened) if session.is_none() => session = Some(opened),
                        Mount::Upload(opened) => client.cancel_upload(name, opened).await,
                        Mount::Mounted | Mount::Refused => {}
                    }
                }
            }
            if !host.mounts.load(Relaxed) {
                break;
            }
        }
        if !asked && client.blob_exists(name, blob.digest).await? {
            if let Some(opened) = session {
                client.cancel_upload(name, opened).await;
            }
            known.insert(name.path.clone());
            return Ok(Arrival::Existing);
        }
        client.upload_blob(name, blob, source, session).await?;
        known.insert(name.path.clone());
        Ok(Arrival::Sent)
    }
}
