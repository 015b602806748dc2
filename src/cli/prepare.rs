//! From a graph to keys: pins, contexts, records.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contexts::read_contexts;
use super::exit::Failure;
use super::load::{BaseConfigs, Loaded, Wired};
use super::pins::{Added, configs, pin, read_lock};
use super::registries::Registries;
use super::settings::Settings;
use super::uncommitted::mark;
use super::unseen::leave_out;
use crate::apply::{ImageWork, PlatformWork};
use crate::fingerprint::{Fingerprint, Parent, image_key};
use crate::lock::Lock;
use crate::name::ImageName;
use crate::plan::{self, Executor, ImageFacts, Ingredients, Narrowing, UnseenImage};
use crate::platform::Platform;
use crate::project::{ExecutorChoice, Image};
use crate::reference::Reference;

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
    /// The images that are left out, because nobody may be asked.
    pub unseen: Vec<UnseenImage>,
}

/// What happens to images of which something from outside is not known and nobody may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are left out.
    LeftOut,
    /// They are a problem.
    Refused,
}

/// Follows the graph, pins what comes from outside, reads the contexts, computes the keys.
///
/// # Errors
/// What is wrong in the Dockerfiles or the contexts; a pin that may not be added or cannot be found.
pub async fn prepare(
    loaded: &mut Loaded,
    registries: &Registries,
    settings: &Settings,
    unknown: Unknown,
) -> Result<Prepared, Failure> {
    let mut lock = read_lock(loaded)?;
    let mut wired = loaded.wire(settings, &BaseConfigs::new())?;
    // A lock that may not grow must have everything; that is what it is asked for.
    let leaves_out = settings.offline && !settings.locked && unknown == Unknown::LeftOut;
    let mut unseen = if leaves_out { leave_out(&mut wired, &lock, loaded) } else { Vec::new() };
    let mut added = pin(&wired, &mut lock, registries, settings).await?;
    // The environment and the ONBUILD triggers of outside bases reach into a build, so it is looked at again with them.
    let configs = configs(&wired, &lock, registries, loaded, settings).await?;
    if !configs.is_empty() {
        wired = loaded.wire(settings, &configs)?;
        if leaves_out {
            unseen = leave_out(&mut wired, &lock, loaded);
        }
        added.extend(pin(&wired, &mut lock, registries, settings).await?);
    }
    let (images, mut facts) = keys(loaded, &mut wired, &lock)?;
    mark(loaded, &wired, &images, &mut facts)?;
    Ok(Prepared { facts, images, wired, lock, added, unseen })
}

/// The images of a run, with all that their builds need.
type Works = BTreeMap<ImageName, ImageWork>;

/// The contexts and the records of all images of the run, bases before their dependents.
fn keys(
    loaded: &mut Loaded,
    wired: &mut Wired,
    lock: &Lock,
) -> Result<(Works, BTreeMap<ImageName, ImageFacts>), Failure> {
    let mut contexts = read_contexts(loaded, wired)?;
    let mut works: Works = BTreeMap::new();
    let mut facts: BTreeMap<ImageName, ImageFacts> = BTreeMap::new();
    for name in wired.graph.order().iter().filter(|name| wired.selection.all.contains(*name)) {
        let (Some(image), Some(recipes)) = (loaded.project.images.get(name), wired.recipes.get(name)) else { continue };
        let extra = loaded.workspace.extra(&image.inputs.extra, image.modes)?;
        let mut platforms = BTreeMap::new();
        let mut narrowing = Narrowing::default();
        for (platform, recipe) in recipes {
            let read = contexts.remove(&(name.clone(), platform.clone())).unwrap_or_default();
            let parent = |name: &ImageName, platform: &Platform| {
                let work = works.get(name)?.platforms.get(platform)?;
                Some(Parent::Key(work.fingerprint.key()))
            };
            let pin = |reference: &Reference, platform: &Platform| lock.pin(reference, platform);
            let remote = |url: &str| lock.remote(url).map(str::to_owned);
            let frontend = |reference: &Reference| lock.frontend(reference);
            let files = read.snapshots.iter().map(|(name, snapshot)| (name.clone(), snapshot.shared_files()));
            let ingredients = Ingredients {
                contexts: files.collect(),
                extra: Arc::clone(&extra),
                pin: &pin,
                remote: &remote,
                frontend: &frontend,
                parent: &parent,
                generation: lock.generation(name.as_str()),
            };
            let fingerprint = plan::fingerprint(image, platform, recipe, &ingredients)
                .expect("every pin was found, and the graph's order puts bases first");
            let dockerfile = wired.dockerfiles[&image.dockerfile.value].clone();
            let pins = fingerprint.outside.iter().map(|(place, pin)| (place.clone(), pin.digest)).collect();
            let work = PlatformWork { recipe: recipe.clone(), fingerprint, dockerfile, contexts: read.snapshots, pins };
            platforms.insert(platform.clone(), work);
            narrowing.merge(read.narrowing);
            wired.warnings.append(read.warnings);
        }
        facts.insert(name.clone(), ImageFacts { narrowing, ..image_facts(image, &platforms) });
        works.insert(name.clone(), ImageWork { image: image.clone(), platforms });
    }
    Ok((works, facts))
}

fn image_facts(image: &Image, platforms: &BTreeMap<Platform, PlatformWork>) -> ImageFacts {
    let fingerprints: BTreeMap<Platform, Fingerprint> =
        platforms.iter().map(|(platform, work)| (platform.clone(), work.fingerprint.clone())).collect();
    let key = image_key(&fingerprints.iter().map(|(platform, print)| (platform.clone(), print.key())).collect());
    let (executor, executor_because) = executor(image, platforms);
    let narrowing = Narrowing::default();
    let uncommitted = Vec::new();
    ImageFacts { key, fingerprints, executor, executor_because, uncommitted, narrowing, published: None }
}

/// Who builds: a function of the manifest and the Dockerfile alone, never of what is installed. All platforms of an image have the same
/// builder, so one that needs BuildKit decides for all.
fn executor(image: &Image, platforms: &BTreeMap<Platform, PlatformWork>) -> (Executor, Option<String>) {
    let known = platforms.values().all(|work| work.recipe.analysis.frontend_known);
    if image.executor == ExecutorChoice::Buildkit && known {
        return (Executor::Buildkit, Some(plan::FORCED_BUILDKIT.to_owned()));
    }
    match platforms.values().find_map(|work| work.recipe.needs_buildkit(image)) {
        Some((what, place)) => (Executor::Buildkit, Some(format!("{what} ({place})"))),
        None => (Executor::Assemble, None),
    }
}
