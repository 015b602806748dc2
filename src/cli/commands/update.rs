//! `orchestrate update`.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::write_whole;
use crate::cli::args::UpdateArguments;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{BaseConfigs, Loaded, Wired, load};
use crate::cli::pins::{LOCK, pin_of_remote, read_lock};
use crate::cli::prepare::{Unknown, prepare};
use crate::cli::promotion::repositories;
use crate::cli::registries::Registries;
use crate::cli::settings::Settings;
use crate::cli::{dates, eprint, print};
use crate::dockerfile::Remote;
use crate::fingerprint::day_of;
use crate::name::ImageName;
use crate::observe::{OutsideError, digest_of, pin_of};
use crate::plan::{Rebuild, rebuild};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::report::rebuild_text;

/// Pins what every image takes from outside; with `--check` only says what has moved.
pub async fn update(settings: &Settings, arguments: &UpdateArguments) -> Result<Exit, Failure> {
    if settings.offline {
        return Err(Failure::wrong("`update` asks what has moved, and --offline forbids it", "drop one of the two"));
    }
    let mut loaded = load(settings)?;
    let wired = loaded.wire(settings, &BaseConfigs::new())?;
    let registries = Registries::new(settings, &loaded.project).await?;
    let before = read_lock(&loaded)?;
    let mut lock = before.clone();
    let recipes = wired.recipes.values().flat_map(|platforms| platforms.values());
    let used: BTreeSet<(Reference, Platform)> = recipes
        .flat_map(|recipe| &recipe.outside)
        .filter(|used| used.reference.digest.is_none())
        .map(|used| (used.reference.clone(), used.platform.clone()))
        .collect();
    let mut text = String::new();
    for (reference, platform) in &used {
        let digest = pin_of(&registries.client, reference, platform).await.map_err(|error| cannot_ask(&error))?;
        match before.pin(reference, platform) {
            Some(old) if old == digest => {}
            Some(old) => text.push_str(&format!("{reference} ({platform}): {} -> {}\n", old.short(), digest.short())),
            None => text.push_str(&format!("{reference} ({platform}): {} is new\n", digest.short())),
        }
        lock.set(reference.clone(), platform.clone(), digest);
    }
    let frontends = frontends(&wired);
    for reference in &frontends {
        let digest = digest_of(&registries.client, reference).await.map_err(|error| cannot_ask(&error))?;
        match before.frontend(reference) {
            Some(old) if old == digest => {}
            Some(old) => text.push_str(&format!("{reference} (# syntax): {} -> {}\n", old.short(), digest.short())),
            None => text.push_str(&format!("{reference} (# syntax): {} is new\n", digest.short())),
        }
        lock.set_frontend(reference.clone(), digest);
    }
    let recipes = wired.recipes.values().flat_map(|platforms| platforms.values());
    let fetched: BTreeMap<&str, &Remote> = recipes
        .flat_map(|recipe| &recipe.analysis.remotes)
        .filter(|remote| remote.moves())
        .map(|remote| (remote.url.as_str(), remote))
        .collect();
    for remote in fetched.values() {
        let (url, pin) = pin_of_remote(&registries.client, remote).await?;
        match before.remote(&url) {
            Some(old) if old == pin => {}
            Some(old) => text.push_str(&format!("{url}: {old} -> {pin}\n")),
            None => text.push_str(&format!("{url}: {pin} is new\n")),
        }
        lock.set_remote(url, pin);
    }
    for rebuild in due(&mut loaded, &registries, settings).await? {
        let image = rebuild.image.as_str();
        let generation = before.generation(image);
        match rebuild.due() {
            Some(published) => {
                let (next, day) = (generation + 1, day_of(published));
                text.push_str(&format!(
                    "{image} is from {day}, due to be rebuilt: generation {generation} -> {next}\n"
                ));
                lock.raise_generation(image);
            }
            None => eprint(&format!("{}\n", rebuild_text(&rebuild))),
        }
    }
    if settings.only.is_empty() {
        lock.retain_generations(|image| loaded.project.images.contains_key(&ImageName::new(image)));
        lock.retain_frontends(|reference| frontends.contains(reference));
        lock.retain_remotes(|url| fetched.contains_key(url));
        lock.retain(|reference, platform| used.contains(&(reference.clone(), platform.clone())));
    }
    let changed = lock != before;
    if changed && !arguments.check {
        write_whole(&loaded.workspace.root().join(LOCK), lock.render().as_bytes())?;
    }
    if settings.json {
        print(&lock.render());
    } else {
        print(if text.is_empty() && !changed { "every pin is as it was\n" } else { &text });
    }
    Ok(if changed && arguments.check { Exit::Changes } else { Exit::Done })
}

/// The front ends that are to be pinned.
fn frontends(wired: &Wired) -> BTreeSet<Reference> {
    let recipes = wired.recipes.values().flat_map(|platforms| platforms.values());
    let named = recipes.filter_map(|recipe| recipe.frontend.as_ref()).map(|used| &used.reference);
    named.filter(|reference| reference.digest.is_none()).cloned().collect()
}

fn cannot_ask(error: &OutsideError) -> Failure {
    Failure::surroundings(error.to_string(), Some("nothing was written".to_owned()))
}

/// The images whose `rebuild_every` has run out under their present keys, or cannot be judged.
async fn due(loaded: &mut Loaded, registries: &Registries, settings: &Settings) -> Result<Vec<Rebuild>, Failure> {
    if !loaded.project.images.values().any(|image| image.rebuild_every.is_some()) {
        return Ok(Vec::new());
    }
    // A pin that is not in the lock yet is about to come into it.
    let settings = Settings { locked: false, ..settings.clone() };
    let mut prepared = prepare(loaded, registries, &settings, Unknown::Refused).await?;
    let repositories = repositories(&loaded.project, &registries.client, loaded.workspace.root());
    dates::ask(&loaded.project, &mut prepared.facts, &repositories).await?;
    let judged = prepared
        .facts
        .iter()
        .filter_map(|(name, known)| rebuild(loaded.project.images.get(name)?, known.published, dates::now(), false));
    Ok(judged.collect())
}
