//! What a run works with beside the plan: the snapshots to build from, and the repositories to publish to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::establish::ChangeRepository;
use super::sources::Sources;
use crate::digest::Digest;
use crate::exec::assemble::Cache;
use crate::exec::buildkit::{Address, BuildError, Buildkit, Masks};
use crate::fingerprint::Fingerprint;
use crate::functions::Functions;
use crate::graph::Recipe;
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::Source;
use crate::project::{Image, Project};
use crate::registry::{Client, Credentials, Repository};
use crate::workspace::{History, Snapshot};

/// Everything that the steps of a plan are made from.
pub struct Work {
    /// The resolved manifest.
    pub project: Project,
    /// The images of the run.
    pub images: BTreeMap<ImageName, ImageWork>,
    /// The repositories.
    pub repositories: Repositories,
    /// The registries' client.
    pub client: Client,
    /// BuildKit.
    pub buildkit: Builder,
    /// What the embedded builder made and read before.
    pub cache: Arc<Cache>,
    /// The folder of the manifest.
    pub root: std::path::PathBuf,
    /// Where another profile publishes the images.
    pub sources: Sources,
    /// Makes and sets repositories.
    pub change_repository: ChangeRepository,
    /// What runs images.
    pub functions: Arc<dyn Functions>,
    /// What git knows of commits.
    pub history: Arc<History>,
    /// What may be written.
    pub rules: Rules,
    /// What nobody is shown: the values of sensitive args, and the secrets that builds asked for.
    pub masks: Masks,
    /// Counts the calls of a cloud's API that were made so far, by action.
    pub calls: CountCalls,
    /// The day of the run, `2026-01-31`: what `published` says in the labels of what it builds.
    pub day: String,
}

/// What nobody is shown of a project: the values of all its sensitive args. An image may carry its own on to what is built on it, so those
/// of one image are hidden in the output of all.
pub fn masks_of(project: &Project) -> Masks {
    let masks = Masks::default();
    let args = project.images.values().flat_map(|image| image.args.values()).filter(|arg| arg.sensitive);
    for text in args.flat_map(|arg| arg.value.iter().chain(arg.per_platform.values())) {
        masks.add(&text.render(|_| String::new()));
    }
    masks
}

/// Counts calls, by action.
pub type CountCalls = Box<dyn Fn() -> BTreeMap<String, u64> + Send + Sync>;

/// What a run may write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Nothing at all: images are built and dropped.
    pub no_push: bool,
    /// Tags may go backward.
    pub allow_older: bool,
    /// A tag that does not stand where it was planned is never moved, whoever moved it: the plan was saved.
    pub strict: bool,
}

/// One image.
pub struct ImageWork {
    /// As resolved.
    pub image: Image,
    /// Its platforms.
    pub platforms: BTreeMap<Platform, PlatformWork>,
}

/// One image on one platform.
pub struct PlatformWork {
    /// What its build does.
    pub recipe: Recipe,
    /// Its record.
    pub fingerprint: Fingerprint,
    /// Its Dockerfile as planned.
    pub dockerfile: Source,
    /// The snapshots of its contexts; the default context is "".
    pub contexts: BTreeMap<String, Snapshot>,
    /// The pins of images from outside, by place.
    pub pins: BTreeMap<String, Digest>,
}

/// BuildKit, connected to when something is built for the first time.
pub struct Builder {
    address: Address,
    credentials: Arc<dyn Credentials>,
    connected: tokio::sync::OnceCell<Buildkit>,
}

impl Builder {
    /// A builder that is not connected yet.
    pub fn new(address: Address, credentials: Arc<dyn Credentials>) -> Self {
        Self { address, credentials, connected: tokio::sync::OnceCell::new() }
    }

    /// The connected builder.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn get(&self) -> Result<&Buildkit, BuildError> {
        let connect = || Buildkit::connect(self.address.clone(), Arc::clone(&self.credentials));
        self.connected.get_or_try_init(connect).await
    }
}

/// Opens a repository of a registry of the manifest.
pub type OpenRepository = Box<dyn Fn(&str, &str) -> Repository + Send + Sync>;

/// Opens each repository once.
pub struct Repositories {
    open: OpenRepository,
    opened: Mutex<BTreeMap<(String, String), Arc<Repository>>>,
}

impl Repositories {
    /// Opens repositories (registry, repository) with `open`.
    pub fn new(open: OpenRepository) -> Self {
        Self { open, opened: Mutex::new(BTreeMap::new()) }
    }

    /// A repository of a registry of the manifest.
    pub fn get(&self, registry: &str, repository: &str) -> Arc<Repository> {
        let mut opened = self.opened.lock().expect("nothing panics while it holds the lock");
        let entry = opened.entry((registry.to_owned(), repository.to_owned()));
        Arc::clone(entry.or_insert_with(|| Arc::new((self.open)(registry, repository))))
    }
}
