//! The disk and git: what is read, hashed and sent.

mod snapshot;

pub use snapshot::{Origin, Snapshot};
