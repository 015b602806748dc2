//! Finding the record of an image by its digest alone, also where the registry has no referrers API.

use super::error::Error;
use super::name::By;
use super::record::{record_layer_of_any_key, unpack};
use super::repository::Repository;
use crate::digest::Digest;
use crate::oci::{Descriptor, Index, RawManifest, media_type};

impl Repository {
    /// Lists the artifact `entry` in the index under the tag `sha256-<hex of subject>`, as a client must where the registry does not
    /// keep such a list itself.
    ///
    /// Source: OCI distribution specification 1.1, "Pushing Manifests with Subject".
    pub(super) async fn list_referrer(&self, subject: Digest, entry: Descriptor) -> Result<(), Error> {
        let tag = format!("sha256-{}", subject.hex());
        let standing = self.get_manifest(By::Tag(&tag)).await?;
        let standing = standing.and_then(|raw| serde_json::from_slice::<Index>(raw.bytes()).ok());
        let mut manifests = standing.map(|index| index.manifests).unwrap_or_default();
        if manifests.iter().any(|other| other.digest == entry.digest) {
            return Ok(());
        }
        manifests.push(entry);
        manifests.sort_by_key(|entry| entry.digest);
        self.put_manifest(By::Tag(&tag), &Index::new(manifests).to_raw()).await.map(|_| ())
    }

    /// A record of the image `image`, of whatever key; `None` if it has none that is sound.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the layout cannot be read.
    pub async fn any_record(&self, image: Digest) -> Result<Option<Vec<u8>>, Error> {
        let mut digests: Vec<Digest> =
            self.referrers(image, media_type::RECORD).await?.into_iter().map(|entry| entry.digest).collect();
        digests.sort();
        for digest in digests {
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

/// The entry of a record's manifest in a list of referrers.
pub(super) fn entry(raw: &RawManifest, annotations: std::collections::BTreeMap<String, String>) -> Descriptor {
    Descriptor { artifact_type: Some(media_type::RECORD.to_owned()), annotations, ..raw.descriptor() }
}
