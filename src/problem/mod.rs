//! What a person wrote wrong: where it stands, what is wrong, and what to do.
//!
//! A stage collects all its [`Problem`]s and stops after them. This is the only place that knows how a problem is drawn.

mod code;
mod printable;
mod render;
mod source;
mod suggest;

use std::cmp::Ordering;

use serde::Serialize;

pub use code::Code;
pub use printable::printable;
pub use render::{render, to_json};
pub use source::{Location, Source, Span};
pub use suggest::did_you_mean;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The run goes on.
    Warning,
    /// The run stops after the stage.
    Error,
}

/// A place that a problem points at, with a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub location: Location,
    /// What is to be seen there; may be empty.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The stable name of the kind of problem, with a page under `docs/problems/`.
    pub code: Code,
    /// Whether it stops the run.
    pub severity: Severity,
    /// Lower-case phrase without a full stop; what the person typed stands in backticks.
    pub message: String,
    /// The first label is the place of the problem, others are what it refers to.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// An error of this kind.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// A warning of this kind.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, location: &Location, text: impl Into<String>) -> Self {
        self.labels.push(Label { location: location.clone(), text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, where there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        if help.is_some() {
            self.help = help;
        }
        self
    }

    fn order(&self, other: &Self) -> Ordering {
        let place = |problem: &Self| {
            problem.labels.first().map(|label| (label.location.source.name().to_owned(), label.location.span))
        };
        place(self)
            .cmp(&place(other))
            .then_with(|| self.code.cmp(&other.code))
            .then_with(|| self.message.cmp(&other.message))
    }
}

/// The problems of a stage, in the order of their places, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds those of another collection.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorted by place, each once.
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut all: Vec<&Problem> = self.0.iter().collect();
        all.sort_by(|a, b| a.order(b));
        all.dedup();
        all
    }

    /// Adds those of a later stage, but for what touches a place that an error is told of already: one mistake is told once.
    pub fn append_new(&mut self, later: Self) {
        let errors = self.0.iter().filter(|problem| problem.severity == Severity::Error);
        let told: Vec<Location> = errors.filter_map(|problem| Some(problem.labels.first()?.location.clone())).collect();
        let touched = |location: &Location| {
            told.iter().any(|told| {
                let (one, other) = (told.span, location.span);
                told.source == location.source
                    && one.start < other.start + other.length.max(1)
                    && other.start < one.start + one.length.max(1)
            })
        };
        self.0.extend(
            later.0.into_iter().filter(|problem| problem.labels.first().is_none_or(|label| !touched(&label.location))),
        );
    }

    /// `value`, unless there are errors: then all the problems. Warnings stay with the caller, in `self`.
    ///
    /// # Errors
    /// The problems themselves, if one of them is an error.
    pub fn or<T>(&self, value: T) -> Result<T, Self> {
        if self.has_errors() { Err(self.clone()) } else { Ok(value) }
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}
