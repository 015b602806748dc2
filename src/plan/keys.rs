//! Fingerprints from recipes: what of a manifest and a Dockerfile enters the key, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::digest::{Digest, Key};
use crate::dockerfile::{Kind, Origin, StageUse};
use crate::fingerprint::{BuiltOn, FileSet, Fingerprint, Parent, Pin, StageRecord, image_key};
use crate::graph::{FRONTEND, Recipe};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::project::{Compression, ExecutorChoice, Image, Modes, Output};
use crate::reference::Reference;

/// What a fingerprint needs beside the recipe.
pub struct Ingredients<'a> {
    /// The files of each context; the default context is "".
    pub contexts: BTreeMap<String, Arc<FileSet>>,
    /// Files that count though the build does not see them.
    pub extra: Arc<FileSet>,
    /// The pin of an image from outside.
    pub pin: &'a dyn Fn(&Reference, &Platform) -> Option<Digest>,
    /// The pin of what ADD fetches from an address.
    pub remote: &'a dyn Fn(&str) -> Option<String>,
    /// The pin of a front end.
    pub frontend: &'a dyn Fn(&Reference) -> Option<Digest>,
    /// What an image of the manifest is, by key or by digest.
    pub parent: &'a dyn Fn(&ImageName, &Platform) -> Option<Parent>,
    /// The generation of `rebuild_every`.
    pub generation: u64,
}

/// What was built for each platform of an image.
pub type Digests = BTreeMap<Platform, Digest>;

/// The record of an image on a platform; `None` if a pin or a parent is not known.
pub fn fingerprint(image: &Image, platform: &Platform, recipe: &Recipe, with: &Ingredients<'_>) -> Option<Fingerprint> {
    let mut images = BTreeMap::new();
    for used in &recipe.parents {
        let parent = (with.parent)(&used.image, &used.platform)?;
        images.insert(used.place.clone(), BuiltOn { image: used.image.to_string(), parent });
    }
    let mut outside = BTreeMap::new();
    for used in &recipe.outside {
        let digest = match used.reference.digest {
            Some(digest) => digest,
            None => (with.pin)(&used.reference, &used.platform)?,
        };
        outside.insert(used.place.clone(), Pin { reference: used.reference.clone(), digest });
    }
    if let Some(used) = &recipe.frontend {
        let digest = match used.reference.digest {
            Some(digest) => digest,
            None => (with.frontend)(&used.reference)?,
        };
        outside.insert(FRONTEND.to_owned(), Pin { reference: used.reference.clone(), digest });
    }
    let mut remotes = BTreeMap::new();
    for remote in &recipe.analysis.remotes {
        let pin = if remote.moves() { Some((with.remote)(&remote.url)?) } else { remote.checksum.clone() };
        remotes.insert(remote.url.clone(), pin);
    }
    // A stage's name is its own business: COPY --from and FROM name stages by number in a recipe.
    let stages = recipe.stages.iter().enumerate().map(|(index, stage)| StageRecord {
        name: stage.name.clone().unwrap_or_else(|| index.to_string()),
        instructions: stage.recipe.clone(),
    });
    Some(Fingerprint {
        platform: platform.clone(),
        stages: stages.collect(),
        args: args(image, recipe),
        contexts: with.contexts.clone(),
        extra: Arc::clone(&with.extra),
        images,
        outside,
        remotes,
        secrets: secrets(image, recipe),
        labels: labels(image),
        annotations: image.annotations.clone(),
        options: options(image, platform, recipe),
        generation: with.generation,
    })
}

/// The pinned key of an image: its record with the images that it builds on by digest instead of by key. `None` where it builds on none,
/// or a digest is not known.
pub fn pinned_key<'a>(
    platforms: impl IntoIterator<Item = (&'a Platform, &'a Recipe, &'a Fingerprint)>,
    digest_of: &dyn Fn(&ImageName, &Platform) -> Option<Digest>,
) -> Option<Key> {
    let mut keys = BTreeMap::new();
    let mut builds_on_ours = false;
    for (platform, recipe, fingerprint) in platforms {
        let mut pinned = fingerprint.clone();
        for used in &recipe.parents {
            builds_on_ours = true;
            let parent = Parent::Digest(digest_of(&used.image, &used.platform)?);
            pinned.images.insert(used.place.clone(), BuiltOn { image: used.image.to_string(), parent });
        }
        keys.insert(platform.clone(), pinned.key());
    }
    builds_on_ours.then(|| image_key(&keys))
}

/// The args that reachable stages declare. Left out: volatile ones, and those used in FROM alone, which count as the image that they
/// resolve to. An image of ours within a value counts under its place; the text here names it, which is the same on every machine.
fn args(image: &Image, recipe: &Recipe) -> BTreeMap<String, Option<String>> {
    let volatile = |name: &str| image.args.get(name).is_some_and(|arg| arg.volatile);
    let counting = recipe.args.iter().filter(|(name, used)| !volatile(name) && !used.from_only);
    counting.map(|(name, used)| (name.clone(), used.value.clone())).collect()
}

fn secrets(image: &Image, recipe: &Recipe) -> BTreeSet<String> {
    let given = |what: &str, id: &str, given: bool| format!("{what} {id}{}", if given { "" } else { " (not given)" });
    let secrets = recipe.analysis.secrets.keys().map(|id| given("secret", id, image.secrets.contains_key(id)));
    let ssh = recipe.analysis.ssh.keys().map(|id| given("ssh", id, image.ssh.contains_key(id)));
    secrets.chain(ssh).collect()
}

fn labels(image: &Image) -> BTreeMap<String, String> {
    let counting = image.labels.iter().filter(|(_, label)| !label.volatile);
    counting.map(|(name, label)| (name.clone(), label.value.clone())).collect()
}

/// Everything about who builds and what comes out that is not the default.
fn options(image: &Image, platform: &Platform, recipe: &Recipe) -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    match image.executor {
        ExecutorChoice::Auto => {}
        ExecutorChoice::Buildkit => drop(options.insert("executor=buildkit".to_owned())),
        ExecutorChoice::Assemble => drop(options.insert("executor=assemble".to_owned())),
    }
    if image.modes == Modes::Exact {
        options.insert("modes=exact".to_owned());
    }
    let Output { compression, level, sbom, provenance } = &image.output;
    match compression {
        Compression::Gzip => {}
        Compression::Zstd => drop(options.insert("compression=zstd".to_owned())),
        Compression::Uncompressed => drop(options.insert("compression=uncompressed".to_owned())),
    }
    if let Some(level) = level {
        options.insert(format!("level={level}"));
    }
    if *sbom {
        options.insert("sbom".to_owned());
    }
    if *provenance {
        options.insert("provenance".to_owned());
    }
    if let (Some((syntax, _)), false) = (&recipe.analysis.syntax, recipe.analysis.frontend_known) {
        options.insert(format!("syntax={syntax}"));
    }
    let assembled = image.executor != ExecutorChoice::Buildkit && recipe.needs_buildkit(image).is_none();
    if assembled && follows_new_rules(recipe, platform) {
        options.insert("assembled=2".to_owned());
    }
    // Before this the time was 0 whatever the arg said: an image of that time must not be taken for one of this.
    let volatile = image.args.get("SOURCE_DATE_EPOCH").is_some_and(|arg| arg.volatile);
    if recipe.epoch != 0 && !volatile {
        options.insert(format!("epoch={}", recipe.epoch));
    }
    options
}

/// Whether an assembled image has something of which the embedded builder's rules changed with version 2, which follows BuildKit 0.25: the
/// folders that an octal `--chmod` makes (BuildKit 0.21), the owner of what `ADD --chown` unpacks (0.23), groups by name, patterns of
/// `--exclude` that were taken otherwise, and the platform of an image whose base is of another one. Other images are what they were, and so are
/// their keys.
fn follows_new_rules(recipe: &Recipe, platform: &Platform) -> bool {
    let mut base = recipe.stages.last();
    while let Some(StageUse { base: Origin::Stage(index), .. }) = base {
        base = recipe.stages.get(*index);
    }
    if base.is_some_and(|stage| stage.base != Origin::Scratch && stage.platform != *platform) {
        return true;
    }
    let instructions = recipe.stages.iter().flat_map(|stage| &stage.steps).map(|step| &step.instruction);
    let mut transfers = instructions.filter(|done| matches!(done.kind, Kind::Copy(_) | Kind::Add(_)));
    transfers.any(|done| {
        let value = |name: &str| done.flag(name).and_then(|flag| flag.value.as_deref()).filter(|text| !text.is_empty());
        let is_octal = |text: &str| !text.starts_with(|first: char| "ugoa+-=".contains(first));
        let names_group = |text: &str| text.split_once(':').is_some_and(|(_, group)| group.parse::<u32>().is_err());
        let excludes = done.flags("exclude").filter_map(|flag| flag.value.as_deref());
        value("chmod").is_some_and(is_octal)
            || value("chown").is_some_and(|text| matches!(done.kind, Kind::Add(_)) || names_group(text))
            || excludes.into_iter().any(|text| text.starts_with('/') || text.contains('$'))
    })
}
