//! Tags with the day of the first publication: rendered once the image is published.

use futures::StreamExt as _;

use super::build::MadeImages;
use super::error::ApplyError;
use super::make::Shared;
use super::publish::Publisher;
use crate::fingerprint::day_of;
use crate::name::ImageName;
use crate::plan::{Step, TagMove, dated_tag};
use crate::registry::By;

/// How many images are worked on at once.
const AT_ONCE: usize = 8;

/// The steps with the tags that use the day of the first publication, as they are by now: what was to be published is.
pub async fn dated(shared: &Shared, steps: &[&Step], made: &MadeImages) -> Vec<Result<Step, (ImageName, ApplyError)>> {
    let dated = futures::stream::iter(steps.iter().map(|step| async move {
        let at_build = |step: &Step| step.destinations.iter().flat_map(|p| &p.tags).any(|tag| tag.at_build);
        let Some(made) = made.get(&step.name).filter(|_| at_build(step)) else { return Ok((*step).clone()) };
        with_days(shared, step, &made.held).await.map_err(|error| (step.name.clone(), error))
    }));
    dated.buffered(AT_ONCE).collect().await
}

/// A step with its tags as they are on the day on which the image was published first.
async fn with_days(shared: &Shared, step: &Step, held: &[usize]) -> Result<Step, ApplyError> {
    let image = shared.work.images.get(&step.name).expect("a plan's images are the manifest's");
    let publisher = Publisher { shared, step, image };
    let mut day = None;
    for index in held {
        let document = publisher.sound(*index, step.key).await?;
        day = day.or(document.and_then(|(_, document)| document.published));
    }
    let day =
        day.map(day_of).ok_or_else(|| ApplyError::Gone(format!("no record says when {} was published", step.name)))?;
    let mut step = step.clone();
    for (publication, destination) in step.destinations.iter_mut().zip(&image.image.destinations) {
        let repository = shared.work.repositories.get(&publication.registry, &publication.repository);
        let mut tags = Vec::new();
        for tag in std::mem::take(&mut publication.tags) {
            if !tag.at_build {
                tags.push(tag);
                continue;
            }
            let Some(name) = dated_tag(destination, &tag.tag, &step.key, &day) else { continue };
            let what = format!("reading {}:{name}", publication.reference);
            let found = repository.head_manifest(By::Tag(&name)).await.map_err(ApplyError::registry(what))?;
            tags.push(TagMove { tag: name, from: found.map(|found| found.digest), at_build: false, ..tag });
        }
        publication.tags = tags;
    }
    Ok(step)
}
