//! What may go.
//!
//! Only what this manifest publishes and no longer needs goes: an image whose tags are all of patterns that name commits, older than the
//! newest of each pattern, or which has no tag but old keys. Whatever is unknown stays: a tag that no pattern gives, an age that
//! nothing tells, an image of another manifest.

use std::collections::{BTreeMap, BTreeSet};

use super::stock::{ItemKind, Stock, TagKind, tag_kind};
use crate::digest::Digest;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The tags that one template gives, commit after commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What stands before the part that varies.
    pub prefix: String,
    /// What stands after it.
    pub suffix: String,
    /// How many of the newest stay; all of them unless given.
    pub commits: Option<u32>,
}

impl Pattern {
    /// The part of `tag` that varies; `None` if the template does not give such tags. It names a commit: digits of one, with the mark of a
    /// checkout that differed from it. Whatever else stands there (`v1.0.0`) is a name that people gave.
    pub fn varying<'a>(&self, tag: &'a str) -> Option<&'a str> {
        tag.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix).filter(|rest| names_commit(rest))
    }
}

/// Whether a text is a commit, in full or at least as long as `git.short`, or one with `-dirty-` and 8 digits of a key.
fn names_commit(text: &str) -> bool {
    let is_hex = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let (commit, dirty) = text.split_once("-dirty-").map_or((text, None), |(commit, dirty)| (commit, Some(dirty)));
    is_hex(commit, 7..=40) && dirty.is_none_or(|dirty| is_hex(dirty, 8..=8))
}

/// What stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Tags that name commits.
    pub patterns: Vec<Pattern>,
    /// When the commit of a tag was made, in seconds since 1970, as far as git knows.
    pub commit_times: BTreeMap<String, i64>,
    /// Tags that the manifest moves.
    pub moving: BTreeSet<String>,
    /// The key tags of the manifest as it is.
    pub keys: BTreeSet<String>,
    /// Images of the manifest that are published here.
    pub images: BTreeSet<String>,
    /// Digests and tags that something runs, and what does, as far as it is known; else the digest or tag itself.
    pub in_use: BTreeMap<String, String>,
    /// Days after which an image without a tag goes; never unless given.
    pub untagged_days: Option<u32>,
    /// Whatever is younger stays, in seconds.
    pub min_age: i64,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// Why something stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "kind", content = "what", rename_all = "kebab-case")]
pub enum Stays {
    /// A tag that moves stands on it.
    Moving(String),
    /// It stands under a key of the manifest as it is.
    Key,
    /// Something runs it: what does, or the digest or tag of `in_use_by`.
    InUse(String),
    /// A tag that no template of the manifest gives.
    OtherTag(String),
    /// One of the newest commits of a pattern.
    Newest(String),
    /// Younger than `min_age`, or without a tag for fewer than `untagged_days`.
    Young,
    /// Nothing tells how old it is.
    AgeUnknown,
    /// Another manifest published it, or nobody says who.
    Foreign,
    /// No rule lets images without a tag go.
    NoRule,
    /// Part of an index that stays.
    PartOf(Digest),
    /// It belongs to an image that stays, or that is not here.
    BelongsTo(Digest),
}

/// Why something goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "kind", content = "what", rename_all = "kebab-case")]
pub enum Why {
    /// All its tags name commits before the newest ones.
    OldCommits,
    /// It has no tag, but for keys that are not the manifest's any more.
    Untagged,
    /// Part of an index that goes.
    PartOf(Digest),
    /// It belongs to an image that goes.
    BelongsTo(Digest),
}

/// What becomes of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays; of its tags, these go.
    Stays {
        /// Why.
        why: Stays,
        /// Tags that name commits before the newest ones.
        untag: Vec<String>,
    },
    /// It goes, with all its tags.
    Goes(Why),
}

/// What becomes of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Every manifest.
    pub verdicts: BTreeMap<Digest, Verdict>,
}

impl Pruning {
    /// What goes.
    pub fn going(&self) -> impl Iterator<Item = (&Digest, &Why)> {
        self.verdicts.iter().filter_map(|(digest, verdict)| match verdict {
            Verdict::Goes(why) => Some((digest, why)),
            Verdict::Stays { .. } => None,
        })
    }

    /// The tags that go from images that stay.
    pub fn untagged(&self) -> impl Iterator<Item = &str> {
        self.verdicts
            .values()
            .flat_map(|verdict| match verdict {
                Verdict::Stays { untag, .. } => &untag[..],
                Verdict::Goes(_) => &[],
            })
            .map(String::as_str)
    }

    /// Bytes that only what goes points at.
    pub fn freed(&self, stock: &Stock) -> u64 {
        let stays = self.verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Stays { .. }));
        stock.bytes_of(stock.items.keys()) - stock.bytes_of(stays.map(|(digest, _)| digest))
    }
}

/// What a run of `prune` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Manifests that are gone.
    pub deleted: usize,
    /// Tags that are gone from images that stay.
    pub untagged: usize,
    /// What was left after all: a tag was moved to it meanwhile.
    pub spared: BTreeSet<Digest>,
    /// Why no tag could be taken from an image that stays, if so: not every registry can.
    pub cannot_untag: Option<String>,
}

/// Decides what goes.
pub fn prune(stock: &Stock, rules: &Rules) -> Pruning {
    let kept = newest(stock, rules);
    let tags_of = stock.tags_of();
    let mut verdicts: BTreeMap<Digest, Verdict> = BTreeMap::new();
    for (digest, item) in &stock.items {
        if matches!(item.kind, ItemKind::Attached { .. }) {
            continue;
        }
        let tags = tags_of.get(digest).map(Vec::as_slice).unwrap_or_default();
        let verdict = match (stays(stock, rules, &kept, *digest, tags), why_goes(tags)) {
            (Some(why), _) => Verdict::Stays { why, untag: old_commits(tags, rules, &kept) },
            (None, why) => Verdict::Goes(why),
        };
        verdicts.insert(*digest, verdict);
    }
    settle_children(stock, &tags_of, &mut verdicts);
    settle_attached(stock, &mut verdicts);
    Pruning { verdicts }
}

/// The commit tags that stay, with the pattern because of which they do.
fn newest(stock: &Stock, rules: &Rules) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for pattern in &rules.patterns {
        let name = format!("{}*{}", pattern.prefix, pattern.suffix);
        let mut dated: Vec<(i64, &String, bool)> = Vec::new();
        for (tag, digest) in stock.tags.iter().filter(|(tag, _)| pattern_of(tag, rules) == Some(pattern)) {
            let published = stock.items.get(digest).and_then(|item| item.published);
            let made = pattern.varying(tag).and_then(|commit| rules.commit_times.get(commit).copied());
            // A tag is as young as the younger of the two, so that neither a clock nor an old commit makes it go early.
            match (pattern.commits, made.or(published), made.max(published)) {
                (Some(_), Some(time), Some(youngest)) => {
                    dated.push((time, tag, rules.now - youngest < rules.min_age));
                }
                _ => drop(kept.insert(tag.clone(), name.clone())),
            }
        }
        dated.sort_by(|a, b| b.cmp(a));
        let newest = pattern.commits.unwrap_or(u32::MAX) as usize;
        let stays = dated.into_iter().enumerate().filter(|(place, (_, _, young))| *place < newest || *young);
        kept.extend(stays.map(|(_, (_, tag, _))| (tag.clone(), name.clone())));
    }
    kept
}

/// The pattern that gives a tag: of several that could, the one that says most. `api-v2-*` has `api-v2-1234567`, and `api-*` has not.
fn pattern_of<'a>(tag: &str, rules: &'a Rules) -> Option<&'a Pattern> {
    if tag_kind(tag) != TagKind::Given || rules.moving.contains(tag) {
        return None;
    }
    let fitting = rules.patterns.iter().filter(|pattern| pattern.varying(tag).is_some());
    fitting.max_by_key(|pattern| pattern.prefix.len() + pattern.suffix.len())
}

/// Whether a tag is one that names a commit, and not one that moves.
fn is_commit(tag: &str, rules: &Rules) -> bool {
    pattern_of(tag, rules).is_some()
}

fn old_commits(tags: &[&str], rules: &Rules, kept: &BTreeMap<String, String>) -> Vec<String> {
    let old = tags
        .iter()
        .filter(|tag| is_commit(tag, rules) && !kept.contains_key(**tag) && !rules.in_use.contains_key(**tag));
    old.map(|tag| (*tag).to_owned()).collect()
}

/// Why a manifest stays for its own sake.
fn stays(
    stock: &Stock,
    rules: &Rules,
    kept: &BTreeMap<String, String>,
    digest: Digest,
    tags: &[&str],
) -> Option<Stays> {
    let item = stock.items.get(&digest)?;
    let by_digest = rules.in_use.get(&digest.to_string());
    if let Some(used) = by_digest.or_else(|| tags.iter().find_map(|tag| rules.in_use.get(*tag))) {
        return Some(Stays::InUse(used.clone()));
    }
    if let Some(moving) = tags.iter().find(|tag| rules.moving.contains(**tag)) {
        return Some(Stays::Moving((*moving).to_owned()));
    }
    if tags.iter().any(|tag| rules.keys.contains(*tag)) {
        return Some(Stays::Key);
    }
    let given = || tags.iter().filter(|tag| matches!(tag_kind(tag), TagKind::Given | TagKind::Belongs(_)));
    if let Some(other) = given().find(|tag| !is_commit(tag, rules)) {
        return Some(Stays::OtherTag((*other).to_owned()));
    }
    if let Some(pattern) = tags.iter().find_map(|tag| kept.get(*tag)) {
        return Some(Stays::Newest(pattern.clone()));
    }
    let has_commits = given().next().is_some();
    let ours = item.image.as_ref().is_some_and(|image| rules.images.contains(image));
    if !has_commits && !ours && !tags.is_empty() {
        return Some(Stays::Foreign);
    }
    let Some(published) = item.published else { return Some(Stays::AgeUnknown) };
    let age = rules.now - published;
    if age < rules.min_age {
        return Some(Stays::Young);
    }
    match rules.untagged_days {
        _ if has_commits => None,
        None => Some(Stays::NoRule),
        Some(days) if age < i64::from(days) * DAY => Some(Stays::Young),
        Some(_) => None,
    }
}

fn why_goes(tags: &[&str]) -> Why {
    if tags.iter().any(|tag| tag_kind(tag) == TagKind::Given) { Why::OldCommits } else { Why::Untagged }
}

/// The children of what stays stay. Those of what goes go, if nothing but their index held them.
fn settle_children(stock: &Stock, tags_of: &BTreeMap<Digest, Vec<&str>>, verdicts: &mut BTreeMap<Digest, Verdict>) {
    let children = |digest: &Digest| match stock.items.get(digest).map(|item| &item.kind) {
        Some(ItemKind::Index(children)) => children.clone(),
        _ => Vec::new(),
    };
    // A child without a tag of its own has no say, unless something runs it: its indexes decide.
    let parents: Vec<Digest> = stock.items.keys().copied().collect();
    for parent in &parents {
        for child in children(parent).iter().filter(|child| !tags_of.contains_key(child)) {
            if !matches!(verdicts.get(child), None | Some(Verdict::Stays { why: Stays::InUse(_), .. })) {
                verdicts.insert(*child, Verdict::Goes(Why::PartOf(*parent)));
            }
        }
    }
    let mut queue: Vec<Digest> = parents;
    queue.retain(|digest| matches!(verdicts.get(digest), Some(Verdict::Stays { .. })));
    while let Some(parent) = queue.pop() {
        for child in children(&parent) {
            if let Some(Verdict::Goes(_)) = verdicts.get(&child) {
                verdicts.insert(child, Verdict::Stays { why: Stays::PartOf(parent), untag: Vec::new() });
                queue.push(child);
            }
        }
    }
}

/// What belongs to something goes with it.
fn settle_attached(stock: &Stock, verdicts: &mut BTreeMap<Digest, Verdict>) {
    for (digest, item) in &stock.items {
        let ItemKind::Attached { to } = item.kind else { continue };
        // What is attached may have something attached in turn: the first that is not decides.
        let mut subject = to;
        for _ in 0..stock.items.len() {
            match stock.items.get(&subject).map(|item| &item.kind) {
                Some(ItemKind::Attached { to }) => subject = *to,
                _ => break,
            }
        }
        let verdict = match verdicts.get(&subject) {
            Some(Verdict::Goes(_)) => Verdict::Goes(Why::BelongsTo(to)),
            _ => Verdict::Stays { why: Stays::BelongsTo(to), untag: Vec::new() },
        };
        verdicts.insert(*digest, verdict);
    }
}
