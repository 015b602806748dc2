//! What a function is to run, and what became of that.

use crate::digest::Digest;
use crate::plan::FunctionId;
use crate::project::{AwsLogin, CreateFunction};

/// What a function is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which function.
    pub id: FunctionId,
    /// Who we are there.
    pub login: AwsLogin,
    /// Host and repository of the image.
    pub repository: String,
    /// The manifest that it is to run: a single one.
    pub digest: Digest,
    /// Publish a version.
    pub publish: bool,
    /// The alias that is moved to the version.
    pub alias: Option<String>,
    /// How to make it, if it is not there.
    pub create: Option<CreateFunction>,
}

impl Order {
    /// The image as AWS takes it.
    pub fn image(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// Whether a function that was just made lacks something that no look at it shows: its version, or its address. (That it lacks an
    /// alias shows, and so does what an alias runs.)
    pub fn leaves_more(&self) -> bool {
        let address = self.create.as_ref().is_some_and(|create| create.address.is_some());
        address || (self.publish && self.alias.is_none())
    }
}

/// What a rehearsal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsed {
    /// The service said that it would.
    Accepted,
    /// The service has no way to say so without doing it.
    NotPossible,
}

/// What a function runs after it was deployed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployed {
    /// What it said when it was asked; a function that is reached through an alias: what that runs.
    pub digest: Option<Digest>,
    /// The version that was published.
    pub version: Option<String>,
    /// The address at which it can be called.
    pub url: Option<String>,
}
