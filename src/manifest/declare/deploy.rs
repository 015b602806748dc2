//! `deploy:`.

use indexmap::IndexMap;
use schemars::JsonSchema;

use super::forms::{DurationText, OneOrMany, Scalar, Template};
use super::registry::OrderForm;

/// Something that runs the image: one of `lambda` and `agentcore`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployDecl {
    /// AWS Lambda functions; they take images from the private ECR of their region alone.
    #[serde(default)]
    pub lambda: Option<LambdaForm>,
    /// An Amazon Bedrock AgentCore runtime; it takes images for linux/arm64 from the private ECR.
    #[serde(default)]
    pub agentcore: Option<AgentCoreForm>,
}

/// Lambda functions.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum LambdaForm {
    /// The name of one.
    Short(Scalar),
    /// Which, and how.
    Full(LambdaDecl),
}

/// Lambda functions: which, and how they are deployed. One of `function`, `functions` and `stack` says which.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LambdaDecl {
    /// The name of the function.
    #[serde(default)]
    pub function: Option<Scalar>,
    /// The names of several functions.
    #[serde(default)]
    pub functions: OneOrMany<Scalar>,
    /// A CloudFormation stack that knows the names: with `output` or `logical`.
    #[serde(default)]
    pub stack: Option<Scalar>,
    /// The output of the stack that holds the function's name or ARN.
    #[serde(default)]
    pub output: Option<Scalar>,
    /// The logical name of the function in the stack; `*` and `?` stand for what CDK adds, and it may fit several.
    #[serde(default)]
    #[schemars(extend("examples" = ["APICrudLambda*"]))]
    pub logical: Option<Scalar>,
    /// The region; that of the image's first destination of `kind: ecr` unless given.
    #[serde(default)]
    pub region: Option<Scalar>,
    /// The 12 digits of its account, where that is another than the registry's.
    #[serde(default)]
    pub account: Option<Scalar>,
    /// A profile of `~/.aws/config` of that account, in place of the credentials in force.
    #[serde(default)]
    pub profile: Option<Scalar>,
    /// The ARN of a role of that account, to assume there.
    #[serde(default)]
    pub role: Option<Scalar>,
    /// Publish a version whenever the code changes.
    #[serde(default)]
    pub publish: Option<Template<bool>>,
    /// The alias that is moved to the version that is published.
    #[serde(default)]
    pub alias: Option<Scalar>,
    /// Make the function if it is not there; `true`, or how.
    #[serde(default)]
    pub create: Option<CreateFunctionForm>,
    /// Which of two runs may deploy where history does not tell which commit is newer; as at the destination unless given.
    #[serde(default)]
    pub order: Option<OrderForm>,
}

/// Whether and how a function that is not there is made.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum CreateFunctionForm {
    /// Whether.
    Short(bool),
    /// How.
    Full(CreateFunctionDecl),
}

/// How a function that is not there is made. Nothing here changes a function that is there.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFunctionDecl {
    /// The ARN of its role; unless given, a role of its own is made with the basic execution policy (it may write logs).
    #[serde(default)]
    pub role: Option<Scalar>,
    /// Memory in MB, 128 to 10240; 128 unless given.
    #[serde(default)]
    pub memory: Option<Template<u32>>,
    /// The longest that a call may take, up to 15m; 3s unless given.
    #[serde(default)]
    pub timeout: Option<DurationText>,
    /// The architecture; that of the image unless given.
    #[serde(default)]
    pub architecture: Option<Template<ArchitectureWord>>,
    /// Environment variables. They can be read by whoever may read the function: no place for secrets.
    #[serde(default)]
    pub env: IndexMap<String, Scalar>,
    /// Let everybody call it at a URL of its own, which `apply` prints.
    #[serde(default)]
    pub url: Option<Template<bool>>,
    /// Put an HTTP API of API Gateway in front of it, which everybody may call at the address that `apply` prints; not together with `url`.
    #[serde(default)]
    pub http_api: Option<Template<bool>>,
}

/// An AgentCore runtime.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum AgentCoreForm {
    /// Its name or id.
    Short(Scalar),
    /// Its name or id, and its region.
    Full(AgentCoreDecl),
}

/// An AgentCore runtime with its region.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentCoreDecl {
    /// Its name or id.
    pub runtime: Scalar,
    /// The region; that of the image's first destination of `kind: ecr` unless given.
    #[serde(default)]
    pub region: Option<Scalar>,
    /// Which of two runs may deploy where history does not tell which commit is newer; as at the destination unless given.
    #[serde(default)]
    pub order: Option<OrderForm>,
}

/// An architecture that Lambda runs.
#[derive(JsonSchema)]
#[schemars(inline)]
pub enum ArchitectureWord {
    /// 64-bit ARM (Graviton): images for linux/arm64.
    #[serde(rename = "arm64")]
    Arm64,
    /// 64-bit x86: images for linux/amd64.
    #[serde(rename = "x86_64")]
    X86,
}
