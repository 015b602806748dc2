//! The plan as data. Its JSON is public: versioned, with a schema, the same bytes for the same facts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::function::{Function, FunctionBlocker};
use super::order::Standing;
use super::reason::Reason;
use super::rebuild::Rebuild;
use super::repositories::{MOST_TAGS, RepositoryAction, RepositoryNote, RepositoryStep};
use super::unseen::UnseenImage;
use super::warning::Warning;
use crate::digest::{Digest, Key};
use crate::name::ImageName;
use crate::platform::Platform;

/// The version of the plan's JSON.
pub const FORMAT: u32 = 1;

/// What happens to an image or a destination. Ordered from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The key is published there and every tag points at it.
    Keep,
    /// The key is published there, tags must move: a manifest PUT each.
    Tag,
    /// The key is published at another destination: blobs are mounted or copied.
    Copy,
    /// It is nowhere published.
    Build,
}

/// Who builds an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// The embedded builder: no daemon.
    Assemble,
    /// BuildKit, through its own API.
    Buildkit,
}

/// All that a run will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The version of this document.
    pub format: u32,
    /// The project's name.
    pub project: String,
    /// The profile in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The profile that images may be copied from (`--from`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The images that were asked for; empty if none was named.
    #[schemars(with = "Vec<String>")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<ImageName>,
    /// What `--set` gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<SetValue>,
    /// The commit that was planned, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Whether the registries were asked; without it every image counts as not published.
    pub observed: bool,
    /// Repositories of AWS's registries, which are looked after before the first push.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<RepositoryStep>,
    /// The images, each after all that it builds on.
    pub images: Vec<Step>,
    /// The images that could not be planned, because `--offline` lets nobody be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<UnseenImage>,
    /// The functions that run them.
    pub functions: Vec<Function>,
    /// Images whose `rebuild_every` has run out, or cannot be judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rebuilds: Vec<Rebuild>,
    /// Why `apply` would refuse this plan; empty if it would not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
    /// What is odd in the manifest, the Dockerfiles and the contexts, and stops nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// A value of `--set`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetValue {
    /// The var, or `args.` and the arg.
    pub name: String,
    /// The value; `null` where it is a secret: who applies the plan gives it again.
    pub value: Option<String>,
}

/// The commit that a plan was made on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// Its 40 hexadecimal digits.
    pub id: String,
    /// Its time, in seconds since 1970.
    pub time: i64,
    /// The branch that is checked out, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether an input of the images differs from it.
    pub dirty: bool,
}

/// What happens to one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The image.
    #[schemars(with = "String")]
    pub name: ImageName,
    /// The platforms that it is made for.
    #[schemars(with = "Vec<String>")]
    pub platforms: Vec<Platform>,
    /// Its key; that of the index if there are several platforms.
    #[schemars(with = "String")]
    pub key: Key,
    /// The keys of its platforms.
    #[schemars(with = "BTreeMap<String, String>")]
    pub keys: BTreeMap<Platform, Key>,
    /// The strongest of what happens at its destinations.
    pub action: Action,
    /// Who would build it.
    pub executor: Executor,
    /// The first instruction that needs BuildKit, if one does; `executor: buildkit` where the manifest says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_because: Option<String>,
    /// Why it is built or its tags move.
    pub reasons: Vec<Reason>,
    /// Where it goes, the key's home first.
    pub destinations: Vec<Publication>,
    /// The images of this plan that it builds on.
    #[schemars(with = "Vec<String>")]
    pub needs: Vec<ImageName>,
    /// Inputs that differ from the commit, untracked ones included (the first 20).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncommitted: Vec<String>,
    /// Files that the build would see and that `inputs:` leaves out: neither hashed nor sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<Narrowed>,
    /// What it counts against `--jobs`.
    #[serde(default = "one")]
    pub weight: u32,
    /// Whether it was asked for, rather than needed by another image.
    #[serde(default)]
    pub chosen: bool,
}

/// What `inputs:` leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Narrowed {
    /// How many files.
    pub dropped: usize,
    /// The first 20; `orchestrate inputs IMAGE --json` lists all.
    pub first: Vec<String>,
}

const fn one() -> u32 {
    1
}

/// What happens at one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Publication {
    /// Host and repository, as in references; for a layout its folder.
    pub reference: String,
    /// The registry's name in the manifest.
    pub registry: String,
    /// The repository below the registry.
    pub repository: String,
    /// What happens here.
    pub action: Action,
    /// What is published here under the key.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Where it is copied from: the `reference` of another destination, of this profile or of the one in `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The pinned key under which it is published already: the key is PUT on that image.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Key>,
    /// Every tag that it has here besides its key.
    pub tags: Vec<TagMove>,
}

/// What a tag points at, and what it will point at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagMove {
    /// The tag.
    pub tag: String,
    /// The digest now; `null` if there is no such tag.
    #[schemars(with = "Option<String>")]
    pub from: Option<Digest>,
    /// The digest then; `null` until built.
    #[schemars(with = "Option<String>")]
    pub to: Option<Digest>,
    /// Whether it stands on one digest forever.
    #[serde(default)]
    pub fixed: bool,
    /// It uses `published`, and the image is still to be published: the day comes into it then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_build: bool,
    /// A newer commit moved it to where it stands, so it is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<Mover>,
    /// Why it moves or stays, where history alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Standing>,
    /// The run of the default branch that the tag is taken from by another branch: its note is carried on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Mover>,
}

/// Who moved a tag to where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mover {
    /// The commit.
    pub commit: String,
    /// Its time, in seconds since 1970.
    pub time: i64,
    /// The branch that the run was on, where the note says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// What stands for the first instruction where the manifest names the builder.
pub const FORCED_BUILDKIT: &str = "executor: buildkit";

impl Step {
    /// Whether the manifest names BuildKit, rather than an instruction needing it.
    pub fn executor_forced(&self) -> bool {
        self.executor_because.as_deref() == Some(FORCED_BUILDKIT)
    }
}

impl TagMove {
    /// Whether the tag does not stand where it will.
    pub fn moves(&self) -> bool {
        self.to.is_none() || self.from != self.to
    }
}

/// Why a plan may be looked at but not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Blocker {
    /// A fixed tag stands on another digest.
    TagConflict {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// Repository and tag.
        reference: String,
        /// The digest that it stands on.
        #[schemars(with = "String")]
        stands: Digest,
        /// The digest that it should have; `null` until built.
        #[schemars(with = "Option<String>")]
        wanted: Option<Digest>,
    },
    /// A tag names the commit, but inputs of the image differ from it.
    Dirty {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// The tag.
        tag: String,
        /// One of the inputs.
        path: String,
    },
    /// A repository does not exist, and the manifest does not say `create:`.
    NoRepository {
        /// Host and repository.
        reference: String,
    },
    /// A tag has to move in a repository where none does.
    ImmutableTag {
        /// Repository and tag.
        reference: String,
    },
    /// An image would have more tags than the registry allows.
    TooManyTags {
        /// Host and repository.
        reference: String,
        /// The image.
        #[schemars(with = "String")]
        digest: Digest,
        /// How many it would have.
        tags: usize,
    },
    /// The commit that moved a tag may be newer than this one, or of a branch that this one may not take it from.
    Unordered {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// Repository and tag.
        reference: String,
        /// Who moved it.
        mover: Mover,
        /// Why it may not be moved.
        order: Standing,
    },
    /// Something stands in the way of a function.
    Function {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// What.
        because: FunctionBlocker,
    },
}

impl Plan {
    /// Whether there is anything to do.
    pub fn has_changes(&self) -> bool {
        let changes = |action| matches!(action, RepositoryAction::Create | RepositoryAction::Change);
        !self.unseen.is_empty()
            || self.images.iter().any(|step| step.action != Action::Keep)
            || self.repositories.iter().any(|step| changes(step.action))
            || self.functions.iter().any(Function::changes)
    }

    /// Adds what happens to the repositories, and what of it stands in the way.
    #[must_use]
    pub fn with_repositories(mut self, repositories: Vec<RepositoryStep>) -> Self {
        for step in &repositories {
            if step.action == RepositoryAction::Missing {
                self.blockers.push(Blocker::NoRepository { reference: step.reference.clone() });
            }
            self.blockers.extend(step.notes.iter().filter_map(|note| match note {
                RepositoryNote::ManyTags { digest, tags } if *tags > MOST_TAGS => {
                    let (reference, digest, tags) = (step.reference.clone(), *digest, *tags);
                    Some(Blocker::TooManyTags { reference, digest, tags })
                }
                RepositoryNote::Immovable { tag } => {
                    Some(Blocker::ImmutableTag { reference: format!("{}:{tag}", step.reference) })
                }
                _ => None,
            }));
        }
        self.repositories = repositories;
        self
    }

    /// The step of an image.
    pub fn step(&self, name: &ImageName) -> Option<&Step> {
        self.images.iter().find(|step| &step.name == name)
    }

    /// The plan's JSON, the same bytes for the same plan.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a plan has only string keys and plain values");
        text.push('\n');
        text
    }
}
