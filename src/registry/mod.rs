//! Registries: the OCI distribution protocol, image layouts on disk, and the logins of Docker.
//!
//! # The order of an upload
//!
//! An image is sent so that no registry ever holds something that points at what is not there ([`push_image`]):
//!
//! 1. HEAD of its manifest by digest. If it is there, so is all that it needs, and nothing is sent.
//! 2. For an index, its children first, each in this same order.
//! 3. For each blob, several at a time: HEAD; if it is missing, a mount from another repository of the same host; if that is refused
//!    or answered with an upload (202), the upload, streamed from the file: one PUT of the whole. If that breaks off, what arrived
//!    is asked for and the rest follows in parts.
//! 4. PUT of the manifest by its digest, and GET of it: the bytes must be those that were sent.
//!
//! After that come, by whoever publishes: the record ([`Repository::attach_record`]), the key tag, and last all other tags
//! ([`Repository::put_manifest`] [`By::Tag`]); a tag is one PUT.
//!
//! # Policy
//!
//! Everything that is the same for all requests is in the transport, once: authentication when a registry challenges, redirects without
//! credentials, pauses with jitter and `Retry-After`, a budget of time for a registry that is away (shared by all requests to a host, so
//! that a dead one fails fast), limits of time and of concurrency, and counting. Nothing above it repeats a request, but for the blob
//! that is broken off.
//!
//! Source: OCI distribution specification 1.1; distribution's token authentication specification.

mod auth;
mod body;
mod call;
mod challenge;
mod client;
mod control;
mod counters;
mod credentials;
mod daemon;
mod download;
mod error;
mod file;
mod http;
mod layout;
mod moves;
mod name;
mod presence;
mod record;
mod referral;
mod reply;
mod repository;
mod retry;
mod secret;
mod settings;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;
mod transport;
mod upload;

pub use body::BlobSource;
pub use client::{Client, Stored};
pub use control::{Answer as ControlAnswer, Control, ControlError, Doomed, Held, TagDigests};
pub use counters::{Counters, Counts, RequestKind};
pub use credentials::{Anonymous, CredentialError, Credentials, DockerCredentials, DockerEnvironment, Need};
pub use daemon::Daemon;
pub use error::{Answer, AnswerError, Error, Request};
pub use layout::Layout;
pub use moves::{Attached, MoveNote};
pub use name::{By, RepositoryName};
pub use repository::{Arrival, Repository};
pub use secret::{Credential, Secret};
pub use settings::{Proxies, Settings};
pub use store::{ContentStore, ContentWriter};
pub use transfer::{Lent, PushStats, Sent, copy_blobs, copy_image, push_blobs, push_image};
pub use upload::{Mount, Session};
