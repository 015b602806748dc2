//! What [`analyze`](super::analyze) is asked and what it answers.

use std::collections::{BTreeMap, BTreeSet};

use super::syntax::Instruction;
use crate::platform::Platform;
use crate::problem::{Location, Problems};

/// The build that a Dockerfile is looked at for.
pub struct Request<'a> {
    /// The stage to build; the last one if `None`.
    pub target: Option<&'a str>,
    /// Where the target is written, for a problem with it.
    pub target_location: Option<&'a Location>,
    /// What the image is built for.
    pub platform: &'a Platform,
    /// What it is built on (`BUILDPLATFORM`).
    pub build_platform: &'a Platform,
    /// The build args that are passed.
    pub args: &'a BTreeMap<String, String>,
    /// The names of the named contexts.
    pub contexts: &'a BTreeSet<String>,
    /// What is known of the configuration of an outside base: its reference as in [`ImageUse::text`] and its platform;
    /// for a base that is a named context, the context's name. `None` if nothing is known.
    pub base_env: &'a dyn Fn(&str, &Platform) -> Option<BaseConfig>,
}

/// The parts of a base image's configuration that reach into a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseConfig {
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// ONBUILD triggers.
    pub onbuild: Vec<String>,
    /// The working directory; empty if there is none.
    pub workdir: String,
    /// Whether it builds on an image of which the environment is not known: then more variables may have values.
    pub unknown: bool,
    /// What messages call the image; empty: its reference.
    pub title: String,
}

/// What a build would use.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// The stages that the target needs, in the order of the Dockerfile; the target is the last of them.
    pub stages: Vec<StageUse>,
    /// The args that matter, by name: those that a needed stage declares, whatever their names, and those that BuildKit obeys without a
    /// declaration (`scope::obeyed`).
    pub args: BTreeMap<String, ArgUse>,
    /// Args of the request that no needed stage declares.
    pub undeclared: BTreeMap<String, Undeclared>,
    /// The names of all args that the Dockerfile declares anywhere.
    pub declared: BTreeSet<String>,
    /// Args that a FROM of a stage reads which the target does not need. BuildKit wants their values all the same.
    pub read_by_other_from: BTreeSet<String>,
    /// Each use of an image from outside the file, in order; named contexts are not among them.
    ///
    /// A recipe names an image by its index here, so whoever hashes recipes must hash what each of these resolved to, in order.
    pub references: Vec<ImageUse>,
    /// The named contexts that are used.
    pub contexts_used: BTreeSet<String>,
    /// What is read of each context; `""` is the default one.
    pub reads: BTreeMap<String, Vec<Read>>,
    /// What ADD fetches from elsewhere.
    pub remotes: Vec<Remote>,
    /// The ids of secrets that RUN mounts, and whether the build fails without them.
    pub secrets: BTreeMap<String, bool>,
    /// The ids of SSH agents that RUN mounts, and whether the build fails without them.
    pub ssh: BTreeMap<String, bool>,
    /// What RUN does beyond the usual, in BuildKit's words (`network.host`, `security.insecure`, `device=NAME`), and where first.
    pub entitlements: BTreeMap<String, Location>,
    /// The first instruction that cannot be done without BuildKit, and a few words on why. `None`: the image can be assembled.
    pub first_run: Option<(String, Location)>,
    /// The reference of the front end, if one is named (`# syntax=`, or the build arg `BUILDKIT_SYNTAX`).
    pub syntax: Option<(String, Location)>,
    /// Whether the front end is Docker's own. If not, the whole default context is read.
    pub frontend_known: bool,
    /// The configuration that the target leaves to those who build on it.
    pub leaves: BaseConfig,
    /// What is odd and yet works.
    pub warnings: Problems,
}

/// A stage that the target needs.
#[derive(Clone, Debug)]
pub struct StageUse {
    /// Its number in the Dockerfile.
    pub index: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What it is built on.
    pub base: Origin,
    /// The platform of its base.
    pub platform: Platform,
    /// One line for each instruction, for hashing: the same for all spellings that BuildKit does not tell apart.
    pub recipe: Vec<String>,
    /// The instructions with variables replaced and quotes resolved, ONBUILD triggers of the base first.
    pub steps: Vec<Step>,
    /// The FROM line.
    pub location: Location,
}

/// An instruction as it would be carried out.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its words are expanded (not those of RUN, CMD, ENTRYPOINT, HEALTHCHECK and ONBUILD, which the shell expands). The default of an
    /// ARG is its effective value.
    pub instruction: Instruction,
    /// Where COPY and ADD take their sources from.
    pub from: Origin,
}

/// Where files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the empty image.
    Scratch,
    /// A stage: its index in [`Analysis::stages`].
    Stage(usize),
    /// A context: `""` is the default one.
    Context(String),
    /// An image: its index in [`Analysis::references`].
    Image(usize),
}

/// A build arg that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgUse {
    /// Its effective value.
    pub value: Option<String>,
    /// It is used in FROM and nowhere else, so it matters through the image that FROM names.
    pub from_only: bool,
    /// Docker sets it (`TARGETARCH` and the like), and the request does not.
    pub predefined: bool,
    /// The args of the request, itself included, that its value was made from.
    pub made_from: BTreeSet<String>,
    /// Where it is declared.
    pub location: Location,
}

impl ArgUse {
    /// An arg that matters as the request gives it, though no ARG of a stage declares it.
    pub(super) fn given(name: &str, value: &str, location: &Location) -> Self {
        Self {
            value: Some(value.to_owned()),
            from_only: false,
            predefined: false,
            made_from: [name.to_owned()].into(),
            location: location.clone(),
        }
    }
}

/// Why an arg of the request does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeclared {
    /// No ARG has its name.
    Nowhere,
    /// It stands before the first FROM, and neither a FROM nor a stage that the target needs uses it.
    BeforeFrom,
    /// Only stages that the target does not need declare it.
    Unreachable,
}

/// A use of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// The reference, variables replaced, otherwise as written.
    pub text: String,
    /// What it is used for.
    pub kind: ImageUseKind,
    /// For which platform.
    pub platform: Platform,
    /// The stage that uses it: its index in [`Analysis::stages`].
    pub stage: usize,
    /// The reference in the Dockerfile.
    pub location: Location,
}

/// What an image is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageUseKind {
    /// FROM.
    From,
    /// COPY --from.
    CopyFrom,
    /// RUN --mount=from=.
    MountFrom,
}

/// A part of a context that an instruction reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The path or wildcard, variables replaced.
    pub pattern: String,
    /// Which instruction reads.
    pub kind: ReadKind,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`, in order.
    pub exclude: Vec<String>,
    /// The source in the Dockerfile.
    pub location: Location,
    /// The source as written.
    pub text: String,
}

/// How a context is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadKind {
    /// COPY.
    Copy,
    /// ADD.
    Add,
    /// RUN --mount=type=bind.
    Bind,
    /// All of it: it is the base of a stage, or the front end is not known.
    Whole,
}

/// What ADD fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The address, variables replaced.
    pub url: String,
    /// `--checksum`.
    pub checksum: Option<String>,
    /// How it is fetched.
    pub kind: RemoteKind,
    /// The address in the Dockerfile.
    pub location: Location,
    /// The whole instruction.
    pub instruction: Location,
    /// Whether the instruction has one source, so that it can have a checksum.
    pub alone: bool,
}

impl Remote {
    /// Whether what it fetches may be something else tomorrow.
    pub fn moves(&self) -> bool {
        let commit = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.checksum.is_none() && !(self.kind == RemoteKind::Git && commit(git_parts(&self.url).1))
    }
}

/// The repository, the branch, tag or commit (`HEAD` unless given) and the folder of a git address `repository#reference:folder`.
///
/// Source: Docker's documentation, "Build context", "Git repositories", "URL fragments".
pub fn git_parts(url: &str) -> (&str, &str, Option<&str>) {
    let (repository, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (reference, folder) = match fragment.split_once(':') {
        Some((reference, folder)) => (reference, Some(folder)),
        None => (fragment, None),
    };
    (repository, if reference.is_empty() { "HEAD" } else { reference }, folder)
}

/// How ADD fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteKind {
    /// One file over HTTP.
    Http,
    /// A git repository.
    Git,
}

/// The kind of remote that a source of ADD is, if it is one.
///
/// Source: the Dockerfile reference, ADD. An HTTP address whose path ends with `.git` is a repository; so are `git://`,
/// `ssh://` and `user@host:path`. `github.com/a/b` without a scheme is a path of the context.
pub fn remote_kind(source: &str) -> Option<RemoteKind> {
    let lower = source.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        if !(source.starts_with("http://") || source.starts_with("https://")) {
            return None;
        }
        let path = source.split(['#', '?']).next().unwrap_or_default();
        return Some(if path.ends_with(".git") { RemoteKind::Git } else { RemoteKind::Http });
    }
    if lower.starts_with("git://") || lower.starts_with("ssh://") {
        return Some(RemoteKind::Git);
    }
    let (user, rest) = source.split_once('@')?;
    let (host, _) = rest.split_once(':')?;
    let legal = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    (legal(user, "-_") && legal(host, ".-")).then_some(RemoteKind::Git)
}
