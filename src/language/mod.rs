//! Which source files a build needs by the rules of its language: the import closure of a package.
//!
//! `inputs: { go: "./cmd/thumbnail" }` drops the Go files of the context that this package does not import, however far
//! away; every file that is no Go source stays. `cargo:`, `npm:` and `python:` do the same for packages as a whole. What is
//! dropped is not sent either, so a mistake here can break a build and never leave a stale one; where the rules leave
//! doubt, files stay.
//!
//! Pure: names come from a [`Tree`](crate::tree::Tree), contents from [`Sources`]. No tool of the language is run.

mod cargo;
mod closure;
mod go;
mod npm;
mod paths;
mod python;
mod sources;
#[cfg(test)]
pub(crate) mod testing;
mod units;

pub use cargo::{CargoManifest, RustFile};
pub use closure::{Closure, Question, Reasons, close};
pub use go::{GoFile, GoIndex};
pub use npm::{NpmManifest, ScriptFile};
pub use python::{PythonFile, PythonProject};
pub use sources::{Parsed, Sources, sources_of};
