//! What comes out of a build, and where it goes.

use super::{Keep, Order};
use crate::name::RegistryName;
use crate::problem::Location;

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
    /// How runs that move its tags are put in order.
    pub order: Option<Order>,
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
        /// Whether it uses `published`.
        dated: bool,
    },
}

impl TagRule {
    /// Whether it uses the day of the first publication.
    pub const fn is_dated(&self) -> bool {
        matches!(self.text, TagText::Late { dated: true, .. })
    }
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
