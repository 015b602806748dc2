//! Asks the registries what a plan must know. Reads only: GET and HEAD.

mod ask;
mod outside;

pub use ask::{ObserveError, Observer};
pub use outside::{OutsideError, config_of, pin_of};
