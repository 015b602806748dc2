//! Which inputs differ from the commit that is checked out.

use std::collections::{BTreeMap, BTreeSet};

use super::exit::Failure;
use super::load::{Loaded, Wired, unreadable};
use crate::apply::{ImageWork, PlatformWork};
use crate::ignore::Ignore;
use crate::name::ImageName;
use crate::plan::ImageFacts;
use crate::project::{Image, NamedContext};
use crate::workspace::{Changes, CommittedKeys};

/// Writes into the facts of each image which of its inputs, or of what it builds on, differ from the commit.
///
/// # Errors
/// Where git refuses, or an ignore file cannot be read.
pub fn mark(
    loaded: &Loaded,
    wired: &Wired,
    works: &BTreeMap<ImageName, ImageWork>,
    facts: &mut BTreeMap<ImageName, ImageFacts>,
) -> Result<(), Failure> {
    let Some(git) = &loaded.git else { return Ok(()) };
    let mut known = CommittedKeys::open(&loaded.workspace.state_folder(), &git.commit);
    if facts.values().all(|facts| known.holds(facts.key)) {
        return Ok(());
    }
    let Some(changes) = loaded.changes()? else { return Ok(()) };
    // Bases come first, and what differs in them differs in all that builds on them.
    for name in wired.graph.order() {
        let Some(work) = works.get(name) else { continue };
        let mut found = BTreeSet::new();
        if !changes.is_empty() {
            for on in work.platforms.values() {
                differing(loaded, &work.image, on, changes, &mut found)?;
            }
            for base in wired.graph.edges().get(name).into_iter().flatten() {
                found.extend(facts.get(&base.to).into_iter().flat_map(|facts| facts.uncommitted.iter().cloned()));
            }
        }
        let Some(facts) = facts.get_mut(name) else { continue };
        if found.is_empty() {
            known.add(facts.key);
        }
        facts.uncommitted = found.into_iter().collect();
    }
    known.save();
    Ok(())
}

fn differing(
    loaded: &Loaded,
    image: &Image,
    on: &PlatformWork,
    changes: &Changes,
    found: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    for (name, snapshot) in &on.contexts {
        found.extend(changes.within(snapshot).iter().map(ToString::to_string));
        let source = match image.contexts.get(name).map(|context| &context.value) {
            Some(NamedContext::Folder(folder)) => loaded.workspace.folder_ignore(folder),
            _ => loaded.workspace.ignore_file(&image.dockerfile.value, &image.context.value).map(|file| file.source),
        };
        let source = source.map_err(|error| unreadable(&error))?;
        let ignore = source.map_or_else(|| Ok(Ignore::empty()), |source| Ignore::parse(&source))?;
        let reads = on.recipe.analysis.reads.get(name).filter(|_| on.recipe.analysis.frontend_known);
        found.extend(changes.removed(snapshot, reads.map(Vec::as_slice), &ignore).iter().map(ToString::to_string));
    }
    if changes.touches(&loaded.workspace.root().join(&image.dockerfile.value)) {
        found.insert(image.dockerfile.value.clone());
    }
    Ok(())
}
