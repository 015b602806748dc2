use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Descriptor;
use super::media_type;
use crate::digest::Digest;

/// The largest manifest that we read or write, in bytes.
///
/// Source: OCI distribution specification 1.1, "Pushing Manifests": registries must take 4 MiB.
pub const MAX_MANIFEST_SIZE: usize = 4 * 1024 * 1024;

/// A manifest or index as its registry keeps it: the very bytes that its digest was made of.
#[derive(Clone, PartialEq, Eq)]
pub struct RawManifest {
    bytes: Bytes,
    media_type: String,
    digest: Digest,
}

impl RawManifest {
    /// A manifest from its bytes; the digest is computed here.
    pub fn new(bytes: impl Into<Bytes>, media_type: impl Into<String>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes, media_type: media_type.into() }
    }

    /// A manifest of which only the bytes are known, as in an image layout: the type is read in it.
    ///
    /// # Errors
    /// If the bytes are no manifest of a known type.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, NotAManifest> {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let shape: Shape = serde_json::from_slice(&bytes).map_err(|error| NotAManifest::json(digest, &error))?;
        let media_type = match (shape.media_type, shape.manifests, shape.layers) {
            (Some(media_type), ..) => media_type,
            (None, Some(_), None) => media_type::INDEX.to_owned(),
            (None, None, Some(_)) => media_type::MANIFEST.to_owned(),
            (None, ..) => return Err(NotAManifest { digest, why: "it has no `mediaType`".to_owned() }),
        };
        Ok(Self { bytes, media_type, digest })
    }

    /// The bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The media type.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The digest of the bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The descriptor that points at it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest, self.bytes.len() as u64)
    }

    /// What it points at.
    ///
    /// # Errors
    /// If it is no manifest or index of a known type.
    pub fn contents(&self) -> Result<Contents, NotAManifest> {
        let json = |error: serde_json::Error| NotAManifest::json(self.digest, &error);
        if media_type::is_index(&self.media_type) {
            Ok(Contents::Index(Box::new(serde_json::from_slice(&self.bytes).map_err(json)?)))
        } else if media_type::is_manifest(&self.media_type) {
            Ok(Contents::Manifest(Box::new(serde_json::from_slice(&self.bytes).map_err(json)?)))
        } else {
            let why = format!("its media type `{}` is not one that this program reads", self.media_type);
            Err(NotAManifest { digest: self.digest, why })
        }
    }
}

impl std::fmt::Debug for RawManifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {} bytes)", self.digest, self.media_type, self.bytes.len())
    }
}

/// Why bytes are no manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{digest} is not a manifest: {why}")]
pub struct NotAManifest {
    digest: Digest,
    why: String,
}

impl NotAManifest {
    fn json(digest: Digest, error: &serde_json::Error) -> Self {
        Self { digest, why: error.to_string() }
    }
}

/// Only what tells a manifest from an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
}

/// What a [`RawManifest`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// One image or artifact.
    Manifest(Box<Manifest>),
    /// Several manifests.
    Index(Box<Index>),
}

/// A manifest of one image or artifact.
///
/// Source: OCI image specification, manifest.md. Docker's schema 2 has the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u8,
    /// The manifest's own type; OCI allows it to be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact it is, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first. BuildKit writes `null` where there is none.
    #[serde(deserialize_with = "null_is_empty")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Descriptor>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Manifest {
    /// An OCI manifest of an image.
    pub fn image(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The manifest as it is published.
    pub fn to_raw(&self) -> RawManifest {
        let media_type = self.media_type.clone().unwrap_or_else(|| media_type::MANIFEST.to_owned());
        RawManifest::new(serde_json::to_vec(self).expect("a manifest holds only text and numbers"), media_type)
    }

    /// The blobs that must be in the repository before this manifest: configuration and layers, each once, without foreign layers.
    pub fn blobs(&self) -> Vec<&Descriptor> {
        let mut seen = std::collections::BTreeSet::new();
        std::iter::once(&self.config)
            .chain(&self.layers)
            .filter(|blob| !media_type::is_foreign(&blob.media_type) && seen.insert(blob.digest))
            .collect()
    }
}

/// An index of manifests: one image for several platforms.
///
/// Source: OCI image specification, image-index.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u8,
    /// The index's own type; OCI allows it to be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact it is, where it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The entries.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An OCI index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The index as it is published.
    pub fn to_raw(&self) -> RawManifest {
        let media_type = self.media_type.clone().unwrap_or_else(|| media_type::INDEX.to_owned());
        RawManifest::new(serde_json::to_vec(self).expect("an index holds only text and numbers"), media_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_read_in_the_bytes() {
        let manifest = Manifest::image(Descriptor::of(media_type::CONFIG, b"{}"), vec![]).to_raw();
        let read = RawManifest::from_bytes(manifest.bytes().clone()).unwrap();
        assert_eq!(read, manifest);
        assert!(matches!(read.contents().unwrap(), Contents::Manifest(_)));

        let untyped = RawManifest::from_bytes(&br#"{"schemaVersion":2,"manifests":[]}"#[..]).unwrap();
        assert_eq!(untyped.media_type(), media_type::INDEX);
        for bad in ["", "{}", "[]", r#"{"mediaType":7}"#] {
            assert!(RawManifest::from_bytes(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(RawManifest::from_bytes(&br#"{"mediaType":"text/plain"}"#[..]).unwrap().contents().is_err());
    }

    #[test]
    fn blobs_come_once_and_foreign_layers_never() {
        let config = Descriptor::of(media_type::CONFIG, b"{}");
        let layer = Descriptor::of(media_type::LAYER_GZIP, b"layer");
        let foreign = Descriptor::of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", b"windows");
        let manifest = Manifest::image(config.clone(), vec![layer.clone(), foreign, layer.clone()]);
        assert_eq!(manifest.blobs(), [&config, &layer]);
    }

    #[test]
    fn an_attestation_is_unknown() {
        let text = r#"{"mediaType":"m","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "size":0,"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}"#;
        let descriptor: Descriptor = serde_json::from_str(text).unwrap();
        assert_eq!(descriptor.platform.unwrap().normalized().unwrap().to_string(), "linux/arm64");
    }
}
