//! The resolved model: what a manifest means after overlays, defaults, matrices and templates.
//!
//! Plain data. No template, no glob of names and no value that means "inherit" is left, with two exceptions that are typed:
//! a [`Text`] may name an image whose digest is known only after it is built, and a [`TagText`] may use the key.
//! Places in the manifest stay with the values, so that later stages can underline them.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use crate::name::{ImageName, RegistryName};
use crate::platform::Platform;
use crate::problem::{Location, Source};

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

/// A place where images live.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Its name in the manifest.
    pub name: RegistryName,
    /// What it is.
    pub kind: RegistryKind,
    /// Whether everybody can read it.
    pub public: bool,
    /// What `prune` spares and what `sizes` counts there.
    pub keep: Keep,
    /// Where it is declared.
    pub location: Location,
}

/// The kinds of registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryKind {
    /// Amazon ECR. The host is `<account>.dkr.ecr.<region>.amazonaws.com`, unless `url` overrides where it is spoken to.
    Ecr {
        /// The AWS region.
        region: String,
        /// The account's 12 digits; asked of STS unless given.
        account: Option<String>,
        /// Whether missing repositories are created, and whether they scan on push.
        create: Option<CreateRepository>,
        /// Another address for the data plane (tests, proxies).
        url: Option<String>,
    },
    /// Amazon ECR Public: `public.ecr.aws/<alias>`.
    EcrPublic {
        /// The registry's alias.
        alias: String,
        /// Another address for the data plane (tests, proxies).
        url: Option<String>,
    },
    /// Any registry that speaks the OCI distribution protocol.
    Oci {
        /// `http` or `https`.
        scheme: String,
        /// The host with its port.
        host: String,
        /// What stands before each repository; empty or without slashes at its ends.
        prefix: String,
    },
    /// An OCI image layout on disk, one folder for each repository below `path`.
    Layout {
        /// Relative to the root, or absolute.
        path: String,
    },
    /// The local Docker daemon's store.
    Docker,
}

/// How missing repositories are created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateRepository {
    /// Scan each image when it is pushed.
    pub scan_on_push: bool,
    /// Refuse to move tags.
    pub immutable: bool,
}

impl Registry {
    /// `host/prefix` that repositories of this registry have in references; `None` where it has no host (layout, docker)
    /// or where the account is not known yet.
    pub fn reference_prefix(&self) -> Option<String> {
        match &self.kind {
            RegistryKind::Ecr { region, account, .. } => {
                account.as_ref().map(|account| format!("{account}.dkr.ecr.{region}.amazonaws.com"))
            }
            RegistryKind::EcrPublic { alias, .. } => Some(format!("public.ecr.aws/{alias}")),
            RegistryKind::Oci { host, prefix, .. } if prefix.is_empty() => Some(host.clone()),
            RegistryKind::Oci { host, prefix, .. } => Some(format!("{host}/{prefix}")),
            RegistryKind::Layout { .. } | RegistryKind::Docker => None,
        }
    }
}

/// Whether an image was declared under `bases:` or under `images:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Built only if something asks for it.
    Base,
    /// Built whenever it is selected.
    Image,
}

/// One image, ready to be fingerprinted and built.
#[derive(Clone, Debug)]
pub struct Image {
    /// Unique among images and bases.
    pub name: ImageName,
    /// Base or image.
    pub role: Role,
    /// The groups that it belongs to: the key of its declaration, and `groups:`.
    pub groups: Vec<String>,
    /// The variant, if one is used.
    pub variant: Option<String>,
    /// The Dockerfile, relative to the root (may begin with `../`).
    pub dockerfile: Located<String>,
    /// Docker's build context.
    pub context: Located<Context>,
    /// Named contexts, by name. A name may be a reference (`docker.io/library/alpine`), as Docker allows.
    pub contexts: BTreeMap<String, Located<NamedContext>>,
    /// The stage to build; the last one if `None`.
    pub target: Option<Located<String>>,
    /// At least one, sorted, each once.
    pub platforms: Vec<Platform>,
    /// Build args, by name.
    pub args: BTreeMap<String, Arg>,
    /// Labels of the image.
    pub labels: BTreeMap<String, Label>,
    /// Annotations; keys may have BuildKit's prefixes `index:` and `manifest:`.
    pub annotations: BTreeMap<String, String>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Secret>,
    /// SSH agents or keys by id: the source (`default` means the agent of `SSH_AUTH_SOCK`).
    pub ssh: BTreeMap<String, String>,
    /// What narrows or extends the inputs.
    pub inputs: Inputs,
    /// Whether real modes count, or git's.
    pub modes: Modes,
    /// Files that something else makes.
    pub generated: Vec<Located<Generated>>,
    /// Where it is published; the first is the key's home.
    pub destinations: Vec<Destination>,
    /// The functions that run it.
    pub deploy: Vec<Located<Deployment>>,
    /// Build caches to read and write, in BuildKit's attributes.
    pub cache: Cache,
    /// What the result looks like.
    pub output: Output,
    /// The longest that a build may take.
    pub timeout: Duration,
    /// The longest that a push may take.
    pub push_timeout: Duration,
    /// What it counts against `--jobs`; at least 1.
    pub weight: u32,
    /// How often it is rebuilt though nothing changed.
    pub rebuild_every: Option<Located<Duration>>,
    /// A command that must accept the digest before any tag moves.
    pub verify: Option<Located<Vec<String>>>,
    /// Private bases whose layers this public image may show.
    pub discloses: Vec<Located<String>>,
    /// References that are meant to come from outside although they look like images of this project.
    pub outside: Vec<Located<String>>,
    /// Take bases from what is published instead of building them.
    pub parents_published: bool,
    /// Who builds it.
    pub executor: ExecutorChoice,
    /// The place of its declaration (its name or key).
    pub location: Location,
}

/// Text in which images of the manifest may be named.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Text(pub Vec<TextPart>);

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPart {
    /// Text as it stands.
    Literal(String),
    /// `{{ref 'x'}}`: in the key the key of x, in the build `repository@digest`.
    Image(ImageName),
}

impl Text {
    /// Text that names no image.
    pub fn literal(text: impl Into<String>) -> Self {
        Self(vec![TextPart::Literal(text.into())])
    }

    /// The images that it names.
    pub fn images(&self) -> impl Iterator<Item = &ImageName> {
        self.0.iter().filter_map(|part| match part {
            TextPart::Image(name) => Some(name),
            TextPart::Literal(_) => None,
        })
    }

    /// The text with each image replaced by what `of` says for it.
    pub fn render(&self, mut of: impl FnMut(&ImageName) -> String) -> String {
        self.0
            .iter()
            .map(|part| match part {
                TextPart::Literal(text) => text.clone(),
                TextPart::Image(name) => of(name),
            })
            .collect()
    }
}

/// A build arg.
#[derive(Clone, Debug)]
pub struct Arg {
    /// The value, if it is one for all platforms.
    pub value: Option<Text>,
    /// The values that differ by platform; they win over `value`.
    pub per_platform: BTreeMap<Platform, Text>,
    /// Passed to the build, kept out of the key.
    pub volatile: bool,
    /// Never shown, refused for public images.
    pub sensitive: bool,
    /// Whether it comes from `defaults:` or a variant rather than from the image itself.
    pub inherited: bool,
    /// The place of its name.
    pub location: Location,
}

impl Arg {
    /// The value on `platform`.
    pub fn on(&self, platform: &Platform) -> Option<&Text> {
        self.per_platform.get(platform).or(self.value.as_ref())
    }
}

/// A label of the image.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its value.
    pub value: String,
    /// Kept out of the key.
    pub volatile: bool,
    /// Where it stands.
    pub location: Location,
}

/// Docker's build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// A folder, relative to the root (may begin with `../`; `.` is the root).
    Folder(String),
    /// Put together from parts of the root.
    Assembled(Vec<ContextPart>),
}

/// One entry of an assembled context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextPart {
    /// File or folder, relative to the root.
    pub from: String,
    /// Where it stands in the context; the same as `from` unless given.
    pub to: String,
    /// Globs below `from`; all if empty.
    pub only: Vec<String>,
}

/// A named context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// A folder, with its own ignore file.
    Folder(String),
    /// An image of this manifest.
    Image(ImageName),
    /// `docker-image://`: an image from elsewhere.
    Outside(String),
}

/// Where a secret's value comes from. The value itself is read only when the build asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// A file, relative to the root.
    File(String),
    /// An environment variable.
    Env(String),
}

/// `inputs:`: what narrows or extends the files that are hashed and sent.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Keep only what matches one of these; all if empty.
    pub include: Vec<Located<String>>,
    /// Drop what matches one of these.
    pub exclude: Vec<Located<String>>,
    /// Hash these too (relative to the root), though the build does not see them.
    pub extra: Vec<Located<String>>,
    /// A Go package: drop the module's own Go files outside its import closure.
    pub go: Option<Located<String>>,
    /// A Cargo package of the workspace.
    pub cargo: Option<Located<String>>,
    /// An npm workspace.
    pub npm: Option<Located<String>>,
    /// A Python project folder.
    pub python: Option<Located<String>>,
}

/// How file modes enter the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Modes {
    /// 0644 or 0755 by the owner's x bit, folders 0755: what git keeps.
    #[default]
    Git,
    /// As on disk.
    Exact,
}

/// A file that something else makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Relative to the root.
    pub path: String,
    /// The command that makes it; shown when it is missing, never run.
    pub by: String,
}

/// A repository that an image is published to.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The registry.
    pub registry: RegistryName,
    /// The repository below the registry's host and prefix.
    pub repository: String,
    /// What it is called there besides its key.
    pub tags: Vec<TagRule>,
    /// What `prune` spares and what `sizes` counts there.
    pub keep: Keep,
    /// The place of the destination.
    pub location: Location,
}

/// A rule that gives tags.
#[derive(Clone, Debug)]
pub struct TagRule {
    /// What it renders to.
    pub text: TagText,
    /// Whether it uses `git.commit`, `git.short`, `git.tag` or `key`: it stands on one digest forever.
    pub fixed: bool,
    /// Whether it uses anything of `git.*` that names a commit, so that a dirty tree makes it untrue.
    pub uses_git: bool,
    /// Made only where the image changed (`on: change`).
    pub on_change: bool,
    /// The registry refuses to move it.
    pub immutable: bool,
    /// The place of the template.
    pub location: Location,
}

/// The tags of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum TagText {
    /// Known already; one rule may give several.
    Rendered(Vec<String>),
    /// Uses `key` or `published`; rendered by `manifest::render_tag` once they are known.
    Late {
        /// The template as written.
        template: String,
        /// The scope without `key` and `published`.
        scope: serde_json::Value,
    },
}

/// Something that runs an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// A Lambda function, by name.
    Lambda {
        /// The function.
        function: String,
        /// Its region; that of the image's ECR destination unless given.
        region: Option<String>,
    },
}

/// Build caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    /// Sources, in BuildKit's `type=...,key=value` form.
    pub from: Vec<String>,
    /// Sinks, in the same form.
    pub to: Vec<String>,
}

/// What the built image looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// `gzip` (default), `zstd` or `uncompressed`.
    pub compression: Compression,
    /// The compression's level, if not the default one.
    pub level: Option<i32>,
    /// Attach a software bill of materials.
    pub sbom: bool,
    /// Attach provenance.
    pub provenance: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { compression: Compression::Gzip, level: None, sbom: false, provenance: false }
    }
}

/// The compression of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// What every runtime takes.
    Gzip,
    /// Faster and smaller; not taken by Lambda.
    Zstd,
    /// None.
    Uncompressed,
}

/// Who builds an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ExecutorChoice {
    /// The embedded builder where no reachable stage needs RUN, else BuildKit.
    #[default]
    Auto,
    /// Always BuildKit.
    Buildkit,
    /// Always the embedded builder.
    Assemble,
}
