//! Finding the record of an image by its digest alone, also where the registry has no referrers API.

use std::collections::BTreeMap;

use super::error::Error;
use super::moves::Attached;
use super::name::By;
use super::record::{record_layer_of_any_key, unpack};
use super::repository::Repository;
use crate::digest::Digest;
use crate::oci::{Descriptor, Index, RawManifest};

impl Repository {
    /// Lists the artifact `entry` in the index under the tag `sha256-<hex of subject>`, as a client must where the registry does not
    /// keep such a list itself.
    ///
    /// Source: OCI distribution specification 1.1, "Pushing Manifests with Subject".
    pub(super) async fn list_referrer(&self, subject: Digest, entry: Descriptor) -> Result<(), Error> {
        if let Self::Layout(layout) = self {
            return layout.list(Descriptor { artifact_type: None, annotations: BTreeMap::new(), ..entry }).await;
        }
        let tag = format!("sha256-{}", subject.hex());
        let standing = self.get_manifest(By::Tag(&tag)).await?;
        let standing = standing.and_then(|raw| serde_json::from_slice::<Index>(raw.bytes()).ok());
        let listed = standing.is_some();
        let mut manifests = standing.map(|index| index.manifests).unwrap_or_default();
        if manifests.iter().any(|other| other.digest == entry.digest) {
            return Ok(());
        }
        manifests.push(entry);
        manifests.sort_by_key(|entry| entry.digest);
        match self.put_manifest(By::Tag(&tag), &Index::new(manifests).to_raw()).await {
            // Where tags cannot be written again the first list stays. A record is found by its own tag there; tags do not move there.
            Err(Error::Refused { .. }) if listed => Ok(()),
            put => put.map(|_| ()),
        }
    }

    /// A record of the image `image`, of whatever key; `None` if it has none that is sound.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the layout cannot be read.
    pub async fn any_record(&self, image: Digest) -> Result<Option<Vec<u8>>, Error> {
        let attached = self.attached(image).await?;
        self.first_sound(image, &attached).await
    }

    /// The first of the attached records that is sound.
    ///
    /// # Errors
    /// As [`any_record`](Self::any_record).
    pub async fn first_sound(&self, image: Digest, attached: &Attached) -> Result<Option<Vec<u8>>, Error> {
        for digest in attached.records.iter().map(|entry| entry.digest) {
            let manifest = match self.get_manifest(By::Digest(digest)).await {
                Ok(Some(manifest)) => manifest,
                Ok(None) | Err(Error::NotAManifest { .. } | Error::WrongDigest { .. }) => continue,
                Err(error) => return Err(error),
            };
            if let Some(layer) = record_layer_of_any_key(&manifest, image)
                && let Some(record) = unpack(self, &layer).await?
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The folder with `blobs/` of a repository on disk.
    pub fn folder(&self) -> Option<&std::path::Path> {
        match self {
            Self::Remote { .. } => None,
            Self::Layout(layout) => Some(layout.store().root()),
        }
    }
}

/// The entry of an artifact's manifest in a list of referrers.
pub(super) fn entry_of(raw: &RawManifest, artifact_type: &str, annotations: BTreeMap<String, String>) -> Descriptor {
    Descriptor { artifact_type: Some(artifact_type.to_owned()), annotations, ..raw.descriptor() }
}
