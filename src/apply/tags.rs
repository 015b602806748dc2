//! The only place that moves tags: after everything else of the run succeeded, each just after it was read again.

use futures::StreamExt as _;

use super::build::MadeImages;
use super::error::ApplyError;
use super::make::Shared;
use crate::digest::Digest;
use crate::event::{Kind, Phase};
use crate::name::ImageName;
use crate::oci::RawManifest;
use crate::plan::{Publication, Step, TagMove};
use crate::registry::{By, Repository};

/// How many repositories are worked on at once.
const AT_ONCE: usize = 8;

/// Moves the tags of `steps`, each image's to what was made of it. Gives the failures; a tag that could not be moved stands where it stood.
pub async fn move_tags(shared: &Shared, steps: &[&Step], made: &MadeImages) -> Vec<(ImageName, ApplyError)> {
    let publications = steps.iter().filter_map(|step| Some((*step, made.get(&step.name)?))).flat_map(|(step, made)| {
        let held = step.destinations.iter().enumerate().filter(|(index, _)| made.held.contains(index));
        held.map(move |(_, publication)| (step, publication, made.digest))
    });
    let moving: Vec<_> = publications.filter(|(_, publication, digest)| needs_move(publication, *digest)).collect();
    let results = futures::stream::iter(moving.into_iter().map(|(step, publication, digest)| async move {
        destination(shared, step, publication, digest).await.map_err(|error| (step.name.clone(), error))
    }));
    results.buffer_unordered(AT_ONCE).filter_map(|result| async move { result.err() }).collect().await
}

fn needs_move(publication: &Publication, digest: Digest) -> bool {
    publication.tags.iter().any(|tag| tag.from != Some(digest))
}

async fn destination(
    shared: &Shared,
    step: &Step,
    publication: &Publication,
    digest: Digest,
) -> Result<(), ApplyError> {
    let repository = shared.work.repositories.get(&publication.registry, &publication.repository);
    let at = publication.reference.clone();
    shared.events.send(Kind::PhaseStarted { image: step.name.clone(), phase: Phase::Tags, at });
    let what = format!("reading {} from {repository}", step.name);
    let raw = repository.get_manifest(By::Digest(digest)).await.map_err(ApplyError::registry(what))?;
    let raw = raw.ok_or_else(|| ApplyError::Gone(format!("{digest} is not in {repository} any more")))?;
    for tag in publication.tags.iter().filter(|tag| tag.from != Some(digest)) {
        if let Some(from) = move_tag(&repository, tag, &raw).await? {
            let reference = format!("{}:{}", publication.reference, tag.tag);
            shared.events.send(Kind::TagMoved { image: step.name.clone(), reference, from, to: digest });
        }
    }
    Ok(())
}

/// Moves one tag; gives where it stood, or `None` if it stood right already.
async fn move_tag(
    repository: &Repository,
    tag: &TagMove,
    raw: &RawManifest,
) -> Result<Option<Option<Digest>>, ApplyError> {
    let reference = format!("{repository}:{}", tag.tag);
    let by = By::Tag(&tag.tag);
    let failed = |what: &str| ApplyError::registry(format!("{what} {reference}"));
    let found = repository.head_manifest(by).await.map_err(failed("reading"))?.map(|found| found.digest);
    match found {
        Some(found) if found == raw.digest() => return Ok(None),
        Some(found) if tag.fixed => {
            return Err(ApplyError::TagConflict { reference, found: found.to_string() });
        }
        found if found != tag.from => {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            return Err(ApplyError::TagMoved { reference, found });
        }
        _ => {}
    }
    repository.put_manifest(by, raw).await.map_err(failed("putting"))?;
    Ok(Some(found))
}
