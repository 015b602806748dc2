//! Why an image could not be made or published.

use std::fmt::Write as _;

use crate::exec::assemble::AssembleError;
use crate::exec::buildkit::BuildError;
use crate::functions::FunctionError;
use crate::name::ImageName;
use crate::plan::Standing;
use crate::problem::Source;
use crate::registry;
use crate::workspace;

/// What failed, with what to do in its text.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The build, with the instruction that failed and the end of its log.
    #[error("{0}")]
    Build(String),
    /// BuildKit itself: it cannot be reached, or does not do as it should.
    #[error("{error}{}", error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default())]
    Builder {
        /// What it said.
        #[source]
        error: BuildError,
    },
    /// A registry.
    #[error("{what}: {error}{}", error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default())]
    Registry {
        /// What was being done.
        what: String,
        /// What the registry said.
        #[source]
        error: Box<registry::Error>,
    },
    /// A registry's own API.
    #[error("{what}: {error}{}", error.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default())]
    Control {
        /// What it was about.
        what: String,
        /// What it said.
        #[source]
        error: registry::ControlError,
    },
    /// A file.
    #[error("{0}")]
    Workspace(#[from] workspace::Error),
    /// What was read back is not what was written.
    #[error(
        "{reference} holds {found} after it was given {written}\nhelp: the registry does not keep what it is sent; nothing was tagged"
    )]
    ReadBack {
        /// Repository and tag.
        reference: String,
        /// What was written.
        written: String,
        /// What is there.
        found: String,
    },
    /// Somebody else moved a tag.
    #[error(
        "the tag {reference} was moved to {found} after it was planned; it was left alone\nhelp: run `orchestrate plan` again"
    )]
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
    /// A tag may go backward, or is of a branch that this one may not take it from.
    #[error("the tag {reference} was moved by commit {}, {standing}; it was not moved\nhelp: {}", short(&.standing.mover.commit), standing.help())]
    Unordered {
        /// Repository and tag.
        reference: String,
        /// Who moved it, and why it may not be moved.
        standing: Box<Standing>,
    },
    /// Another run published another image under the same key while this one went on.
    #[error(
        "{reference} holds {found} by now: another run published it at the same time; no tag was moved\nhelp: run the same command again, which takes what is published"
    )]
    Overtaken {
        /// Repository and key tag.
        reference: String,
        /// What is there.
        found: String,
    },
    /// `verify:` did not accept the image.
    #[error(
        "`{command}` did not accept the image: {why}\nhelp: the image is published under its key alone; no tag was moved"
    )]
    Verify {
        /// The command.
        command: String,
        /// How it ended.
        why: String,
    },
    /// A function cannot run the image.
    #[error(
        "{function} cannot run {image}: {why}\nhelp: the image is published under its key alone; no tag was moved for it"
    )]
    Unfit {
        /// The function.
        function: String,
        /// The image.
        image: ImageName,
        /// Why.
        why: String,
    },
    /// The service that runs a function.
    #[error("{function}: {error}")]
    Function {
        /// The function.
        function: String,
        /// What it said.
        #[source]
        error: FunctionError,
    },
    /// A function runs something else than it was given.
    #[error(
        "{function} runs {found} after it was given {wanted}\nhelp: somebody else may have deployed to it at the same time"
    )]
    RunsOther {
        /// The function.
        function: String,
        /// What it was given.
        wanted: String,
        /// What it runs.
        found: String,
    },
    /// Somebody else deployed to a function.
    #[error(
        "{function} runs {found}, which was not so when it was planned; it was left alone\nhelp: run `orchestrate plan` again"
    )]
    FunctionChanged {
        /// The function.
        function: String,
        /// What it runs.
        found: String,
    },
    /// A function may go backward, or is of a branch that this one may not deploy over.
    #[error("what {function} runs was deployed by commit {}, {standing}; it was left alone\nhelp: {}", short(&.standing.mover.commit), standing.help())]
    FunctionUnordered {
        /// The function.
        function: String,
        /// Who deployed, and why nobody may deploy over it.
        standing: Box<Standing>,
    },
    /// The run was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// Something that the plan relies on is not there any more.
    #[error("{0}")]
    Gone(String),
}

/// The first digits of a commit.
fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

impl ApplyError {
    /// An error of a registry while doing `what`.
    pub fn registry(what: impl Into<String>) -> impl FnOnce(registry::Error) -> Self {
        let what = what.into();
        move |error| Self::Registry { what, error: Box::new(error) }
    }
}

impl ApplyError {
    /// A build that failed: the words of the builder, the instruction in the Dockerfile, the end of the log.
    pub fn build(image: &ImageName, dockerfile: &Source, error: BuildError) -> Self {
        let help = error.help().map(str::to_owned);
        let BuildError::Failed { message, vertex, location, log_tail } = error else { return Self::Builder { error } };
        let mut text = format!("the build of {image} failed: {message}");
        if let Some((first, last)) = location {
            let _ = write!(text, "\n  --> {}:{first}", dockerfile.name());
            let lines = dockerfile.text().lines().enumerate().skip(first.saturating_sub(1) as usize);
            for (index, line) in lines.take((last.saturating_sub(first) + 1) as usize) {
                let _ = write!(text, "\n{:>5} | {line}", index + 1);
            }
        }
        if !log_tail.is_empty() {
            let step = vertex.unwrap_or_else(|| "the step".to_owned());
            let _ = write!(text, "\nthe last lines of {step}:");
            for line in log_tail {
                let _ = write!(text, "\n  | {line}");
            }
        }
        if let Some(help) = help {
            let _ = write!(text, "\nhelp: {help}");
        }
        Self::Build(text)
    }

    /// An image that could not be assembled: what is wrong, the instruction in the Dockerfile, what to do.
    pub fn assembly(image: &ImageName, error: AssembleError) -> Self {
        let problem = match error {
            AssembleError::Refused(problem) | AssembleError::NeedsBuildkit(problem) => problem,
            AssembleError::Input(error) => return Self::Workspace(error),
            AssembleError::Registry(error) => return Self::registry(format!("reading a base of {image}"))(error),
            AssembleError::Cancelled => return Self::Interrupted,
            other => return Self::Build(format!("the build of {image} failed: {other}")),
        };
        let mut text = format!("the build of {image} failed: {}", problem.message);
        if let Some(location) = problem.labels.first().map(|label| &label.location) {
            let line = location.source.text().lines().nth(location.line_column().0.saturating_sub(1));
            let _ = write!(text, "\n  --> {location}\n{:>5} | {}", location.line_column().0, line.unwrap_or_default());
        }
        if let Some(help) = &problem.help {
            let _ = write!(text, "\nhelp: {help}");
        }
        Self::Build(text)
    }
}
