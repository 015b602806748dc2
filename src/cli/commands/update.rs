//! `orchestrate update`.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::write_whole;
use crate::cli::args::UpdateArguments;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{BaseConfigs, load};
use crate::cli::pins::{LOCK, pin_of_remote, read_lock};
use crate::cli::print;
use crate::cli::registries::Registries;
use crate::cli::settings::Settings;
use crate::dockerfile::Remote;
use crate::observe::pin_of;
use crate::platform::Platform;
use crate::reference::Reference;

/// Pins what every image takes from outside; with `--check` only says what has moved.
pub async fn update(settings: &Settings, arguments: &UpdateArguments) -> Result<Exit, Failure> {
    let loaded = load(settings)?;
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
        let digest = pin_of(&registries.client, reference, platform)
            .await
            .map_err(|error| Failure::surroundings(error.to_string(), Some("nothing was written".to_owned())))?;
        match before.pin(reference, platform) {
            Some(old) if old == digest => {}
            Some(old) => text.push_str(&format!("{reference} ({platform}): {} -> {}\n", old.short(), digest.short())),
            None => text.push_str(&format!("{reference} ({platform}): {} is new\n", digest.short())),
        }
        lock.set(reference.clone(), platform.clone(), digest);
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
    if settings.only.is_empty() {
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
