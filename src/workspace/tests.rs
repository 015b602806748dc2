//! Whole workspaces on disk: what is an input, what is refused, and that no cache and no surroundings change the answer.

mod cache;
mod languages;
mod places;
mod selection;
mod support;
