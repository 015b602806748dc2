//! AWS: who we are, the services' clients, and what their errors mean.
//!
//! One [`Aws`] for the whole program. It reads the standard chain (environment, profiles, SSO, web identity, containers, instances) once
//! for each [`AwsLogin`](crate::project::AwsLogin), and hands out clients by region. Every attempt of every call is counted
//! ([`Calls`]), so that what the program does can be held against the policies that its documentation gives.
//!
//! Nothing above this module sees an SDK error: [`failed`] turns each into an [`Error`] that says which action on which resource failed,
//! and what to do about it.
//!
//! Sources: the AWS SDKs and Tools reference guide (credential chain, `AWS_ENDPOINT_URL`, retry behaviour), "Common error types" of the
//! services' API references.

mod agentcore;
mod batch;
mod calls;
mod client;
mod control;
mod denial;
mod ecr;
mod ecr_public;
mod error;
mod functions;
mod host;
mod identity;
mod lambda;
mod login;
mod pace;
mod public_repositories;
mod repositories;
mod stack;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use calls::{Access, Calls, CountedCall};
pub use client::{Aws, Session};
pub use control::{EcrControl, EcrPublicControl};
pub use ecr::{Ecr, Token};
pub use ecr_public::EcrPublic;
pub use error::{Call, Error, failed};
pub use functions::AwsFunctions;
pub use host::{EcrHost, PUBLIC_HOST};
pub use identity::{Identity, partition};
pub use login::AwsCredentials;
pub use pace::Pace;
