//! What the functions run, and who deployed it.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ask::{AT_ONCE, ObserveError, Observer, cannot};
use super::movers::moved;
use crate::digest::Digest;
use crate::functions::{FunctionError, Functions};
use crate::name::ImageName;
use crate::oci::Contents;
use crate::plan::{AskMover, Facts, Moved, Observed, ObservedFunctions};
use crate::platform::Platform;
use crate::project::Image;
use crate::registry::By;
use crate::workspace::History;

/// How many functions are asked at once: Lambda answers some 15 questions a second and account.
///
/// Source: docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html ("Lambda API requests").
const FUNCTIONS_AT_ONCE: usize = 8;

/// What the functions of the images that were asked for run.
///
/// # Errors
/// The first service that cannot be asked.
pub async fn ask_functions(
    facts: &Facts<'_>,
    services: &dyn Functions,
) -> Result<BTreeMap<(ImageName, usize), ObservedFunctions>, FunctionError> {
    let images = facts.project.images.values().filter(|image| facts.selection.chosen.contains(&image.name));
    let entries = images.flat_map(|image| image.deploy.iter().enumerate().map(move |(entry, one)| (image, entry, one)));
    let entries: Vec<_> = entries.collect();
    stream::iter(entries.into_iter().map(|(image, entry, deployment)| async move {
        let login = facts.project.login_of(image, &deployment.value);
        let found = services.observe(&login, &deployment.value).await?;
        Ok(((image.name.clone(), entry), found))
    }))
    .buffer_unordered(FUNCTIONS_AT_ONCE)
    .try_collect()
    .await
}

impl Observer<'_> {
    /// Of images that are published and deployed and may be an index: the manifests of their platforms, where they are one.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn deployed_children(
        &self,
        facts: &Facts<'_>,
        observed: &Observed,
    ) -> Result<BTreeMap<ImageName, BTreeMap<Platform, Digest>>, ObserveError> {
        let may_be_index = |image: &&Image| {
            !image.deploy.is_empty() && (image.platforms.len() > 1 || image.output.sbom || image.output.provenance)
        };
        let images = facts.project.images.values().filter(|image| facts.selection.chosen.contains(&image.name));
        let published = images.filter(may_be_index).filter_map(|image| {
            let seen = observed.destinations.get(&image.name)?.iter().enumerate();
            let (index, digest) = seen.into_iter().find_map(|(index, seen)| Some((index, seen.published?)))?;
            Some((image, index, digest))
        });
        let published: Vec<_> = published.collect();
        let found: Vec<_> = stream::iter(published.into_iter().map(|(image, index, digest)| async move {
            let Some(repository) = self.open(&image.name, index) else { return Ok(None) };
            let raw = repository.get_manifest(By::Digest(digest)).await;
            let raw = raw.map_err(|error| cannot(&image.name, &repository, error))?;
            let Some(Ok(Contents::Index(index))) = raw.map(|raw| raw.contents()) else { return Ok(None) };
            let children = index.manifests.iter();
            let children = children.filter_map(|child| Some((child.platform.as_ref()?.normalized()?, child.digest)));
            Ok::<_, ObserveError>(Some((image.name.clone(), children.collect())))
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Who deployed to the functions of `asked`, and what that says of deploying to them. Who deployed is noted
    /// beside the image that the function runs, as for tags.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn deployers(
        &self,
        asked: &[AskMover],
        history: &History,
        deepens: bool,
    ) -> Result<BTreeMap<(ImageName, usize, String), Moved>, ObserveError> {
        let found: Vec<_> = stream::iter(asked.iter().map(|asked| async move {
            let Some(repository) = self.open(&asked.image, asked.index) else { return Ok(None) };
            let attached = repository.attached(asked.digest).await;
            let attached = attached.map_err(|error| cannot(&asked.image, &repository, error))?;
            let moved = moved(&attached.moves, &asked.tag, history, &repository, &asked.order, deepens);
            Ok::<_, ObserveError>(Some(((asked.image.clone(), asked.index, asked.tag.clone()), moved)))
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
        Ok(found.into_iter().flatten().collect())
    }
}
