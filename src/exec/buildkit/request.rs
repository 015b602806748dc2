//! What is to be built, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::masks::Masks;
use crate::digest::Digest;
use crate::name::ImageName;
use crate::oci::Descriptor;
use crate::platform::Platform;
use crate::problem::Source;
use crate::project::Output;
use crate::registry::{ContentStore, Lent};
use crate::workspace::Snapshot;

/// One image for one platform, with nothing left to decide.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image, for BuildKit's own lists and for messages.
    pub image: ImageName,
    /// The platform.
    pub platform: Platform,
    /// The Dockerfile's text as planned; its name is that of the file.
    pub dockerfile: Source,
    /// The main context.
    pub context: Snapshot,
    /// Named contexts.
    pub contexts: BTreeMap<String, ContextSource>,
    /// Of the contexts that are folders, those that other builds read too (`""` is the main one), and what is sent once for all of them.
    /// Through the Dockerfile it must look like the context itself.
    pub shared: BTreeMap<String, Snapshot>,
    /// Build args with their effective values.
    pub args: BTreeMap<String, String>,
    /// The stage to build; the last one if `None`.
    pub target: Option<String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest. Keys may have BuildKit's prefixes; those for an index are left to whoever makes the index.
    pub annotations: BTreeMap<String, String>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// What must not be shown of what BuildKit says: values of args that are sensitive. The secrets that it asks for come to it.
    pub masks: Masks,
    /// SSH agents by id: `default` is the agent of `SSH_AUTH_SOCK`, everything else the path of an agent's socket.
    pub ssh: BTreeMap<String, String>,
    /// What steps may do beyond the usual, in BuildKit's words; the builder must allow it too.
    pub entitlements: BTreeSet<String>,
    /// Build caches to read: `type=...,key=value`, or a reference.
    pub cache_from: Vec<String>,
    /// Build caches to write, in the same form.
    pub cache_to: Vec<String>,
    /// Run every step, whatever BuildKit's cache holds.
    pub no_cache: bool,
    /// Layers of its bases, and who has them. The builder is told that they are there, and does not send them.
    pub lent: Lent,
    /// What the result looks like.
    pub output: Output,
    /// Seconds since 1970 that no file and no record of the image is younger than.
    pub source_date_epoch: Option<i64>,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// Where a named context comes from.
#[derive(Clone, Debug)]
pub enum ContextSource {
    /// A folder.
    Folder(Snapshot),
    /// An image in a registry, as `host/repository@sha256:...`.
    Image(String),
    /// An image whose blobs lie in a store: one that was built and not pushed.
    Store {
        /// The store.
        store: ContentStore,
        /// The manifest.
        digest: Digest,
    },
}

/// Where the value of a secret is read when the build asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// A built image: the manifest of one platform, never an index. It lies in the store, with those of its blobs that are not lent.
#[derive(Clone, Debug)]
pub struct Built {
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// The manifest's length in bytes.
    pub size: u64,
    /// Manifests that attest something of the image (`provenance`, `sbom`), for whoever makes the index.
    pub attestations: Vec<Descriptor>,
    /// Those of its layers that were offered as lent.
    pub lent: Lent,
    /// The bytes of the result that the builder sent.
    pub bytes_received: u64,
    /// How many files of the contexts BuildKit did not have yet.
    pub files_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
}
