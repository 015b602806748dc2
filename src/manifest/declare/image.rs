//! An image, a base, a variant, or the defaults: they take the same keys.

use indexmap::IndexMap;
use schemars::JsonSchema;

use super::deploy::DeployDecl;
use super::forms::{DurationText, EntitlementText, Glob, OneOrMany, Path, Scalar, Template};
use super::matrix::MatrixDecl;
use super::push::PushDecl;

/// An image, a base, a variant, or the defaults. Later levels win: defaults, variant, image, profile, `--set`.
#[derive(JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct ImageDecl {
    /// Expand this declaration to many images; then `name` is obligatory.
    #[serde(default)]
    pub matrix: Option<MatrixDecl>,
    /// The name of the image; the key of the declaration unless given.
    #[serde(default)]
    #[schemars(extend("examples" = ["{{matrix.name}}"]))]
    pub name: Option<Scalar>,
    /// The variant that this image is made by.
    #[serde(default)]
    pub variant: Option<Scalar>,
    /// Groups that the image belongs to, besides the key of its declaration; `--only` takes them.
    #[serde(default)]
    pub groups: OneOrMany<Scalar>,
    /// The Dockerfile; `<context>/Dockerfile` unless given.
    #[serde(default)]
    pub dockerfile: Option<Path>,
    /// Docker's build context: a folder (`.` unless given), or one put together from parts.
    #[serde(default)]
    pub context: Option<ContextForm>,
    /// Named contexts for `FROM` and `COPY --from`.
    #[serde(default)]
    pub contexts: IndexMap<String, NamedContextForm>,
    /// The stage to build; the last one unless given, and with `""`.
    #[serde(default)]
    pub target: Option<Scalar>,
    /// The platforms to build for; that of this machine unless given.
    #[serde(default)]
    #[schemars(extend("examples" = [["linux/arm64"]]))]
    pub platforms: OneOrMany<Scalar>,
    /// Build args.
    #[serde(default)]
    pub args: IndexMap<String, ArgForm>,
    /// Files with `NAME=value` lines; `args` of the same level win over them.
    #[serde(default)]
    pub args_file: OneOrMany<Path>,
    /// Labels of the image.
    #[serde(default)]
    pub labels: IndexMap<String, LabelForm>,
    /// Annotations; a key may begin with `index:` or `manifest:`.
    #[serde(default)]
    pub annotations: IndexMap<String, Scalar>,
    /// Secrets by id: where the value comes from. Values never enter keys, plans, records, logs or events.
    #[serde(default)]
    pub secrets: IndexMap<String, SecretForm>,
    /// SSH agents or keys by id. A list of ids uses the agent.
    #[serde(default)]
    pub ssh: Option<SshForm>,
    /// What steps of the build may do beyond the usual: `network.host` for `RUN --network=host`, `security.insecure` for
    /// `RUN --security=insecure`, `device` or `device=NAME` for `RUN --device`. The builder must allow it too.
    #[serde(default)]
    pub allow: OneOrMany<EntitlementText>,
    /// What narrows or extends the files that count.
    #[serde(default)]
    pub inputs: Option<Template<InputsDecl>>,
    /// How file modes count: `git` (0644 or 0755, as git keeps them) or `exact`.
    #[serde(default)]
    pub modes: Option<Template<ModesWord>>,
    /// Files that something else makes. The command is never run: it is shown when the file is missing.
    #[serde(default)]
    pub generated: OneOrMany<GeneratedDecl>,
    /// Where the image is published. The first destination is the home of its key.
    #[serde(default)]
    pub push: OneOrMany<Template<PushDecl>>,
    /// What runs the image.
    #[serde(default)]
    pub deploy: OneOrMany<DeployDecl>,
    /// Build caches.
    #[serde(default)]
    pub cache: Option<CacheDecl>,
    /// What the built image looks like.
    #[serde(default)]
    pub output: Option<OutputDecl>,
    /// The longest that a build may take; 10m unless given.
    #[serde(default)]
    pub timeout: Option<DurationText>,
    /// The longest that a push may take; 30m unless given.
    #[serde(default)]
    pub push_timeout: Option<DurationText>,
    /// What the build counts against `--jobs`; 1 unless given.
    #[serde(default)]
    pub weight: Option<Template<std::num::NonZeroU32>>,
    /// Rebuild after this time though nothing changed (`orchestrate update` raises it).
    #[serde(default)]
    pub rebuild_every: Option<DurationText>,
    /// A command that must accept the image before anything follows it: tags, functions, `orchestrate tag`.
    #[serde(default)]
    pub verify: Option<CommandForm>,
    /// Private bases whose layers this public image may show.
    #[serde(default)]
    pub discloses: OneOrMany<Scalar>,
    /// `published`: take bases from what is published instead of building them (pinned in deploy.lock).
    #[serde(default)]
    pub parents: Option<Template<ParentsWord>>,
    /// Who builds: `auto` (the Dockerfile decides), `buildkit` or `assemble`.
    #[serde(default)]
    pub executor: Option<Template<ExecutorWord>>,
    /// References that look like images of this file but are meant to come from outside.
    #[serde(default)]
    pub outside: OneOrMany<Scalar>,
}

/// A build arg.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ArgForm {
    /// Its value.
    Short(Scalar),
    /// Its value and what is special about it.
    Full(ArgDecl),
}

/// A build arg with its particulars.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArgDecl {
    /// The value.
    #[serde(default)]
    pub value: Option<Scalar>,
    /// Passed to the build, kept out of the key.
    #[serde(default)]
    pub volatile: Option<Template<bool>>,
    /// Never shown; refused for images with a public destination.
    #[serde(default)]
    pub sensitive: Option<Template<bool>>,
    /// Whether some level, or `--set args.NAME=value`, must give a value.
    #[serde(default)]
    pub required: Option<Template<bool>>,
    /// Values that differ by platform; they win over `value`.
    #[serde(default)]
    pub per_platform: IndexMap<String, Scalar>,
}

/// A label.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum LabelForm {
    /// Its value.
    Short(Scalar),
    /// Its value and whether it counts.
    Full(LabelDecl),
}

/// A label with its particulars.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelDecl {
    /// The value.
    pub value: Scalar,
    /// Kept out of the key: an unchanged image keeps the value that it was built with.
    #[serde(default)]
    pub volatile: Option<Template<bool>>,
}

/// Docker's build context.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ContextForm {
    /// A folder.
    Folder(Path),
    /// Put together from parts of the repository.
    Assembled(ContextDecl),
}

/// A context that is put together. The root's `.dockerignore` does not apply; `<Dockerfile>.dockerignore` and `inputs` do.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextDecl {
    /// The parts.
    pub paths: OneOrMany<ContextPartForm>,
}

/// A part of an assembled context.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ContextPartForm {
    /// A file or folder that keeps its place.
    Short(Path),
    /// A file or folder with its particulars.
    Full(ContextPartDecl),
}

/// A part of an assembled context, with its particulars.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextPartDecl {
    /// A file or folder.
    pub from: Path,
    /// Where it stands in the context; the same place unless given.
    #[serde(default)]
    pub to: Option<Path>,
    /// Take only what matches one of these, below `from`.
    #[serde(default)]
    pub only: OneOrMany<Glob>,
}

/// A named context: a folder, `docker-image://REFERENCE`, `{{ref 'NAME'}}`, or an image of this file.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum NamedContextForm {
    /// A folder, `docker-image://REFERENCE` or `{{ref 'NAME'}}`.
    Short(Path),
    /// An image of this file.
    Image(ImageReference),
}

/// An image of this file.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageReference {
    /// Its name.
    pub image: Scalar,
}

/// Where a secret comes from.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum SecretForm {
    /// A file.
    File(Path),
    /// A file or an environment variable.
    Full(SecretDecl),
}

/// Where a secret comes from: exactly one of the two.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretDecl {
    /// A file.
    #[serde(default)]
    pub file: Option<Path>,
    /// An environment variable.
    #[serde(default)]
    pub env: Option<Scalar>,
}

/// SSH agents or keys.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum SshForm {
    /// The id of the agent.
    One(Scalar),
    /// Ids of the agent.
    Ids(Vec<Scalar>),
    /// Sources by id: `default` for the agent, else the path of a socket or a key.
    Sources(IndexMap<String, Scalar>),
}

/// What narrows or extends the files that are hashed and sent.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputsDecl {
    /// Keep only what matches one of these.
    #[serde(default)]
    pub include: OneOrMany<Glob>,
    /// Drop what matches one of these.
    #[serde(default)]
    pub exclude: OneOrMany<Glob>,
    /// These count too, though the build does not see them.
    #[serde(default)]
    pub extra: OneOrMany<Glob>,
    /// A Go package: Go files that it does not import, however far away, do not count.
    #[serde(default)]
    pub go: Option<GoForm>,
    /// A Cargo package (its folder or its name): Rust files of packages that it does not depend on do not count.
    #[serde(default)]
    pub cargo: OneOrMany<Path>,
    /// An npm, pnpm or yarn workspace (its folder or its name): JavaScript and TypeScript files of workspaces that it does not
    /// depend on do not count.
    #[serde(default)]
    pub npm: OneOrMany<Path>,
    /// A Python project (its folder or its name): Python files of projects that it does not depend on do not count.
    #[serde(default)]
    pub python: OneOrMany<Path>,
}

/// Go packages.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum GoForm {
    /// The folder of a package, or several; `./cmd/...` is all below.
    Packages(OneOrMany<Path>),
    /// Packages and the flags with which they are built.
    Full(GoDecl),
}

/// Go packages and the flags with which they are built.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoDecl {
    /// The folder of a package, or several; `./cmd/...` is all below.
    #[serde(default)]
    pub package: OneOrMany<Path>,
    /// The tags of `go build -tags`. If they are not given, files count with any tag and without it.
    #[serde(default)]
    pub tags: OneOrMany<Scalar>,
    /// Whether cgo is on (`CGO_ENABLED`). If it is not given, files count for both.
    #[serde(default)]
    pub cgo: Option<Template<bool>>,
}

/// A file that something else makes.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeneratedDecl {
    /// The file or folder.
    pub path: Path,
    /// The command that makes it.
    #[schemars(extend("examples" = ["make proto"]))]
    pub by: Scalar,
}

/// Build caches, in BuildKit's form.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheDecl {
    /// Where to read: `type=registry,ref=...`, or a reference.
    #[serde(default)]
    pub from: OneOrMany<Scalar>,
    /// Where to write.
    #[serde(default)]
    pub to: OneOrMany<Scalar>,
}

/// What the built image looks like. The default is what AWS Lambda takes.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputDecl {
    /// The compression of layers; `gzip` unless given.
    #[serde(default)]
    pub compression: Option<Template<CompressionWord>>,
    /// The level of the compression.
    #[serde(default)]
    pub level: Option<Template<i32>>,
    /// Attach a software bill of materials; off unless given.
    #[serde(default)]
    pub sbom: Option<Template<bool>>,
    /// Attach provenance; off unless given. It changes the digest with every build.
    #[serde(default)]
    pub provenance: Option<Template<bool>>,
}

/// A command, as one text or as a list of words.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum CommandForm {
    /// Split as a shell splits words; no shell runs it.
    Text(Scalar),
    /// Word by word.
    Words(Vec<Scalar>),
}

words! {
    /// How file modes count.
    ModesWord {
        /// 0644 or 0755 by the owner's x bit, folders 0755.
        Git,
        /// As on disk.
        Exact,
    }
}
words! {
    /// Where bases come from.
    ParentsWord {
        /// Built here, where they are images of this file.
        Built,
        /// What is published, pinned in deploy.lock.
        Published,
    }
}
words! {
    /// Who builds.
    ExecutorWord {
        /// The Dockerfile decides: the embedded builder where no reachable stage needs RUN.
        Auto,
        /// Always BuildKit.
        Buildkit,
        /// Always the embedded builder.
        Assemble,
    }
}
words! {
    /// The compression of layers.
    CompressionWord {
        /// What every runtime takes.
        Gzip,
        /// Faster and smaller; not taken by Lambda.
        Zstd,
        /// None.
        Uncompressed,
    }
}
