//! From a graph to keys: pins, contexts, records.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::exit::Failure;
use super::load::{BaseConfigs, Loaded, Wired, unreadable};
use super::pins::{Added, configs, pin, read_lock};
use super::registries::Registries;
use super::settings::Settings;
use super::uncommitted::mark;
use crate::apply::{ImageWork, PlatformWork};
use crate::fingerprint::{Fingerprint, Parent, image_key};
use crate::lock::Lock;
use crate::name::ImageName;
use crate::plan::{self, Executor, ImageFacts, Ingredients};
use crate::platform::Platform;
use crate::problem::Problems;
use crate::project::{Context, ExecutorChoice, Image, NamedContext};
use crate::reference::Reference;
use crate::workspace::{ContextRequest, Snapshot};

/// Everything that is known of the images of a run before a registry is asked what is published.
pub struct Prepared {
    /// What a plan is decided from.
    pub facts: BTreeMap<ImageName, ImageFacts>,
    /// What a run builds from.
    pub images: BTreeMap<ImageName, ImageWork>,
    /// The graph and the selection.
    pub wired: Wired,
    /// The lock with the pins that this run added.
    pub lock: Lock,
    /// The pins that this run added.
    pub added: Vec<Added>,
}

/// Follows the graph, pins what comes from outside, reads the contexts, computes the keys.
///
/// # Errors
/// What is wrong in the Dockerfiles or the contexts; a pin that may not be added or cannot be found.
pub async fn prepare(loaded: &mut Loaded, registries: &Registries, settings: &Settings) -> Result<Prepared, Failure> {
    let mut lock = read_lock(loaded)?;
    let mut wired = loaded.wire(settings, &BaseConfigs::new())?;
    let mut added = pin(&wired, &mut lock, registries, settings).await?;
    // The environment and the ONBUILD triggers of outside bases reach into a build, so it is looked at again with them.
    let configs = configs(&wired, &lock, registries, loaded, settings).await?;
    if !configs.is_empty() {
        wired = loaded.wire(settings, &configs)?;
        added.extend(pin(&wired, &mut lock, registries, settings).await?);
    }
    let (images, mut facts) = keys(loaded, &wired, &lock)?;
    mark(loaded, &wired, &images, &mut facts)?;
    Ok(Prepared { facts, images, wired, lock, added })
}

/// The images of a run, with all that their builds need.
type Works = BTreeMap<ImageName, ImageWork>;

/// The contexts and the records of all images of the run, bases before their dependents.
fn keys(loaded: &mut Loaded, wired: &Wired, lock: &Lock) -> Result<(Works, BTreeMap<ImageName, ImageFacts>), Failure> {
    let mut contexts = read_contexts(loaded, wired)?;
    let mut works: Works = BTreeMap::new();
    let mut facts: BTreeMap<ImageName, ImageFacts> = BTreeMap::new();
    for name in wired.graph.order().iter().filter(|name| wired.selection.all.contains(*name)) {
        let (Some(image), Some(recipes)) = (loaded.project.images.get(name), wired.recipes.get(name)) else { continue };
        let extra = loaded.workspace.extra(&image.inputs.extra, image.modes)?;
        let mut platforms = BTreeMap::new();
        for (platform, recipe) in recipes {
            let read = contexts.remove(&(name.clone(), platform.clone())).unwrap_or_default();
            let parent = |name: &ImageName, platform: &Platform| {
                let work = works.get(name)?.platforms.get(platform)?;
                Some(Parent::Key(work.fingerprint.key()))
            };
            let pin = |reference: &Reference, platform: &Platform| lock.pin(reference, platform);
            let remote = |url: &str| lock.remote(url).map(str::to_owned);
            let files = read.snapshots.iter().map(|(name, snapshot)| (name.clone(), snapshot.shared_files()));
            let ingredients = Ingredients {
                contexts: files.collect(),
                extra: Arc::clone(&extra),
                pin: &pin,
                remote: &remote,
                parent: &parent,
                generation: lock.generation(name.as_str()),
            };
            let fingerprint = plan::fingerprint(image, platform, recipe, &ingredients)
                .expect("every pin was found, and the graph's order puts bases first");
            let dockerfile = wired.dockerfiles[&image.dockerfile.value].clone();
            let pins = fingerprint.outside.iter().map(|(place, pin)| (place.clone(), pin.digest)).collect();
            let work = PlatformWork { recipe: recipe.clone(), fingerprint, dockerfile, contexts: read.snapshots, pins };
            platforms.insert(platform.clone(), work);
        }
        facts.insert(name.clone(), image_facts(image, &platforms));
        works.insert(name.clone(), ImageWork { image: image.clone(), platforms });
    }
    Ok((works, facts))
}

fn image_facts(image: &Image, platforms: &BTreeMap<Platform, PlatformWork>) -> ImageFacts {
    let fingerprints: BTreeMap<Platform, Fingerprint> =
        platforms.iter().map(|(platform, work)| (platform.clone(), work.fingerprint.clone())).collect();
    let key = image_key(&fingerprints.iter().map(|(platform, print)| (platform.clone(), print.key())).collect());
    let (executor, executor_because) = executor(image, platforms);
    ImageFacts { key, fingerprints, executor, executor_because, uncommitted: Vec::new() }
}

/// Who builds: a function of the manifest and the Dockerfile alone, never of what is installed. All platforms of an image have the same
/// builder, so one that needs BuildKit decides for all.
fn executor(image: &Image, platforms: &BTreeMap<Platform, PlatformWork>) -> (Executor, Option<String>) {
    if image.executor == ExecutorChoice::Buildkit {
        return (Executor::Buildkit, Some("executor: buildkit".to_owned()));
    }
    match platforms.values().find_map(|work| work.recipe.needs_buildkit(image)) {
        Some((what, place)) => (Executor::Buildkit, Some(format!("{what} ({place})"))),
        None => (Executor::Assemble, None),
    }
}

/// What a build sees of its contexts.
#[derive(Default)]
struct ReadContexts {
    snapshots: BTreeMap<String, Snapshot>,
}

/// All contexts of all images at once, so that each is walked and each file hashed once.
fn read_contexts(loaded: &mut Loaded, wired: &Wired) -> Result<BTreeMap<(ImageName, Platform), ReadContexts>, Failure> {
    let mut problems = Problems::new();
    let mut folders: BTreeMap<String, Context> = BTreeMap::new();
    let mut ignores = BTreeMap::new();
    for image in loaded.project.images.values().filter(|image| wired.selection.all.contains(&image.name)) {
        problems.append(loaded.workspace.missing_generated(&image.generated));
        let key = (image.dockerfile.value.clone(), format!("{:?}", image.context.value));
        if let std::collections::btree_map::Entry::Vacant(entry) = ignores.entry(key) {
            let file = loaded.workspace.ignore_file(&image.dockerfile.value, &image.context.value);
            entry.insert(file.map_err(|error| unreadable(&error))?);
        }
        for context in image.contexts.values() {
            if let NamedContext::Folder(folder) = &context.value {
                folders.insert(folder.clone(), Context::Folder(folder.clone()));
            }
        }
    }
    let mut folder_ignores = BTreeMap::new();
    for folder in folders.keys() {
        folder_ignores.insert(folder, loaded.workspace.folder_ignore(folder).map_err(|error| unreadable(&error))?);
    }
    let mut requests = Vec::new();
    let mut owners = Vec::new();
    let no_inputs = crate::project::Inputs::default();
    for (name, recipes) in wired.recipes.iter().filter(|(name, _)| wired.selection.all.contains(*name)) {
        let Some(image) = loaded.project.images.get(name) else { continue };
        for (platform, recipe) in recipes {
            let known = recipe.analysis.frontend_known;
            for (context, reads) in &recipe.analysis.reads {
                let (context_of, ignore, inputs, location) = if context.is_empty() {
                    let key = (image.dockerfile.value.clone(), format!("{:?}", image.context.value));
                    let ignore = ignores.get(&key).and_then(|file| file.source.as_ref());
                    (&image.context.value, ignore, &image.inputs, &image.context.location)
                } else {
                    let Some(named) = image.contexts.get(context) else { continue };
                    let NamedContext::Folder(folder) = &named.value else { continue };
                    let ignore = folder_ignores.get(folder).and_then(Option::as_ref);
                    (&folders[folder], ignore, &no_inputs, &named.location)
                };
                let reads = known.then_some(&reads[..]);
                requests.push(ContextRequest {
                    context: context_of,
                    ignore,
                    reads,
                    inputs,
                    modes: image.modes,
                    location,
                });
                owners.push((name.clone(), platform.clone(), context.clone()));
            }
        }
    }
    let answers = loaded.workspace.files(&requests);
    let mut contexts: BTreeMap<(ImageName, Platform), ReadContexts> = BTreeMap::new();
    for ((name, platform, context), answer) in owners.into_iter().zip(answers) {
        match answer {
            Ok(files) => {
                let read = contexts.entry((name, platform)).or_default();
                read.snapshots.insert(context, files.snapshot);
            }
            Err(found) => problems.append(found),
        }
    }
    problems.or(contexts).map_err(Failure::from)
}
