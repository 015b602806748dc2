//! The graph of images: which builds on which, in what order, and which of them a command line means.
//!
//! Edges come from what is written: a `{{ref 'x'}}` in an arg or a context, and a FROM or `--from` that equals an image's name or a
//! reference that it is published under. [`recipe`] brings one image of the manifest and its Dockerfile together on one platform;
//! [`Graph`] holds the edges of all.

mod allow;
mod known;
mod order;
mod recipe;
mod select;
mod uses;

pub use known::Known;
pub use order::{Edge, Graph};
pub use recipe::{FRONTEND, FrontendUse, Recipe, recipe};
pub use select::{Selection, select};
pub use uses::{Leaves, OutsideUse, ParentUse, Sources, place, placeholder};
