//! What `inputs:` leaves of a context: globs, and the rules of languages.

use std::sync::Arc;

use crate::language::{self, Question, Reasons};
use crate::path::RelPath;
use crate::problem::{Code, Problem, Problems};
use crate::project::{Inputs, LanguageInputs, Located};
use crate::tree::Tree;

use super::choose::parents;
use super::context::{Failure, lexical};
use super::error::Error;
use super::files::ContextRequest;
use super::globs::{Globs, literal_base, tidy};
use super::view::{Family, View};

/// What the languages leave out of a context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ByLanguage {
    /// Nodes, ascending, each once.
    pub dropped: Vec<u32>,
    /// Nodes that are sent as empty files, ascending, each once.
    pub placeholders: Vec<u32>,
    /// Why others stay, by language.
    pub reasons: Vec<Arc<Reasons>>,
    /// Languages that could leave nothing out.
    pub warnings: Problems,
}

/// Follows the rules of each language that `inputs:` names.
pub(super) fn by_language(request: &ContextRequest<'_>, view: &View<'_>) -> Result<ByLanguage, Failure> {
    let mut found = ByLanguage::default();
    let mut problems = Problems::new();
    for inputs in &request.inputs.languages {
        let places: Vec<Option<RelPath>> =
            inputs.packages.iter().map(|package| place_of(&package.value.path, view)).collect();
        let question = Question { inputs, places: &places, platform: request.platform };
        match language::close(&question, view) {
            Ok(closure) => {
                found.dropped.extend(closure.dropped);
                found.placeholders.extend(closure.placeholders);
                found.reasons.push(Arc::new(closure.reasons));
                found.warnings.extend(closure.whole.map(|why| not_narrowed(inputs, &why)));
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Placed(problems));
    }
    for nodes in [&mut found.dropped, &mut found.placeholders] {
        nodes.sort_unstable();
        nodes.dedup();
    }
    if !found.dropped.is_empty() {
        found.dropped.extend(emptied(view.family(), &found.dropped));
        found.dropped.sort_unstable();
    }
    Ok(found)
}

/// The folders of which nothing is left: a new package of which nothing counts is not to be seen at all.
fn emptied(family: &Family, dropped: &[u32]) -> Vec<u32> {
    let mut left = family.children.clone();
    let mut folders = Vec::new();
    for node in dropped {
        let mut gone = *node;
        while let Some(folder) = family.parents[gone as usize] {
            left[folder as usize] -= 1;
            if left[folder as usize] > 0 {
                break;
            }
            folders.push(folder);
            gone = folder;
        }
    }
    folders
}

fn not_narrowed(inputs: &LanguageInputs, why: &str) -> Problem {
    let written: Vec<String> = inputs.packages.iter().map(|package| format!("`{}`", package.value.written)).collect();
    let message = format!("all sources of the context count, not only what {} needs: {why}", written.join(", "));
    let problem = Problem::warning(Code::NotNarrowed, message);
    match inputs.packages.first() {
        Some(first) => problem.at(&first.location, ""),
        None => problem,
    }
}

/// Where a path below the root stands in the context; `None` if it lies outside, or would.
fn place_of(path: &str, view: &View<'_>) -> Option<RelPath> {
    let disk = lexical(view.root, path);
    // A context's folder is known without links.
    let disk = disk.canonicalize().unwrap_or(disk);
    let places = view.state.walked.origin.paths_at(&disk);
    let there = |place: &&RelPath| place.is_root() || view.state.walked.tree.find(place).is_some();
    places.iter().find(there).or(places.first()).cloned()
}

/// The nodes that `include` and `exclude` leave, with the folders above them, sorted; `None` if there are no such globs.
pub(super) fn by_globs(tree: &Tree, inputs: &Inputs) -> Result<Option<Vec<u32>>, Error> {
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

/// `nodes` without those of `dropped`; both ascend.
pub(super) fn without(nodes: Vec<u32>, dropped: &[u32]) -> Vec<u32> {
    let mut dropped = dropped.iter().peekable();
    let stays = |node: &u32| {
        while dropped.next_if(|gone| *gone < node).is_some() {}
        dropped.peek() != Some(&node)
    };
    let mut nodes = nodes;
    nodes.retain(stays);
    nodes
}
