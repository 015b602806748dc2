//! What happens to the functions that run the images: the part of the plan, and what is known of a function.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fitness::Unfit;
use super::model::Mover;
use super::order::Standing;
use crate::digest::Digest;
use crate::name::ImageName;
use crate::project::Architecture;

/// What runs a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// AWS Lambda.
    Lambda,
    /// Amazon Bedrock AgentCore.
    Agentcore,
}

impl Service {
    /// The word for it, as in the manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Agentcore => "agentcore",
        }
    }
}

/// One function: the same name may stand in several regions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionId {
    /// What runs it.
    pub service: Service,
    /// The AWS region.
    pub region: String,
    /// The account, where the manifest says it: else it is the registry's.
    pub account: Option<String>,
    /// The function's name; of a runtime its name or id.
    pub name: String,
}

impl FunctionId {
    /// What stands in the note of who deployed to it, beside the tags that a run moved. No tag has a `:`; notes part names at blanks.
    pub fn note(&self) -> String {
        let account = self.account.as_ref().map(|account| format!("{account}:")).unwrap_or_default();
        format!("{}:{}:{account}{}", self.service.as_str(), self.region, self.name)
    }
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account.as_ref().map(|account| format!(", account {account}")).unwrap_or_default();
        write!(f, "{} ({}, {}{account})", self.name, self.service.as_str(), self.region)
    }
}

/// What happens to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionAction {
    /// It runs what it should.
    Keep,
    /// It was not asked.
    Unknown,
    /// It is given another image.
    Deploy,
    /// It is made.
    Create,
}

/// What happens to a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Function {
    /// Its name; where a stack knows the name and was not asked, what the manifest says of it.
    pub function: String,
    /// The image that it runs.
    #[schemars(with = "String")]
    pub image: ImageName,
    /// What happens to it.
    pub action: FunctionAction,
    /// The digest that it runs now.
    #[schemars(with = "Option<String>")]
    pub from: Option<Digest>,
    /// The digest that it will run; `null` until built.
    #[schemars(with = "Option<String>")]
    pub to: Option<Digest>,
    /// What runs it.
    pub service: Service,
    /// The AWS region.
    pub region: String,
    /// The AWS account, where the manifest says it: else it is the registry's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The repository that it takes the image from.
    pub reference: String,
    /// The architecture that it runs on, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// The alias that callers use, if there is one: `from` is what it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<FunctionReason>,
    /// A newer commit deployed what it runs, so it is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<Mover>,
    /// Why it is deployed to or left alone, where history alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Standing>,
    /// The run of the default branch that another branch deploys over: its note is carried on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Mover>,
    /// Which entry of the image's `deploy:` it is from.
    pub entry: usize,
}

impl Function {
    /// Which function it is.
    pub fn id(&self) -> FunctionId {
        FunctionId {
            service: self.service,
            region: self.region.clone(),
            account: self.account.clone(),
            name: self.function.clone(),
        }
    }

    /// Whether a run has something to do for it.
    pub const fn changes(&self) -> bool {
        matches!(self.action, FunctionAction::Deploy | FunctionAction::Create)
    }
}

/// One reason for what happens to a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FunctionReason {
    /// Nobody asked what it runs.
    NotAsked,
    /// It is not there.
    Missing,
    /// Its image is built in this run.
    ImageBuilt,
    /// It runs another image.
    OtherImage {
        /// The digest that it runs; `null` where it runs no image by digest.
        #[schemars(with = "Option<String>")]
        old: Option<Digest>,
        /// The digest that it should run.
        #[schemars(with = "String")]
        new: Digest,
    },
    /// The alias is not there.
    AliasMissing {
        /// The alias.
        alias: String,
    },
    /// The run that made it did not get to its version or its address.
    Unfinished,
    /// It does not serve what it was given, whatever its digest says.
    Unhealthy {
        /// What is wrong with it.
        health: Ailment,
    },
}

/// What is wrong with a function that has its image and does not serve it.
///
/// Source: "Lambda function states", Lambda developer guide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Ailment {
    /// It never came up: it runs nothing.
    Failed {
        /// What the service says of it.
        why: String,
    },
    /// Its last update failed: it still runs the code from before, though it names the new image.
    UpdateFailed {
        /// What the service says of it.
        why: String,
    },
    /// The service took its resources away, because nobody called it for long or because its image cannot be loaded.
    Inactive {
        /// What the service says of it.
        why: String,
    },
}

/// What is known of the functions of one entry of `deploy:`, by name.
pub type ObservedFunctions = BTreeMap<String, Observation>;

/// What was found in the place of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// There is no such function.
    Missing,
    /// It is there.
    Found(FunctionFacts),
}

/// What a function says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionFacts {
    /// The digest of the image that it runs, or that its alias runs.
    pub digest: Option<Digest>,
    /// Host and repository of that image.
    pub repository: Option<String>,
    /// The architecture that it runs on.
    pub architecture: Option<Architecture>,
    /// Its code is a ZIP archive, which cannot become an image.
    pub is_zip: bool,
    /// It has not the alias that the manifest names; then `digest` is unknown.
    pub alias_missing: bool,
    /// It was made by a run that did not finish it.
    pub unfinished: bool,
    /// Why it does not serve what it was given.
    pub ailment: Option<Ailment>,
}

/// What stands in the way of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FunctionBlocker {
    /// It is not there, and the manifest does not say how to make it.
    Missing {
        /// The function.
        function: String,
        /// Its region.
        region: String,
    },
    /// It cannot run the image.
    Unfit {
        /// The function.
        function: String,
        /// Why.
        because: Unfit,
    },
    /// The commit that deployed to it may be newer than this one, or of a branch that this one may not deploy over.
    Unordered {
        /// The function.
        function: String,
        /// Who deployed to it.
        mover: Mover,
        /// Why it may not be deployed to.
        order: Standing,
    },
    /// Two images are deployed to it, as a stack names it.
    Claimed {
        /// The function.
        function: String,
        /// The other image.
        #[schemars(with = "String")]
        other: ImageName,
    },
}
