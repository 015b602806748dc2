//! What now exists, by digest; written even when the run failed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Key};
use crate::name::ImageName;
use crate::plan::{RepositoryChange, Service, Why};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Everything that was planned is done.
    Succeeded,
    /// Something failed; no tag was moved, unless that was asked for.
    Failed,
    /// The run was interrupted.
    Interrupted,
}

/// What became of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It stayed as it was.
    Kept,
    /// It was built.
    Built,
    /// It was copied from another destination.
    Copied,
    /// It was found published, by another run or under its pinned key.
    Adopted,
    /// Only its tags had to move.
    Tagged,
    /// It failed.
    Failed,
    /// It was not tried.
    Skipped,
    /// Nothing needed it.
    NotNeeded,
}

/// What a run leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The version of this document.
    pub format: u32,
    /// The project.
    pub project: String,
    /// The commit, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How the run ended.
    pub outcome: RunOutcome,
    /// The repositories that were to be made or set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<RepositoryReceipt>,
    /// The images.
    pub images: Vec<ImageReceipt>,
    /// The functions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<FunctionReceipt>,
    /// Tags that this run moved, in order: what `apply --rollback` puts back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<TagReceipt>,
    /// Tags that this run did not move, because a newer commit moved them to where they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftReceipt>,
    /// Requests to registries by kind, and calls to AWS by action (`ecr:PutImage`).
    pub requests: BTreeMap<String, u64>,
}

/// What became of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RepositoryOutcome {
    /// It was made, and is as the plan says.
    Created,
    /// It was there, and is as the plan says now.
    Changed,
    /// A change failed; `changes` is what was done before it.
    Failed,
    /// It was not tried: the run was interrupted before its turn.
    Skipped,
}

/// One repository of a receipt: of a registry of AWS, made or set before the first image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryReceipt {
    /// Host and repository, as in references.
    pub reference: String,
    /// The registry's name in the manifest.
    pub registry: String,
    /// What became of it.
    pub outcome: RepositoryOutcome,
    /// What was done to it, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<RepositoryChange>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A tag that a run moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagReceipt {
    /// The image.
    #[schemars(with = "String")]
    pub image: ImageName,
    /// Host and repository.
    pub reference: String,
    /// The tag.
    pub tag: String,
    /// What it pointed at; `null` if it was not there.
    #[schemars(with = "Option<String>")]
    pub from: Option<Digest>,
    /// What it points at.
    #[schemars(with = "String")]
    pub to: Digest,
}

/// A tag that a run did not move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftReceipt {
    /// The image.
    #[schemars(with = "String")]
    pub image: ImageName,
    /// Host and repository.
    pub reference: String,
    /// The tag.
    pub tag: String,
    /// The commit that moved it.
    pub commit: String,
    /// How the two commits were put in order; absent where history says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Why>,
}

/// What became of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionOutcome {
    /// It runs what it ran, as it should.
    Kept,
    /// It was given its image.
    Deployed,
    /// It was made.
    Created,
    /// A newer commit deployed what it runs.
    Left,
    /// It failed; `runs` is what it ran before.
    Failed,
    /// It was not tried.
    Skipped,
}

/// One function of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionReceipt {
    /// Its name.
    pub function: String,
    /// What runs it.
    pub service: Service,
    /// The AWS region.
    pub region: String,
    /// The AWS account, where the manifest says it: else it is the registry's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The image.
    #[schemars(with = "String")]
    pub image: ImageName,
    /// What became of it.
    pub outcome: FunctionOutcome,
    /// The repository that it takes the image from.
    pub reference: String,
    /// The digest that it ran before.
    #[schemars(with = "Option<String>")]
    pub from: Option<Digest>,
    /// The repository of that digest, where it is another than `reference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_reference: Option<String>,
    /// The digest that it runs, as it says itself.
    #[schemars(with = "Option<String>")]
    pub runs: Option<Digest>,
    /// The alias that callers use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The version that was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The address at which it can be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One image of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageReceipt {
    /// The image.
    #[schemars(with = "String")]
    pub name: ImageName,
    /// Its key.
    #[schemars(with = "String")]
    pub key: Key,
    /// What became of it.
    pub outcome: Outcome,
    /// What it is, where it is something.
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
    /// Where it is.
    pub published: Vec<Published>,
    /// Why it failed, or the image or the repository because of which it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One destination of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// Host and repository.
    pub reference: String,
    /// The tags that stand on it, the key's included.
    pub tags: Vec<String>,
}
