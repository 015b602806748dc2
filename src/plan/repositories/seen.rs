//! What AWS said of repositories.

use std::collections::BTreeMap;

use crate::digest::Digest;

/// A repository to ask about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AskRepository {
    /// The registry's name in the manifest.
    pub registry: String,
    /// The repository below it.
    pub repository: String,
    /// Whether the policies are of interest: they are where the manifest says `create:`, and where a function of another account pulls.
    pub policies: bool,
    /// Images that get further tags there: how many they have already?
    pub tagged: Vec<Digest>,
}

/// What AWS said, by registry and repository.
pub type SeenRepositories = BTreeMap<(String, String), SeenRepository>;

/// What AWS said of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenRepository {
    /// There is none.
    Missing,
    /// It is there.
    There(SeenSettings),
    /// We may not look: why.
    Hidden(String),
}

/// The settings of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenSettings {
    /// Whether each image is scanned when it is pushed; `None` where there is no such setting.
    pub scan_on_push: Option<bool>,
    /// Whether tags are immutable; `None` where there is no such setting.
    pub immutable: Option<bool>,
    /// Tags that move all the same: patterns with `*`.
    pub except: Vec<String>,
    /// The lifecycle policy, as JSON.
    pub lifecycle: Seen,
    /// The repository's policy, as JSON.
    pub policy: Seen,
    /// How many tags images have, of those that were asked about.
    pub tags: BTreeMap<Digest, usize>,
}

/// A document that may be there, or that we may not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// It was not asked for.
    #[default]
    Unasked,
    /// There is none.
    Absent,
    /// This.
    Text(String),
    /// We may not look: why.
    Hidden(String),
}
