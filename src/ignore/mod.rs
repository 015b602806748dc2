//! `.dockerignore`: which names of a context are not sent.
//!
//! Which file counts is not decided here: BuildKit takes `<Dockerfile>.dockerignore` beside the Dockerfile if it exists,
//! else `.dockerignore` at the root of the context. The Dockerfile and the ignore file reach the builder on their own way
//! even where they are ignored; COPY cannot see them then.

mod file;

pub use file::{Ignore, Line, Match, State};
