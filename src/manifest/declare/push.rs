//! `push:`.

use schemars::JsonSchema;

use super::forms::{OneOrMany, Scalar, Template};
use super::registry::{OrderForm, RetainDecl};

/// A repository that the image is published to.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushDecl {
    /// The registry, by its name under `registries`; the only one unless given.
    #[serde(default)]
    pub registry: Option<Scalar>,
    /// The repository below the registry's host; the name of the image unless given.
    #[serde(default)]
    pub repository: Option<Scalar>,
    /// Tags besides the key. A template may give several, split at blanks; `[]` publishes the key alone.
    #[serde(default)]
    #[schemars(extend("examples" = [["{{name}}-{{git.short}}", "{{name}}-latest"]]))]
    pub tags: OneOrMany<TagForm>,
    /// Publish here only if this is neither empty nor `false`.
    #[serde(default)]
    pub when: Option<Scalar>,
    /// What `orchestrate prune` keeps here.
    #[serde(default)]
    pub retain: Option<RetainDecl>,
    /// What a GB costs here each month (`orchestrate sizes`).
    #[serde(default)]
    pub price: Option<Scalar>,
    /// Digests or tags that `orchestrate prune` never touches here.
    #[serde(default)]
    pub in_use_by: OneOrMany<Scalar>,
    /// Which of two runs may move a tag here where history does not tell which commit is newer.
    #[serde(default)]
    pub order: Option<OrderForm>,
}

/// A tag.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum TagForm {
    /// Its template.
    Short(Scalar),
    /// Its template and its rules.
    Full(TagDecl),
}

/// A tag with its rules.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagDecl {
    /// The template.
    pub tag: Scalar,
    /// Give this tag only if this is neither empty nor `false`.
    #[serde(default)]
    pub when: Option<Scalar>,
    /// `change`: only where the image changed; `commit` (the default): for each commit.
    #[serde(default)]
    pub on: Option<Template<OnWord>>,
    /// The registry refuses to move it.
    #[serde(default)]
    pub immutable: Option<Template<bool>>,
}

words! {
    /// When a tag is given.
    OnWord {
        /// Only where the image changed.
        Change,
        /// For each commit.
        Commit,
    }
}
