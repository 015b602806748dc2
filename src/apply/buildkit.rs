//! An image through BuildKit.

use std::collections::{BTreeMap, HashMap};

use super::build::{BuildRun, MadeImages, Product, args, empty};
use super::error::ApplyError;
use super::lend::lent;
use super::parents::Parents;
use super::pinned::Pinned;
use super::together::Together;
use super::work::{ImageWork, PlatformWork, Work};
use crate::event::{Kind, Stream};
use crate::exec::buildkit::{BuildError, BuildProgress, Built, ContextSource, LogStream, Request, SecretSource};
use crate::graph::{FRONTEND, placeholder};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::project::{NamedContext, Secret};
use crate::registry::Lent;
use crate::workspace::Snapshot;

/// How many times a build is tried whose login at a registry ends while it pulls.
const LOGINS: u32 = 3;

/// Builds one platform of an image into the store.
pub async fn build(
    work: &Work,
    image: &ImageWork,
    (platform, planned): (&Platform, &PlatformWork),
    made: &MadeImages,
    run: &BuildRun<'_>,
) -> Result<Product, ApplyError> {
    let name = &image.image.name;
    let parents = Parents { work, made, store: run.store };
    // BuildKit reads a base that is in no registry from the folder, which must then hold all of it.
    let unpublished = planned.recipe.parents.iter().filter(|used| parents.pulled(image, &used.image).is_none());
    for parent in unpublished.filter_map(|used| made.get(&used.image)).filter(|made| made.stored) {
        let fetched = parent.lent.fetch_into(run.store).await;
        fetched.map_err(ApplyError::registry(format!("reading the bases of {name}")))?;
    }
    let lent = if run.publishes { lent(image, planned, &parents).await } else { Lent::default() };
    let mut attempts = 1;
    let built = loop {
        let mut request = request(image, platform, planned, &parents, run.no_cache);
        request.lent = lent.clone();
        request.shared = shared(&request, run.together);
        match attempt(work, name, request, run).await? {
            // It was good when the builder got it. What was pulled with it stays there.
            Err(error) if error.is_expired_login() && attempts < LOGINS => attempts += 1,
            built => break built.map_err(|error| ApplyError::build(name, &planned.dockerfile, error))?,
        }
    };
    Ok(Product {
        digest: built.digest,
        media_type: built.media_type,
        size: built.size,
        attestations: built.attestations,
        lent: built.lent,
    })
}

/// The contexts of a build that are sent once for several builds.
fn shared(request: &Request, together: &Together) -> BTreeMap<String, Snapshot> {
    let named = request.contexts.iter().filter(|(_, source)| matches!(source, ContextSource::Folder(_)));
    let names = std::iter::once("").chain(named.map(|(name, _)| name.as_str()));
    let get = |name: &str| together.get(&request.image, &request.platform, name).cloned();
    names.filter_map(|name| Some((name.to_owned(), get(name)?))).collect()
}

/// One try, with what the builder says meanwhile as events.
async fn attempt(
    work: &Work,
    name: &ImageName,
    request: Request,
    run: &BuildRun<'_>,
) -> Result<Result<Built, BuildError>, ApplyError> {
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
    Ok(built)
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

fn request(
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
    let mut args = args(image, platform, parents);
    if let (Some(used), Some(digest)) = (&planned.recipe.frontend, planned.pins.get(FRONTEND)) {
        let reference = used.reference.at(*digest).to_string();
        if let Some(syntax) = args.get_mut("BUILDKIT_SYNTAX") {
            // What follows the reference is for the front end.
            let rest = syntax.trim().split_once(' ').map(|(_, rest)| format!(" {rest}")).unwrap_or_default();
            *syntax = format!("{reference}{rest}");
        } else {
            pinned.front_end(&used.location, reference);
        }
    }
    for remote in planned.recipe.analysis.remotes.iter().filter(|remote| remote.moves()) {
        if let Some(Some(pin)) = planned.fingerprint.remotes.get(&remote.url) {
            pinned.fetch(remote, pin);
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
    let secrets = resolved.secrets.iter().map(|(id, secret)| {
        let source = match secret {
            Secret::File(path) => SecretSource::File(parents.work.root.join(path)),
            Secret::Env(name) => SecretSource::Env(name.clone()),
        };
        (id.clone(), source)
    });
    Request {
        image: resolved.name.clone(),
        platform: platform.clone(),
        dockerfile: pinned.source(),
        context: planned.contexts.get("").cloned().unwrap_or_else(|| empty(parents.work)),
        contexts,
        shared: BTreeMap::new(),
        args,
        target: resolved.target.as_ref().map(|target| target.value.clone()),
        labels: resolved.labels.iter().map(|(name, label)| (name.clone(), label.on(&parents.work.day))).collect(),
        annotations: resolved.annotations.clone(),
        secrets: secrets.collect(),
        masks: parents.work.masks.clone(),
        ssh: resolved.ssh.clone(),
        entitlements: resolved.allow.clone(),
        cache_from: resolved.cache.from.clone(),
        cache_to: resolved.cache.to.clone(),
        no_cache,
        lent: Lent::default(),
        output: resolved.output.clone(),
        source_date_epoch: Some(0),
        timeout: resolved.timeout,
    }
}
