//! The executor that builds one image for one platform through BuildKit's own gRPC API.
//!
//! BuildKit asks for everything that it needs through a session: a gRPC server of ours that runs inside one stream of
//! the connection. So the build sees exactly the [`Snapshot`](crate::workspace::Snapshot) that was hashed, and the result
//! comes back as blobs in a store folder. Nothing is pushed and no tag is moved here.
//!
//! | what | where | touches |
//! |---|---|---|
//! | [`Address`] | `address` | nothing |
//! | the connection | `connect` | starts `docker buildx dial-stdio`, or a socket |
//! | [`Request`] and [`Built`] | `request` | nothing |
//! | the solve request | `solve` | nothing |
//! | file sync, credentials, secrets, ssh, bases from a store, the result | `session` | files of the snapshot, secrets |
//! | contexts that several builds read | `shared` | files of their snapshots |
//! | what of a result is the image, and its tar into the store | `ingest` | the store |
//! | [`BuildProgress`] | `progress` | nothing |
//! | [`Masks`]: what is not shown of it | `masks` | nothing |
//! | [`BuildError`] | `error` | nothing |

mod address;
mod build;
mod connect;
mod error;
mod folder;
mod follow;
mod ingest;
mod masks;
mod progress;
mod request;
mod session;
mod shared;
mod solve;
#[cfg(test)]
mod tests;
mod wire;

pub use address::{Address, NotAnAddress, Tls};
pub use connect::Buildkit;
pub use error::BuildError;
pub use folder::MTIME_SECONDS;
pub use masks::Masks;
pub use progress::{BuildProgress, LogStream};
pub use request::{Built, ContextSource, Request, SecretSource};
