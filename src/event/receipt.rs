//! What now exists, by digest; written even when the run failed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Key};
use crate::name::ImageName;

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
    /// The images.
    pub images: Vec<ImageReceipt>,
    /// Requests to registries by kind, and calls to AWS by action (`ecr:PutImage`).
    pub requests: BTreeMap<String, u64>,
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
    /// Why it failed, or the image because of which it was skipped.
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
