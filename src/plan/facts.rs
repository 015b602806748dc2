//! What a decision is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::function::ObservedFunctions;
use super::model::{Commit, Executor, Mover, SetValue};
use super::order::Standing;
use crate::digest::{Digest, Key};
use crate::fingerprint::{Fingerprint, Record};
use crate::graph::{Graph, Selection};
use crate::language::Reasons;
use crate::name::ImageName;
use crate::path::RelPath;
use crate::platform::Platform;
use crate::project::{Order, Project};

/// Everything that [`decide`](super::decide) looks at.
pub struct Facts<'a> {
    /// The resolved manifest.
    pub project: &'a Project,
    /// Its edges.
    pub graph: &'a Graph,
    /// The images that the run is about.
    pub selection: &'a Selection,
    /// The keys, and what is known of each image without a registry.
    pub images: &'a BTreeMap<ImageName, ImageFacts>,
    /// What the command line asks for.
    pub choices: &'a Choices,
}

/// One image, without a registry.
#[derive(Clone, Debug)]
pub struct ImageFacts {
    /// Its key.
    pub key: Key,
    /// What it is made from, by platform.
    pub fingerprints: BTreeMap<Platform, Fingerprint>,
    /// Who would build it.
    pub executor: Executor,
    /// The first instruction that needs BuildKit.
    pub executor_because: Option<String>,
    /// Inputs that differ from the commit, sorted.
    pub uncommitted: Vec<String>,
    /// What `inputs:` left out.
    pub narrowing: Narrowing,
    /// When what is published under the key was published first; asked for where something depends on it.
    pub published: Option<Since>,
}

/// When an image was published first, as its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// In seconds since 1970.
    At(i64),
    /// The record does not say.
    Undated,
}

/// What `inputs:` left out of the contexts of an image, and why source files stayed.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    /// How many files were dropped that the build would see otherwise; of several platforms the largest number.
    pub dropped: usize,
    /// The first of them.
    pub first: Vec<RelPath>,
    /// Why source files stayed, by language and platform.
    pub reasons: Vec<Arc<Reasons>>,
}

impl Narrowing {
    /// Adds what was left out on another platform, or of another context.
    pub fn merge(&mut self, other: Self) {
        if other.dropped > self.dropped {
            (self.dropped, self.first) = (other.dropped, other.first);
        }
        self.reasons.extend(other.reasons);
    }

    /// Why a file of the default context stayed, as a phrase.
    pub fn because(&self, path: &RelPath) -> Option<String> {
        self.reasons.iter().find_map(|reasons| reasons.of(path))
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// What `--set` gave, without secrets.
    pub set: Vec<SetValue>,
    /// The commit, if there is one.
    pub commit: Option<Commit>,
    /// Tags that name the commit get `-dirty-<8 hex of the key>` where inputs differ from it.
    pub allow_dirty: bool,
    /// Images that are built though they are published.
    pub rebuild: BTreeSet<ImageName>,
    /// Whether the registries are asked.
    pub offline: bool,
    /// The profile that images may be copied from.
    pub from: Option<String>,
    /// The manifest's folder in the repository; empty where it is its top, or where there is none.
    pub prefix: String,
    /// Whether `apply` would ask git for more history where times are equal: then nothing is refused yet.
    pub may_deepen: bool,
    /// The clock of this machine, in seconds since 1970. Nothing but `rebuild_every` looks at it.
    pub now: i64,
}

/// What to ask a registry for one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The image.
    pub image: ImageName,
    /// Its destinations, in order.
    pub destinations: Vec<WantedDestination>,
}

/// What to ask of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedDestination {
    /// The tag of the key.
    pub key_tag: String,
    /// All tags that the image should have there, and whether each is fixed.
    pub tags: Vec<WantedTag>,
    /// Moving tags of an image that was not asked for itself: they stay, and tell what was published last.
    pub known_by: Vec<String>,
}

/// A tag that an image should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTag {
    /// The tag.
    pub tag: String,
    /// Whether it stands on one digest forever.
    pub fixed: bool,
    /// Made only where the image changed.
    pub on_change: bool,
    /// It uses the day of the first publication, which is still to come.
    pub at_build: bool,
    /// It names the commit and the image's inputs differ from it: the path of one of them.
    pub dirty: Option<String>,
}

/// What the registries said.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// By image, a destination each, in the order of the manifest.
    pub destinations: BTreeMap<ImageName, Vec<ObservedDestination>>,
    /// The last published image of those that must be built.
    pub previous: BTreeMap<ImageName, Previous>,
    /// Images that are published under their pinned key: that key and the digest, for the home.
    pub pinned: BTreeMap<ImageName, (Key, Digest)>,
    /// Images that another profile has published under the key, though this one has not.
    pub promoted: BTreeMap<ImageName, Promoted>,
    /// Who moved the tags that would move, by image and destination; functions too, by their notes.
    pub movers: BTreeMap<(ImageName, usize, String), Moved>,
    /// What was found in the places of functions, by image and entry of its `deploy:`; absent where nobody asked.
    pub functions: BTreeMap<(ImageName, usize), ObservedFunctions>,
    /// Of published images that are an index and are deployed: the manifests of their platforms.
    pub children: BTreeMap<ImageName, BTreeMap<Platform, Digest>>,
    /// Destinations where something stands under the key that no sound record vouches for: it counts as absent.
    pub unsound: BTreeMap<ImageName, String>,
}

/// An image that another profile has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// What stands there under the key.
    pub digest: Digest,
    /// Where.
    pub reference: String,
}

/// What the notes beside an image say of moving a tag away from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// More than "every commit that moved it comes before this one".
    pub standing: Option<Standing>,
    /// What a note of this run has to carry on.
    pub over: Option<Mover>,
}

/// A tag that stands, and on what: who moved it there is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskMover {
    /// The image.
    pub image: ImageName,
    /// Which of its destinations.
    pub index: usize,
    /// The tag.
    pub tag: String,
    /// What it points at.
    pub digest: Digest,
    /// How runs that move it are put in order.
    pub order: Order,
}

/// What one destination holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedDestination {
    /// What stands under the key's tag.
    pub published: Option<Digest>,
    /// What each tag points at.
    pub tags: BTreeMap<String, Option<Digest>>,
}

/// What a moving tag of an image points at.
#[derive(Clone, Debug)]
pub struct Previous {
    /// The tag.
    pub tag: String,
    /// What it points at.
    pub digest: Digest,
    /// The records of its platforms; empty if it was published without one.
    pub records: Vec<Record>,
}
