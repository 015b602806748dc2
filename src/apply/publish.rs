//! Publication of one image: blobs, manifest by digest, record, read-back, and then the key tag, which is the commit point.
//!
//! The image's first destination is the key's home, and the first writer wins: if another digest with a sound record stands under the key
//! just before or after our PUT, that one is the image, and ours is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::commit::{Claim, document_of, now};
use super::error::ApplyError;
use super::made::Made;
use super::make::{Shared, platforms_of};
use super::work::ImageWork;
use crate::digest::{Digest, Key};
use crate::event::{Kind, Outcome, Phase};
use crate::fingerprint::Document;
use crate::oci::{Contents, RawManifest};
use crate::plan::{Executor, Step};
use crate::platform::Platform;
use crate::registry::{Lent, Repository, Sent, copy_blobs, push_blobs};

/// How many blobs of one image are on their way at once.
const BLOBS_AT_ONCE: usize = 4;

/// What an executor just made: its blobs lie in the run's store.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// A manifest, or an index.
    pub digest: Digest,
    /// The manifests of its platforms.
    pub children: BTreeMap<Platform, Digest>,
    /// Layers of its bases that are not in the store, and who has them.
    pub lent: Arc<Lent>,
}

/// Publishes one image.
pub struct Publisher<'a> {
    /// What the run shares.
    pub shared: &'a Shared,
    /// What is planned for it.
    pub step: &'a Step,
    /// The image.
    pub image: &'a ImageWork,
}

impl Publisher<'_> {
    pub(super) fn repository(&self, index: usize) -> Arc<Repository> {
        let publication = &self.step.destinations[index];
        self.shared.work.repositories.get(&publication.registry, &publication.repository)
    }

    pub(super) fn phase(&self, phase: Phase, index: usize) {
        let at = self.step.destinations[index].reference.clone();
        self.shared.events.send(Kind::PhaseStarted { image: self.step.name.clone(), phase, at });
    }

    /// What stands under a key at the image's home, with the document that vouches for it.
    pub async fn sound_at_home(&self, key: Key) -> Result<Option<(Digest, Document)>, ApplyError> {
        if self.step.destinations.is_empty() {
            return Ok(None);
        }
        self.sound(0, key).await
    }

    /// Publishes what was just built, at every destination.
    pub async fn publish(&self, fresh: &Fresh, pinned: Option<Key>) -> Result<Made, ApplyError> {
        let mut made = Made::unpublished(fresh);
        if self.step.destinations.is_empty() {
            return Ok(made);
        }
        let claim = if self.is_forced() { Claim::Settled } else { Claim::Contested };
        // What took a builder long may have been published by another run meanwhile; what is assembled was asked for a moment ago.
        let long = self.step.executor == Executor::Buildkit && !self.is_forced();
        let first = if long { self.sound_at_home(self.step.key).await? } else { None };
        let mut document = self.built_document(fresh.digest, pinned);
        let standing = match &first {
            Some((first, _)) => *first,
            None => {
                self.send(0, fresh, &[]).await?;
                self.commit(0, fresh.digest, document.clone(), claim, &[]).await?
            }
        };
        if standing != fresh.digest {
            self.shared.events.send(Kind::Adopted {
                image: self.step.name.clone(),
                digest: standing,
                dropped: Some(fresh.digest),
            });
            made = self.adopted(standing).await?;
            let theirs = match first {
                Some((_, document)) => Some(document),
                None => self.sound_at_home(self.step.key).await?.map(|(_, document)| document),
            };
            document = theirs.ok_or_else(|| ApplyError::Gone(format!("the record of {standing} is gone")))?;
        }
        made.held.push(0);
        for index in 1..self.step.destinations.len() {
            if made.stored {
                let near = self.near(index, None);
                self.send(index, fresh, &near).await?;
                self.commit(index, made.digest, document.clone(), Claim::Settled, &near).await?;
            } else {
                self.copy_between(&self.repository(0), index, made.digest, &document).await?;
            }
            made.held.push(index);
        }
        Ok(made)
    }

    async fn adopted(&self, digest: Digest) -> Result<Made, ApplyError> {
        let repository = self.repository(0);
        let raw = self.manifest(&repository, digest).await?;
        let children = platforms_of(&raw);
        let lent = Arc::default();
        Ok(Made { digest, children, held: Vec::new(), stored: false, lent, outcome: Outcome::Adopted })
    }

    /// Puts the key on an image that is published under its pinned key.
    pub async fn carry(&self, digest: Digest, pinned: Key, built: &Document) -> Result<Made, ApplyError> {
        self.shared.events.send(Kind::Adopted { image: self.step.name.clone(), digest, dropped: None });
        let document = self.kept_document(digest, Some(pinned), built);
        self.commit(0, digest, document.clone(), Claim::Settled, &[]).await?;
        let mut made = self.adopted(digest).await?;
        made.held.push(0);
        for index in 1..self.step.destinations.len() {
            self.copy_between(&self.repository(0), index, digest, &document).await?;
            made.held.push(index);
        }
        Ok(made)
    }

    /// Copies a published image to a destination that lacks it, from the place that the plan names.
    pub async fn copy_to(&self, index: usize, digest: Digest) -> Result<(), ApplyError> {
        let named = self.step.destinations[index].from.as_deref();
        let own = self.step.destinations.iter().position(|other| Some(other.reference.as_str()) == named);
        let source = match (own, named.and_then(|named| self.shared.work.sources.find(&self.step.name, named))) {
            (Some(own), _) => self.repository(own),
            (None, Some(source)) => source,
            (None, None) => {
                let named = named.unwrap_or("nowhere");
                return Err(ApplyError::Gone(format!(
                    "{} was to be copied from {named}, which is unknown",
                    self.step.name
                )));
            }
        };
        let tag = self.step.key.tag();
        let failed = ApplyError::registry(format!("reading the record of {source}:{tag}"));
        let document = document_of(&source, digest, self.step.key).await.map_err(failed)?;
        let document =
            document.ok_or_else(|| ApplyError::Gone(format!("no sound record vouches for {source}:{tag} any more")))?;
        // At a public destination the document says no more than the key; ours has the rest.
        let document = match document.records.is_empty() {
            true => {
                let kept = self.kept_document(digest, document.pinned, &document);
                Document { published: kept.published.or_else(|| Some(now())), ..kept }
            }
            false => document,
        };
        self.copy_between(&source, index, digest, &document).await
    }

    async fn copy_between(
        &self,
        source: &Repository,
        to: usize,
        digest: Digest,
        document: &Document,
    ) -> Result<(), ApplyError> {
        let target = self.repository(to);
        self.phase(Phase::Blobs, to);
        let what = format!("copying {} from {source} to {target}", self.step.name);
        let copy = async {
            let sent = copy_blobs(source, &target, &digest, BLOBS_AT_ONCE).await;
            self.put_manifests(to, sent.map_err(ApplyError::registry(what.clone()))?, &what).await
        };
        self.limited(&what, copy).await?;
        self.commit(to, digest, document.clone(), Claim::Settled, &self.near(to, Some(source))).await?;
        Ok(())
    }

    /// Repositories of the same image on the same host, from which a destination may mount blobs: a source, and the destinations before it.
    fn near(&self, index: usize, source: Option<&Repository>) -> Vec<String> {
        let before: Vec<Arc<Repository>> = (0..index).map(|other| self.repository(other)).collect();
        let Repository::Remote { name: to, .. } = &*self.repository(index) else { return Vec::new() };
        let places = source.into_iter().chain(before.iter().map(|repository| &**repository));
        let paths = places.filter_map(|place| match place {
            Repository::Remote { name, .. } if name.host == to.host && name.path != to.path => Some(name.path.clone()),
            _ => None,
        });
        paths.collect()
    }

    /// Blobs and manifests, by digest.
    async fn send(&self, index: usize, fresh: &Fresh, mount_from: &[String]) -> Result<(), ApplyError> {
        let digest = fresh.digest;
        let repository = self.repository(index);
        let reference = self.step.destinations[index].reference.clone();
        let (bytes, layers) = self.size(digest).await?;
        let image = self.step.name.clone();
        self.shared.events.send(Kind::Size { image: image.clone(), reference: reference.clone(), bytes, layers });
        self.phase(Phase::Blobs, index);
        let what = format!("pushing {image} to {repository}");
        let push = async {
            let sent =
                push_blobs(&repository, (&self.shared.store, &fresh.lent), &digest, mount_from, BLOBS_AT_ONCE).await;
            self.put_manifests(index, sent.map_err(ApplyError::registry(what.clone()))?, &what).await
        };
        self.limited(&what, push).await
    }

    /// What sends blobs ends with the run, and when it takes longer than a push may.
    async fn limited(
        &self,
        what: &str,
        sending: impl Future<Output = Result<(), ApplyError>>,
    ) -> Result<(), ApplyError> {
        let limit = self.image.image.push_timeout;
        tokio::select! {
            () = self.shared.cancel.cancelled() => Err(ApplyError::Interrupted),
            sent = tokio::time::timeout(limit, sending) => sent
                .unwrap_or_else(|_| Err(ApplyError::Gone(format!("{what} took longer than {} s", limit.as_secs())))),
        }
    }

    /// Tells what blobs a destination took, and writes the manifests there.
    async fn put_manifests(&self, index: usize, sent: Sent, what: &str) -> Result<(), ApplyError> {
        self.shared.events.send(Kind::BlobsSent {
            image: self.step.name.clone(),
            reference: self.step.destinations[index].reference.clone(),
            sent: sent.stats.blobs_sent,
            bytes: sent.stats.bytes_sent,
            mounted: sent.stats.mounted,
            existing: sent.stats.existing,
        });
        self.phase(Phase::Manifest, index);
        sent.put_manifests(&self.repository(index)).await.map_err(ApplyError::registry(what))?;
        Ok(())
    }

    /// Bytes and layers of an image in the store.
    async fn size(&self, digest: Digest) -> Result<(u64, usize), ApplyError> {
        let store = &self.shared.store;
        let (mut bytes, mut layers, mut queue) = (0, 0, vec![digest]);
        while let Some(next) = queue.pop() {
            let raw = store.manifest(&next).await.map_err(ApplyError::registry("reading what was built"))?;
            match raw.map(|raw| raw.contents()) {
                Some(Ok(Contents::Index(index))) => queue.extend(index.manifests.iter().map(|child| child.digest)),
                Some(Ok(Contents::Manifest(manifest))) => {
                    bytes += manifest.config.size + manifest.layers.iter().map(|layer| layer.size).sum::<u64>();
                    layers += manifest.layers.len();
                }
                _ => {}
            }
        }
        Ok((bytes, layers))
    }

    pub(super) async fn manifest(&self, repository: &Repository, digest: Digest) -> Result<RawManifest, ApplyError> {
        let what = format!("reading {digest} from {repository}");
        let raw = repository.manifest_bytes(digest).await.map_err(ApplyError::registry(what))?;
        raw.ok_or_else(|| ApplyError::Gone(format!("{digest} is not in {repository} any more")))
    }
}
