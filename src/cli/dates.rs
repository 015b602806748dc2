//! When what is published was published first, where something depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::exit::Failure;
use crate::apply::Repositories;
use crate::name::ImageName;
use crate::observe::{Notes, ObserveError, Observer};
use crate::plan::ImageFacts;
use crate::project::{Image, Project};
use crate::registry::Repository;

/// How many images are asked about at once.
const AT_ONCE: usize = 16;

/// The clock of this machine, in seconds since 1970; 0 where it stands before that.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Whether something about an image depends on when it was published: `rebuild_every`, or `published` in a tag.
pub fn depends_on_date(image: &Image) -> bool {
    let mut rules = image.destinations.iter().flat_map(|destination| &destination.tags);
    image.rebuild_every.is_some() || rules.any(crate::project::TagRule::is_dated)
}

/// Asks when the images were published that depend on it.
///
/// # Errors
/// The first registry that cannot be asked.
pub async fn ask(
    project: &Project,
    facts: &mut BTreeMap<ImageName, ImageFacts>,
    repositories: &Repositories,
) -> Result<(), Failure> {
    let open = |registry: &str, repository: &str| -> Arc<Repository> { repositories.get(registry, repository) };
    let observer = Observer { project, repository: &open, notes: Notes::default() };
    let wanted: Vec<_> = facts
        .iter()
        .filter(|(name, _)| project.images.get(*name).is_some_and(depends_on_date))
        .map(|(name, known)| (name.clone(), known.key))
        .collect();
    let observer = &observer;
    let questions = wanted.into_iter().map(|(name, key)| async move {
        let since = observer.since(&name, key).await?;
        Ok::<_, ObserveError>((name, since))
    });
    let found: Result<Vec<_>, ObserveError> = stream::iter(questions).buffer_unordered(AT_ONCE).try_collect().await;
    let found = found.map_err(|error| {
        let help = error.error.help().or_else(|| Some("--offline plans without asking".to_owned()));
        Failure::surroundings(error.to_string(), help)
    })?;
    for (name, since) in found {
        if let Some(known) = facts.get_mut(&name) {
            known.published = since;
        }
    }
    Ok(())
}
