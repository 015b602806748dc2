//! What happens to a repository, as data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What happens to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RepositoryAction {
    /// Nothing.
    Keep,
    /// It does not exist and is created.
    Create,
    /// It exists; a policy of it changes.
    Change,
    /// It does not exist and the manifest does not say `create:`.
    Missing,
    /// Whether it exists could not be seen.
    Unknown,
}

/// One repository of a registry of AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryStep {
    /// Host and repository, as in references.
    pub reference: String,
    /// The registry's name in the manifest.
    pub registry: String,
    /// The repository below the registry.
    pub repository: String,
    /// What happens.
    pub action: RepositoryAction,
    /// How, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<RepositoryChange>,
    /// What to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<RepositoryNote>,
}

/// One change of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RepositoryChange {
    /// It is created, private.
    Create {
        /// Each image is scanned when it is pushed.
        scan_on_push: bool,
        /// Tags do not move.
        immutable: bool,
        /// Tags that move all the same, as patterns with `*`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        except: Vec<String>,
        /// `AES256`, `KMS`, or the key's ARN.
        encryption: String,
        /// The repository's own tags.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        tags: BTreeMap<String, String>,
    },
    /// It is created, public.
    CreatePublic {
        /// What the gallery shows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// What the gallery shows, as Markdown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<String>,
        /// How to use it, as Markdown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<String>,
        /// The repository's own tags.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        tags: BTreeMap<String, String>,
    },
    /// Untagged images go after some days.
    Untagged {
        /// The days so far; `null` if no rule says so.
        from: Option<u32>,
        /// The days then.
        to: u32,
        /// The whole lifecycle policy that is written, as JSON.
        policy: String,
    },
    /// Who may pull changes: Lambda, other accounts.
    Pull {
        /// Whether the Lambda service of this account is let in that is not yet.
        lambda: bool,
        /// The accounts that are let in that are not yet.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        accounts: Vec<String>,
        /// The accounts that an earlier run let in and that `allow` does not name any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        revoked: Vec<String>,
        /// The whole repository policy that is written, as JSON; `null` where none is left and the policy is deleted.
        policy: Option<String>,
    },
}

/// Something to know about a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RepositoryNote {
    /// A lifecycle rule of somebody else's deletes images that have tags: it may delete what runs.
    MayDelete {
        /// Its priority.
        rule: u64,
        /// What it keeps, in words: `the newest 10 images`, `images pushed within 30 days`.
        keeps: String,
        /// Which tags it is about; empty for all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        patterns: Vec<String>,
    },
    /// A setting is not what `create:` says; it is left alone.
    Differs {
        /// `scan_on_push` or `immutable`.
        setting: String,
        /// What the manifest says.
        wanted: bool,
        /// What is there.
        found: bool,
    },
    /// Something could not be seen.
    Hidden {
        /// `repository`, `lifecycle policy` or `repository policy`.
        what: String,
        /// Why.
        why: String,
    },
    /// A policy is there that is no JSON of the known form; it is left alone.
    Strange {
        /// `lifecycle policy` or `repository policy`.
        what: String,
    },
    /// A function of another account runs images from there, and its policy does not let that account pull.
    ShutOut {
        /// The account.
        account: String,
    },
    /// A tag has to move, and the repository lets no tag move.
    Immovable {
        /// The tag.
        tag: String,
    },
    /// A moving tag will not move again, as the repository will be created.
    Stuck {
        /// The tag.
        tag: String,
    },
    /// An image has nearly as many tags as ECR allows.
    ManyTags {
        /// The image.
        #[schemars(with = "String")]
        digest: Digest,
        /// How many it would have.
        tags: usize,
    },
}
