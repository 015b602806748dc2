//! The walk over projects.

use std::collections::{BTreeMap, BTreeSet};

use super::PythonProject;
use super::project::{local_path, normalized};
use crate::language::closure::{Closure, Question};
use crate::language::paths::join;
use crate::language::sources::{Parsed, Sources};
use crate::language::units::{Rules, Spare, Units, drop_outside, reach};
use crate::path::RelPath;
use crate::problem::Problem;
use crate::project::Language;

/// Names at the top of a project that are no modules which another project imports.
const NO_MODULES: &[&str] =
    &["setup", "conftest", "tests", "test", "docs", "examples", "scripts", "noxfile", "tasks", "__init__"];

/// The Python files of the context that belong to projects which those of the question are not made from.
///
/// # Errors
/// A project that is not there.
pub(in crate::language) fn close(question: &Question<'_>, sources: &dyn Sources) -> Result<Closure, Problem> {
    let all = match Units::find(sources, "pyproject.toml", manifest) {
        Ok(all) => all,
        Err(whole) => return Ok(Closure { whole: Some(whole), ..Closure::default() }),
    };
    let provided = provided(&all, sources);
    let python = Python { sources, all: &all, provided: &provided };
    match reach(question, &python)? {
        Ok(reasons) => Ok(drop_outside(question, sources, &all, reasons, |_, _| Spare::Nothing)),
        Err(whole) => Ok(Closure { whole: Some(whole), ..Closure::default() }),
    }
}

fn manifest(parsed: &Parsed) -> Option<&PythonProject> {
    match parsed {
        Parsed::Project(manifest) if manifest.is_project => Some(manifest),
        _ => None,
    }
}

/// The names of modules that projects bring along: what stands in their folder, or in `src/` below it.
fn provided(all: &Units<'_, PythonProject>, sources: &dyn Sources) -> BTreeMap<String, BTreeSet<RelPath>> {
    let mut provided: BTreeMap<String, BTreeSet<RelPath>> = BTreeMap::new();
    for node in sources.named_like(Language::Python) {
        let path = &sources.tree().nodes()[*node as usize].path;
        let Some(owner) = all.owner(path) else { continue };
        let Some(inner) = path.relative_to(&owner).and_then(|inner| inner.as_str().map(str::to_owned)) else {
            continue;
        };
        let inner = inner.strip_prefix("src/").unwrap_or(&inner);
        let name = inner.split(['/', '.']).next().unwrap_or_default();
        if !NO_MODULES.contains(&name) && !provided.get(name).is_some_and(|owners| owners.contains(&owner)) {
            provided.entry(name.to_owned()).or_default().insert(owner);
        }
    }
    provided
}

struct Python<'a> {
    sources: &'a dyn Sources,
    all: &'a Units<'a, PythonProject>,
    provided: &'a BTreeMap<String, BTreeSet<RelPath>>,
}

impl Python<'_> {
    /// The project at a path, or the one whose folder holds it.
    fn at(&self, base: &RelPath, written: &str) -> Option<RelPath> {
        let place = join(base, written)?;
        if self.all.by_folder.contains_key(&place) { Some(place) } else { self.all.owner(&place) }
    }

    /// Projects that the requirements files of this one name.
    fn required(&self, folder: &RelPath) -> Result<Vec<RelPath>, String> {
        let tree = self.sources.tree();
        let mut found = Vec::new();
        let mut files: Vec<RelPath> = Vec::new();
        for node in tree.below(folder) {
            let path = &tree.nodes()[node].path;
            let is_list = path.name().ends_with(b".txt") || path.name().ends_with(b".in");
            let near = path.relative_to(folder).is_some_and(|inner| {
                inner.name().starts_with(b"requirements")
                    || inner.name().starts_with(b"constraints")
                    || inner.as_bytes().starts_with(b"requirements/")
            });
            if is_list && near && self.all.owner(path).as_ref() == Some(folder) {
                files.push(path.clone());
            }
        }
        let mut seen: BTreeSet<RelPath> = files.iter().cloned().collect();
        while let Some(file) = files.pop() {
            let Some(node) = tree.find(&file) else { continue };
            let text = match self.sources.parsed(node) {
                Parsed::Text(text) => text,
                Parsed::Unclear(why) => return Err(format!("`{file}`: {why}")),
                _ => continue,
            };
            let base = file.parent().unwrap_or_default();
            for line in text.lines().map(str::trim) {
                if let Some(other) = included(line) {
                    files.extend(join(&base, other).filter(|other| seen.insert(other.clone())));
                } else if let Some(path) = local_path(line) {
                    // pip takes paths from where it runs, most often the project or the root.
                    found.extend([&base, folder, &RelPath::root()].iter().filter_map(|base| self.at(base, path)));
                }
            }
        }
        Ok(found)
    }

    /// Projects whose modules the files of this one import.
    fn imported(&self, folder: &RelPath) -> Vec<RelPath> {
        let mut found = Vec::new();
        for node in self.sources.named_like(Language::Python) {
            let node = *node as usize;
            let path = &self.sources.tree().nodes()[node].path;
            if !path.starts_with(folder) || self.all.owner(path).as_ref() != Some(folder) {
                continue;
            }
            let Parsed::Python(file) = self.sources.parsed(node) else { continue };
            for name in &file.modules {
                // What a project has itself it does not take from another.
                let owners = self.provided.get(name).filter(|owners| !owners.contains(folder));
                found.extend(owners.into_iter().flatten().cloned());
            }
        }
        found
    }
}

/// The file that a line `-r FILE` or `-c FILE` includes.
fn included(line: &str) -> Option<&str> {
    let forms = ["--requirement", "--constraint", "-r", "-c"];
    let rest = forms.iter().find_map(|form| line.strip_prefix(form))?;
    let rest = rest.trim_start_matches([' ', '\t', '=']);
    rest.split_whitespace().next()
}

impl Rules for Python<'_> {
    const KIND: &'static str = "Python project";
    const MANIFEST: &'static str = "pyproject.toml";

    fn named(&self, name: &str) -> Option<RelPath> {
        let name = normalized(name);
        let named = self.all.by_folder.iter().find(|(_, project)| project.name.as_ref() == Some(&name));
        named.map(|(folder, _)| folder.clone())
    }

    fn is_package(&self, folder: &RelPath) -> bool {
        self.all.by_folder.contains_key(folder)
    }

    fn label(&self, folder: &RelPath) -> String {
        self.all.by_folder.get(folder).and_then(|project| project.name.clone()).unwrap_or_else(|| folder.to_string())
    }

    fn needs(&self, folder: &RelPath) -> Result<Vec<RelPath>, String> {
        let project = self.all.by_folder[folder];
        let mut needs: Vec<RelPath> =
            project.paths.iter().filter_map(|written| self.at(folder, written)).filter(|at| at != folder).collect();
        needs.extend(project.from_workspace.iter().filter_map(|name| self.named(name)));
        needs.extend(self.required(folder)?);
        needs.extend(self.imported(folder));
        Ok(needs)
    }

    fn always(&self) -> Vec<RelPath> {
        Vec::new()
    }
}
