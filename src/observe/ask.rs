//! What is published under the keys, what the tags point at, and what was published last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::digest::{Digest, Key};
use crate::fingerprint::Document;
use crate::name::ImageName;
use crate::oci::Contents;
use crate::plan::{Observed, ObservedDestination, Previous, Wanted};
use crate::platform::Platform;
use crate::project::Project;
use crate::registry::{self, By, MoveNote, Repository};

/// How many questions are asked at once. A host bounds its own.
pub(super) const AT_ONCE: usize = 48;

/// A registry could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot ask {repository} about {image}: {error}")]
pub struct ObserveError {
    /// The image.
    pub image: ImageName,
    /// The repository.
    pub repository: String,
    /// Why.
    #[source]
    pub error: Box<registry::Error>,
}

/// Asks for the images of a project.
pub struct Observer<'a> {
    /// The resolved manifest.
    pub project: &'a Project,
    /// Opens a repository of a registry.
    pub repository: &'a (dyn Fn(&str, &str) -> Arc<Repository> + Sync),
    /// Who moved tags to an image, as far as it was asked for something else.
    pub notes: Notes,
}

/// Where a tag of a destination of an image points.
struct Question<'q> {
    image: &'q ImageName,
    index: usize,
    /// Whether it is a tag of the manifest, rather than that of the key.
    is_tag: bool,
    tag: String,
}

type Answers<'q> = Vec<(Question<'q>, Option<Digest>)>;

/// Who moved tags to an image, by image and digest.
pub type Notes = Mutex<BTreeMap<(ImageName, Digest), Vec<MoveNote>>>;

impl Observer<'_> {
    pub(super) fn open(&self, image: &ImageName, index: usize) -> Option<Arc<Repository>> {
        let destination = self.project.images.get(image)?.destinations.get(index)?;
        Some((self.repository)(destination.registry.as_str(), &destination.repository))
    }

    /// What stands under each key and each tag.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn published(
        &self,
        wanted: &[Wanted],
    ) -> Result<BTreeMap<ImageName, Vec<ObservedDestination>>, ObserveError> {
        let mut questions = Vec::new();
        for image in wanted {
            for (index, destination) in image.destinations.iter().enumerate() {
                let question = |is_tag, tag: &String| Question { image: &image.image, index, is_tag, tag: tag.clone() };
                questions.push(question(false, &destination.key_tag));
                let tags = destination
                    .tags
                    .iter()
                    .filter(|tag| !tag.at_build)
                    .map(|tag| &tag.tag)
                    .chain(&destination.known_by);
                questions.extend(tags.map(|tag| question(true, tag)));
            }
        }
        let (mut answers, singly) = self.at_once(questions).await?;
        let singly: Vec<_> = stream::iter(singly.into_iter().map(|question| async move {
            let found = self.digest_of(question.image, question.index, &question.tag).await?;
            Ok::<_, ObserveError>((question, found))
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
        answers.extend(singly);
        let mut observed: BTreeMap<ImageName, Vec<ObservedDestination>> = wanted
            .iter()
            .map(|image| (image.image.clone(), vec![ObservedDestination::default(); image.destinations.len()]))
            .collect();
        for (Question { image, index, is_tag, tag }, found) in answers {
            let Some(destination) = observed.get_mut(image).and_then(|all| all.get_mut(index)) else { continue };
            if is_tag {
                destination.tags.insert(tag, found);
            } else {
                destination.published = found;
            }
        }
        Ok(observed)
    }

    /// Answers what a registry's own API answers in bulk, by repository; gives back the rest.
    async fn at_once<'q>(
        &self,
        questions: Vec<Question<'q>>,
    ) -> Result<(Answers<'q>, Vec<Question<'q>>), ObserveError> {
        let mut singly = Vec::new();
        let mut shelves: BTreeMap<String, (Arc<Repository>, Vec<Question<'q>>)> = BTreeMap::new();
        for question in questions {
            match self.open(question.image, question.index).filter(|repository| repository.has_control()) {
                Some(repository) => {
                    let shelf = shelves.entry(repository.to_string()).or_insert_with(|| (repository, Vec::new()));
                    shelf.1.push(question);
                }
                None => singly.push(question),
            }
        }
        let asked = stream::iter(shelves.into_values().map(|(repository, questions)| async move {
            let tags: BTreeSet<String> = questions.iter().map(|question| question.tag.clone()).collect();
            let tags: Vec<String> = tags.into_iter().collect();
            let found = repository.digests(&tags).await;
            let found = found.map_err(|error| cannot(questions[0].image, &repository, error))?;
            Ok::<_, ObserveError>((questions, found))
        }));
        let asked: Vec<_> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
        let mut answers = Vec::new();
        for (questions, found) in asked {
            match found {
                Some(found) => answers.extend(questions.into_iter().map(|question| {
                    let digest = found.get(&question.tag).copied();
                    (question, digest)
                })),
                None => singly.extend(questions),
            }
        }
        Ok((answers, singly))
    }

    async fn digest_of(&self, image: &ImageName, index: usize, tag: &str) -> Result<Option<Digest>, ObserveError> {
        let Some(repository) = self.open(image, index) else { return Ok(None) };
        let found = repository.head_manifest(By::Tag(tag)).await.map_err(|error| cannot(image, &repository, error))?;
        Ok(found.map(|found| found.digest))
    }

    /// For images that are not published: what the first moving tag that stands points at, with its records.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn previous(
        &self,
        wanted: &[Wanted],
        observed: &BTreeMap<ImageName, Vec<ObservedDestination>>,
    ) -> Result<BTreeMap<ImageName, Previous>, ObserveError> {
        let candidates = wanted.iter().filter_map(|image| {
            let seen = observed.get(&image.image)?;
            if seen.iter().any(|destination| destination.published.is_some()) {
                return None;
            }
            // A moving tag before a fixed one, a private destination (which has the whole record) before a public one.
            let mut standing = Vec::new();
            for (index, destination) in image.destinations.iter().enumerate() {
                let moved = destination.tags.iter().map(|tag| (tag.fixed, &tag.tag));
                for (fixed, tag) in moved.chain(destination.known_by.iter().map(|tag| (false, tag))) {
                    if let Some(digest) = seen[index].tags.get(tag).copied().flatten() {
                        standing.push((fixed, self.is_public(&image.image, index), index, tag.clone(), digest));
                    }
                }
            }
            standing
                .into_iter()
                .min_by_key(|(fixed, public, index, ..)| (*fixed, *public, *index))
                .map(|found| (&image.image, found))
        });
        let candidates: Vec<_> = candidates.collect();
        let previous: Vec<_> =
            stream::iter(candidates.into_iter().map(|(image, (_, _, index, tag, digest))| async move {
                let Some(repository) = self.open(image, index) else { return Ok(None) };
                let failed = |error| cannot(image, &repository, error);
                let attached = repository.attached(digest).await.map_err(failed)?;
                let record = repository.first_sound(digest, &attached).await.map_err(failed)?;
                self.notes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert((image.clone(), digest), attached.moves);
                let document = record.and_then(|bytes| Document::from_bytes(&bytes));
                let records = document.map(|document| document.records).unwrap_or_default();
                Ok::<_, ObserveError>(Some((image.clone(), Previous { tag, digest, records })))
            }))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(previous.into_iter().flatten().collect())
    }

    pub(super) fn is_public(&self, image: &ImageName, index: usize) -> bool {
        let destination = self.project.images.get(image).and_then(|image| image.destinations.get(index));
        destination.and_then(|d| self.project.registries.get(&d.registry)).is_some_and(|registry| registry.public)
    }

    /// The manifests of the platforms of a published image: itself, or the children of its index.
    ///
    /// # Errors
    /// If the registry cannot be asked.
    pub async fn children(
        &self,
        image: &ImageName,
        digest: Digest,
    ) -> Result<BTreeMap<Platform, Digest>, ObserveError> {
        let platforms = self.project.images.get(image).map(|image| image.platforms.clone()).unwrap_or_default();
        if let [only] = &platforms[..] {
            return Ok(BTreeMap::from([(only.clone(), digest)]));
        }
        let Some(repository) = self.open(image, 0) else { return Ok(BTreeMap::new()) };
        let raw =
            repository.get_manifest(By::Digest(digest)).await.map_err(|error| cannot(image, &repository, error))?;
        Ok(match raw.map(|raw| raw.contents()) {
            Some(Ok(Contents::Index(index))) => index
                .manifests
                .iter()
                .filter_map(|child| Some((child.platform.as_ref()?.normalized()?, child.digest)))
                .collect(),
            _ => BTreeMap::new(),
        })
    }

    /// What stands under a pinned key at the image's home, if its record vouches for it.
    ///
    /// # Errors
    /// If the registry cannot be asked.
    pub async fn pinned(&self, image: &ImageName, key: Key) -> Result<Option<Digest>, ObserveError> {
        let Some(repository) = self.open(image, 0) else { return Ok(None) };
        let Some(digest) = self.digest_of(image, 0, &key.tag()).await? else { return Ok(None) };
        Ok(vouched(image, &repository, key, digest).await?.then_some(digest))
    }

    /// Everything that a plan must know, but for pinned keys.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn ask(&self, wanted: &[Wanted]) -> Result<Observed, ObserveError> {
        let destinations = self.published(wanted).await?;
        let previous = self.previous(wanted, &destinations).await?;
        Ok(Observed { destinations, previous, ..Observed::default() })
    }
}

/// Whether a sound record says of `digest` that it was published under `key`.
pub(super) async fn vouched(
    image: &ImageName,
    repository: &Repository,
    key: Key,
    digest: Digest,
) -> Result<bool, ObserveError> {
    let record = repository.read_record(digest, &key.tag()).await.map_err(|error| cannot(image, repository, error))?;
    let document = record.and_then(|bytes| Document::from_bytes(&bytes));
    Ok(document.is_some_and(|document| document.vouches_for(key, digest)))
}

pub(super) fn cannot(image: &ImageName, repository: &Repository, error: registry::Error) -> ObserveError {
    ObserveError { image: image.clone(), repository: repository.to_string(), error: Box::new(error) }
}
