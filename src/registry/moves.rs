//! Who moved a tag: notes beside the image that it was moved to.
//!
//! A note is an artifact manifest without content; what it says stands in its annotations, so that one question for the referrers of an
//! image answers for all its tags.

use bytes::Bytes;

use super::body::BlobSource;
use super::error::Error;
use super::name::By;
use super::record::remember_referrers;
use super::referral::entry_of;
use super::repository::Repository;
use crate::digest::Digest;
use crate::oci::{Descriptor, Manifest, media_type};

const TAGS: &str = "dev.orchestrate.tags";
const COMMIT: &str = "dev.orchestrate.commit";
const TIME: &str = "dev.orchestrate.commit-time";

/// Tags that a run moved to an image, and the commit that it was made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveNote {
    /// The tags.
    pub tags: Vec<String>,
    /// All hexadecimal digits of the commit.
    pub commit: String,
    /// The commit's time, in seconds since 1970.
    pub time: i64,
}

/// What is attached to an image: by one question.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// The manifests of its records, not read yet.
    pub records: Vec<Descriptor>,
    /// Who moved tags to it.
    pub moves: Vec<MoveNote>,
}

impl Attached {
    /// What a list of referrers says.
    pub fn of(referrers: Vec<Descriptor>) -> Self {
        let mut attached = Self::default();
        for entry in referrers {
            match entry.artifact_type.as_deref() {
                Some(media_type::RECORD) => attached.records.push(entry),
                Some(media_type::MOVE) => attached.moves.extend(MoveNote::of(&entry)),
                _ => {}
            }
        }
        attached.records.sort_by_key(|entry| entry.digest);
        attached
    }
}

impl MoveNote {
    fn of(entry: &Descriptor) -> Option<Self> {
        let annotation = |name: &str| entry.annotations.get(name);
        // Text from outside that is shown in part, and that git is asked for.
        let hexadecimal = |commit: &&String| !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        annotation(COMMIT).filter(hexadecimal)?;
        Some(Self {
            tags: annotation(TAGS)?.split(' ').map(str::to_owned).collect(),
            commit: annotation(COMMIT)?.clone(),
            time: annotation(TIME)?.parse().ok()?,
        })
    }

    fn manifest(&self, subject: &Descriptor) -> Manifest {
        let empty = Descriptor::of(media_type::EMPTY, b"{}");
        let mut manifest = Manifest::image(empty.clone(), vec![empty]);
        manifest.artifact_type = Some(media_type::MOVE.to_owned());
        manifest.subject = Some(Descriptor::new(&subject.media_type, subject.digest, subject.size));
        manifest.annotations.insert(TAGS.to_owned(), self.tags.join(" "));
        manifest.annotations.insert(COMMIT.to_owned(), self.commit.clone());
        manifest.annotations.insert(TIME.to_owned(), self.time.to_string());
        manifest
    }
}

impl Repository {
    /// Writes beside the image `subject` who is about to move tags to it. The same note again changes nothing.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the layout cannot be written to.
    pub async fn attach_move(&self, subject: &Descriptor, note: &MoveNote) -> Result<(), Error> {
        let manifest = note.manifest(subject);
        let raw = manifest.to_raw();
        let empty = BlobSource::Bytes(Bytes::from_static(b"{}"));
        if let Self::Layout(_) = self {
            self.ensure_blob(&manifest.config, &empty, &[]).await?;
        }
        let stored = match self.put_manifest(By::Digest(raw.digest()), &raw).await {
            // An image that has a record has the empty blob beside it: a registry is not asked for it before it misses it.
            Err(Error::Refused { .. }) => {
                self.ensure_blob(&manifest.config, &empty, &[]).await?;
                self.put_manifest(By::Digest(raw.digest()), &raw).await?
            }
            put => put?,
        };
        remember_referrers(self, stored.refers)?;
        if stored.refers {
            return Ok(());
        }
        self.list_referrer(subject.digest, entry_of(&raw, media_type::MOVE, manifest.annotations)).await
    }

    /// The records of an image and who moved tags to it.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the layout cannot be read.
    pub async fn attached(&self, image: Digest) -> Result<Attached, Error> {
        self.all_referrers(image).await.map(Attached::of)
    }

    /// Who moved `tag` to the image `image`; nobody known if nothing is returned.
    ///
    /// # Errors
    /// As [`attached`](Self::attached).
    pub async fn moves_of(&self, image: Digest, tag: &str) -> Result<Vec<MoveNote>, Error> {
        let moves = self.attached(image).await?.moves;
        Ok(moves.into_iter().filter(|note| note.tags.iter().any(|other| other == tag)).collect())
    }
}
