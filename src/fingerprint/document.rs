//! What is attached to a published image: its records, or at a public destination no more than its key.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files::FileSet;
use super::record::{FORMAT, Fingerprint, Record, image_key};
use crate::digest::{Digest, Key};
use crate::platform::Platform;

/// The document beside an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The version of the records.
    pub format: u32,
    /// The image's name in the manifest that published it.
    pub image: String,
    /// The key: that of the index if there are several platforms.
    pub key: Key,
    /// The pinned key, where it builds on images of the manifest: the same record with the bases by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Key>,
    /// What was built, as it stands under the key's tag.
    pub digest: Digest,
    /// The commit that it was built on, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When it was published first, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<i64>,
    /// The records of its platforms. Empty at a public destination: file names and hashes are not for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Record>,
}

impl Document {
    /// The document of an image with these fingerprints and the volatile values that it was built with.
    pub fn new(
        image: &str,
        digest: Digest,
        commit: Option<String>,
        platforms: &BTreeMap<Platform, Fingerprint>,
        volatile: &BTreeMap<String, String>,
    ) -> Self {
        let records: Vec<Record> =
            platforms.values().map(|print| Record { volatile: volatile.clone(), ..print.record() }).collect();
        let key = image_key(&platforms.iter().map(|(platform, print)| (platform.clone(), print.key())).collect());
        Self { format: FORMAT, image: image.to_owned(), key, pinned: None, digest, commit, published: None, records }
    }

    /// The document as everybody may see it.
    #[must_use]
    pub fn without_records(&self) -> Self {
        Self { records: Vec::new(), commit: None, published: None, ..self.clone() }
    }

    /// The document's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document has only string keys and plain values")
    }

    /// A document from bytes that something else wrote; `None` if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether it says of `digest` that it was published under `key`, be it the key or the pinned key, and its records, where it has
    /// them, hash to the key.
    pub fn vouches_for(&self, key: Key, digest: Digest) -> bool {
        let hashes = || {
            let keys = self.records.iter().map(|record| (record.platform.clone(), record.fingerprint().key()));
            image_key(&keys.collect())
        };
        (self.key == key || self.pinned == Some(key))
            && self.digest == digest
            && (self.records.is_empty() || self.format != FORMAT || hashes() == self.key)
    }
}

/// The day of a time in seconds since 1970, at Greenwich: `2026-01-31`.
pub fn day_of(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y-%m-%d").to_string()
}

impl Record {
    /// The fingerprint that this record was made of.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            platform: self.platform.clone(),
            stages: self.stages.clone(),
            args: self.args.clone(),
            contexts: self
                .contexts
                .iter()
                .map(|(name, files)| (name.clone(), Arc::new(FileSet::new(files.clone()))))
                .collect(),
            extra: Arc::new(FileSet::new(self.extra.clone())),
            images: self.images.clone(),
            outside: self.outside.clone(),
            remotes: self.remotes.clone(),
            secrets: self.secrets.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            options: self.options.clone(),
            generation: self.generation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::record::tests::sample;

    fn document() -> Document {
        let print = sample();
        let platforms = BTreeMap::from([(print.platform.clone(), print)]);
        Document::new("api", Digest::of(b"image"), Some("c".repeat(40)), &platforms, &BTreeMap::new())
    }

    #[test]
    fn a_document_vouches_for_its_own_key_alone() {
        let document = Document::from_bytes(&document().to_bytes()).unwrap();
        let (key, digest) = (sample().key(), Digest::of(b"image"));
        assert!(document.vouches_for(key, digest));
        assert!(!document.vouches_for(Key::from_bytes([0; 32]), digest));
        assert!(!document.vouches_for(key, Digest::of(b"other")));
        let mut forged = document.clone();
        forged.records[0].args.insert("A".into(), Some("forged".into()));
        assert!(!forged.vouches_for(key, digest));
        assert!(document.without_records().vouches_for(key, digest));
        assert!(document.without_records().records.is_empty());
    }

    #[test]
    fn a_document_vouches_for_its_pinned_key_too() {
        let (pinned, digest) = (Key::from_bytes([7; 32]), Digest::of(b"image"));
        assert!(!document().vouches_for(pinned, digest));
        let document = Document { pinned: Some(pinned), ..document() };
        assert!(document.vouches_for(pinned, digest));
        assert!(document.vouches_for(sample().key(), digest));
        assert!(document.without_records().vouches_for(pinned, digest));
        assert!(!document.vouches_for(pinned, Digest::of(b"other")));
        let mut forged = document;
        forged.records[0].args.insert("A".into(), Some("forged".into()));
        assert!(!forged.vouches_for(pinned, digest), "its records are of another key");
    }
}
