//! An image through the embedded builder.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::{BuildRun, MadeImages, Product, args, empty};
use super::error::ApplyError;
use super::parents::Parents;
use super::work::{ImageWork, PlatformWork, Work};
use crate::exec::assemble::{AssembleError, BaseSource, ContextSource, Place, Request, assemble};
use crate::graph::{place, placeholder};
use crate::platform::Platform;
use crate::project::NamedContext;
use crate::registry::{Repository, RepositoryName};

/// What the time of all that is made is, in seconds since 1970, as BuildKit is told too.
const EPOCH: u32 = 0;

/// Builds one platform of an image into the store.
pub async fn build(
    work: &Work,
    image: &ImageWork,
    (platform, planned): (&Platform, &PlatformWork),
    made: &MadeImages,
    run: &BuildRun<'_>,
) -> Result<Product, ApplyError> {
    let name = &image.image.name;
    let parents = Parents { work, made, store: run.store };
    let request = request(image, platform, planned, &parents);
    let cancel = run.cancel.child_token();
    let assembly = assemble(request, run.store.clone(), Arc::clone(&work.cache), cancel.clone());
    let limit = image.image.timeout;
    let Ok(built) = tokio::time::timeout(limit, assembly).await else {
        cancel.cancel();
        return Err(ApplyError::Build(format!("the build of {name} took longer than {} s", limit.as_secs())));
    };
    let built = built.map_err(|error| match error {
        AssembleError::Cancelled => ApplyError::Interrupted,
        error => ApplyError::assembly(name, error),
    })?;
    Ok(Product {
        digest: built.digest,
        media_type: built.media_type,
        size: built.size,
        attestations: Vec::new(),
        lent: built.lent,
    })
}

fn request(image: &ImageWork, platform: &Platform, planned: &PlatformWork, parents: &Parents<'_>) -> Request {
    let resolved = &image.image;
    let mut args = args(image, platform, parents);
    args.insert("SOURCE_DATE_EPOCH".to_owned(), EPOCH.to_string());
    Request {
        image: resolved.name.clone(),
        platform: platform.clone(),
        build_platform: Platform::of_this_machine(),
        dockerfile: planned.dockerfile.clone(),
        target: resolved.target.as_ref().map(|target| target.value.clone()),
        args,
        sensitive: resolved.args.iter().filter(|(_, arg)| arg.sensitive).map(|(name, _)| name.clone()).collect(),
        contexts: contexts(image, platform, planned, parents),
        labels: resolved.labels.iter().map(|(name, label)| (name.clone(), label.on(&parents.work.day))).collect(),
        annotations: resolved.annotations.clone(),
        bases: bases(image, planned, parents),
        output: resolved.output.clone(),
        epoch: EPOCH,
    }
}

fn contexts(
    image: &ImageWork,
    platform: &Platform,
    planned: &PlatformWork,
    parents: &Parents<'_>,
) -> BTreeMap<String, ContextSource> {
    let main = planned.contexts.get("").cloned().unwrap_or_else(|| empty(parents.work));
    let mut contexts = BTreeMap::from([(String::new(), ContextSource::Snapshot(main))]);
    for (name, context) in &image.image.contexts {
        let source = match &context.value {
            NamedContext::Folder(_) => planned.contexts.get(name).cloned().map(ContextSource::Snapshot),
            NamedContext::Image(parent) => parents.base(image, parent, platform).map(ContextSource::Image),
            NamedContext::Outside(_) => {
                let used = planned.recipe.outside.iter().find(|used| used.context.as_ref() == Some(name));
                used.and_then(|used| outside(planned, used, parents)).map(ContextSource::Image)
            }
        };
        if let Some(source) = source {
            contexts.insert(name.clone(), source);
        }
    }
    contexts
}

/// The images that FROM and `--from` name, as they will be written there when all args are known.
fn bases(image: &ImageWork, planned: &PlatformWork, parents: &Parents<'_>) -> BTreeMap<(String, Platform), BaseSource> {
    let recipe = &planned.recipe;
    let mut bases = BTreeMap::new();
    for (index, reference) in recipe.analysis.references.iter().enumerate() {
        let place = place(index, reference.kind);
        let mut text = reference.text.clone();
        let source = if let Some(used) = recipe.parents.iter().find(|used| used.place == place) {
            if used.written.is_none() {
                text = parents.pulled(image, &used.image).unwrap_or_else(|| placeholder(&used.image));
            }
            parents.base(image, &used.image, &used.platform)
        } else {
            let used = recipe.outside.iter().find(|used| used.place == place);
            used.and_then(|used| outside(planned, used, parents))
        };
        if let Some(source) = source {
            bases.insert((text, reference.platform.clone()), source);
        }
    }
    bases
}

/// An image from outside, at the digest that the plan pinned.
pub fn outside(planned: &PlatformWork, used: &crate::graph::OutsideUse, parents: &Parents<'_>) -> Option<BaseSource> {
    let digest = *planned.pins.get(&used.place)?;
    let repository = Repository::remote(&parents.work.client, RepositoryName::from(&used.reference));
    Some(BaseSource { place: Place::Repository(repository), digest })
}
