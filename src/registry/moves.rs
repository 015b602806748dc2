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
use crate::plan::{Claim, Mover};

const TAGS: &str = "dev.orchestrate.tags";
const COMMIT: &str = "dev.orchestrate.commit";
const TIME: &str = "dev.orchestrate.commit-time";
const BRANCH: &str = "dev.orchestrate.branch";
const CONFIRMS: &str = "dev.orchestrate.confirms";
const OVER: &str = "dev.orchestrate.over";
const OVERRULES: &str = "dev.orchestrate.overrules";

/// Tags that a run moved to an image or found there, and the commit that it was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveNote {
    /// The tags.
    pub tags: Vec<String>,
    /// Those of them that the run did not move: they pointed at the image already.
    pub confirms: Vec<String>,
    /// All hexadecimal digits of the commit.
    pub commit: String,
    /// The commit's time, in seconds since 1970; `None` where the note has none that can be read.
    pub time: Option<i64>,
    /// The branch of the run, where it was on one. Notes of older versions name none.
    pub branch: Option<String>,
    /// The run of the default branch that these tags were taken from by a run of another branch.
    pub over: Option<Mover>,
    /// Commits whose notes beside this image do not count any more (`--allow-older`).
    pub overrules: Vec<String>,
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
            confirms: words(annotation(CONFIRMS)),
            commit: annotation(COMMIT)?.clone(),
            time: annotation(TIME).and_then(|time| time.parse().ok()),
            branch: annotation(BRANCH).filter(|branch| !branch.is_empty()).cloned(),
            over: annotation(OVER).and_then(|over| {
                let mut parts = over.splitn(3, ' ');
                let (commit, time) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
                Some(Mover { commit, time, branch: parts.next().map(str::to_owned) })
            }),
            overrules: words(annotation(OVERRULES)),
        })
    }

    /// What stands in a note for a command of `verify:`, by its words. No tag has a `:`.
    pub fn accepted(command: &[String]) -> String {
        let hash = blake3::derive_key("orchestrate 2026-12 a command of verify", command.join("\0").as_bytes());
        format!("verify:{}", hex::encode(&hash[..16]))
    }

    /// What the notes beside an image claim of a tag.
    pub fn claims(notes: &[Self], tag: &str) -> Vec<Claim> {
        let of_tag = || notes.iter().filter(|note| note.tags.iter().any(|other| other == tag));
        let overruled = |note: &&Self| {
            let others = of_tag().filter(|other| other.commit != note.commit);
            others.into_iter().any(|other| other.overrules.contains(&note.commit))
        };
        let mut counted: Vec<&Self> = of_tag().filter(|note| !overruled(note)).collect();
        // Two that overrule each other: both count.
        if counted.is_empty() {
            counted = of_tag().collect();
        }
        let claims = counted.into_iter().flat_map(|note| {
            let (commit, time, branch) = (note.commit.clone(), note.time, note.branch.clone());
            let own = Claim { commit, time, branch, confirms: note.confirms.iter().any(|other| other == tag) };
            let over = note.over.clone().map(|over| Claim {
                commit: over.commit,
                time: Some(over.time),
                branch: over.branch,
                confirms: true,
            });
            [Some(own), over].into_iter().flatten()
        });
        claims.collect()
    }

    fn manifest(&self, subject: &Descriptor) -> Manifest {
        let empty = Descriptor::of(media_type::EMPTY, b"{}");
        let mut manifest = Manifest::image(empty.clone(), vec![empty]);
        manifest.artifact_type = Some(media_type::MOVE.to_owned());
        manifest.subject = Some(Descriptor::new(&subject.media_type, subject.digest, subject.size));
        manifest.annotations.insert(TAGS.to_owned(), self.tags.join(" "));
        manifest.annotations.insert(COMMIT.to_owned(), self.commit.clone());
        let over = self.over.as_ref().map(|over| {
            let branch = over.branch.as_deref().unwrap_or_default();
            format!("{} {} {branch}", over.commit, over.time)
        });
        let further = [
            (TIME, self.time.map(|time| time.to_string())),
            (BRANCH, self.branch.clone()),
            (CONFIRMS, Some(self.confirms.join(" ")).filter(|tags| !tags.is_empty())),
            (OVER, over),
            (OVERRULES, Some(self.overrules.join(" ")).filter(|commits| !commits.is_empty())),
        ];
        for (name, value) in further {
            manifest.annotations.extend(value.map(|value| (name.to_owned(), value)));
        }
        manifest
    }
}

fn words(text: Option<&String>) -> Vec<String> {
    text.map(|text| text.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
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

    /// Writes beside the image `subject` that a command of `verify:` accepted it; `command` says which (see [`MoveNote::accepted`]).
    ///
    /// # Errors
    /// As [`attach_move`](Self::attach_move).
    pub async fn attach_verdict(&self, subject: &Descriptor, command: String) -> Result<(), Error> {
        // A note of nobody's commit: no tag has that name, so no tag is judged by it.
        let note = MoveNote { tags: vec![command], commit: "0".repeat(40), ..MoveNote::default() };
        self.attach_move(subject, &note).await
    }

    /// Whether a command of `verify:` accepted the image before.
    ///
    /// # Errors
    /// As [`attached`](Self::attached).
    pub async fn has_verdict(&self, image: Digest, command: &str) -> Result<bool, Error> {
        let notes = self.attached(image).await?.moves;
        Ok(notes.iter().any(|note| note.tags.iter().any(|tag| tag == command)))
    }

    /// What is claimed of `tag` beside the image `image`: who moved it there. Nobody known if nothing is returned.
    ///
    /// # Errors
    /// As [`attached`](Self::attached).
    pub async fn claims_of(&self, image: Digest, tag: &str) -> Result<Vec<Claim>, Error> {
        Ok(MoveNote::claims(&self.attached(image).await?.moves, tag))
    }
}
