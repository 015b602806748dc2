//! The two pattern languages of Docker: Go's `filepath.Match` (sources of COPY) and moby's matcher (`.dockerignore`, `--exclude`).
//!
//! Both work on bytes. Where Go decodes characters, a byte that is not UTF-8 counts as one character, as it does in Go.

mod clean;
mod excludes;
mod glob;
mod translate;

pub use clean::{clean, inside};
pub use excludes::{Excludes, Matched, Pattern, Verdict};
pub use glob::Glob;

/// A pattern that Go's `filepath.Match` refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern has an open `[`, an empty range or a `\\` at its end")]
pub struct BadPattern;
