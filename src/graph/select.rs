//! Which images a command line means.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use super::order::Graph;
use crate::name::ImageName;
use crate::problem::{Code, Problem, Problems, Source, did_you_mean};
use crate::project::{Project, Role};

/// The images that a run is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those that were asked for: they are published, their tags move, their functions are deployed.
    pub chosen: BTreeSet<ImageName>,
    /// Those and everything that they build on.
    pub all: BTreeSet<ImageName>,
    /// Whether they were named with `--only`.
    pub partial: bool,
}

/// Selects by `--only`: names, globs and groups; everything that is published if there is none.
///
/// A base that is published is asked for like an image; one that is not is built only if something else asks for it.
///
/// # Errors
/// A pattern that no image and no group has.
pub fn select(project: &Project, graph: &Graph, only: &[String], with_dependents: bool) -> Result<Selection, Problems> {
    let mut chosen = BTreeSet::new();
    let mut problems = Problems::new();
    for pattern in only {
        match matching(project, pattern) {
            Ok(names) if names.is_empty() => problems.push(unknown(project, pattern)),
            Ok(names) => chosen.extend(names),
            Err(problem) => problems.push(problem),
        }
    }
    problems.or(())?;
    if only.is_empty() {
        let wanted = |image: &&crate::project::Image| image.role == Role::Image || !image.destinations.is_empty();
        chosen = project.images.values().filter(wanted).map(|image| image.name.clone()).collect();
    } else if with_dependents {
        chosen = graph.with_dependents(&chosen);
    }
    let all = graph.with_needs(&chosen);
    Ok(Selection { chosen, all, partial: !only.is_empty() })
}

fn matching(project: &Project, pattern: &str) -> Result<BTreeSet<ImageName>, Problem> {
    let glob = GlobBuilder::new(pattern).literal_separator(false).build().map_err(|error| {
        let source = Source::new("--only", pattern);
        Problem::error(Code::UnknownSelection, format!("`{pattern}` is not a pattern: {}", error.kind()))
            .at(&source.at(0, pattern.len()), "")
    })?;
    let glob = glob.compile_matcher();
    let hit = |text: &str| text == pattern || glob.is_match(text);
    let images = project.images.values();
    Ok(images
        .filter(|image| hit(image.name.as_str()) || image.groups.iter().any(|group| hit(group)))
        .map(|image| image.name.clone())
        .collect())
}

fn unknown(project: &Project, pattern: &str) -> Problem {
    let source = Source::new("--only", pattern);
    let groups = project.images.values().flat_map(|image| image.groups.iter().map(String::as_str));
    let candidates: BTreeSet<&str> = project.images.keys().map(ImageName::as_str).chain(groups).collect();
    let hint = did_you_mean(pattern, candidates.iter().copied());
    let some: Vec<&str> = candidates.iter().take(12).copied().collect();
    Problem::error(Code::UnknownSelection, format!("no image and no group is called `{pattern}`"))
        .at(&source.at(0, pattern.len()), "")
        .help(hint.unwrap_or_else(|| {
            format!("there are: {}{}", some.join(", "), if candidates.len() > 12 { ", ..." } else { "" })
        }))
}
