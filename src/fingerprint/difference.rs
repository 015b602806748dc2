//! What differs between two records: the reasons of a build.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::files::{FileEntry, FileKind};
use super::record::{BuiltOn, Parent, Pin, Record};
use crate::path::RelPath;

/// How a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// Other bytes, or another link target.
    Content,
    /// The same bytes, other permission bits.
    Mode,
    /// Another kind of thing stands at the path.
    Kind,
}

/// One difference, with old and new. Ordered from the most fundamental to the least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Difference {
    /// The record was written in another format.
    Format {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// Another platform.
    Platform {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// The instructions of a stage, or the set of stages.
    Stage {
        /// The stage.
        stage: String,
        /// The first instruction that differs, as it was; absent if it is new.
        old: Option<String>,
        /// The same, as it is; absent if it is gone.
        new: Option<String>,
    },
    /// A build arg.
    Arg {
        /// Its name.
        name: String,
        /// Before; absent if it was not declared or had no value.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
    /// A file.
    File {
        /// The context, "" for the default one; absent for `inputs.extra`.
        context: Option<String>,
        /// Where it stands in the context.
        path: RelPath,
        /// How it changed.
        change: FileChange,
    },
    /// An image of the manifest that this one builds on.
    Image {
        /// Its name.
        image: String,
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
    /// An image from outside.
    Outside {
        /// The reference.
        reference: String,
        /// The digest before.
        old: Option<String>,
        /// The digest now.
        new: Option<String>,
    },
    /// Something else that is named: a label, a secret's id, an option, ...
    Setting {
        /// What it is, and its name.
        name: String,
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
}

/// All differences between the record of what is published and the record of what would be built.
///
/// Empty if and only if the keys are equal: each field of a record is compared.
pub fn difference(old: &Record, new: &Record) -> Vec<Difference> {
    let mut found = Vec::new();
    if old.format != new.format {
        found.push(Difference::Format { old: old.format, new: new.format });
    }
    if old.platform != new.platform {
        found.push(Difference::Platform { old: old.platform.to_string(), new: new.platform.to_string() });
    }
    stages(old, new, &mut found);
    let empty = None;
    for name in old.args.keys().chain(new.args.keys()).collect::<BTreeSet<_>>() {
        let (before, now) = (old.args.get(name), new.args.get(name));
        if before != now {
            let value = |side: Option<&Option<String>>| side.unwrap_or(&empty).clone();
            found.push(Difference::Arg { name: name.clone(), old: value(before), new: value(now) });
        }
    }
    parents(old, new, &mut found);
    for name in old.contexts.keys().chain(new.contexts.keys()).collect::<BTreeSet<_>>() {
        let none = Vec::new();
        let before = old.contexts.get(name).unwrap_or(&none);
        files(Some(name), before, new.contexts.get(name).unwrap_or(&none), &mut found);
    }
    files(None, &old.extra, &new.extra, &mut found);
    settings(old, new, &mut found);
    found
}

/// Only what counts is compared: not the names that people gave to images and references.
fn parents(old: &Record, new: &Record, found: &mut Vec<Difference>) {
    let parent = |on: Option<&BuiltOn>| {
        on.map(|on| match on.parent {
            Parent::Key(key) => key.to_string(),
            Parent::Digest(digest) => digest.to_string(),
        })
    };
    for place in old.images.keys().chain(new.images.keys()).collect::<BTreeSet<_>>() {
        let (before, now) = (old.images.get(place), new.images.get(place));
        if before.map(|on| on.parent) != now.map(|on| on.parent) {
            let image = now.or(before).map(|on| on.image.clone()).unwrap_or_default();
            let difference = Difference::Image { image, old: parent(before), new: parent(now) };
            if !found.contains(&difference) {
                found.push(difference);
            }
        }
    }
    let digest = |pin: Option<&Pin>| pin.map(|pin| pin.digest.to_string());
    for place in old.outside.keys().chain(new.outside.keys()).collect::<BTreeSet<_>>() {
        let (before, now) = (old.outside.get(place), new.outside.get(place));
        if before.map(|pin| pin.digest) != now.map(|pin| pin.digest) {
            let reference = now.or(before).map(|pin| pin.reference.to_string()).unwrap_or_default();
            let difference = Difference::Outside { reference, old: digest(before), new: digest(now) };
            if !found.contains(&difference) {
                found.push(difference);
            }
        }
    }
}

fn stages(old: &Record, new: &Record, found: &mut Vec<Difference>) {
    for index in 0..old.stages.len().max(new.stages.len()) {
        let (before, now) = (old.stages.get(index), new.stages.get(index));
        if before.map(|stage| &stage.instructions) == now.map(|stage| &stage.instructions) {
            continue;
        }
        let name = now.or(before).map(|stage| stage.name.clone()).unwrap_or_default();
        let lines =
            |stage: Option<&super::StageRecord>| stage.map(|stage| stage.instructions.clone()).unwrap_or_default();
        let (before, now) = (lines(before), lines(now));
        let first = before.iter().zip(&now).take_while(|(a, b)| a == b).count();
        found.push(Difference::Stage { stage: name, old: before.get(first).cloned(), new: now.get(first).cloned() });
    }
}

/// The entries that differ between two maps, with both values as text.
fn changed<'a, K: Ord, V: PartialEq>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
    text: impl Fn(&V) -> String,
) -> Vec<(&'a K, Option<String>, Option<String>)> {
    let names: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(name) != new.get(name))
        .map(|name| (name, old.get(name).map(&text), new.get(name).map(&text)))
        .collect()
}

fn files(context: Option<&String>, old: &[FileEntry], new: &[FileEntry], found: &mut Vec<Difference>) {
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let (path, change) = match (olds.peek(), news.peek()) {
            (None, None) => return,
            (Some(before), Some(now)) if before.path == now.path => {
                let (before, now) = (*before, *now);
                olds.next();
                news.next();
                match file_change(before, now) {
                    Some(change) => (&now.path, change),
                    None => continue,
                }
            }
            (Some(before), now) if now.is_none_or(|now| before.path < now.path) => {
                let path = &before.path;
                olds.next();
                (path, FileChange::Removed)
            }
            (_, Some(now)) => {
                let path = &now.path;
                news.next();
                (path, FileChange::Added)
            }
            (Some(_), None) => unreachable!("an old entry without a new one is taken by the arm above"),
        };
        found.push(Difference::File { context: context.cloned(), path: path.clone(), change });
    }
}

fn file_change(old: &FileEntry, new: &FileEntry) -> Option<FileChange> {
    if std::mem::discriminant(&old.kind) != std::mem::discriminant(&new.kind) {
        return Some(FileChange::Kind);
    }
    let same = match (&old.kind, &new.kind) {
        (FileKind::File { hash: a, .. }, FileKind::File { hash: b, .. }) => a == b,
        (a, b) => a == b,
    };
    match (same, old.mode == new.mode) {
        (false, _) => Some(FileChange::Content),
        (true, false) => Some(FileChange::Mode),
        (true, true) => None,
    }
}

fn settings(old: &Record, new: &Record, found: &mut Vec<Difference>) {
    let mut push = |name: String, old: Option<String>, new: Option<String>| {
        found.push(Difference::Setting { name, old, new });
    };
    for (url, old, new) in changed(&old.remotes, &new.remotes, |checksum| checksum.clone().unwrap_or_default()) {
        push(format!("remote {url}"), old, new);
    }
    for (name, old, new) in changed(&old.labels, &new.labels, Clone::clone) {
        push(format!("label {name}"), old, new);
    }
    for (name, old, new) in changed(&old.annotations, &new.annotations, Clone::clone) {
        push(format!("annotation {name}"), old, new);
    }
    for (what, old, new) in [("secret", &old.secrets, &new.secrets), ("option", &old.options, &new.options)] {
        for name in old.symmetric_difference(new) {
            let side = |set: &BTreeSet<String>| set.contains(name).then(|| name.clone());
            push(format!("{what} {name}"), side(old), side(new));
        }
    }
    if old.generation != new.generation {
        push("generation".into(), Some(old.generation.to_string()), Some(new.generation.to_string()));
    }
}
