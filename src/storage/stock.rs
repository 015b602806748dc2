//! What a repository holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;

/// What a repository holds, as far as its tags lead to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// All manifests.
    pub items: BTreeMap<Digest, Item>,
    /// All tags.
    pub tags: BTreeMap<String, Digest>,
}

/// One manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// The length of the manifest itself, in bytes.
    pub bytes: u64,
    /// Config and layers of an image or an artifact, the config first.
    pub blobs: Vec<Blob>,
    /// When it was published, in seconds since 1970, as far as anything says so.
    pub published: Option<i64>,
    /// The image's name in the manifest that published it, if its record says so.
    pub image: Option<String>,
}

/// What a manifest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// An image of one platform.
    Image,
    /// An index with these children.
    Index(Vec<Digest>),
    /// Something that belongs to another manifest: a record, a signature, a list of referrers.
    Attached {
        /// What it belongs to.
        to: Digest,
    },
}

/// Content that a manifest points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// What a tag is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// `key-<32 hex>`: what was made from that.
    Key,
    /// `key-<32 hex>.record`.
    Record,
    /// `sha256-<64 hex>`, with or without a suffix: something that belongs to that manifest.
    Belongs(Digest),
    /// A person's.
    Given,
}

/// What a tag is for, by its form.
pub fn tag_kind(tag: &str) -> TagKind {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if let Some(rest) = tag.strip_prefix("key-")
        && let Some((hex, suffix)) = rest.split_at_checked(32)
        && is_hex(hex)
    {
        match suffix {
            "" => return TagKind::Key,
            ".record" => return TagKind::Record,
            _ => {}
        }
    }
    if let Some((hex, suffix)) = tag.strip_prefix("sha256-").and_then(|rest| rest.split_at_checked(64))
        && (suffix.is_empty() || suffix.starts_with('.'))
        && let Ok(digest) = format!("sha256:{hex}").parse()
    {
        return TagKind::Belongs(digest);
    }
    TagKind::Given
}

impl Stock {
    /// The tags of each manifest that has one.
    pub fn tags_of(&self) -> BTreeMap<Digest, Vec<&str>> {
        let mut tags: BTreeMap<Digest, Vec<&str>> = BTreeMap::new();
        for (tag, digest) in &self.tags {
            tags.entry(*digest).or_default().push(tag);
        }
        tags
    }

    /// Bytes of these manifests and of all that they point at, each blob once.
    pub fn bytes_of<'a>(&self, items: impl IntoIterator<Item = &'a Digest>) -> u64 {
        let mut seen = BTreeSet::new();
        let mut bytes = 0;
        for item in items.into_iter().filter_map(|digest| self.items.get(digest)) {
            bytes += item.bytes;
            bytes += item.blobs.iter().filter(|blob| seen.insert(blob.digest)).map(|blob| blob.size).sum::<u64>();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_by_their_form() {
        let digest = Digest::of(b"x");
        for (tag, kind) in [
            (format!("key-{}", "0".repeat(32)), TagKind::Key),
            (format!("key-{}.record", "a".repeat(32)), TagKind::Record),
            (format!("key-{}", "g".repeat(32)), TagKind::Given),
            (format!("key-{}x", "0".repeat(32)), TagKind::Given),
            ("key-ring".to_owned(), TagKind::Given),
            (format!("sha256-{}", digest.hex()), TagKind::Belongs(digest)),
            (format!("sha256-{}.sig", digest.hex()), TagKind::Belongs(digest)),
            (format!("sha256-{}-x", digest.hex()), TagKind::Given),
            ("latest".to_owned(), TagKind::Given),
        ] {
            assert_eq!(tag_kind(&tag), kind, "{tag}");
        }
    }
}
