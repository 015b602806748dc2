//! One platform of an image, by the executor that the plan names.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::error::ApplyError;
use super::events::Events;
use super::made::Made;
use super::parents::Parents;
use super::together::Together;
use super::work::{ImageWork, Work};
use super::{assemble, buildkit};
use crate::digest::Digest;
use crate::event::{Kind, Phase};
use crate::fingerprint::FileSet;
use crate::graph::placeholder;
use crate::name::ImageName;
use crate::oci::Descriptor;
use crate::plan::Executor;
use crate::platform::Platform;
use crate::registry::{ContentStore, Lent};
use crate::workspace::{Origin, Snapshot};

/// The images of the run that are made by now.
pub type MadeImages = BTreeMap<ImageName, Made>;

/// What all builds of an image share.
pub struct BuildRun<'a> {
    /// Who builds.
    pub executor: Executor,
    /// The folder for blobs.
    pub store: &'a ContentStore,
    /// Where events go.
    pub events: &'a Events,
    /// Ends the build.
    pub cancel: &'a CancellationToken,
    /// Run every step anew.
    pub no_cache: bool,
    /// Whether what is built goes to registries and nowhere else: they can have the layers of its bases from one another.
    pub publishes: bool,
    /// What is sent to BuildKit once for several builds.
    pub together: &'a Together,
}

/// What an executor made: the manifest of one platform, its blobs in the store.
pub struct Product {
    /// The manifest's digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Manifests that attest something of the image, for the index.
    pub attestations: Vec<Descriptor>,
    /// Layers of its bases that are not in the store, and who has them.
    pub lent: Lent,
}

/// Builds one platform of an image into the store.
pub async fn build(
    work: &Work,
    image: &ImageWork,
    platform: &Platform,
    made: &MadeImages,
    run: &BuildRun<'_>,
) -> Result<Product, ApplyError> {
    let planned = image.platforms.get(platform).expect("a plan's platforms are the image's");
    let name = image.image.name.clone();
    run.events.send(Kind::PhaseStarted { image: name, phase: Phase::Build, at: platform.to_string() });
    match run.executor {
        Executor::Assemble => assemble::build(work, image, (platform, planned), made, run).await,
        Executor::Buildkit => buildkit::build(work, image, (platform, planned), made, run).await,
    }
}

/// The build args; an image of the manifest is named as its dependent pulls it.
pub fn args(image: &ImageWork, platform: &Platform, parents: &Parents<'_>) -> BTreeMap<String, String> {
    let value = |arg: &crate::project::Arg| {
        let text = arg.on(platform)?;
        Some(text.render(|parent| parents.pulled(image, parent).unwrap_or_else(|| placeholder(parent))))
    };
    image.image.args.iter().filter_map(|(name, arg)| Some((name.clone(), value(arg)?))).collect()
}

/// The snapshot of a build that reads nothing.
pub fn empty(work: &Work) -> Snapshot {
    Snapshot::new(Arc::new(FileSet::new(Vec::new())), Arc::new(Origin::Folder(work.root.clone())))
}
