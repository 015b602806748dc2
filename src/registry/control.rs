//! What a cloud's own API does for its registry beside the distribution protocol.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use super::name::RepositoryName;
use crate::digest::Digest;

/// The API of a cloud for the repositories of one registry: questions in bulk, and deletion where the protocol's is refused.
pub trait Control: Send + Sync {
    /// Where tags point; those that do not exist are left out. `None` if the API has no such question: then each is asked by the protocol.
    fn digests<'a>(&'a self, repository: &'a RepositoryName, tags: &'a [String]) -> Answer<'a, Option<TagDigests>>;

    /// Everything that lies there, without its content. `None` if the repository does not exist.
    fn inventory<'a>(&'a self, repository: &'a RepositoryName) -> Answer<'a, Option<Vec<Held>>>;

    /// Deletes manifests and takes tags away; gives how many of them there were.
    fn delete<'a>(&'a self, repository: &'a RepositoryName, what: &'a [Doomed]) -> Answer<'a, usize>;
}

/// An answer under way.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ControlError>>;

/// Where tags point.
pub type TagDigests = BTreeMap<String, Digest>;

/// One manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its digest.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was pushed, in seconds since 1970.
    pub pushed: Option<i64>,
}

/// Something that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doomed {
    /// A manifest, with all its tags.
    Manifest(Digest),
    /// A tag alone.
    Tag(String),
}

/// The cloud's API failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ControlError {
    /// What happened.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}
