//! Whole images on their way: from a folder to a repository, or from one repository to another.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::body::BlobSource;
use super::error::Error;
use super::name::By;
use super::repository::{Arrival, Repository};
use super::store::ContentStore;
use crate::digest::Digest;
use crate::oci::{Contents, Descriptor, RawManifest};

/// How deep indexes may hold indexes.
const MAX_DEPTH: usize = 4;

/// What it took to bring an image to a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PushStats {
    /// Blobs sent.
    pub blobs_sent: u64,
    /// Their bytes, each counted once.
    pub bytes_sent: u64,
    /// Blobs that the registry took from another repository of its own.
    pub mounted: u64,
    /// Blobs that were there, and manifests that were there with all that they need.
    pub existing: u64,
    /// Manifests and indexes written.
    pub manifests: u64,
}

/// Blobs of an image that its store does not hold, and the repositories that do: the layers of bases, which nobody downloads to
/// publish what builds on them.
#[derive(Clone, Debug, Default)]
pub struct Lent(BTreeMap<Digest, (Descriptor, Repository)>);

impl Lent {
    /// Adds a blob and who has it.
    pub fn insert(&mut self, blob: Descriptor, from: Repository) {
        self.0.entry(blob.digest).or_insert((blob, from));
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: &Self) {
        for (digest, lent) in &other.0 {
            self.0.entry(*digest).or_insert_with(|| lent.clone());
        }
    }

    /// Who has a blob.
    pub fn get(&self, digest: &Digest) -> Option<&Repository> {
        self.0.get(digest).map(|(_, from)| from)
    }

    /// Brings every blob into a store that has to hold all of an image.
    ///
    /// # Errors
    /// If a registry refuses or cannot be reached, or the store cannot be written to.
    pub async fn fetch_into(&self, store: &ContentStore) -> Result<(), Error> {
        for (blob, from) in self.0.values() {
            store.fetch(blob, &from.blob(&blob.digest)).await?;
        }
        Ok(())
    }
}

impl std::ops::AddAssign for PushStats {
    fn add_assign(&mut self, other: Self) {
        self.blobs_sent += other.blobs_sent;
        self.bytes_sent += other.bytes_sent;
        self.mounted += other.mounted;
        self.existing += other.existing;
        self.manifests += other.manifests;
    }
}

/// Brings the image or index `digest` of `store` to a repository, by digest; no tag moves. See the module for the order.
///
/// `mount_from` are paths of repositories on the same host that may have its blobs (those of its bases); `concurrency` is the number of
/// blobs that are on their way at the same time.
///
/// # Errors
/// If the store lacks something, or the registry refuses or cannot be reached.
pub async fn push_image(
    to: &Repository,
    store: &ContentStore,
    digest: &Digest,
    mount_from: &[String],
    concurrency: usize,
) -> Result<PushStats, Error> {
    let sent = push_blobs(to, (store, &Lent::default()), digest, mount_from, concurrency).await?;
    sent.put_manifests(to).await
}

/// The first half of [`push_image`], for an image some of whose blobs may not be in the store: each of those is mounted from the
/// repository that has it, where that is on the same host, else streamed from there. [`Sent::put_manifests`] is the second half.
///
/// # Errors
/// As [`push_image`]; and if a repository that lends cannot be read.
pub async fn push_blobs(
    to: &Repository,
    (store, lent): (&ContentStore, &Lent),
    digest: &Digest,
    mount_from: &[String],
    concurrency: usize,
) -> Result<Sent, Error> {
    Transfer { from: Origin::Store(store, lent), to, mount_from, concurrency }.image(*digest).await
}

/// Brings the image or index `digest` from one repository to another, by digest; no tag moves. On the same host blobs are mounted,
/// otherwise streamed, and nothing is kept on the way.
///
/// # Errors
/// If the source lacks something, or a registry refuses or cannot be reached.
pub async fn copy_image(
    from: &Repository,
    to: &Repository,
    digest: &Digest,
    concurrency: usize,
) -> Result<PushStats, Error> {
    let sent = copy_blobs(from, to, digest, concurrency).await?;
    sent.put_manifests(to).await
}

/// The first half of [`copy_image`]: the blobs alone. [`Sent::put_manifests`] is the second.
///
/// # Errors
/// As [`copy_image`].
pub async fn copy_blobs(
    from: &Repository,
    to: &Repository,
    digest: &Digest,
    concurrency: usize,
) -> Result<Sent, Error> {
    let mount_from = mountable(from, to);
    Transfer { from: Origin::Repository(from), to, mount_from: &mount_from, concurrency }.image(*digest).await
}

/// The path of `from`, if `to` is on the same host and may mount from it.
fn mountable(from: &Repository, to: &Repository) -> Vec<String> {
    match (from, to) {
        (Repository::Remote { name: from, .. }, Repository::Remote { name: to, .. }) if from.host == to.host => {
            vec![from.path.clone()]
        }
        _ => Vec::new(),
    }
}

/// An image of which all blobs are there, and no manifest yet that was not there before.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// What the blobs took.
    pub stats: PushStats,
    /// The manifests that lack, each after all that it points at.
    manifests: Vec<RawManifest>,
}

impl Sent {
    /// Writes the manifests, by digest, and reads each back.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or does not keep what it is sent.
    pub async fn put_manifests(self, to: &Repository) -> Result<PushStats, Error> {
        let mut stats = self.stats;
        for manifest in &self.manifests {
            to.put_manifest(By::Digest(manifest.digest()), manifest).await?;
            stats.manifests += 1;
            read_back(to, manifest).await?;
        }
        Ok(stats)
    }
}

enum Origin<'a> {
    Store(&'a ContentStore, &'a Lent),
    Repository(&'a Repository),
}

impl Origin<'_> {
    async fn manifest(&self, digest: Digest) -> Result<RawManifest, Error> {
        let (found, place) = match self {
            Self::Store(store, _) => (store.manifest(&digest).await?, store.root().display().to_string()),
            Self::Repository(repository) => {
                (repository.get_manifest(By::Digest(digest)).await?, repository.to_string())
            }
        };
        found.ok_or(Error::Missing { place, what: format!("manifest {digest}") })
    }

    /// Where to read a blob from, and the repository that lends it, if one does.
    fn blob(&self, digest: &Digest) -> (BlobSource, Option<&Repository>) {
        match self {
            Self::Store(store, lent) => match lent.get(digest).filter(|_| !store.contains(digest)) {
                Some(lender) => (lender.blob(digest), Some(lender)),
                None => (store.source(digest), lent.get(digest)),
            },
            Self::Repository(repository) => (repository.blob(digest), None),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Store(store, _) => store.root().display().to_string(),
            Self::Repository(repository) => repository.to_string(),
        }
    }
}

struct Transfer<'a> {
    from: Origin<'a>,
    to: &'a Repository,
    mount_from: &'a [String],
    concurrency: usize,
}

impl Transfer<'_> {
    async fn image(&self, digest: Digest) -> Result<Sent, Error> {
        let mut sent = Sent::default();
        self.manifest(digest, 0, &mut sent).await?;
        Ok(sent)
    }

    async fn manifest(&self, digest: Digest, depth: usize, sent: &mut Sent) -> Result<(), Error> {
        if sent.manifests.iter().any(|manifest| manifest.digest() == digest) {
            sent.stats.existing += 1;
            return Ok(());
        }
        let manifest = self.from.manifest(digest).await?;
        let wrong = |why| Error::NotAManifest { place: self.from.place(), why };
        let contents = manifest.contents().map_err(wrong)?;
        // What was just built is hardly ever there. Its configuration, which has to be asked for anyway, says so for it.
        let probe = match (&contents, &self.from, self.to) {
            (Contents::Manifest(contents), Origin::Store(..), Repository::Remote { .. }) => Some(&contents.config),
            _ => None,
        };
        let probed = match probe {
            Some(config) => Some(self.blob(config.clone()).await?),
            None => None,
        };
        let may_be_there = probed.is_none_or(|probed| probed.existing > 0);
        // A registry takes a manifest only with its blobs; a folder has it whatever became of them.
        let whole = match (self.to, &contents) {
            (Repository::Layout(layout), Contents::Manifest(manifest)) => {
                manifest.blobs().into_iter().all(|blob| layout.store().holds(blob))
            }
            (Repository::Layout(_), Contents::Index(_)) => false,
            _ => true,
        };
        if may_be_there && whole && self.to.head_manifest(By::Digest(digest)).await?.is_some() {
            sent.stats.existing += 1;
            return Ok(());
        }
        sent.stats += probed.unwrap_or_default();
        match contents {
            Contents::Index(_) if depth == MAX_DEPTH => {
                return Err(Error::TooLarge { subject: format!("the nesting of {digest}"), limit: MAX_DEPTH as u64 });
            }
            Contents::Index(index) => {
                for child in index.manifests {
                    Box::pin(self.manifest(child.digest, depth + 1, sent)).await?;
                }
            }
            Contents::Manifest(contents) => {
                let mut blobs = contents.blobs().into_iter().cloned().collect::<Vec<_>>();
                if probed.is_some() {
                    blobs.retain(|blob| blob.digest != contents.config.digest);
                }
                let mut arrivals =
                    stream::iter(blobs).map(|blob| self.blob(blob)).buffer_unordered(self.concurrency.max(1));
                while let Some(arrived) = arrivals.try_next().await? {
                    sent.stats += arrived;
                }
            }
        }
        sent.manifests.push(manifest);
        Ok(())
    }

    async fn blob(&self, blob: Descriptor) -> Result<PushStats, Error> {
        let (source, lender) = self.from.blob(&blob.digest);
        let mut mount_from = lender.map(|lender| mountable(lender, self.to)).unwrap_or_default();
        mount_from.extend_from_slice(self.mount_from);
        Ok(match self.to.ensure_blob(&blob, &source, &mount_from).await? {
            Arrival::Existing => PushStats { existing: 1, ..PushStats::default() },
            Arrival::Mounted => PushStats { mounted: 1, ..PushStats::default() },
            Arrival::Sent => PushStats { blobs_sent: 1, bytes_sent: blob.size, ..PushStats::default() },
        })
    }
}

/// Reads what was written: the registry must have the very bytes.
pub(super) async fn read_back(repository: &Repository, manifest: &RawManifest) -> Result<(), Error> {
    match repository.get_manifest(By::Digest(manifest.digest())).await? {
        Some(read) if read.bytes() == manifest.bytes() => Ok(()),
        _ => Err(Error::Missing {
            place: repository.to_string(),
            what: format!("the manifest {} that it has just taken", manifest.digest()),
        }),
    }
}
