//! Whether a saved plan still holds.

use super::function::{Function, FunctionAction};
use super::model::{Plan, Publication, Step};
use super::repositories::{RepositoryChange, RepositoryNote, RepositoryStep};

/// What changed since a plan was saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// The plan was made by another version of the format.
    #[error("the plan has format {0}, this program applies format {ours}", ours = super::model::FORMAT)]
    Format(u32),
    /// Another project or profile.
    #[error("the plan is for {planned}, not for {now}")]
    Project {
        /// In the plan.
        planned: String,
        /// Now.
        now: String,
    },
    /// `--set` gives something else.
    #[error("`--set {0}` is not as it was when it was made")]
    Set(String),
    /// The plan's images are not the manifest's.
    #[error("`{0}` is in only one of the plan and the manifest")]
    Images(String),
    /// An image is made from something else by now.
    #[error("`{0}` is made from other inputs than when it was planned")]
    Key(String),
    /// An image has other destinations or tags by now.
    #[error("`{0}` has other destinations or tags than when it was planned")]
    Destinations(String),
    /// Somebody else moved a tag.
    #[error("the tag `{0}` was moved since the plan was made")]
    Tag(String),
    /// Somebody else changed a repository.
    #[error("the repository `{0}` is not as it was when it was planned")]
    Repository(String),
    /// A function is deployed elsewhere, or no more.
    #[error("`{0}` is in only one of the plan and what is deployed now")]
    Functions(String),
    /// Somebody else deployed to a function.
    #[error("the function `{0}` runs another image than when it was planned")]
    Function(String),
}

/// The first thing about `saved` that does not hold any more, given the same plan made now.
///
/// What an earlier run of the same plan did is not staleness: a tag may already stand where the plan moves it.
pub fn stale(saved: &Plan, fresh: &Plan) -> Option<Stale> {
    if saved.format != super::model::FORMAT {
        return Some(Stale::Format(saved.format));
    }
    let project = |plan: &Plan| format!("{} (profile {})", plan.project, plan.profile.as_deref().unwrap_or("none"));
    if project(saved) != project(fresh) {
        return Some(Stale::Project { planned: project(saved), now: project(fresh) });
    }
    for (planned, now) in [(saved, fresh), (fresh, saved)] {
        if let Some(lone) = planned.set.iter().find(|one| !now.set.contains(one)) {
            return Some(Stale::Set(lone.name.clone()));
        }
        if let Some(step) = planned.images.iter().find(|step| now.step(&step.name).is_none()) {
            return Some(Stale::Images(step.name.to_string()));
        }
    }
    let images = saved.images.iter().zip(&fresh.images).find_map(|(planned, now)| stale_step(planned, now));
    images.or_else(|| stale_repository(saved, fresh)).or_else(|| stale_function(saved, fresh))
}

/// Whether all that is to be done to repositories was planned. What an earlier run of the same plan did is left out now; what could not be
/// seen then nobody planned.
fn stale_repository(saved: &Plan, fresh: &Plan) -> Option<Stale> {
    let planned = |now: &RepositoryStep, change: &RepositoryChange| {
        let was = saved.repositories.iter().find(|was| was.reference == now.reference);
        was.is_some_and(|was| {
            let hidden = was.notes.iter().any(|note| matches!(note, RepositoryNote::Hidden { .. }));
            hidden || was.changes.contains(change)
        })
    };
    let odd = fresh.repositories.iter().find(|now| now.changes.iter().any(|change| !planned(now, change)));
    odd.map(|odd| Stale::Repository(odd.reference.clone()))
}

/// Whether the functions run what they ran. What an earlier run of the same plan deployed is no staleness.
fn stale_function(saved: &Plan, fresh: &Plan) -> Option<Stale> {
    let same = |one: &Function, other: &Function| one.id() == other.id() && one.image == other.image;
    for (planned, now) in [(saved, fresh), (fresh, saved)] {
        let lone = planned.functions.iter().find(|one| !now.functions.iter().any(|other| same(one, other)));
        if let Some(lone) = lone {
            return Some(Stale::Functions(lone.id().to_string()));
        }
    }
    saved.functions.iter().find_map(|planned| {
        let now = fresh.functions.iter().find(|now| same(planned, now))?;
        let asked = planned.action != FunctionAction::Unknown && now.action != FunctionAction::Unknown;
        let done_before = now.from.is_some() && now.from == now.to;
        (asked && planned.from != now.from && !done_before).then(|| Stale::Function(now.id().to_string()))
    })
}

fn stale_step(planned: &Step, now: &Step) -> Option<Stale> {
    if planned.name != now.name {
        return Some(Stale::Images(planned.name.to_string()));
    }
    if planned.keys != now.keys {
        return Some(Stale::Key(planned.name.to_string()));
    }
    let same = |planned: &Publication, now: &Publication| {
        planned.reference == now.reference
            && planned.tags.len() == now.tags.len()
            && planned.tags.iter().zip(&now.tags).all(|(was, is)| was.at_build || is.at_build || was.tag == is.tag)
    };
    if planned.destinations.len() != now.destinations.len()
        || !planned.destinations.iter().zip(&now.destinations).all(|(planned, now)| same(planned, now))
    {
        return Some(Stale::Destinations(planned.name.to_string()));
    }
    for (planned, now) in planned.destinations.iter().zip(&now.destinations) {
        for (was, is) in planned.tags.iter().zip(&now.tags) {
            let done_before = is.from.is_some() && is.from == now.digest;
            if was.from != is.from && !done_before && !was.at_build {
                return Some(Stale::Tag(format!("{}:{}", now.reference, is.tag)));
            }
        }
    }
    None
}
