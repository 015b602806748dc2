//! What `--offline` cannot plan: images of which something from outside is not known on this machine.

use std::collections::{BTreeMap, BTreeSet};

use super::load::{Loaded, Wired};
use super::pins::config_file;
use crate::graph::Recipe;
use crate::lock::Lock;
use crate::name::ImageName;
use crate::plan::{Unseen, UnseenImage};

/// Takes the images out of the selection whose keys cannot be known without asking somebody, and what builds on them.
pub fn leave_out(wired: &mut Wired, lock: &Lock, loaded: &Loaded) -> Vec<UnseenImage> {
    let mut unseen: BTreeMap<ImageName, Unseen> = BTreeMap::new();
    for (name, platforms) in wired.recipes.iter().filter(|(name, _)| wired.selection.all.contains(*name)) {
        if let Some(because) = platforms.values().find_map(|recipe| unknown(recipe, lock, loaded)) {
            unseen.insert(name.clone(), because);
        }
    }
    // Bases come first, so each dependent names the one that it builds on.
    for name in wired.graph.order().iter().filter(|name| wired.selection.all.contains(*name)) {
        let lost = wired.graph.needs(name).into_iter().find(|base| unseen.contains_key(*base)).cloned();
        if let Some(image) = lost.filter(|_| !unseen.contains_key(name)) {
            unseen.insert(name.clone(), Unseen::Image { image });
        }
    }
    let chosen: BTreeSet<ImageName> = wired.selection.chosen.clone();
    wired.selection.all.retain(|name| !unseen.contains_key(name));
    wired.selection.chosen.retain(|name| !unseen.contains_key(name));
    // A base that nobody asked for is missed through what builds on it.
    let asked = unseen.into_iter().filter(|(name, _)| chosen.contains(name));
    asked.map(|(name, because)| UnseenImage { name, because }).collect()
}

/// The first thing from outside that is not known.
fn unknown(recipe: &Recipe, lock: &Lock, loaded: &Loaded) -> Option<Unseen> {
    let unpinned = |reference: String| Some(Unseen::Pin { reference });
    for used in &recipe.outside {
        let Some(digest) = used.reference.digest.or_else(|| lock.pin(&used.reference, &used.platform)) else {
            return unpinned(used.reference.to_string());
        };
        if used.place.ends_with("FROM") && !config_file(loaded, digest, &used.platform).is_file() {
            return Some(Unseen::Configuration { reference: used.reference.to_string() });
        }
    }
    if let Some(used) = &recipe.frontend
        && used.reference.digest.is_none()
        && lock.frontend(&used.reference).is_none()
    {
        return unpinned(used.reference.to_string());
    }
    let mut remotes = recipe.analysis.remotes.iter();
    let remote = remotes.find(|remote| remote.moves() && lock.remote(&remote.url).is_none())?;
    unpinned(remote.url.clone())
}
