//! The embedded builder: an image whose stages need no RUN is turned into layers and a configuration without a daemon, in
//! milliseconds, and bit for bit the same on every machine.
//!
//! The judge is BuildKit fed the same snapshot: the file system (path, kind, permissions, owner, link, content), the fields of the
//! configuration and the number of history entries are the ones that it would make; the bytes of the layers are our own.
//!
//! - **Layers** hold entries sorted by path with one fixed time, and the folders around them as they are. Equal contents are
//!   compressed once ([`Cache`]).
//! - **Bases** are not downloaded to be published: [`Built::lent`] says where their layers can be mounted or copied from. A layer
//!   of a base is read when an instruction puts something on it (a link may lead elsewhere, folders have owners), looks a name up in
//!   it or copies out of it; what was found in it is kept by digest.
//!
//! Not done here, and so left to BuildKit, always and as a function of the Dockerfile alone: RUN, ADD from an address, a front end of
//! its own (all [`Analysis::first_run`](crate::dockerfile::Analysis::first_run)), and a folder as the base of a stage.

mod archive;
mod base;
mod build;
mod cache;
mod compress;
mod config;
mod copy;
mod error;
mod files;
mod header;
mod index;
mod layer;
mod mode;
mod node;
mod owner;
mod settings;
mod sparse;
mod stage;

pub use archive::decompressed;
pub use base::{BaseSource, Place};
pub use build::{Built, ContextSource, Request, assemble};
pub use cache::Cache;
pub use error::AssembleError;
pub use sparse::Whole;

#[cfg(test)]
mod tests;
