//! From a graph to keys: pins, contexts, records.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use super::exit::{Exit, Failure};
use super::load::{BaseConfigs, Loaded, Wired, unreadable};
use super::registries::Registries;
use super::settings::Settings;
use super::uncommitted::mark;
use crate::apply::{ImageWork, PlatformWork};
use crate::digest::Digest;
use crate::dockerfile::BaseConfig;
use crate::fingerprint::{Fingerprint, Parent, image_key};
use crate::graph::{OutsideUse, Recipe};
use crate::lock::Lock;
use crate::name::ImageName;
use crate::observe;
use crate::plan::{self, Executor, ImageFacts, Ingredients};
use crate::platform::Platform;
use crate::problem::{Code, Problem, Problems};
use crate::project::{Context, ExecutorChoice, Image, NamedContext};
use crate::reference::Reference;
use crate::workspace::{ContextRequest, Snapshot};

/// The name of the lock file, beside the manifest.
pub const LOCK: &str = "deploy.lock";

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
    pub added: Vec<(Reference, Platform, Digest)>,
}

/// Reads the lock.
///
/// # Errors
/// It is no lock.
pub fn read_lock(loaded: &Loaded) -> Result<Lock, Failure> {
    match loaded.workspace.read_source(LOCK).map_err(|error| unreadable(&error))? {
        Some(source) => Ok(Lock::parse(&source)?),
        None => Ok(Lock::default()),
    }
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

/// All uses of outside images by the images of the run.
fn outside(wired: &Wired) -> impl Iterator<Item = (&ImageName, &OutsideUse)> {
    let recipes = wired.recipes.iter().filter(|(name, _)| wired.selection.all.contains(*name));
    recipes.flat_map(|(name, platforms)| {
        platforms.values().flat_map(move |recipe| recipe.outside.iter().map(move |used| (name, used)))
    })
}

async fn pin(
    wired: &Wired,
    lock: &mut Lock,
    registries: &Registries,
    settings: &Settings,
) -> Result<Vec<(Reference, Platform, Digest)>, Failure> {
    let missing: BTreeMap<(Reference, Platform), &OutsideUse> = outside(wired)
        .filter(|(_, used)| used.reference.digest.is_none() && lock.pin(&used.reference, &used.platform).is_none())
        .map(|(_, used)| ((used.reference.clone(), used.platform.clone()), used))
        .collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    if settings.locked || settings.offline {
        let why = if settings.locked { "--locked forbids to add one" } else { "--offline forbids to ask for it" };
        let problems: Problems = missing
            .values()
            .map(|used| {
                let message = format!("`{}` has no pin for {} in {LOCK}, and {why}", used.reference, used.platform);
                Problem::error(Code::MissingPin, message)
                    .at(&used.location, "")
                    .help("run `orchestrate update` and commit the lock")
            })
            .collect();
        return Err(problems.into());
    }
    let found: Vec<_> = stream::iter(missing.into_keys().map(|(reference, platform)| async move {
        let digest = observe::pin_of(&registries.client, &reference, &platform).await;
        (reference, platform, digest)
    }))
    .buffer_unordered(16)
    .collect()
    .await;
    let mut added = Vec::new();
    for (reference, platform, digest) in found {
        let digest = digest.map_err(|error| cannot_ask(&error))?;
        lock.set(reference.clone(), platform.clone(), digest);
        added.push((reference, platform, digest));
    }
    added.sort();
    Ok(added)
}

fn cannot_ask(error: &observe::OutsideError) -> Failure {
    let help = match error {
        observe::OutsideError::Registry { error, .. } => error.help(),
        _ => Some("check the reference, or the platforms of the image".to_owned()),
    };
    Failure::surroundings(error.to_string(), help)
}

/// The configurations of all outside bases, asked for once for each digest and kept in the cache.
async fn configs(
    wired: &Wired,
    lock: &Lock,
    registries: &Registries,
    loaded: &Loaded,
    settings: &Settings,
) -> Result<BaseConfigs, Failure> {
    let folder = loaded.workspace.state_folder().join("cache").join("configs");
    let wanted: BTreeMap<(Reference, Platform), Digest> = outside(wired)
        .filter(|(_, used)| used.place.ends_with("FROM"))
        .filter_map(|(_, used)| {
            let digest = used.reference.digest.or_else(|| lock.pin(&used.reference, &used.platform))?;
            Some(((used.reference.clone(), used.platform.clone()), digest))
        })
        .collect();
    let mut configs = BaseConfigs::new();
    for ((reference, platform), digest) in wanted {
        let path = folder.join(format!("{}.json", digest.hex()));
        let kept =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<crate::oci::ImageConfig>(&bytes).ok());
        let config = match kept {
            Some(config) => config,
            None if settings.offline => {
                return Err(Failure::Message {
                    exit: Exit::Surroundings,
                    message: format!(
                        "the configuration of `{reference}` is not known, and --offline forbids to ask for it"
                    ),
                    help: Some("plan once without --offline; it is kept".to_owned()),
                });
            }
            None => {
                let config = observe::config_of(&registries.client, &reference, digest).await;
                let config = config.map_err(|error| cannot_ask(&error))?;
                // A cache: where it cannot be written, it is asked for again.
                if let Ok(bytes) = serde_json::to_vec(&config) {
                    let _ = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, bytes));
                }
                config
            }
        };
        configs.insert((reference, platform), base_config(&config));
    }
    Ok(configs)
}

fn base_config(config: &crate::oci::ImageConfig) -> BaseConfig {
    let env = config.config.env.iter().filter_map(|pair| pair.split_once('='));
    BaseConfig {
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        onbuild: config.config.on_build.clone(),
        workdir: config.config.working_dir.clone().unwrap_or_default(),
    }
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
            let files = read.snapshots.iter().map(|(name, snapshot)| (name.clone(), snapshot.shared_files()));
            let ingredients = Ingredients {
                contexts: files.collect(),
                extra: Arc::clone(&extra),
                pin: &pin,
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
    let recipe = platforms.values().next().map(|work| &work.recipe);
    let (executor, executor_because) = recipe.map_or((Executor::Buildkit, None), |recipe| executor(image, recipe));
    ImageFacts { key, fingerprints, executor, executor_because, uncommitted: Vec::new() }
}

/// Who builds: a function of the manifest and the Dockerfile alone, never of what is installed.
fn executor(image: &Image, recipe: &Recipe) -> (Executor, Option<String>) {
    let first = recipe.analysis.first_run.as_ref().map(|(why, place)| format!("{why} ({place})"));
    match image.executor {
        ExecutorChoice::Buildkit => (Executor::Buildkit, Some("executor: buildkit".to_owned())),
        ExecutorChoice::Assemble | ExecutorChoice::Auto => (Executor::Buildkit, first),
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
