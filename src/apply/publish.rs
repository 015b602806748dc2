//! Publication of one image: blobs, manifest by digest, record, read-back, and then the key tag, which is the commit point.
//!
//! The image's first destination is the key's home, and the first writer wins: if another digest with a sound record stands under the key
//! just before or after our PUT, that one is the image, and ours is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::ApplyError;
use super::made::Made;
use super::make::{Shared, platforms_of};
use super::work::ImageWork;
use crate::digest::{Digest, Key};
use crate::event::{Kind, Outcome, Phase};
use crate::fingerprint::{Document, Fingerprint};
use crate::oci::{Contents, RawManifest};
use crate::plan::Step;
use crate::platform::Platform;
use crate::registry::{By, Repository, Sent, copy_blobs, push_blobs};

/// How many blobs of one image are on their way at once.
const BLOBS_AT_ONCE: usize = 4;

/// What an executor just made: its blobs lie in the run's store.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// A manifest, or an index.
    pub digest: Digest,
    /// The manifests of its platforms.
    pub children: BTreeMap<Platform, Digest>,
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
    fn repository(&self, index: usize) -> Arc<Repository> {
        let publication = &self.step.destinations[index];
        self.shared.work.repositories.get(&publication.registry, &publication.repository)
    }

    fn phase(&self, phase: Phase, index: usize) {
        let at = self.step.destinations[index].reference.clone();
        self.shared.events.send(Kind::PhaseStarted { image: self.step.name.clone(), phase, at });
    }

    /// What stands under a key at the image's home, if its record vouches for it.
    pub async fn sound_at_home(&self, key: Key) -> Result<Option<Digest>, ApplyError> {
        if self.step.destinations.is_empty() {
            return Ok(None);
        }
        self.sound(0, key).await
    }

    async fn sound(&self, index: usize, key: Key) -> Result<Option<Digest>, ApplyError> {
        let repository = self.repository(index);
        let tag = key.tag();
        let failed = |what: &str| ApplyError::registry(format!("{what} {repository}:{tag}"));
        let Some(found) = repository.head_manifest(By::Tag(&tag)).await.map_err(failed("looking for"))? else {
            return Ok(None);
        };
        let record = repository.read_record(found.digest, &tag).await.map_err(failed("reading the record of"))?;
        let document = record.and_then(|bytes| Document::from_bytes(&bytes));
        Ok(document.filter(|document| document.vouches_for(key, found.digest)).map(|_| found.digest))
    }

    /// Publishes what was just built, at every destination.
    pub async fn publish(&self, fresh: &Fresh, pinned: Option<Key>) -> Result<Made, ApplyError> {
        let mut made = Made {
            digest: fresh.digest,
            children: fresh.children.clone(),
            held: Vec::new(),
            stored: true,
            outcome: Outcome::Built,
        };
        if self.step.destinations.is_empty() {
            return Ok(made);
        }
        let forced = self.step.reasons.contains(&crate::plan::Reason::Forced);
        let first = if forced { None } else { self.sound_at_home(self.step.key).await? };
        let standing = match first {
            Some(first) => first,
            None => {
                self.send(0, fresh.digest, &[]).await?;
                self.commit(0, fresh.digest, pinned).await?
            }
        };
        if standing != fresh.digest {
            self.shared.events.send(Kind::Adopted {
                image: self.step.name.clone(),
                digest: standing,
                dropped: Some(fresh.digest),
            });
            made = self.adopted(standing).await?;
        }
        made.held.push(0);
        for index in 1..self.step.destinations.len() {
            if made.stored {
                self.send(index, made.digest, &self.mountable(index)).await?;
                self.commit(index, made.digest, pinned).await?;
            } else {
                self.copy_between(0, index, made.digest, pinned).await?;
            }
            made.held.push(index);
        }
        Ok(made)
    }

    async fn adopted(&self, digest: Digest) -> Result<Made, ApplyError> {
        let repository = self.repository(0);
        let raw = self.manifest(&repository, digest).await?;
        let children = platforms_of(&raw);
        Ok(Made { digest, children, held: Vec::new(), stored: false, outcome: Outcome::Adopted })
    }

    /// Puts the key on an image that is published under its pinned key.
    pub async fn carry(&self, digest: Digest, pinned: Key) -> Result<Made, ApplyError> {
        self.shared.events.send(Kind::Adopted { image: self.step.name.clone(), digest, dropped: None });
        self.commit(0, digest, Some(pinned)).await?;
        let mut made = self.adopted(digest).await?;
        made.held.push(0);
        for index in 1..self.step.destinations.len() {
            self.copy_between(0, index, digest, Some(pinned)).await?;
            made.held.push(index);
        }
        Ok(made)
    }

    /// Copies a published image to a destination that lacks it, from the one that the plan names.
    pub async fn copy_to(&self, index: usize, digest: Digest) -> Result<(), ApplyError> {
        let named = self.step.destinations[index].from.as_deref();
        let from = self.step.destinations.iter().position(|other| Some(other.reference.as_str()) == named).unwrap_or(0);
        self.copy_between(from, index, digest, None).await
    }

    async fn copy_between(
        &self,
        from: usize,
        to: usize,
        digest: Digest,
        pinned: Option<Key>,
    ) -> Result<(), ApplyError> {
        let (source, target) = (self.repository(from), self.repository(to));
        self.phase(Phase::Blobs, to);
        let what = format!("copying {} from {source} to {target}", self.step.name);
        let sent = copy_blobs(&source, &target, &digest, BLOBS_AT_ONCE).await;
        self.put_manifests(to, sent.map_err(ApplyError::registry(what.clone()))?, &what).await?;
        self.commit(to, digest, pinned).await?;
        Ok(())
    }

    /// Repositories of the same image from which another destination may mount blobs.
    fn mountable(&self, index: usize) -> Vec<String> {
        let registry = &self.step.destinations[index].registry;
        let before = self.step.destinations[..index].iter().filter(|other| &other.registry == registry);
        before.map(|other| other.repository.clone()).collect()
    }

    /// Blobs and manifests, by digest.
    async fn send(&self, index: usize, digest: Digest, mount_from: &[String]) -> Result<(), ApplyError> {
        let repository = self.repository(index);
        let reference = self.step.destinations[index].reference.clone();
        let (bytes, layers) = self.size(digest).await?;
        let image = self.step.name.clone();
        self.shared.events.send(Kind::Size { image: image.clone(), reference: reference.clone(), bytes, layers });
        self.phase(Phase::Blobs, index);
        let limit = self.image.image.push_timeout;
        let what = format!("pushing {image} to {repository}");
        let push = async {
            let sent = push_blobs(&repository, &self.shared.store, &digest, mount_from, BLOBS_AT_ONCE).await;
            self.put_manifests(index, sent.map_err(ApplyError::registry(what.clone()))?, &what).await
        };
        tokio::select! {
            () = self.shared.cancel.cancelled() => Err(ApplyError::Interrupted),
            pushed = tokio::time::timeout(limit, push) => pushed
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

    async fn manifest(&self, repository: &Repository, digest: Digest) -> Result<RawManifest, ApplyError> {
        let what = format!("reading {digest} from {repository}");
        let raw = repository.get_manifest(By::Digest(digest)).await.map_err(ApplyError::registry(what))?;
        raw.ok_or_else(|| ApplyError::Gone(format!("{digest} is not in {repository} any more")))
    }

    /// Record, read-back, key tag, read-back: gives the digest that stands under the key afterwards.
    async fn commit(&self, index: usize, digest: Digest, pinned: Option<Key>) -> Result<Digest, ApplyError> {
        let repository = self.repository(index);
        let raw = self.manifest(&repository, digest).await?;
        self.phase(Phase::Record, index);
        let document = self.document(index, digest, pinned);
        let failed = |what: &str, tag: &str| ApplyError::registry(format!("{what} {repository}:{tag}"));
        let keys: Vec<Key> =
            pinned.into_iter().filter(|pinned| *pinned != self.step.key).chain([self.step.key]).collect();
        for tag in keys.iter().map(Key::tag) {
            let attached = repository.attach_record(&raw.descriptor(), &tag, &document.to_bytes()).await;
            attached.map_err(failed("attaching the record of", &tag))?;
        }
        self.phase(Phase::Key, index);
        let mut standing = digest;
        for (tag, key) in keys.into_iter().map(|key| (key.tag(), key)) {
            repository.put_manifest(By::Tag(&tag), &raw).await.map_err(failed("putting", &tag))?;
            let found = repository.head_manifest(By::Tag(&tag)).await.map_err(failed("reading back", &tag))?;
            let found = found.map(|found| found.digest);
            standing = match found {
                Some(found) if found == digest => found,
                // Somebody else wrote after us: theirs is the image, if its record vouches for it.
                other => match self.sound(index, key).await? {
                    Some(found) => found,
                    None => {
                        let found = other.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
                        let reference = format!("{repository}:{tag}");
                        return Err(ApplyError::ReadBack { reference, written: digest.to_string(), found });
                    }
                },
            };
        }
        Ok(standing)
    }

    fn document(&self, index: usize, digest: Digest, pinned: Option<Key>) -> Document {
        let image = &self.image.image;
        let prints: BTreeMap<Platform, Fingerprint> =
            self.image.platforms.iter().map(|(platform, work)| (platform.clone(), work.fingerprint.clone())).collect();
        let mut volatile = BTreeMap::new();
        for (name, arg) in image.args.iter().filter(|(_, arg)| arg.volatile && !arg.sensitive) {
            if let Some(value) = &arg.value {
                volatile.insert(name.clone(), value.render(ToString::to_string));
            }
        }
        for (name, label) in image.labels.iter().filter(|(_, label)| label.volatile) {
            volatile.insert(format!("label {name}"), label.value.clone());
        }
        let commit = self.shared.plan.commit.as_ref().map(|commit| commit.id.clone());
        let document = Document::new(self.step.name.as_str(), digest, commit, &prints, &volatile);
        let document = Document { pinned, ..document };
        let registry = &image.destinations[index].registry;
        let public = self.shared.work.project.registries.get(registry).is_some_and(|registry| registry.public);
        if public { document.without_records() } else { document }
    }
}
