//! Cargo: the packages of the context that a package is built from, as `cargo metadata` would resolve them without its
//! development dependencies.
//!
//! Cargo reads the manifest of every member of a workspace and wants its targets to be there, though it compiles none of
//! them. So the roots of targets of other packages stay as placeholders: empty files.
//!
//! Source: The Cargo Book (workspaces, specifying dependencies, overriding dependencies, cargo targets, source replacement).

mod file;
mod manifest;
mod packages;
#[cfg(test)]
mod tests;

pub use file::RustFile;
pub(super) use file::upward_paths;
pub use manifest::CargoManifest;
pub(super) use packages::close;
