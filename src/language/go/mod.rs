//! Go: the packages that a package imports, as `go list -deps` would list them, and their files for one platform.
//!
//! Sources: the Go Modules Reference (go.mod, go.work, vendoring), the documentation of `go/build` (build constraints, file
//! names), of `embed` and of `cmd/go` (import paths, ignored names).

mod constraint;
mod file;
mod index;
mod mod_file;
mod modules;
mod packages;
#[cfg(test)]
mod tests;

pub use file::GoFile;
pub use index::GoIndex;
pub(super) use packages::close;
