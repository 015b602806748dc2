//! What runs an image once it is published.

use std::collections::BTreeMap;

use super::{AwsLogin, Order};
use crate::platform::Platform;

/// Something that runs an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// What it is.
    pub runner: Runner,
    /// The AWS region that it runs in.
    pub region: String,
    /// The destination that it takes the image from: the first of `kind: ecr` in its region, of its own account where there is one.
    pub source: usize,
    /// Where it is, if the manifest says so; else it is where the registry of that destination is.
    pub elsewhere: Option<Elsewhere>,
    /// How runs that deploy to it are put in order; that of the destination unless given.
    pub order: Option<Order>,
}

/// Another account than that of the registry, or another way to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Who we are there.
    pub login: AwsLogin,
    /// The account's 12 digits.
    pub account: String,
}

impl Deployment {
    /// As a person would say it where the names are not known.
    pub fn described(&self) -> String {
        match &self.runner {
            Runner::Lambda(lambda) => lambda.functions.described(),
            Runner::AgentCore(runtime) => runtime.clone(),
        }
    }

    /// How a function is made that is not there.
    pub const fn creates(&self) -> Option<&CreateFunction> {
        match &self.runner {
            Runner::Lambda(lambda) => lambda.create.as_ref(),
            Runner::AgentCore(_) => None,
        }
    }
}

/// The kinds of things that run images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// AWS Lambda functions.
    Lambda(Lambda),
    /// An Amazon Bedrock AgentCore runtime, by name or id.
    AgentCore(String),
}

/// Lambda functions that run one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lambda {
    /// Which.
    pub functions: Functions,
    /// Publish a version whenever the code changes.
    pub publish: bool,
    /// The alias that points at the version; where there is one, it is what callers run.
    pub alias: Option<String>,
    /// How a function that is not there is made.
    pub create: Option<CreateFunction>,
}

/// How functions are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Functions {
    /// By their names.
    Named(Vec<String>),
    /// By an output of a CloudFormation stack: the name of one function, or its ARN.
    Output {
        /// The stack.
        stack: String,
        /// The key of the output.
        output: String,
    },
    /// By their logical names in a CloudFormation stack; `*` and `?` stand for what CDK makes up.
    Logical {
        /// The stack.
        stack: String,
        /// The pattern.
        logical: String,
    },
}

impl Functions {
    /// As a person would say it where the names are not known: `stack media, resource APICrudLambda*`.
    pub fn described(&self) -> String {
        match self {
            Self::Named(names) => names.join(", "),
            Self::Output { stack, output } => format!("stack {stack}, output {output}"),
            Self::Logical { stack, logical } => format!("stack {stack}, resource {logical}"),
        }
    }
}

/// How a function that is not there is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateFunction {
    /// The ARN of its role; one with the basic execution policy is made unless given.
    pub role: Option<String>,
    /// Memory in MB.
    pub memory: Option<i32>,
    /// The longest that a call may take, in seconds.
    pub timeout: Option<i32>,
    /// The architecture, one of the image's.
    pub architecture: Architecture,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Where everybody may call it, if anywhere.
    pub address: Option<FunctionAddress>,
}

/// What gives a function an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionAddress {
    /// A URL of its own.
    Url,
    /// An HTTP API of Amazon API Gateway in front of it.
    HttpApi,
}

/// An architecture that Lambda runs.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum Architecture {
    /// `x86_64`, which is Lambda's own default.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// `arm64`.
    #[serde(rename = "arm64")]
    Arm64,
}

impl Architecture {
    /// Both.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// In Lambda's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture that Lambda calls so.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Whether an image for this platform runs on it.
    pub fn runs(self, platform: &Platform) -> bool {
        let words = match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        };
        platform.os == "linux" && platform.architecture == words && platform.variant.is_empty()
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
