//! Why an image could not be assembled.

use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::problem::{Code, Location, Problem};
use crate::{registry, workspace};

/// Why an image could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The Dockerfile asks for what cannot be done, and BuildKit would refuse it too; with its place.
    #[error("{}", .0.message)]
    Refused(Box<Problem>),
    /// The Dockerfile needs what only BuildKit can do.
    #[error("{}", .0.message)]
    NeedsBuildkit(Box<Problem>),
    /// A file of a context is not what was hashed, or cannot be read.
    #[error(transparent)]
    Input(#[from] workspace::Error),
    /// A file of ours.
    #[error("cannot {verb} `{}`: {source}", .path.display())]
    Io {
        /// What was tried: `read`, `write`, ...
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A base's manifest, configuration or layer cannot be had.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A layer of a base is not a tar that we can read.
    #[error("cannot read layer {digest} of a base: {why}")]
    Layer {
        /// The layer.
        digest: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// A base's configuration is not what its specification says.
    #[error("cannot read configuration {digest} of a base: {why}")]
    Config {
        /// The configuration.
        digest: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// A base that the caller did not provide.
    #[error("nothing is known about the image `{reference}`, which the Dockerfile builds on")]
    UnknownBase {
        /// As in FROM or `--from`, expanded.
        reference: String,
    },
    /// The caller does not want it any more.
    #[error("the build was cancelled")]
    Cancelled,
}

impl AssembleError {
    /// For `map_err`: an error of the system about `path`.
    pub(super) fn io<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| {
            // A reader of a context wraps what it found in an error of the system.
            match source.downcast::<workspace::Error>() {
                Ok(changed) => Self::Input(changed),
                Err(source) => Self::Io { verb, path: path.to_owned(), source },
            }
        }
    }
}

/// Why an instruction cannot be done; its place is added by who knows it.
#[derive(Debug)]
pub(super) enum Fault {
    /// As BuildKit would refuse it.
    Refused { code: Code, message: String, help: Option<String> },
    /// Anything else.
    Other(AssembleError),
}

impl Fault {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into(), help: None }
    }

    #[must_use]
    pub(super) fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Refused { code, message, .. } => Self::Refused { code, message, help: Some(text.into()) },
            other @ Self::Other(_) => other,
        }
    }

    /// The error with the place of the instruction.
    pub(super) fn at(self, location: &Location) -> AssembleError {
        match self {
            Self::Refused { code, message, help } => {
                AssembleError::Refused(Box::new(Problem::error(code, message).at(location, "").maybe_help(help)))
            }
            Self::Other(error) => error,
        }
    }
}

impl From<AssembleError> for Fault {
    fn from(error: AssembleError) -> Self {
        Self::Other(error)
    }
}

impl From<workspace::Error> for Fault {
    fn from(error: workspace::Error) -> Self {
        Self::Other(error.into())
    }
}
