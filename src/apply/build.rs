//! From a planned image to a request for an executor.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::error::ApplyError;
use super::events::Events;
use super::made::Made;
use super::pinned::Pinned;
use super::work::{ImageWork, PlatformWork, Work};
use crate::event::{Kind, Phase, Stream};
use crate::exec::buildkit::{BuildProgress, Built, ContextSource, LogStream, Request, SecretSource};
use crate::fingerprint::FileSet;
use crate::graph::placeholder;
use crate::name::ImageName;
use crate::platform::Platform;
use crate::project::{NamedContext, Secret};
use crate::registry::ContentStore;
use crate::workspace::{Origin, Snapshot};

/// The images of the run that are made by now.
pub type MadeImages = BTreeMap<ImageName, Made>;

/// Builds one platform of an image into the store.
pub async fn build(
    work: &Work,
    image: &ImageWork,
    platform: &Platform,
    made: &MadeImages,
    run: &BuildRun<'_>,
) -> Result<Built, ApplyError> {
    let planned = image.platforms.get(platform).expect("a plan's platforms are the image's");
    let request = request(work, image, platform, planned, &Parents { work, made, store: run.store }, run.no_cache);
    let name = &image.image.name;
    run.events.send(Kind::PhaseStarted { image: name.clone(), phase: Phase::Build, at: platform.to_string() });
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let events = run.events.clone();
    let mut shown = Shown { image: name.clone(), steps: HashMap::new() };
    let progress = tokio::spawn(async move {
        while let Some(progress) = receiver.recv().await {
            if let Some(kind) = shown.event(progress) {
                events.send(kind);
            }
        }
    });
    let buildkit = work.buildkit.get().await.map_err(|error| ApplyError::Builder { error })?;
    let built = buildkit.build(request, run.store, sender, run.cancel.clone()).await;
    // What the builder said is shown before the end of the step is announced.
    let _ = progress.await;
    built.map_err(|error| ApplyError::build(name, &planned.dockerfile, error))
}

/// What all builds of a run share.
pub struct BuildRun<'a> {
    /// The folder for blobs.
    pub store: &'a ContentStore,
    /// Where events go.
    pub events: &'a Events,
    /// Ends the build.
    pub cancel: &'a CancellationToken,
    /// Run every step anew.
    pub no_cache: bool,
}

/// What a builder reports, as events of an image.
struct Shown {
    image: ImageName,
    steps: HashMap<String, String>,
}

impl Shown {
    fn event(&mut self, progress: BuildProgress) -> Option<Kind> {
        let image = self.image.clone();
        match progress {
            BuildProgress::Started { vertex, name } => {
                self.steps.insert(vertex, name.clone());
                Some(Kind::BuildStep { image, step: name, done: false, cached: false })
            }
            BuildProgress::Finished { name, cached, .. } => {
                Some(Kind::BuildStep { image, step: name, done: true, cached })
            }
            BuildProgress::Log { vertex, stream, text } => {
                let stream = match stream {
                    LogStream::Stdout => Stream::Stdout,
                    LogStream::Stderr => Stream::Stderr,
                };
                let step = self.steps.get(&vertex).cloned().unwrap_or_default();
                Some(Kind::Output { image, step, stream, line: text })
            }
            BuildProgress::Bytes { .. } | BuildProgress::Warning { .. } => None,
        }
    }
}

/// Finds what an image of the manifest is called for a build on it.
struct Parents<'a> {
    work: &'a Work,
    made: &'a MadeImages,
    store: &'a ContentStore,
}

impl Parents<'_> {
    /// `host/repository@digest` of a parent: in a registry that the dependent publishes to, else the parent's first; `None` if it is
    /// in no registry that a builder could pull from.
    fn pulled(&self, dependent: &ImageWork, parent: &ImageName) -> Option<String> {
        let made = self.made.get(parent)?;
        let image = &self.work.project.images.get(parent)?;
        let reference = |index: &usize| {
            let destination = image.destinations.get(*index)?;
            let registry = self.work.project.registries.get(&destination.registry)?;
            let prefix = registry.reference_prefix()?;
            Some((&destination.registry, format!("{prefix}/{}@{}", destination.repository, made.digest)))
        };
        let held: Vec<_> = made.held.iter().filter_map(reference).collect();
        let own = dependent.image.destinations.first().map(|destination| &destination.registry);
        held.iter()
            .find(|(registry, _)| Some(*registry) == own)
            .or(held.first())
            .map(|(_, reference)| reference.clone())
    }

    /// The parent as a context: pulled, or from a folder of blobs.
    fn context(&self, dependent: &ImageWork, parent: &ImageName, platform: &Platform) -> Option<ContextSource> {
        if let Some(reference) = self.pulled(dependent, parent) {
            return Some(ContextSource::Image(reference));
        }
        let made = self.made.get(parent)?;
        let digest = made.children.get(platform).copied().unwrap_or(made.digest);
        if made.stored {
            return Some(ContextSource::Store { store: self.store.clone(), digest });
        }
        let image = self.work.project.images.get(parent)?;
        let destination = image.destinations.get(*made.held.first()?)?;
        let repository = self.work.repositories.get(destination.registry.as_str(), &destination.repository);
        let store = ContentStore::new(repository.folder()?);
        Some(ContextSource::Store { store, digest })
    }
}

fn request(
    work: &Work,
    image: &ImageWork,
    platform: &Platform,
    planned: &PlatformWork,
    parents: &Parents<'_>,
    no_cache: bool,
) -> Request {
    let resolved = &image.image;
    let mut contexts = BTreeMap::new();
    for (name, context) in &resolved.contexts {
        let source = match &context.value {
            NamedContext::Folder(_) => planned.contexts.get(name).cloned().map(ContextSource::Folder),
            NamedContext::Image(parent) => parents.context(image, parent, platform),
            NamedContext::Outside(_) => None,
        };
        if let Some(source) = source {
            contexts.insert(name.clone(), source);
        }
    }
    let mut pinned = Pinned::new(&planned.dockerfile, planned.recipe.analysis.frontend_known);
    for used in &planned.recipe.parents {
        if let (Some(_), Some(pulled)) = (&used.written, parents.pulled(image, &used.image))
            && pinned.replace(&used.place, &used.location, pulled)
        {
            continue;
        }
        // A reference that is written in the Dockerfile, or an image that is in no registry, comes as a named context.
        let name = match &used.written {
            Some(reference) => Some(reference.familiar()),
            None if parents.pulled(image, &used.image).is_none() => {
                placeholder(&used.image).parse().ok().map(|reference: crate::reference::Reference| reference.familiar())
            }
            None => None,
        };
        if let (Some(name), Some(source)) = (name, parents.context(image, &used.image, &used.platform)) {
            contexts.insert(name, source);
        }
    }
    for used in &planned.recipe.outside {
        let Some(digest) = planned.pins.get(&used.place) else { continue };
        if used.context.is_none() && pinned.replace(&used.place, &used.location, used.reference.at(*digest).to_string())
        {
            continue;
        }
        let name = used.context.clone().unwrap_or_else(|| used.reference.familiar());
        contexts.insert(name, ContextSource::Image(used.reference.at(*digest).to_string()));
    }
    let args = resolved.args.iter().filter_map(|(name, arg)| {
        let text = arg.on(platform)?;
        let value = text.render(|parent| parents.pulled(image, parent).unwrap_or_else(|| placeholder(parent)));
        Some((name.clone(), value))
    });
    let secrets = resolved.secrets.iter().map(|(id, secret)| {
        let source = match secret {
            Secret::File(path) => SecretSource::File(work.root.join(path)),
            Secret::Env(name) => SecretSource::Env(name.clone()),
        };
        (id.clone(), source)
    });
    Request {
        image: resolved.name.clone(),
        platform: platform.clone(),
        dockerfile: pinned.source(),
        context: planned.contexts.get("").cloned().unwrap_or_else(|| empty(work)),
        contexts,
        args: args.collect(),
        target: resolved.target.as_ref().map(|target| target.value.clone()),
        labels: resolved.labels.iter().map(|(name, label)| (name.clone(), label.value.clone())).collect(),
        annotations: resolved.annotations.clone(),
        secrets: secrets.collect(),
        ssh: resolved.ssh.clone(),
        cache_from: resolved.cache.from.clone(),
        cache_to: resolved.cache.to.clone(),
        no_cache,
        output: resolved.output.clone(),
        source_date_epoch: Some(0),
        timeout: resolved.timeout,
    }
}

/// The snapshot of a build that reads nothing.
fn empty(work: &Work) -> Snapshot {
    Snapshot::new(Arc::new(FileSet::new(Vec::new())), Arc::new(Origin::Folder(work.root.clone())))
}
