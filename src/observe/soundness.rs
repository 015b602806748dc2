//! Whether what a plan takes for published really is: a key tag alone is no proof.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ask::{AT_ONCE, ObserveError, Observer, vouched};
use crate::name::ImageName;
use crate::plan::{Action, Plan, Step};
use crate::registry::Repository;

/// A destination where something stands under a key that no sound record vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsound {
    /// The image.
    pub image: ImageName,
    /// Host and repository.
    pub reference: String,
}

impl Observer<'_> {
    /// The images that a plan would tag, copy or build on although no sound record vouches for them at the place that they are taken
    /// from. `elsewhere` opens a place that is no destination of the image, by its reference.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn unsound(
        &self,
        plan: &Plan,
        elsewhere: &(dyn Fn(&ImageName, &str) -> Option<Arc<Repository>> + Sync),
    ) -> Result<Vec<Unsound>, ObserveError> {
        let taken = plan.images.iter().filter(|step| is_taken(plan, step)).filter_map(|step| {
            let (reference, index) = source_of(step)?;
            let repository = match index {
                Some(index) => self.open(&step.name, index),
                None => elsewhere(&step.name, &reference),
            };
            Some((step, reference, repository?))
        });
        let judged: Vec<Option<Unsound>> = stream::iter(taken.map(|(step, reference, repository)| async move {
            let Some(digest) = step.destinations.first().and_then(|home| home.digest) else { return Ok(None) };
            let sound = vouched(&step.name, &repository, step.key, digest).await?;
            Ok::<_, ObserveError>((!sound).then(|| Unsound { image: step.name.clone(), reference }))
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
        Ok(judged.into_iter().flatten().collect())
    }
}

/// Whether a step relies on what is published. What is found under a pinned key was verified when it was found.
fn is_taken(plan: &Plan, step: &Step) -> bool {
    let pinned = step.destinations.iter().any(|publication| publication.pinned.is_some());
    let needed = || plan.images.iter().any(|other| other.action == Action::Build && other.needs.contains(&step.name));
    match step.action {
        Action::Tag | Action::Copy => !pinned,
        Action::Keep => needed(),
        Action::Build => false,
    }
}

/// Where a step's image is taken from, and which of its destinations that is.
fn source_of(step: &Step) -> Option<(String, Option<usize>)> {
    let holds = |publication: &&crate::plan::Publication| publication.action != Action::Copy;
    if let Some(index) = step.destinations.iter().position(|publication| holds(&publication)) {
        return Some((step.destinations[index].reference.clone(), Some(index)));
    }
    let from = step.destinations.first()?.from.clone()?;
    Some((from, None))
}
