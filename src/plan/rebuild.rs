//! `rebuild_every`: whether an image is old enough to be rebuilt though nothing changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::Since;
use crate::name::ImageName;
use crate::project::Image;

/// How far the clocks of two machines may differ, in seconds.
const CLOCKS: i64 = 24 * 3600;

/// An image that is to be rebuilt from time to time, and is due, or cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rebuild {
    /// The image.
    #[schemars(with = "String")]
    pub image: ImageName,
    /// `rebuild_every`, in seconds.
    pub every: u64,
    /// How it stands.
    pub state: RebuildState,
}

/// How an image with `rebuild_every` stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RebuildState {
    /// What is published is that old: `orchestrate update` raises its generation.
    Due {
        /// When it was published first, in seconds since 1970.
        published: i64,
    },
    /// The registries were not asked.
    NotAsked,
    /// The record of what is published does not say when.
    Undated,
    /// It was published in the future: the clock of this machine, or of the one that published it, is wrong.
    Ahead {
        /// When it was published first, in seconds since 1970.
        published: i64,
    },
}

impl Rebuild {
    /// When it was published, where it is due.
    pub fn due(&self) -> Option<i64> {
        match self.state {
            RebuildState::Due { published } => Some(published),
            RebuildState::NotAsked | RebuildState::Undated | RebuildState::Ahead { .. } => None,
        }
    }
}

/// What `rebuild_every` says of an image at the time `now`, in seconds since 1970. `None` where it says nothing: it is not due, or not
/// published under its present key, and so built anyway.
pub fn rebuild(image: &Image, published: Option<Since>, now: i64, offline: bool) -> Option<Rebuild> {
    let every = image.rebuild_every.as_ref()?.value.as_secs();
    let state = match published {
        None if offline => RebuildState::NotAsked,
        None => return None,
        Some(Since::Undated) => RebuildState::Undated,
        Some(Since::At(published)) if published > now.saturating_add(CLOCKS) => RebuildState::Ahead { published },
        Some(Since::At(published)) => {
            let age = u64::try_from(now.saturating_sub(published)).unwrap_or(0);
            if age < every {
                return None;
            }
            RebuildState::Due { published }
        }
    };
    Some(Rebuild { image: image.name.clone(), every, state })
}
