//! The decision: what happens to each image and destination, and why. Pure: facts in, [`Plan`] out.
//!
//! `apply` reads a plan and may not look at how it was made: everything that matters at apply time is in it.

mod blockers;
mod decide;
mod explain;
mod facts;
mod fitness;
mod function;
mod functions;
#[cfg(test)]
mod functions_tests;
mod keys;
mod model;
mod order;
#[cfg(test)]
mod order_tests;
mod places;
mod reason;
mod rebuild;
mod repositories;
mod schema;
mod stale;
mod unseen;
mod wanted;
mod warning;

pub use blockers::Part;
pub use decide::{decide, reference_of, tags_to_ask};
pub use explain::{Causes, Root, explain};
pub use facts::{
    AskMover, Choices, Facts, ImageFacts, Moved, Narrowing, Observed, ObservedDestination, Previous, Promoted, Since,
    Wanted, WantedDestination, WantedTag,
};
pub use fitness::{Unfit, misfit, platform_for, unfit_parts};
pub use function::{
    Ailment, Function, FunctionAction, FunctionBlocker, FunctionFacts, FunctionId, FunctionReason, Observation,
    ObservedFunctions, Service,
};
pub use functions::functions_to_ask;
pub use keys::{Digests, Ingredients, fingerprint, pinned_key};
pub use model::{
    Action, Blocker, Commit, Executor, FORCED_BUILDKIT, FORMAT, Mover, Narrowed, Plan, Publication, SetValue, Step,
    TagMove,
};
pub use order::{Age, Claim, Course, Here, Standing, Why, carried, judge};
pub use places::path_in_repository;
pub use reason::Reason;
pub use rebuild::{Rebuild, RebuildState, rebuild};
pub use repositories::{
    AskRepository, RepositoryAction, RepositoryChange, RepositoryNote, RepositoryStep, Seen, SeenRepositories,
    SeenRepository, SeenSettings, decide_repositories, repositories_to_ask,
};
pub use schema::schema;
pub use stale::{Stale, stale};
pub use unseen::{Unseen, UnseenImage};
pub use wanted::{dated_tag, wanted};
pub use warning::{Place, Warning};
