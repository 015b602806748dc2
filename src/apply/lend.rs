//! The layers of an image's bases, and who has them: a builder need not send what a registry can have from another one.

use super::assemble::outside;
use super::parents::Parents;
use super::work::{ImageWork, PlatformWork};
use crate::exec::assemble::{BaseSource, Place};
use crate::oci::{Contents, Descriptor, DescriptorPlatform};
use crate::platform::Platform;
use crate::registry::{Error, Lent};

/// An index may hold indexes; nobody nests them deeper.
const DEPTH: usize = 3;

/// The layers of the images that stages of a build begin with. A base of which the manifest cannot be read lends nothing: the builder pulls
/// it by itself, says so where it cannot, and sends its layers.
pub async fn lent(image: &ImageWork, planned: &PlatformWork, parents: &Parents<'_>) -> Lent {
    let begins = |place: &str| !place.starts_with("--from=");
    let own = planned.recipe.parents.iter().filter(|used| begins(&used.place));
    let own = own.filter_map(|used| Some((parents.base(image, &used.image, &used.platform)?, &used.platform)));
    let others = planned.recipe.outside.iter().filter(|used| begins(&used.place));
    let others = others.filter_map(|used| Some((outside(planned, used, parents)?, &used.platform)));
    let mut lent = Lent::default();
    for (base, platform) in own.chain(others).collect::<Vec<_>>() {
        if let Ok(layers) = layers(&base, platform).await {
            for layer in layers {
                if let Some(lender) = base.place.lender(&layer.digest) {
                    lent.insert(layer, lender.clone());
                }
            }
        }
    }
    lent
}

/// The layers of a base for a platform; none if the base is not there.
async fn layers(base: &BaseSource, platform: &Platform) -> Result<Vec<Descriptor>, Error> {
    let mut digest = base.digest;
    for _ in 0..DEPTH {
        let raw = match &base.place {
            Place::Repository(repository) => repository.manifest_bytes(digest).await?,
            Place::Store(store, _) => store.manifest(&digest).await?,
        };
        digest = match raw.map(|raw| raw.contents()) {
            Some(Ok(Contents::Manifest(manifest))) => return Ok(manifest.layers),
            Some(Ok(Contents::Index(index))) => {
                let fits = |entry: &&Descriptor| {
                    entry.platform.as_ref().and_then(DescriptorPlatform::normalized).as_ref() == Some(platform)
                };
                match index.manifests.iter().find(fits) {
                    Some(entry) => entry.digest,
                    None => break,
                }
            }
            _ => break,
        };
    }
    Ok(Vec::new())
}
