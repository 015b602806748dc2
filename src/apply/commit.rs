//! The commit point: the record, and then the key tag.
//!
//! Registries have no conditional PUT. Of two runs that built the same key at the same time both may find nothing under it and write; the
//! last one to write then stands. So each looks once more just before it writes, and again when a rival that looked before our PUT must
//! have written too; what stands then is the image for both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::error::ApplyError;
use super::publish::Publisher;
use crate::digest::{Digest, Key};
use crate::event::Phase;
use crate::fingerprint::{Document, Fingerprint};
use crate::oci::RawManifest;
use crate::plan::Reason;
use crate::platform::Platform;
use crate::registry::{By, Error, Repository};

/// Whose image is the one under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The first writer's: what others published is adopted.
    Contested,
    /// This one: it is known to be the image, or asked for with `--rebuild`.
    Settled,
}

/// How long a rival may take at least from its last look to its PUT.
const PAUSE: Duration = Duration::from_millis(50);
/// The same where a rival's record was seen: somebody is at it right now.
const RIVAL_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, however slow the registry is.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How often another digest may turn up before we believe that it never ends.
const ROUNDS: usize = 10;

impl Publisher<'_> {
    /// What stands under a key at a destination, with the document that vouches for it.
    pub(super) async fn sound(&self, index: usize, key: Key) -> Result<Option<(Digest, Document)>, ApplyError> {
        let repository = self.repository(index);
        let tag = key.tag();
        let failed = |what: &str| ApplyError::registry(format!("{what} {repository}:{tag}"));
        let Some(found) = repository.head_manifest(By::Tag(&tag)).await.map_err(failed("looking for"))? else {
            return Ok(None);
        };
        let document = document_of(&repository, found.digest, key).await.map_err(failed("reading the record of"))?;
        Ok(document.map(|document| (found.digest, document)))
    }

    /// Record, read-back, key tag, read-back: gives the digest that stands under the key afterwards. `near` are repositories on the same host
    /// that may have the same record.
    pub(super) async fn commit(
        &self,
        index: usize,
        digest: Digest,
        document: Document,
        claim: Claim,
        near: &[String],
    ) -> Result<Digest, ApplyError> {
        let repository = self.repository(index);
        let raw = self.manifest(&repository, digest).await?;
        let failed = |what: &str, tag: &str| ApplyError::registry(format!("{what} {repository}:{tag}"));
        let document = self.shown_at(index, document);
        self.phase(Phase::Record, index);
        let key_tag = self.step.key.tag();
        let before = match claim {
            Claim::Contested => repository.claimed_by(&key_tag).await.map_err(failed("asking for", &key_tag))?,
            Claim::Settled => None,
        };
        let pinned = document.pinned.filter(|pinned| *pinned != self.step.key).map(|pinned| pinned.tag());
        let tags: Vec<&str> = pinned.iter().chain([&key_tag]).map(String::as_str).collect();
        let attached = repository.attach_record_from(&raw.descriptor(), &tags, &document.to_bytes(), near).await;
        attached.map_err(failed("attaching the record of", &key_tag))?;
        self.phase(Phase::Key, index);
        if let Some(tag) = &pinned {
            repository.put_manifest(By::Tag(tag), &raw).await.map_err(failed("putting", tag))?;
        }
        let standing = match claim {
            Claim::Contested => self.contest(index, &raw, before.filter(|other| *other != digest)).await?,
            Claim::Settled => {
                repository.put_manifest(By::Tag(&key_tag), &raw).await.map_err(failed("putting", &key_tag))?;
                let found = repository.head_manifest(By::Tag(&key_tag)).await;
                found.map_err(failed("reading back", &key_tag))?.map(|found| found.digest)
            }
        };
        if standing == Some(digest) {
            self.stands(index, digest);
            return Ok(digest);
        }
        // Somebody else wrote after us: theirs is the image, if its record vouches for it.
        if let Some((found, _)) = self.sound(index, self.step.key).await? {
            self.stands(index, found);
            return Ok(found);
        }
        let found = standing.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
        let reference = format!("{repository}:{key_tag}");
        Err(ApplyError::ReadBack { reference, written: digest.to_string(), found })
    }

    /// Notes that the key stands at a destination.
    fn stands(&self, index: usize, digest: Digest) {
        let mut put = self.shared.put.lock().expect("nothing panics while it holds the lock");
        let (standing, held) = put.entry(self.step.name.clone()).or_insert_with(|| (digest, BTreeSet::new()));
        *standing = digest;
        held.insert(index);
    }

    /// Puts the key unless another image stands there, and waits until no rival can still be about to. `rival` is one that was seen before.
    async fn contest(
        &self,
        index: usize,
        raw: &RawManifest,
        rival: Option<Digest>,
    ) -> Result<Option<Digest>, ApplyError> {
        let repository = self.repository(index);
        let tag = self.step.key.tag();
        let failed = |what: &str| ApplyError::registry(format!("{what} {repository}:{tag}"));
        let looked = Instant::now();
        if let Some((found, _)) = self.sound(index, self.step.key).await? {
            return Ok(Some(found));
        }
        match repository.put_manifest(By::Tag(&tag), raw).await {
            // Where a tag cannot be written again, the first writer has won.
            Err(Error::Refused { .. }) if self.sound(index, self.step.key).await?.is_some() => {}
            put => drop(put.map_err(failed("putting"))?),
        }
        let read = async || -> Result<Option<Digest>, ApplyError> {
            let found = repository.head_manifest(By::Tag(&tag)).await.map_err(failed("reading back"))?;
            Ok(found.map(|found| found.digest))
        };
        let claimed = repository.claimed_by(&tag).await.map_err(failed("asking for"))?;
        let rivals = rival.is_some() || claimed.is_some_and(|other| other != raw.digest());
        let pause = if rivals { RIVAL_PAUSE } else { PAUSE };
        let pause = pause.max(looked.elapsed() * 3).min(LONGEST_PAUSE);
        let mut standing = Some(raw.digest());
        for _ in 0..ROUNDS {
            tokio::time::sleep(pause).await;
            let again = read().await?;
            if again == standing {
                break;
            }
            standing = again;
        }
        Ok(standing)
    }

    /// The document of an image that this run built.
    pub(super) fn built_document(&self, digest: Digest, pinned: Option<Key>) -> Document {
        let image = &self.image.image;
        let mut volatile = BTreeMap::new();
        for (name, arg) in image.args.iter().filter(|(_, arg)| arg.volatile && !arg.sensitive) {
            if let Some(value) = &arg.value {
                volatile.insert(name.clone(), value.render(ToString::to_string));
            }
        }
        for (name, label) in image.labels.iter().filter(|(_, label)| label.volatile) {
            volatile.insert(format!("label {name}"), label.on(&self.shared.work.day));
        }
        let commit = self.shared.plan.commit.as_ref().map(|commit| commit.id.clone());
        let document = self.fresh_document(digest, pinned, commit, &volatile);
        Document { published: Some(now()), ..document }
    }

    /// The document of an image that was built before, for the key of this run: it keeps the commit and the volatile values that it was
    /// built with.
    pub(super) fn kept_document(&self, digest: Digest, pinned: Option<Key>, built: &Document) -> Document {
        let none = BTreeMap::new();
        let volatile = built.records.first().map_or(&none, |record| &record.volatile);
        let document = self.fresh_document(digest, pinned, built.commit.clone(), volatile);
        Document { published: built.published, ..document }
    }

    fn fresh_document(
        &self,
        digest: Digest,
        pinned: Option<Key>,
        commit: Option<String>,
        volatile: &BTreeMap<String, String>,
    ) -> Document {
        let prints: BTreeMap<Platform, Fingerprint> =
            self.image.platforms.iter().map(|(platform, work)| (platform.clone(), work.fingerprint.clone())).collect();
        let document = Document::new(self.step.name.as_str(), digest, commit, &prints, volatile);
        Document { pinned, ..document }
    }

    /// A document as a destination may have it: no file names and hashes for everybody.
    fn shown_at(&self, index: usize, document: Document) -> Document {
        let registry = &self.image.image.destinations[index].registry;
        let public = self.shared.work.project.registries.get(registry).is_some_and(|registry| registry.public);
        if public { document.without_records() } else { document }
    }

    /// Whether the image is built although it is published.
    pub(super) fn is_forced(&self) -> bool {
        self.step.reasons.contains(&Reason::Forced)
    }
}

/// Seconds since 1970, for `prune`, `rebuild_every` and `published`: no key depends on it.
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The document that vouches for `digest` under `key`, if there is one.
pub(super) async fn document_of(repository: &Repository, digest: Digest, key: Key) -> Result<Option<Document>, Error> {
    let record = repository.read_record(digest, &key.tag()).await?;
    let document = record.and_then(|bytes| Document::from_bytes(&bytes));
    Ok(document.filter(|document| document.vouches_for(key, digest)))
}
