//! Which entries of a walked context one image's build can see.

use std::collections::HashSet;
use std::ops::Range;

use crate::dockerfile::{Missing, Read, select};
use crate::path::RelPath;
use crate::project::{Inputs, Located, Modes};
use crate::tree::Tree;

use super::context::{Failure, State};
use super::error::Error;
use super::globs::{Globs, literal_base, tidy};

/// The chosen nodes of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Sorted, each once.
    pub nodes: Vec<u32>,
    /// Reads with which the build would fail.
    pub missing: Vec<MissingRead>,
    /// How many files `inputs:` dropped.
    pub dropped: u32,
}

/// A read with which the build would fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingRead {
    pub missing: Missing,
    /// Whether it is `inputs:` that drops what is missing.
    pub dropped: bool,
}

/// Everything if `reads` is `None`, else what the reads can see; both of what `inputs` leaves.
pub(super) fn choose(state: &State, reads: Option<&[Read]>, inputs: &Inputs) -> Result<Choice, Failure> {
    let tree = &state.walked.tree;
    let all = tree.nodes().len();
    let Some(kept) = narrow(tree, inputs)? else {
        let Some(reads) = reads else {
            return Ok(Choice { nodes: (0..all as u32).collect(), ..Choice::default() });
        };
        let selection = select(tree, reads);
        let missing =
            selection.missing.iter().cloned().map(|missing| MissingRead { missing, dropped: false }).collect();
        return Ok(Choice { nodes: selection.iter().map(|(node, _)| node as u32).collect(), missing, dropped: 0 });
    };
    let files = |nodes: Range<usize>| state.files_before[nodes.end] - state.files_before[nodes.start];
    let dropped = |before: u32, nodes: &[u32]| {
        before.saturating_sub(nodes.iter().map(|node| files(*node as usize..*node as usize + 1)).sum())
    };
    let Some(reads) = reads else {
        return Ok(Choice { dropped: dropped(files(0..all), &kept), nodes: kept, missing: Vec::new() });
    };
    // The build sees what is left, so that is what the reads are held against.
    let left = Tree::new(kept.iter().map(|node| tree.nodes()[*node as usize].clone()).collect());
    let (before, selection) = (select(tree, reads), select(&left, reads));
    let nodes: Vec<u32> = selection.iter().map(|(node, _)| kept[node]).collect();
    let is_new = |missing: &Missing| !before.missing.iter().any(|old| old.read == missing.read);
    let missing =
        selection.missing.into_iter().map(|missing| MissingRead { dropped: is_new(&missing), missing }).collect();
    let before = before.runs.iter().map(|run| files(run.nodes.clone())).sum();
    Ok(Choice { dropped: dropped(before, &nodes), nodes, missing })
}

/// The nodes that `include` and `exclude` leave, with the folders above them, sorted; `None` if there are no such globs.
fn narrow(tree: &Tree, inputs: &Inputs) -> Result<Option<Vec<u32>>, Error> {
    if inputs.include.is_empty() && inputs.exclude.is_empty() {
        return Ok(None);
    }
    let globs = |globs: &[Located<String>]| Globs::new(globs.iter().map(|glob| glob.value.as_str()));
    let (include, exclude) = (globs(&inputs.include)?, globs(&inputs.exclude)?);
    let path = |node: u32| tree.nodes()[node as usize].path.as_bytes();
    let mut kept: Vec<u32> = if inputs.include.is_empty() {
        (0..tree.nodes().len() as u32).collect()
    } else {
        let mut nodes: Vec<u32> = inputs.include.iter().flat_map(|glob| candidates(tree, &glob.value)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.retain(|node| include.covers(path(*node)));
        nodes
    };
    kept.retain(|node| !exclude.covers(path(*node)));
    let above = parents(tree, &kept);
    kept.extend(above);
    kept.sort_unstable();
    Ok(Some(kept))
}

/// The nodes that a glob might cover: all from its literal beginning on.
fn candidates(tree: &Tree, glob: &str) -> Vec<u32> {
    let (base, _) = literal_base(tidy(glob));
    let Some(base) = RelPath::new(base.as_bytes()) else { return Vec::new() };
    tree.find(&base).into_iter().chain(tree.below(&base)).map(|node| node as u32).collect()
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
pub(super) fn question(reads: Option<&[Read]>, inputs: &Inputs, modes: Modes) -> String {
    let reads = reads.map(|reads| {
        let read = |read: &Read| format!("{:?}", (&read.pattern, read.kind, read.parents, &read.exclude));
        reads.iter().map(read).collect::<Vec<_>>()
    });
    let globs = |globs: &[Located<String>]| globs.iter().map(|glob| glob.value.clone()).collect::<Vec<_>>();
    format!("{:?}", (reads, globs(&inputs.include), globs(&inputs.exclude), modes))
}
