//! The resolved model: what a manifest means after overlays, defaults, matrices and templates.
//!
//! Plain data. No template, no glob of names and no value that means "inherit" is left, with two exceptions that are typed:
//! a [`Text`] may name an image whose digest is known only after it is built, and a [`TagText`] may use the key.
//! Places in the manifest stay with the values, so that later stages can underline them.

mod deployment;
mod image;
mod inputs;
mod publication;
mod registry;

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use crate::name::{ImageName, RegistryName};
use crate::problem::{Location, Source};

pub use deployment::{Architecture, CreateFunction, Deployment, Elsewhere, FunctionAddress, Functions, Lambda, Runner};
pub use image::{ExecutorChoice, Image, Role};
pub use inputs::{
    Arg, Context, ContextPart, Generated, Inputs, Label, Language, LanguageInputs, Modes, NamedContext, PackageName,
    Secret, Text, TextPart,
};
pub use publication::{Cache, Compression, Destination, Output, TagRule, TagText};
pub use registry::{AwsLogin, CreateRepository, Registry, RegistryKind};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The place to underline.
    pub location: Location,
}

/// Everything that one `deploy.yaml` declares.
#[derive(Clone, Debug)]
pub struct Project {
    /// `project:`.
    pub name: String,
    /// The profile in force, if any.
    pub profile: Option<String>,
    /// The manifest itself, for messages without a better place.
    pub source: Source,
    /// `registries:`, by name; a lone `layout` if none is declared.
    pub registries: BTreeMap<RegistryName, Registry>,
    /// All images, bases first, each list in the order of the manifest.
    pub images: IndexMap<ImageName, Image>,
    /// References that are used on purpose although they look like ours (`outside:`), as written.
    pub outside: Vec<Located<String>>,
    /// `price` and `in_use_by` for all registries.
    pub keep: Keep,
}

impl Project {
    /// Who we are where a deployment of `image` runs: as the deployment says, else who we are at the registry that it takes the image from.
    pub fn login_of(&self, image: &Image, deployment: &Deployment) -> AwsLogin {
        if let Some(elsewhere) = &deployment.elsewhere {
            return elsewhere.login.clone();
        }
        let destination = image.destinations.get(deployment.source);
        match destination.and_then(|destination| self.registries.get(&destination.registry)).map(|found| &found.kind) {
            Some(RegistryKind::Ecr { login, .. }) => login.clone(),
            _ => AwsLogin::default(),
        }
    }

    /// How runs are put in order that move the tags of one destination of `image`: the nearest `order:` counts.
    pub fn order_of(&self, image: &Image, destination: usize) -> Order {
        let Some(destination) = image.destinations.get(destination) else { return Order::default() };
        let of_registry = || self.registries.get(&destination.registry).and_then(|registry| registry.order.clone());
        destination.order.clone().or_else(of_registry).unwrap_or_default()
    }

    /// How runs are put in order that deploy to a function of `image`.
    pub fn order_of_function(&self, image: &Image, deployment: &Deployment) -> Order {
        deployment.order.clone().unwrap_or_else(|| self.order_of(image, deployment.source))
    }

    /// The account where a deployment of `image` runs; `None` where nobody said it yet.
    pub fn account_of<'a>(&'a self, image: &Image, deployment: &'a Deployment) -> Option<&'a str> {
        if let Some(elsewhere) = &deployment.elsewhere {
            return Some(&elsewhere.account);
        }
        let destination = image.destinations.get(deployment.source)?;
        match &self.registries.get(&destination.registry)?.kind {
            RegistryKind::Ecr { account, .. } => account.as_deref(),
            _ => None,
        }
    }
}

/// How runs that would move one tag, or deploy to one function, are put in order where history does not tell which commit is newer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// History alone: what it does not tell is refused.
    pub history: bool,
    /// The branch that takes from any other, in place of the repository's default branch.
    pub branch: Option<String>,
}

/// What `prune` spares and what `sizes` counts; said of the project, of a registry or of a destination (the nearest wins).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keep {
    /// What stays when `prune` runs.
    pub retain: Option<Retention>,
    /// What a GB costs each month.
    pub price: Option<f64>,
    /// Digests, tags or references that are never touched.
    pub in_use_by: Vec<String>,
}

/// What stays when `prune` runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest images of each tag pattern.
    pub commits: Option<u32>,
    /// Days after which an image without a tag goes.
    pub untagged_days: Option<u32>,
    /// Whatever is younger stays.
    pub min_age: Option<Duration>,
}
