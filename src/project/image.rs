//! One image, ready to be fingerprinted and built.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Located;
use super::deployment::Deployment;
use super::inputs::{Arg, Context, Generated, Inputs, Label, Modes, NamedContext, Secret};
use super::publication::{Cache, Destination, Output};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::Location;

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
    /// What steps may do beyond the usual, in BuildKit's words: `network.host`, `security.insecure`, `device`, `device=NAME`.
    pub allow: BTreeSet<String>,
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
