//! `registries:`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::forms::{DurationText, OneOrMany, Path, Scalar, Template};

/// A place where images are published.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryDecl {
    /// What it is. Each kind has keys of its own.
    pub kind: Kind,
    /// `ecr`: the AWS region.
    #[serde(default)]
    pub region: Option<Scalar>,
    /// `ecr`: the 12 digits of the account; asked of STS unless given.
    #[serde(default)]
    pub account: Option<Scalar>,
    /// `ecr`: the account is not that of the credentials; its repositories let us in by their policies.
    #[serde(default)]
    pub cross_account: Option<Template<bool>>,
    /// `ecr`, `ecr-public`: a profile of `~/.aws/config` to be there, in place of the one in force.
    #[serde(default)]
    pub profile: Option<Scalar>,
    /// `ecr`, `ecr-public`: the ARN of a role to assume there.
    #[serde(default)]
    pub role: Option<Scalar>,
    /// `ecr`, `ecr-public`: create repositories that are missing; `true`, or how.
    #[serde(default)]
    pub create: Option<CreateForm>,
    /// `ecr-public`: the alias of the registry in `public.ecr.aws/<alias>`.
    #[serde(default)]
    pub alias: Option<Scalar>,
    /// `oci`: the address, with `http://` or `https://`, a port and a prefix of repositories where needed.
    /// `ecr`, `ecr-public`: another address for the traffic (tests, proxies).
    #[serde(default)]
    #[schemars(extend("examples" = ["http://127.0.0.1:5000", "https://ghcr.io/acme"]))]
    pub url: Option<Scalar>,
    /// `layout`: the folder that holds the OCI image layouts.
    #[serde(default)]
    pub path: Option<Path>,
    /// Whether everybody can read it: `ecr-public` always is, others are not unless this says so.
    #[serde(default)]
    pub public: Option<Template<bool>>,
    /// What `orchestrate prune` keeps.
    #[serde(default)]
    pub retain: Option<RetainDecl>,
    /// What a GB costs each month (`orchestrate sizes`).
    #[serde(default)]
    pub price: Option<Scalar>,
    /// Digests or references that `orchestrate prune` never touches.
    #[serde(default)]
    pub in_use_by: OneOrMany<Scalar>,
    /// Which of two runs may move a tag where history does not tell which commit is newer.
    #[serde(default)]
    pub order: Option<OrderForm>,
}

/// Which of two runs may move a tag or deploy to a function. A descendant always may, an ancestor never.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum OrderForm {
    /// `history`: what history does not tell is refused.
    Short(Template<OrderWord>),
    /// Commit times decide within a branch, and one branch takes from any other.
    Full(OrderDecl),
}

words! {
    /// What puts runs in order.
    OrderWord {
        /// History alone.
        History,
    }
}

/// Commit times decide within a branch, and one branch takes from any other.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderDecl {
    /// The branch that takes from any other; the repository's default branch unless given.
    pub branch: Scalar,
}

/// The kinds of registries.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Amazon ECR, private.
    Ecr,
    /// Amazon ECR Public: always us-east-1, its own login.
    EcrPublic,
    /// Any registry that speaks the OCI distribution protocol.
    Oci,
    /// A folder with OCI image layouts: no server.
    Layout,
    /// The local Docker daemon.
    Docker,
}

/// Whether and how missing repositories are created.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum CreateForm {
    /// Whether.
    Short(bool),
    /// How.
    Full(CreateDecl),
}

/// How missing repositories are created.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDecl {
    /// Scan each image when it is pushed.
    #[serde(default)]
    pub scan_on_push: Option<Template<bool>>,
    /// `ecr`: refuse to move tags; `except` names those that move all the same.
    #[serde(default)]
    pub immutable: Option<ImmutableForm>,
    /// `ecr`: `AES256` (the default), `KMS`, or the ARN of a key.
    #[serde(default)]
    pub encryption: Option<Scalar>,
    /// The repositories' own tags.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, Scalar>>,
    /// `ecr`: accounts that may pull too, and their functions.
    #[serde(default)]
    pub allow: OneOrMany<Scalar>,
    /// `ecr-public`: what the gallery shows, in a line.
    #[serde(default)]
    pub description: Option<Scalar>,
    /// `ecr-public`: what the gallery shows, as Markdown.
    #[serde(default)]
    pub about: Option<Scalar>,
    /// `ecr-public`: how to use it, as Markdown.
    #[serde(default)]
    pub usage: Option<Scalar>,
}

/// Whether tags move.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ImmutableForm {
    /// Whether.
    Short(Template<bool>),
    /// All but some.
    Full(ImmutableDecl),
}

/// Tags do not move, but for some.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImmutableDecl {
    /// Tags that move all the same; `*` stands for any text.
    pub except: OneOrMany<Scalar>,
}

/// What `orchestrate prune` keeps.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetainDecl {
    /// The newest images of each tag pattern that stay.
    #[serde(default)]
    pub commits: Option<Template<u32>>,
    /// Days after which an image without a tag goes.
    #[serde(default)]
    pub untagged_days: Option<Template<u32>>,
    /// Whatever is younger stays.
    #[serde(default)]
    pub min_age: Option<DurationText>,
}
