//! What runs images, as `observe` and `apply` see it: what a function runs, whether it would take another
//! image, and giving it one. [`Functions`] is implemented for AWS, and for a program that was built without it.

mod absent;
mod order;

use std::fmt;
use std::pin::Pin;

use crate::plan::{FunctionFacts, Observation, ObservedFunctions};
use crate::project::{AwsLogin, Deployment};

pub use absent::Absent;
pub use order::{Deployed, Order, Rehearsed};

/// What a question or a command to a service gives, once it is there.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, FunctionError>> + Send + 'a>>;

/// Why a service did not do as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// What went wrong: a lower-case phrase.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Somebody changed the function between our look at it and our update.
    pub overtaken: bool,
    /// It is the image that the service does not take.
    pub of_image: bool,
}

impl FunctionError {
    /// An error in words.
    pub fn new(message: impl Into<String>, help: Option<String>) -> Self {
        Self { message: message.into(), help, overtaken: false, of_image: false }
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FunctionError {}

/// An image that something runs: it is not to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InUse {
    /// Host and repository, and the digest; of what was given by tag alone the tag.
    pub reference: String,
    /// Who runs it: `lambda Api:7 (us-east-1)`.
    pub by: String,
}

/// What a function says of itself, and what an update must know to be sure that nobody came between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it says.
    pub observation: Observation,
    /// The revision that it said this of.
    pub revision: Option<String>,
}

impl Look {
    /// The facts of a function that is there.
    pub const fn facts(&self) -> Option<&FunctionFacts> {
        match &self.observation {
            Observation::Found(facts) => Some(facts),
            Observation::Missing => None,
        }
    }
}

/// The services that run images.
pub trait Functions: Send + Sync {
    /// The functions that a deployment means, and what each runs. Reads only: one question for each function, and one for each stack.
    fn observe<'a>(&'a self, login: &'a AwsLogin, deployment: &'a Deployment) -> Answer<'a, ObservedFunctions>;

    /// What a function runs now. Reads only.
    fn look<'a>(&'a self, order: &'a Order) -> Answer<'a, Look>;

    /// Whether a service would do as ordered, as far as it tells without doing it.
    fn rehearse<'a>(&'a self, order: &'a Order) -> Answer<'a, Rehearsed>;

    /// Gives a function its image, waits until it runs, and reads back what does. `look` is what was seen just before.
    fn deploy<'a>(&'a self, order: &'a Order, look: &'a Look) -> Answer<'a, Deployed>;

    /// Every image that runs, or that a version or an alias could run, in a region.
    fn in_use<'a>(&'a self, login: &'a AwsLogin, region: &'a str) -> Answer<'a, Vec<InUse>>;
}
