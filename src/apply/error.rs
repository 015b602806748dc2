//! Why an image could not be made or published.

use crate::exec::buildkit::BuildError;
use crate::registry;
use crate::workspace;

/// What failed, with what to do in its text.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The build.
    #[error("{0}")]
    Build(#[source] Box<BuildError>),
    /// A registry.
    #[error("{what}: {error}{}", error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default())]
    Registry {
        /// What was being done.
        what: String,
        /// What the registry said.
        #[source]
        error: Box<registry::Error>,
    },
    /// A file.
    #[error("{0}")]
    Workspace(#[from] workspace::Error),
    /// What was read back is not what was written.
    #[error("{reference} holds {found} after it was given {written}\nhelp: the registry does not keep what it is sent; nothing was tagged")]
    ReadBack {
        /// Repository and tag.
        reference: String,
        /// What was written.
        written: String,
        /// What is there.
        found: String,
    },
    /// Somebody else moved a tag.
    #[error("the tag {reference} was moved to {found} after it was planned; it was left alone\nhelp: run `orchestrate plan` again")]
    TagMoved {
        /// Repository and tag.
        reference: String,
        /// What is there.
        found: String,
    },
    /// A fixed tag stands on something else.
    #[error("the fixed tag {reference} stands on {found}; it was left alone\nhelp: a fixed tag is never overwritten")]
    TagConflict {
        /// Repository and tag.
        reference: String,
        /// What is there.
        found: String,
    },
    /// The run was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// Something that the plan relies on is not there any more.
    #[error("{0}")]
    Gone(String),
}

impl ApplyError {
    /// An error of a registry while doing `what`.
    pub fn registry(what: impl Into<String>) -> impl FnOnce(registry::Error) -> Self {
        let what = what.into();
        move |error| Self::Registry { what, error: Box::new(error) }
    }
}

impl From<BuildError> for ApplyError {
    fn from(error: BuildError) -> Self {
        Self::Build(Box::new(error))
    }
}
