//! Which entries of a walked context one image's build can see.

use std::collections::HashSet;

use crate::dockerfile::{Missing, Read, Selection, select};
use crate::project::Located;
use crate::tree::{NodeKind, Tree};

use super::context::Failure;
use super::files::ContextRequest;
use super::narrow::{ByLanguage, by_globs, by_language, without};
use super::view::View;

/// So many of the files that `inputs:` drops are named in a plan.
const NAMED: usize = 20;

/// The chosen nodes of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Sorted, each once.
    pub nodes: Vec<u32>,
    /// Reads with which the build would fail.
    pub missing: Vec<MissingRead>,
    /// Those of them that are sent as empty files, ascending.
    pub placeholders: Vec<u32>,
    /// What `inputs:` drops of what the reads could see.
    pub dropped: Dropped,
    /// What the languages say.
    pub languages: ByLanguage,
}

/// Files that `inputs:` drops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub count: u32,
    /// The first of them.
    pub first: Vec<u32>,
}

/// A read with which the build would fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingRead {
    pub missing: Missing,
    /// Whether it is `inputs:` that drops what is missing.
    pub dropped: bool,
}

/// Everything if the request names no reads, else what the reads can see; both of what `inputs` leaves.
pub(super) fn choose(request: &ContextRequest<'_>, view: &View<'_>) -> Result<Choice, Failure> {
    let languages = by_language(request, view)?;
    let tree = &view.state.walked.tree;
    let seen = request.reads.map(|reads| select(tree, reads));
    let before = |seen: &Option<Selection>| -> Vec<u32> {
        match seen {
            Some(selection) => selection.iter().map(|(node, _)| node as u32).collect(),
            None => (0..tree.nodes().len() as u32).collect(),
        }
    };
    let globs = by_globs(tree, request.inputs)?;
    if globs.is_none() && languages.dropped.is_empty() && languages.placeholders.is_empty() {
        let nodes = before(&seen);
        let missing = seen.map(|seen| seen.missing).unwrap_or_default();
        let missing = missing.into_iter().map(|missing| MissingRead { missing, dropped: false }).collect();
        return Ok(Choice { nodes, missing, placeholders: Vec::new(), dropped: Dropped::default(), languages });
    }
    let before = before(&seen);
    let left = |all: Vec<u32>| without(all, &languages.dropped);
    let (nodes, missing) = match (request.reads, seen, globs) {
        (None, _, None) => (left(before.clone()), Vec::new()),
        (None, _, Some(kept)) => (left(kept), Vec::new()),
        (Some(reads), Some(seen), None) if leaves_all_reads(reads, &languages.dropped, view) => (
            left(before.clone()),
            seen.missing.into_iter().map(|missing| MissingRead { missing, dropped: false }).collect(),
        ),
        (Some(reads), seen, kept) => {
            let kept = left(kept.unwrap_or_else(|| (0..tree.nodes().len() as u32).collect()));
            of_what_is_left(tree, &kept, reads, &seen.map(|seen| seen.missing).unwrap_or_default())
        }
    };
    let chosen = |node: &u32| nodes.binary_search(node).is_ok();
    let placeholders = languages.placeholders.iter().copied().filter(chosen).collect();
    Ok(Choice { dropped: dropped(tree, &before, &nodes), placeholders, nodes, missing, languages })
}

/// Whether no read can fail for want of what the languages drop: each still sees a file, and no link leads to what is dropped.
fn leaves_all_reads(reads: &[Read], dropped: &[u32], view: &View<'_>) -> bool {
    let tree = &view.state.walked.tree;
    let stays =
        |node: usize| tree.nodes()[node].kind == NodeKind::File && dropped.binary_search(&(node as u32)).is_err();
    let sees = |read: &Read| select(tree, std::slice::from_ref(read)).iter().any(|(node, _)| stays(node));
    !view.has_links() && reads.iter().all(sees)
}

/// The build sees what is left, so that is what the reads are held against.
fn of_what_is_left(tree: &Tree, kept: &[u32], reads: &[Read], before: &[Missing]) -> (Vec<u32>, Vec<MissingRead>) {
    let left = Tree::new(kept.iter().map(|node| tree.nodes()[*node as usize].clone()).collect());
    let selection = select(&left, reads);
    let nodes = selection.iter().map(|(node, _)| kept[node]).collect();
    let is_new = |missing: &Missing| !before.iter().any(|old| old.read == missing.read);
    let missing = selection.missing.into_iter();
    (nodes, missing.map(|missing| MissingRead { dropped: is_new(&missing), missing }).collect())
}

/// The files of `before` that are not in `after`; both ascend.
fn dropped(tree: &Tree, before: &[u32], after: &[u32]) -> Dropped {
    let mut after = after.iter().peekable();
    let mut dropped = Dropped::default();
    for node in before {
        while after.next_if(|kept| *kept < node).is_some() {}
        if after.peek() == Some(&node) || tree.nodes()[*node as usize].kind == NodeKind::Folder {
            continue;
        }
        dropped.count += 1;
        if dropped.first.len() < NAMED {
            dropped.first.push(*node);
        }
    }
    dropped
}

/// The folders above the chosen nodes that are not chosen themselves, sorted.
pub(super) fn parents(tree: &Tree, nodes: &[u32]) -> Vec<u32> {
    let mut found = HashSet::new();
    let mut last: &[u8] = b"";
    for node in nodes {
        let mut path = tree.nodes()[*node as usize].path.as_bytes();
        while let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
            path = &path[..slash];
            if path == last {
                break;
            }
            let Some(index) = tree.find_bytes(path) else { break };
            if nodes.binary_search(&(index as u32)).is_ok() || !found.insert(index as u32) {
                break;
            }
        }
        let path = tree.nodes()[*node as usize].path.as_bytes();
        last = path.iter().rposition(|byte| *byte == b'/').map_or(b"", |slash| &path[..slash]);
    }
    let mut found: Vec<u32> = found.into_iter().collect();
    found.sort_unstable();
    found
}

/// All that a choice depends on beside its context, as a text without collisions.
pub(super) fn question(request: &ContextRequest<'_>) -> String {
    let reads = request.reads.map(|reads| {
        let read = |read: &Read| format!("{:?}", (&read.pattern, read.kind, read.parents, &read.exclude));
        reads.iter().map(read).collect::<Vec<_>>()
    });
    let inputs = request.inputs;
    let globs = |globs: &[Located<String>]| globs.iter().map(|glob| glob.value.clone()).collect::<Vec<_>>();
    let mut text = format!("{:?}", (reads, globs(&inputs.include), globs(&inputs.exclude), request.modes));
    for one in &inputs.languages {
        let packages: Vec<_> = one.packages.iter().map(|package| &package.value).collect();
        text.push_str(&format!("{:?}", (one.language, packages, &one.tags, one.cgo, request.platform)));
    }
    text
}
