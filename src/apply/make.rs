//! One image's turn: kept, copied, found, or built and published.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::build::{BuildRun, MadeImages, build};
use super::error::ApplyError;
use super::events::Events;
use super::made::Made;
use super::publish::{Fresh, Publisher};
use super::together::Together;
use super::work::{ImageWork, Work};
use crate::digest::{Digest, Key};
use crate::event::Outcome;
use crate::name::ImageName;
use crate::oci::{Descriptor, Index, RawManifest};
use crate::plan::{self, Action, Plan, Reason, Step};
use crate::platform::Platform;
use crate::registry::{By, ContentStore, Lent};

/// What every step of a run shares.
pub struct Shared {
    /// What is worked with.
    pub work: Work,
    /// What is to be done.
    pub plan: Plan,
    /// What is sent to BuildKit once for several builds.
    pub together: Together,
    /// Blobs between a build and its publication.
    pub store: ContentStore,
    /// Where events go.
    pub events: Events,
    /// Ends the run.
    pub cancel: CancellationToken,
    /// Who is built and leaves its place at the builder.
    pub leaves: mpsc::UnboundedSender<ImageName>,
    /// Images with equal keys build once: what was built under each key of this run.
    pub built: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Option<Fresh>>>>>,
    /// The images whose keys this run put, and at which of their destinations: for the receipt, also where the rest of an image failed.
    pub put: Mutex<BTreeMap<ImageName, (Digest, BTreeSet<usize>)>>,
}

/// Makes the image of a step. `made` holds all that it builds on.
pub async fn make(shared: &Shared, step: &Step, made: &MadeImages) -> Result<Option<Made>, ApplyError> {
    let image = shared.work.images.get(&step.name).expect("a plan's images are the manifest's");
    let publisher = Publisher { shared, step, image };
    match step.action {
        Action::Keep if step.reasons.contains(&Reason::NotNeeded) => Ok(None),
        Action::Keep | Action::Tag | Action::Copy => stand(&publisher).await.map(Some),
        Action::Build => {
            let pinned = pinned_key(shared, step, image, made).await?;
            let forced = step.reasons.contains(&Reason::Forced);
            if let (Some(pinned), false) = (pinned, forced)
                && let Some((digest, built)) = publisher.sound_at_home(pinned).await?
                && !shared.work.rules.no_push
            {
                return publisher.carry(digest, pinned, &built).await.map(Some);
            }
            let fresh = build_once(shared, step, image, made).await?;
            // If nobody hears it, the run is over.
            let _ = shared.leaves.send(step.name.clone());
            if shared.work.rules.no_push {
                return Ok(Some(Made::unpublished(&fresh)));
            }
            publisher.publish(&fresh, pinned).await.map(Some)
        }
    }
}

/// What is published already: its key is put where it lacks, its blobs are copied where they lack.
async fn stand(publisher: &Publisher<'_>) -> Result<Made, ApplyError> {
    let step = publisher.step;
    let Some(home) = step.destinations.first() else {
        return Err(ApplyError::Gone(format!("{} has no destination to be taken from", step.name)));
    };
    let digest = home.digest.ok_or_else(|| ApplyError::Gone(format!("{} is not published", step.name)))?;
    if publisher.shared.work.rules.no_push {
        let holds = |publication: &crate::plan::Publication| publication.action != Action::Copy;
        let held = step.destinations.iter().enumerate().filter(|(_, publication)| holds(publication));
        let held = held.map(|(index, _)| index).collect();
        return Ok(Made {
            digest,
            children: BTreeMap::new(),
            held,
            stored: false,
            lent: Arc::default(),
            outcome: Outcome::Kept,
        });
    }
    if let Some(pinned) = home.pinned {
        let built = publisher.sound_at_home(pinned).await?;
        let Some((digest, built)) = built.filter(|(found, _)| *found == digest) else {
            return Err(ApplyError::Gone(format!("{} is not published under {} any more", step.name, pinned.tag())));
        };
        return publisher.carry(digest, pinned, &built).await;
    }
    let mut held: Vec<usize> = Vec::new();
    let mut outcome = if step.action == Action::Tag { Outcome::Tagged } else { Outcome::Kept };
    for (index, publication) in step.destinations.iter().enumerate() {
        if publication.action == Action::Copy {
            publisher.copy_to(index, digest).await?;
            outcome = Outcome::Copied;
        }
        held.push(index);
    }
    Ok(Made { digest, children: BTreeMap::new(), held, stored: false, lent: Arc::default(), outcome })
}

/// The pinned key: the same record with the bases by digest. `None` where it builds on no image of the manifest.
async fn pinned_key(
    shared: &Shared,
    step: &Step,
    image: &ImageWork,
    made: &MadeImages,
) -> Result<Option<Key>, ApplyError> {
    if step.needs.is_empty() {
        return Ok(None);
    }
    let mut digests = BTreeMap::new();
    for (name, parent) in made {
        for (platform, digest) in children(shared, name, parent).await? {
            digests.insert((name.clone(), platform), digest);
        }
    }
    let digest_of = |name: &ImageName, platform: &Platform| digests.get(&(name.clone(), platform.clone())).copied();
    let platforms = image.platforms.iter().map(|(platform, work)| (platform, &work.recipe, &work.fingerprint));
    Ok(plan::pinned_key(platforms, &digest_of))
}

/// The manifests of an image's platforms, read from its home where they are not known.
async fn children(shared: &Shared, name: &ImageName, made: &Made) -> Result<BTreeMap<Platform, Digest>, ApplyError> {
    let Some(image) = shared.work.images.get(name) else { return Ok(BTreeMap::new()) };
    if let (1, Some(platform)) = (image.platforms.len(), image.platforms.keys().next()) {
        return Ok(BTreeMap::from([(platform.clone(), made.digest)]));
    }
    if !made.children.is_empty() {
        return Ok(made.children.clone());
    }
    let Some(destination) = made.held.first().and_then(|index| image.image.destinations.get(*index)) else {
        return Ok(BTreeMap::new());
    };
    let repository = shared.work.repositories.get(destination.registry.as_str(), &destination.repository);
    let raw = repository
        .get_manifest(By::Digest(made.digest))
        .await
        .map_err(ApplyError::registry(format!("reading the index of {name}")))?
        .ok_or_else(|| ApplyError::Gone(format!("{name} is not in {repository} any more")))?;
    Ok(platforms_of(&raw))
}

/// The children of an index, by platform.
pub fn platforms_of(raw: &RawManifest) -> BTreeMap<Platform, Digest> {
    match raw.contents() {
        Ok(crate::oci::Contents::Index(index)) => index
            .manifests
            .iter()
            .filter_map(|child| Some((child.platform.as_ref()?.normalized()?, child.digest)))
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// Builds all platforms of an image, once for all images with this key.
async fn build_once(shared: &Shared, step: &Step, image: &ImageWork, made: &MadeImages) -> Result<Fresh, ApplyError> {
    let cell = {
        let mut built = shared.built.lock().expect("nothing panics while it holds the lock");
        Arc::clone(built.entry(step.key).or_default())
    };
    let mut cell = cell.lock().await;
    if let Some(fresh) = &*cell {
        return Ok(fresh.clone());
    }
    let fresh = build_platforms(shared, step, image, made).await?;
    *cell = Some(fresh.clone());
    Ok(fresh)
}

/// Whether all destinations of an image are repositories of registries.
fn only_registries(shared: &Shared, image: &ImageWork) -> bool {
    let remote = |destination: &crate::project::Destination| {
        let repository = shared.work.repositories.get(destination.registry.as_str(), &destination.repository);
        matches!(*repository, crate::registry::Repository::Remote { .. })
    };
    !image.image.destinations.is_empty() && image.image.destinations.iter().all(remote)
}

async fn build_platforms(
    shared: &Shared,
    step: &Step,
    image: &ImageWork,
    made: &MadeImages,
) -> Result<Fresh, ApplyError> {
    // A rebuild that takes its steps from a cache is none.
    let generation = image.platforms.values().any(|work| work.fingerprint.generation > 0);
    let no_cache = step.reasons.contains(&Reason::Forced) || (generation && image.image.rebuild_every.is_some());
    let run = BuildRun {
        executor: step.executor,
        store: &shared.store,
        events: &shared.events,
        cancel: &shared.cancel,
        no_cache,
        together: &shared.together,
        publishes: !shared.work.rules.no_push && only_registries(shared, image),
    };
    let mut lent = Lent::default();
    let mut children = BTreeMap::new();
    let mut entries = Vec::new();
    for platform in image.platforms.keys() {
        let built = build(&shared.work, image, platform, made, &run).await?;
        children.insert(platform.clone(), built.digest);
        entries.push(Descriptor::new(built.media_type.clone(), built.digest, built.size).for_platform(platform));
        lent.extend(&built.lent);
        for attestation in built.attestations {
            let descriptor = Descriptor::new(attestation.media_type, attestation.digest, attestation.size);
            entries.push(Descriptor { annotations: attestation.annotations, ..descriptor });
        }
    }
    let digest = match (&entries[..], children.values().next()) {
        ([_], Some(only)) => *only,
        _ => {
            let index = Index::new(entries).to_raw();
            let kept = shared.store.write(index.bytes()).await;
            kept.map_err(ApplyError::registry(format!("keeping the index of {}", step.name)))?
        }
    };
    Ok(Fresh { digest, children, lent: Arc::new(lent) })
}
