//! Images from outside: their pins and their configurations.

use crate::digest::Digest;
use crate::oci::{Contents, ImageConfig, RawManifest, media_type};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::{self, By, Client, Repository, RepositoryName};

/// The largest configuration that is read, in bytes.
const MAX_CONFIG: u64 = 8 * 1024 * 1024;

/// Why an image from outside cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// There is no such image.
    #[error("there is no image `{0}`")]
    Missing(Reference),
    /// It is not made for the platform.
    #[error("`{reference}` is not made for {platform}")]
    Platform {
        /// The image.
        reference: Box<Reference>,
        /// The platform.
        platform: Platform,
    },
    /// Its registry could not be asked.
    #[error("cannot ask for `{reference}`: {error}")]
    Registry {
        /// The image.
        reference: Reference,
        /// Why.
        #[source]
        error: Box<registry::Error>,
    },
    /// What its registry gave is no image.
    #[error("`{reference}` is not an image: {why}")]
    NotAnImage {
        /// The image.
        reference: Box<Reference>,
        /// Why.
        why: String,
    },
}

fn by(reference: &Reference) -> By<'_> {
    match (reference.digest, &reference.tag) {
        (Some(digest), _) => By::Digest(digest),
        (None, Some(tag)) => By::Tag(tag),
        (None, None) => By::Tag("latest"),
    }
}

/// The digest of the manifest that `reference` means on `platform` now.
///
/// # Errors
/// If there is no such image, or its registry cannot be asked.
pub async fn pin_of(client: &Client, reference: &Reference, platform: &Platform) -> Result<Digest, OutsideError> {
    let repository = Repository::remote(client, RepositoryName::from(reference));
    let failed = |error| OutsideError::Registry { reference: reference.clone(), error: Box::new(error) };
    let raw = repository.get_manifest(by(reference)).await.map_err(failed)?;
    let raw = raw.ok_or_else(|| OutsideError::Missing(reference.clone()))?;
    if !media_type::is_index(raw.media_type()) {
        return Ok(raw.digest());
    }
    child_of(&raw, reference, platform)
}

/// The manifest of a platform in an index.
fn child_of(raw: &RawManifest, reference: &Reference, platform: &Platform) -> Result<Digest, OutsideError> {
    let Ok(Contents::Index(index)) = raw.contents() else {
        let why = "its index cannot be read".to_owned();
        return Err(OutsideError::NotAnImage { reference: Box::new(reference.clone()), why });
    };
    let fits = |child: &&crate::oci::Descriptor| {
        child.platform.as_ref().and_then(crate::oci::DescriptorPlatform::normalized).as_ref() == Some(platform)
    };
    let child = index.manifests.iter().find(fits).map(|child| child.digest);
    child.ok_or_else(|| OutsideError::Platform { reference: Box::new(reference.clone()), platform: platform.clone() })
}

/// The digest of what `reference` means now: of the index, if it is one.
///
/// # Errors
/// If there is no such image, or its registry cannot be asked.
pub async fn digest_of(client: &Client, reference: &Reference) -> Result<Digest, OutsideError> {
    let repository = Repository::remote(client, RepositoryName::from(reference));
    let failed = |error| OutsideError::Registry { reference: reference.clone(), error: Box::new(error) };
    let raw = repository.get_manifest(by(reference)).await.map_err(failed)?;
    raw.map(|raw| raw.digest()).ok_or_else(|| OutsideError::Missing(reference.clone()))
}

/// The configuration of a pinned image on a platform: the digest may be that of an index, as `docker pull` prints it and bots write it.
///
/// # Errors
/// If there is no such image, it is not made for the platform, or its registry cannot be asked.
pub async fn config_of(
    client: &Client,
    reference: &Reference,
    digest: Digest,
    platform: &Platform,
) -> Result<ImageConfig, OutsideError> {
    let repository = Repository::remote(client, RepositoryName::from(reference));
    let failed = |error| OutsideError::Registry { reference: reference.clone(), error: Box::new(error) };
    let wrong = |why: String| OutsideError::NotAnImage { reference: Box::new(reference.clone()), why };
    let raw = repository.get_manifest(By::Digest(digest)).await.map_err(failed)?;
    let mut raw = raw.ok_or_else(|| OutsideError::Missing(reference.clone()))?;
    if media_type::is_index(raw.media_type()) {
        let child = child_of(&raw, reference, platform)?;
        let found = repository.get_manifest(By::Digest(child)).await.map_err(failed)?;
        raw = found.ok_or_else(|| OutsideError::Missing(reference.at(child)))?;
    }
    let Ok(Contents::Manifest(manifest)) = raw.contents() else { return Err(wrong("it has no manifest".to_owned())) };
    let bytes = repository.read_blob(&manifest.config, MAX_CONFIG).await.map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))
}
