//! What a person may write in `deploy.yaml`.
//!
//! These types are the one source of truth for the form of the manifest: their JSON Schema is what editors use
//! (`schema/deploy.schema.json`) and what the parser checks a file against, so the two cannot drift. They are never filled:
//! values stay in positioned nodes until overlays, defaults and templates have been applied, and become a [`crate::project::Project`].
//! A doc comment is the description that an editor shows.

/// An enumeration of words, each with its description.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident,)* }) => {
        $(#[$doc])*
        #[derive(JsonSchema)]
        #[schemars(inline)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$word_doc])* $word,)* }
    };
}

mod deploy;
mod forms;
mod image;
mod matrix;
mod push;
mod registry;

use indexmap::IndexMap;
use schemars::JsonSchema;

pub use deploy::{
    AgentCoreDecl, AgentCoreForm, CreateFunctionDecl, CreateFunctionForm, DeployDecl, LambdaDecl, LambdaForm,
};
pub use forms::{DurationText, EntitlementText, Glob, OneOrMany, Path, Scalar, Template, Value, Version};
pub use image::{
    ArgDecl, ArgForm, CacheDecl, CommandForm, ContextDecl, ContextForm, ContextPartDecl, ContextPartForm,
    GeneratedDecl, GoDecl, GoForm, ImageDecl, ImageReference, InputsDecl, LabelDecl, LabelForm, NamedContextForm,
    OutputDecl, SecretDecl, SecretForm, SshForm,
};
pub use matrix::{AxisForm, GlobAxis, MatrixDecl};
pub use push::{PushDecl, TagDecl, TagForm};
pub use registry::{CreateDecl, CreateForm, RegistryDecl, RetainDecl};

/// What one repository builds, where it goes, and who runs it.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of this format.
    pub version: Version,
    /// The name of the project; `{{project}}` in templates.
    pub project: Scalar,
    /// Where images are published. If none is declared, they go to an OCI image layout in `.orchestrate/images`.
    #[serde(default)]
    pub registries: IndexMap<String, RegistryDecl>,
    /// What every image and base has unless it says otherwise.
    #[serde(default)]
    pub defaults: ImageDecl,
    /// Images that other images build on. They are built only if something asks for them; they may be pushed.
    #[serde(default)]
    pub bases: IndexMap<String, ImageDecl>,
    /// Recipes that images share (`variant: light`): Dockerfile, stage, context, args.
    #[serde(default)]
    pub variants: IndexMap<String, ImageDecl>,
    /// The images. A key is the image's name or, with `matrix`, the name of a group of images.
    #[serde(default)]
    pub images: IndexMap<String, ImageDecl>,
    /// Values that the command line may set with `--set NAME=VALUE`; `{{vars.NAME}}` in templates.
    #[serde(default)]
    pub vars: IndexMap<String, VarForm>,
    /// Environment variables that templates may read as `{{env.NAME}}`. No other is visible.
    #[serde(default)]
    pub env: OneOrMany<Scalar>,
    /// Overlays chosen with `--profile NAME`: any part of this file. Maps merge by key, lists replace, `null` deletes.
    #[serde(default)]
    pub profiles: IndexMap<String, ProfileDecl>,
    /// References that look like images of this file but are meant to come from outside.
    #[serde(default)]
    pub outside: OneOrMany<Scalar>,
    /// What a GB costs each month where a registry does not say (`orchestrate sizes`).
    #[serde(default)]
    pub price: Option<Scalar>,
    /// Digests or references that `orchestrate prune` never touches.
    #[serde(default)]
    pub in_use_by: OneOrMany<Scalar>,
}

/// A part of the file that `--profile` lays over it. Maps merge by key, lists replace, `null` deletes.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileDecl {
    /// The name of the project in this profile.
    #[serde(default)]
    pub project: Option<Scalar>,
    /// Registries of this profile.
    #[serde(default)]
    pub registries: IndexMap<String, RegistryDecl>,
    /// Defaults of this profile; they still apply last.
    #[serde(default)]
    pub defaults: ImageDecl,
    /// Bases of this profile.
    #[serde(default)]
    pub bases: IndexMap<String, ImageDecl>,
    /// Variants of this profile.
    #[serde(default)]
    pub variants: IndexMap<String, ImageDecl>,
    /// Images of this profile.
    #[serde(default)]
    pub images: IndexMap<String, ImageDecl>,
    /// Vars of this profile.
    #[serde(default)]
    pub vars: IndexMap<String, VarForm>,
    /// Environment variables that templates may read in this profile.
    #[serde(default)]
    pub env: OneOrMany<Scalar>,
    /// References that are meant to come from outside.
    #[serde(default)]
    pub outside: OneOrMany<Scalar>,
    /// What a GB costs each month.
    #[serde(default)]
    pub price: Option<Scalar>,
    /// Digests or references that `orchestrate prune` never touches.
    #[serde(default)]
    pub in_use_by: OneOrMany<Scalar>,
}

/// A value for templates.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum VarForm {
    /// The value itself.
    Short(Scalar),
    /// A list of values.
    List(Vec<Value>),
    /// A value with rules.
    Full(VarDecl),
}

/// A value for templates, with rules.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VarDecl {
    /// The value unless something else gives one.
    #[serde(default)]
    pub default: Option<Value>,
    /// The only values that it may have.
    #[serde(default)]
    pub one_of: Vec<Scalar>,
    /// The environment variable that gives the value, if it is set.
    #[serde(default)]
    pub env: Option<Scalar>,
    /// Whether something must give a value.
    #[serde(default)]
    pub required: Option<bool>,
    /// A file whose text, without the last line break, is the value.
    #[serde(default)]
    pub file: Option<Path>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<Scalar>,
}
