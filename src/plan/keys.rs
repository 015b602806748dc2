//! Fingerprints from recipes: what of a manifest and a Dockerfile enters the key, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::digest::Digest;
use crate::fingerprint::{BuiltOn, FileSet, Fingerprint, Parent, Pin, StageRecord};
use crate::graph::Recipe;
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
    /// What an image of the manifest is, by key or by digest.
    pub parent: &'a dyn Fn(&ImageName, &Platform) -> Option<Parent>,
    /// The generation of `rebuild_every`.
    pub generation: u64,
}

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
    let analysis = &recipe.analysis;
    let stages = analysis
        .stages
        .iter()
        .map(|stage| StageRecord { name: stage.name.clone(), instructions: stage.recipe.clone() })
        .collect();
    Some(Fingerprint {
        platform: platform.clone(),
        stages,
        args: args(image, platform, recipe),
        contexts: with.contexts.clone(),
        extra: Arc::clone(&with.extra),
        images,
        outside,
        remotes: analysis.remotes.iter().map(|remote| (remote.url.clone(), remote.checksum.clone())).collect(),
        secrets: secrets(image, recipe),
        labels: labels(image),
        annotations: image.annotations.clone(),
        options: options(image, recipe),
        generation: with.generation,
    })
}

/// The args that reachable stages declare. Left out: volatile ones, those that hold an image of ours (it counts as what it is), and
/// those used in FROM alone (they count as the image that they resolve to).
fn args(image: &Image, platform: &Platform, recipe: &Recipe) -> BTreeMap<String, Option<String>> {
    let mut args = BTreeMap::new();
    for (name, used) in &recipe.analysis.args {
        let declared = image.args.get(name);
        let holds_image =
            declared.and_then(|arg| arg.on(platform)).is_some_and(|text| text.images().next().is_some());
        if declared.is_some_and(|arg| arg.volatile) || used.from_only {
            continue;
        }
        let value = if holds_image {
            // What stands around the image's reference counts as text; the image itself under its place.
            declared.and_then(|arg| arg.on(platform)).map(|text| text.render(|_| "{image}".to_owned()))
        } else {
            used.value.clone()
        };
        args.insert(name.clone(), value);
    }
    args
}

fn secrets(image: &Image, recipe: &Recipe) -> BTreeSet<String> {
    let used = recipe.analysis.secrets.iter().map(|id| (id, image.secrets.contains_key(id)));
    let secrets = used.map(|(id, given)| format!("secret {id}{}", if given { "" } else { " (not given)" }));
    let ssh = recipe.analysis.ssh.iter().map(|id| format!("ssh {id}{}", if image.ssh.contains_key(id) { "" } else { " (not given)" }));
    secrets.chain(ssh).collect()
}

fn labels(image: &Image) -> BTreeMap<String, String> {
    let counting = image.labels.iter().filter(|(_, label)| !label.volatile);
    counting.map(|(name, label)| (name.clone(), label.value.clone())).collect()
}

/// Everything about who builds and what comes out that is not the default.
fn options(image: &Image, recipe: &Recipe) -> BTreeSet<String> {
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
    if let Some(syntax) = &recipe.analysis.syntax {
        options.insert(format!("syntax={}", syntax.value));
    }
    options
}
