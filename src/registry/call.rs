use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use url::Url;

use super::body::Payload;
use super::challenge::Scope;
use super::counters::RequestKind;
use super::error::Request;
use super::name::RepositoryName;

/// How much of an answer is read where nothing of interest is in it, or an error.
pub(super) const SMALL: usize = 64 * 1024;
/// One request, before authentication.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: RequestKind,
    pub(super) method: Method,
    pub(super) repository: RepositoryName,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) scopes: BTreeSet<Scope>,
    /// Sent instead of what the registry's challenge asks for: for the token service itself.
    pub(super) authorization: Option<HeaderValue>,
    /// How the answer is read.
    pub(super) read: Read,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Below `/v2/<repository>/` of the registry.
    Path(String),
    /// Where the registry said.
    Url(Url),
}

/// How the body of a good answer is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// At once, up to so many bytes.
    Whole(usize),
    /// By the caller, piece by piece.
    Pieces,
}

impl Call {
    pub(super) fn new(kind: RequestKind, method: Method, repository: &RepositoryName, path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            kind,
            method,
            repository: repository.clone(),
            target: Target::Path(path),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            scopes: BTreeSet::from([Scope::pull(&repository.path)]),
            authorization: None,
            read: Read::Whole(SMALL),
        }
    }

    pub(super) fn request(&self) -> Request {
        let what = match &self.target {
            Target::Path(path) => path.split('?').next().unwrap_or_default().to_owned(),
            Target::Url(_) if self.kind == RequestKind::Token => "token".to_owned(),
            Target::Url(_) => "blobs/uploads".to_owned(),
        };
        Request { kind: self.kind, method: self.method.to_string(), repository: self.repository.clone(), what }
    }
}
