//! A first manifest from the Dockerfiles of a repository: [`find`] them, [`sketch`] what they mean, [`write`] it down.

mod find;
mod guess;
mod sketch;
mod write;

pub use find::{Repository, find};
pub use sketch::sketch;
pub use write::write;
