//! The record of one image on one platform.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::encode::Encoder;
use super::files::{FileEntry, FileSet};
use crate::digest::{Digest, Key};
use crate::platform::Platform;
use crate::reference::Reference;

/// The version of the record's content and encoding. A published key of the version before is carried over.
pub const FORMAT: u32 = 1;

/// One stage of the Dockerfile that the image needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its name or number, for people; it does not count.
    pub name: String,
    /// Its instructions in canonical form.
    pub instructions: Vec<String>,
}

/// An image of this manifest that another one builds on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltOn {
    /// Its name, for people; it does not count.
    pub image: String,
    /// What it is; this counts.
    pub parent: Parent,
}

/// An image from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// What is written, for people; it does not count beyond the instruction that holds it.
    pub reference: Reference,
    /// What it is; this counts.
    pub digest: Digest,
}

/// What an image of this manifest enters the record of a dependent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parent {
    /// By what it is made from: computable without a registry.
    Key(Key),
    /// By what was built: the pinned key.
    Digest(Digest),
}

/// All that an image is made from on one platform.
///
/// Everything in it enters the key; whatever must not is left out before. `encode` takes it apart without `..`, so that a new
/// field does not compile until it is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Where it runs.
    pub platform: Platform,
    /// The stages that the target needs, in the order of the file.
    pub stages: Vec<StageRecord>,
    /// The args that these stages declare, with their effective values; volatile ones are left out.
    pub args: BTreeMap<String, Option<String>>,
    /// The files of each context that a reachable instruction can read; the default context is "".
    pub contexts: BTreeMap<String, Arc<FileSet>>,
    /// Files that count though the build does not see them (`inputs.extra`).
    pub extra: Arc<FileSet>,
    /// The images of this manifest that it builds on, by the place that takes them (`FROM in stage 0`, `context x`, ...), so that
    /// two that change places change the key.
    pub images: BTreeMap<String, BuiltOn>,
    /// The images from outside that it builds on, by place, pinned.
    pub outside: BTreeMap<String, Pin>,
    /// Remote files and repositories that ADD takes, with their checksums where given.
    pub remotes: BTreeMap<String, Option<String>>,
    /// Ids of secrets and of SSH agents.
    pub secrets: BTreeSet<String>,
    /// Labels that are not volatile.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The executor, if forced, and everything about the output that is not the default, as `name=value`.
    pub options: BTreeSet<String>,
    /// The generation of `rebuild_every`.
    pub generation: u64,
}

impl Fingerprint {
    /// The hash of the record.
    pub fn key(&self) -> Key {
        let Self {
            platform,
            stages,
            args,
            contexts,
            extra,
            images,
            outside,
            remotes,
            secrets,
            labels,
            annotations,
            options,
            generation,
        } = self;
        let mut to = Encoder::new("orchestrate 2026-11 image key v1");
        to.field("format", &FORMAT.to_le_bytes());
        to.field("platform", platform.to_string().as_bytes());
        to.list("stages", stages.len());
        for StageRecord { name: _, instructions } in stages {
            to.list("instructions", instructions.len());
            for instruction in instructions {
                to.field("instruction", instruction.as_bytes());
            }
        }
        to.list("args", args.len());
        for (name, value) in args {
            to.field("arg", name.as_bytes());
            to.optional("value", value.as_deref().map(str::as_bytes));
        }
        to.list("contexts", contexts.len());
        for (name, files) in contexts {
            to.field("context", name.as_bytes());
            to.field("files", files.hash());
        }
        to.field("extra", extra.hash());
        to.list("images", images.len());
        for (place, BuiltOn { image: _, parent }) in images {
            to.field("place", place.as_bytes());
            match parent {
                Parent::Key(key) => to.field("key", key.as_bytes()),
                Parent::Digest(digest) => to.field("digest", digest.to_string().as_bytes()),
            }
        }
        to.list("outside", outside.len());
        for (place, Pin { reference: _, digest }) in outside {
            to.field("place", place.as_bytes());
            to.field("digest", digest.to_string().as_bytes());
        }
        to.list("remotes", remotes.len());
        for (url, checksum) in remotes {
            to.field("url", url.as_bytes());
            to.optional("checksum", checksum.as_deref().map(str::as_bytes));
        }
        strings(&mut to, "secrets", secrets);
        pairs(&mut to, "labels", labels);
        pairs(&mut to, "annotations", annotations);
        strings(&mut to, "options", options);
        to.field("generation", &generation.to_le_bytes());
        Key::from_bytes(to.finish())
    }

    /// The record as it is stored and compared.
    pub fn record(&self) -> Record {
        let files = |set: &Arc<FileSet>| set.entries().to_vec();
        Record {
            format: FORMAT,
            key: self.key(),
            platform: self.platform.clone(),
            stages: self.stages.clone(),
            args: self.args.clone(),
            volatile: BTreeMap::new(),
            contexts: self.contexts.iter().map(|(name, set)| (name.clone(), files(set))).collect(),
            extra: files(&self.extra),
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

fn strings(to: &mut Encoder, label: &'static str, values: &BTreeSet<String>) {
    to.list(label, values.len());
    for value in values {
        to.field("value", value.as_bytes());
    }
}

fn pairs(to: &mut Encoder, label: &'static str, values: &BTreeMap<String, String>) {
    to.list(label, values.len());
    for (name, value) in values {
        to.field("name", name.as_bytes());
        to.field("value", value.as_bytes());
    }
}

/// The key of an image that is made for several platforms; that of the platform itself if there is one.
pub fn image_key(platforms: &BTreeMap<Platform, Key>) -> Key {
    if let (1, Some(key)) = (platforms.len(), platforms.values().next()) {
        return *key;
    }
    let mut to = Encoder::new("orchestrate 2026-11 index key v1");
    to.list("platforms", platforms.len());
    for (platform, key) in platforms {
        to.field("platform", platform.to_string().as_bytes());
        to.field("key", key.as_bytes());
    }
    Key::from_bytes(to.finish())
}

/// A fingerprint as stored beside the image: whole, readable, with the volatile values that the image was built with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the record.
    pub format: u32,
    /// Its hash.
    pub key: Key,
    /// Where it runs.
    pub platform: Platform,
    /// The stages.
    pub stages: Vec<StageRecord>,
    /// The args that count.
    pub args: BTreeMap<String, Option<String>>,
    /// The volatile values that the image was built with (args, and labels as `label <name>`); never part of the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volatile: BTreeMap<String, String>,
    /// The files, by context.
    pub contexts: BTreeMap<String, Vec<FileEntry>>,
    /// Files that count though the build does not see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<FileEntry>,
    /// Images of the manifest that it was built on, by place.
    pub images: BTreeMap<String, BuiltOn>,
    /// Images from outside, by place.
    pub outside: BTreeMap<String, Pin>,
    /// Remote files and repositories.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remotes: BTreeMap<String, Option<String>>,
    /// Ids of secrets.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Forced executor and output options.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub options: BTreeSet<String>,
    /// The generation of `rebuild_every`.
    #[serde(default)]
    pub generation: u64,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::digest::ContentHash;
    use crate::fingerprint::FileKind;
    use crate::path::RelPath;

    fn file(path: &str, mode: u32, content: &[u8]) -> FileEntry {
        let hash = ContentHash::from_bytes(*blake3::hash(content).as_bytes());
        FileEntry {
            path: RelPath::new(path.as_bytes()).unwrap(),
            kind: FileKind::File { hash, size: content.len() as u64 },
            mode,
        }
    }

    fn on(parent: Parent) -> BuiltOn {
        BuiltOn { image: "base".into(), parent }
    }

    fn pin(content: &[u8]) -> Pin {
        Pin { reference: "alpine".parse().unwrap(), digest: Digest::of(content) }
    }

    pub(crate) fn sample() -> Fingerprint {
        Fingerprint {
            platform: "linux/arm64".parse().unwrap(),
            stages: vec![StageRecord {
                name: "0".into(),
                instructions: vec!["FROM scratch".into(), "COPY a /a".into()],
            }],
            args: BTreeMap::from([("A".into(), Some("1".into())), ("B".into(), None)]),
            contexts: BTreeMap::from([(String::new(), Arc::new(FileSet::new(vec![file("a", 0o644, b"x")])))]),
            extra: Arc::new(FileSet::new(vec![])),
            images: BTreeMap::from([("FROM in stage 0".into(), on(Parent::Key(Key::from_bytes([7; 32]))))]),
            outside: BTreeMap::from([("--from=alpine".into(), pin(b"alpine"))]),
            remotes: BTreeMap::from([("https://example.com/x".into(), None)]),
            secrets: BTreeSet::from(["npm".into()]),
            labels: BTreeMap::from([("l".into(), "v".into())]),
            annotations: BTreeMap::from([("n".into(), "v".into())]),
            options: BTreeSet::from(["executor=buildkit".into()]),
            generation: 0,
        }
    }

    #[test]
    fn every_field_counts() {
        let changes: Vec<fn(&mut Fingerprint)> = vec![
            |f| f.platform = "linux/amd64".parse().unwrap(),
            |f| f.stages[0].instructions.push("USER 1".into()),
            |f| f.stages[0].instructions = vec!["FROM scratch".into(), "COPY".into(), "a /a".into()],
            |f| drop(f.args.insert("A".into(), Some("2".into()))),
            |f| drop(f.args.insert("A".into(), None)),
            |f| drop(f.args.insert("B".into(), Some(String::new()))),
            |f| f.contexts.clear(),
            |f| drop(f.contexts.insert(String::new(), Arc::new(FileSet::new(vec![file("a", 0o755, b"x")])))),
            |f| drop(f.contexts.insert(String::new(), Arc::new(FileSet::new(vec![file("b", 0o644, b"x")])))),
            |f| drop(f.contexts.insert(String::new(), Arc::new(FileSet::new(vec![file("a", 0o644, b"y")])))),
            |f| f.extra = Arc::new(FileSet::new(vec![file("a", 0o644, b"y")])),
            |f| {
                f.images.insert("FROM in stage 0".into(), on(Parent::Key(Key::from_bytes([8; 32]))));
            },
            |f| {
                f.images.insert("FROM in stage 0".into(), on(Parent::Digest(Digest::of(b""))));
            },
            |f| {
                f.outside.insert("--from=alpine".into(), pin(b"moved"));
            },
            |f| drop(f.remotes.insert("https://example.com/x".into(), Some("sha256:0".into()))),
            |f| {
                let pin = f.outside.remove("--from=alpine").unwrap();
                f.outside.insert("--from=debian".into(), pin);
            },
            |f| f.secrets.clear(),
            |f| drop(f.labels.insert("l".into(), "w".into())),
            |f| drop(f.annotations.insert("n".into(), "w".into())),
            |f| f.options.clear(),
            |f| f.generation = 1,
        ];
        let mut seen = BTreeSet::from([sample().key()]);
        for (index, change) in changes.iter().enumerate() {
            let mut changed = sample();
            change(&mut changed);
            assert!(seen.insert(changed.key()), "change {index} left the key as it was or gave a key twice");
        }
    }

    #[test]
    fn a_record_reads_back_and_tells_its_key() {
        let record = sample().record();
        let json = serde_json::to_string(&record).unwrap();
        let again: Record = serde_json::from_str(&json).unwrap();
        assert_eq!(again, record);
        assert_eq!(again.key, sample().key());
    }

    #[test]
    fn the_key_of_a_fixed_record_never_changes() {
        // If this fails, the encoding changed: raise FORMAT and carry published keys over.
        assert_eq!(sample().key().hex(), "d49be6fcb76de7afa2ffdc62d431416662663fd4e791a81ab2cebfaea360b26f");
    }
}
