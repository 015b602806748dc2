use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::RequestKind;
use super::control::ControlError;
use super::credentials::CredentialError;
use super::name::RepositoryName;
use crate::digest::Digest;
use crate::oci::NotAManifest;

/// How much of an answer's body an error keeps, in bytes.
pub(super) const BODY_LIMIT: usize = 512;

/// A request, as errors name it. Query strings, which may hold signatures, are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it was for.
    pub kind: RequestKind,
    /// `GET`, `PUT`, ...
    pub method: String,
    /// The repository.
    pub repository: RepositoryName,
    /// The rest of the path: `manifests/latest`, `blobs/sha256:...`.
    pub what: String,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.method, self.what, self.repository)
    }
}

/// What a registry said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The codes and messages of its body, where it follows the specification.
    pub errors: Vec<AnswerError>,
    /// The beginning of its body, where it does not.
    pub body: String,
    /// What identifies the request in the registry's own logs.
    pub request_id: Option<String>,
}

/// One error of a registry's answer.
///
/// Source: OCI distribution specification 1.1, "Error Codes".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AnswerError {
    /// `MANIFEST_UNKNOWN` and the like.
    #[serde(default)]
    pub code: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<AnswerError>,
        }
        let errors = serde_json::from_slice::<Body>(body).map(|body| body.errors).unwrap_or_default();
        let printable: String = String::from_utf8_lossy(&body[..body.len().min(BODY_LIMIT)])
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let request_id = ["x-amz-request-id", "x-amzn-requestid", "x-github-request-id", "x-request-id"]
            .iter()
            .find_map(|name| headers.get(*name)?.to_str().ok())
            .map(|id| id.chars().take(80).collect());
        let body = if errors.is_empty() { printable.trim().to_owned() } else { String::new() };
        Self { status: status.as_u16(), errors, body, request_id }
    }

    /// Whether one of its errors has this code.
    pub fn has_code(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code == code)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(reason) = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason()) {
            write!(f, " {reason}")?;
        }
        for (position, error) in self.errors.iter().take(3).enumerate() {
            let separator = if position == 0 { ": " } else { "; " };
            let message: String = error.message.chars().take(BODY_LIMIT / 2).collect();
            write!(f, "{separator}{}", error.code)?;
            if !message.is_empty() {
                write!(f, " ({message})")?;
            }
        }
        if !self.body.is_empty() {
            write!(f, ": {}", self.body)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

/// Why something with a registry or an image layout did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry answered, and the answer was no.
    #[error("{request}: the registry answered {answer}")]
    Refused {
        /// The request.
        request: Box<Request>,
        /// The answer.
        answer: Box<Answer>,
    },
    /// The registry did not answer, or broke off, for as long as it was tried.
    #[error("{request}: {reason}; given up after {} s and {attempts} attempt{}", .elapsed.as_secs(), if *.attempts == 1 { "" } else { "s" })]
    Unreachable {
        /// The request.
        request: Box<Request>,
        /// What happened the last time.
        reason: String,
        /// How often it was tried.
        attempts: u32,
        /// For how long.
        elapsed: Duration,
    },
    /// The registry's answer makes no sense.
    #[error("{request}: {why}")]
    Nonsense {
        /// The request.
        request: Box<Request>,
        /// What is wrong with the answer.
        why: String,
    },
    /// Content is not what its digest says.
    #[error("{subject} has the digest {found}, not {expected}")]
    WrongDigest {
        /// What was read or sent.
        subject: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest that it has.
        found: String,
    },
    /// Content is larger than it may be or than it says.
    #[error("{subject} is larger than {limit} bytes")]
    TooLarge {
        /// What was read.
        subject: String,
        /// The limit.
        limit: u64,
    },
    /// Content that must be there is not.
    #[error("{place} lacks {what}")]
    Missing {
        /// The repository, layout or folder.
        place: String,
        /// The digest or tag.
        what: String,
    },
    /// Docker's credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// Bytes that should be a manifest are none.
    #[error("{place}: {why}")]
    NotAManifest {
        /// The repository, layout or folder.
        place: String,
        /// Why.
        why: NotAManifest,
    },
    /// A file or folder.
    #[error("cannot {doing} `{path}`: {cause}", path = path.display())]
    File {
        /// What was being done: `read`, `write`, ...
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// The operating system's word.
        cause: std::io::Error,
    },
    /// The cloud's own API for the registry.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The local Docker daemon.
    #[error("{what}: {why}")]
    Daemon {
        /// The repository.
        what: String,
        /// What it said.
        why: String,
    },
    /// What is needed to speak to registries at all cannot be set up.
    #[error("cannot set up HTTP for `{host}`: {why}")]
    Setup {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
}

impl Error {
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>, cause: std::io::Error) -> Self {
        Self::File { doing, path: path.into(), cause }
    }

    /// The HTTP status, where a registry answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { answer, .. } => Some(answer.status),
            _ => None,
        }
    }

    /// What the user can do about it, where something is known to help.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Refused { request, answer } => refused_help(request, answer),
            Self::Unreachable { request, .. } => Some(format!(
                "check that `{}` is the right address and that this machine reaches it; `HTTPS_PROXY` and `NO_PROXY` are \
                 respected; what was published stays, so the same command goes on where it stopped",
                request.repository.host
            )),
            Self::WrongDigest { .. } => Some(
                "something between here and the registry changes bytes, or a file changed while it was read".to_owned(),
            ),
            Self::Credentials(error) => error.help(),
            Self::Control(error) => error.help.clone(),
            Self::Daemon { .. } => {
                Some("start Docker, or set DOCKER_HOST to `unix:///path` or `tcp://host:port`".to_owned())
            }
            _ => None,
        }
    }
}

fn refused_help(request: &Request, answer: &Answer) -> Option<String> {
    let RepositoryName { host, path } = &request.repository;
    Some(match answer.status {
        401 => format!("log in with `docker login {host}`, or check that the login is still valid"),
        403 => format!(
            "the account that is logged in at `{host}` may not do this to `{path}`; ask for the right, or log in again"
        ),
        404 if answer.has_code("NAME_UNKNOWN") => format!("create the repository `{path}` at `{host}` first"),
        413 => "a proxy before the registry limits the size of requests; raise its limit".to_owned(),
        429 => format!("`{host}` limits requests; wait, log in, or lower the number of jobs"),
        500..=599 => format!(
            "the fault is on the side of `{host}` (its log and its disk tell more); what was published stays, so the same command \
             goes on where it stopped"
        ),
        _ => return None,
    })
}
