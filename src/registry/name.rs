use std::fmt;

use crate::digest::Digest;
use crate::reference::Reference;

/// A repository of a registry, without tag and digest: `127.0.0.1:5000/team/app`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName {
    /// The host with its port, as in references: `docker.io`, `127.0.0.1:5000`.
    pub host: String,
    /// The repository below the host: `library/alpine`.
    pub path: String,
}

impl RepositoryName {
    /// A repository by host and path.
    pub fn new(host: impl Into<String>, path: impl Into<String>) -> Self {
        Self { host: host.into(), path: path.into() }
    }
}

impl From<&Reference> for RepositoryName {
    fn from(reference: &Reference) -> Self {
        Self::new(&reference.host, &reference.repository)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// How a manifest is named within its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    /// By a tag, which may move.
    Tag(&'a str),
    /// By its digest, which always means the same bytes.
    Digest(Digest),
}

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}
