//! Which blockers stop which part of a run.

use super::model::{Blocker, Plan};
use crate::name::ImageName;

/// What of a plan a run is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Everything,
    /// Images are published under their keys alone (`--build-only`): no tag moves, no function is touched.
    Keys,
    /// Nothing is written to any registry (`--no-push`).
    Nothing,
}

impl Blocker {
    /// Whether it stops a run that does this part of a plan.
    pub const fn stops(&self, part: Part) -> bool {
        match part {
            Part::Everything => true,
            // Without its repository an image cannot be published at all; everything else is about tags and functions.
            Part::Keys => matches!(self, Self::NoRepository { .. }),
            Part::Nothing => false,
        }
    }

    /// The images of `plan` that it stops.
    pub fn images<'a>(&'a self, plan: &'a Plan) -> Vec<&'a ImageName> {
        let within = |reference: &str, text: &str| {
            text == reference || text.strip_prefix(reference).is_some_and(|rest| rest.starts_with(':'))
        };
        match self {
            Self::TagConflict { image, .. }
            | Self::Dirty { image, .. }
            | Self::Unordered { image, .. }
            | Self::Function { image, .. } => vec![image],
            Self::NoRepository { reference: text }
            | Self::ImmutableTag { reference: text }
            | Self::TooManyTags { reference: text, .. } => {
                let held = plan
                    .images
                    .iter()
                    .filter(|step| step.destinations.iter().any(|publication| within(&publication.reference, text)));
                held.map(|step| &step.name).collect()
            }
        }
    }
}

impl Plan {
    /// What stops a run that does this part of the plan.
    pub fn blockers_of(&self, part: Part) -> Vec<&Blocker> {
        self.blockers.iter().filter(|blocker| blocker.stops(part)).collect()
    }
}
