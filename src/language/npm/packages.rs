//! The walk over workspaces.

use std::collections::BTreeMap;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::NpmManifest;
use super::manifest::pnpm_patterns;
use crate::language::closure::{Closure, Question};
use crate::language::paths::join;
use crate::language::sources::{Parsed, Sources};
use crate::language::units::{Rules, Spare, Units, drop_outside, reach};
use crate::path::RelPath;
use crate::problem::Problem;
use crate::project::Language;

/// The scripts of the context that belong to workspaces which those of the question do not depend on.
///
/// # Errors
/// A workspace that is not there.
pub(in crate::language) fn close(question: &Question<'_>, sources: &dyn Sources) -> Result<Closure, Problem> {
    let npm = Units::find(sources, "package.json", manifest).and_then(|all| Npm::new(sources, all));
    let npm = match npm {
        Ok(npm) => npm,
        Err(whole) => return Ok(Closure { whole: Some(whole), ..Closure::default() }),
    };
    match reach(question, &npm)? {
        Ok(reasons) => Ok(drop_outside(question, sources, &npm.all, reasons, |owner, _| npm.spare(owner))),
        Err(whole) => Ok(Closure { whole: Some(whole), ..Closure::default() }),
    }
}

fn manifest(parsed: &Parsed) -> Option<&NpmManifest> {
    match parsed {
        Parsed::Npm(manifest) => Some(manifest),
        _ => None,
    }
}

struct Npm<'a> {
    sources: &'a dyn Sources,
    all: Units<'a, NpmManifest>,
    /// The workspaces by name.
    workspaces: BTreeMap<&'a str, RelPath>,
}

impl<'a> Npm<'a> {
    fn new(sources: &'a dyn Sources, all: Units<'a, NpmManifest>) -> Result<Self, String> {
        let mut workspaces = BTreeMap::new();
        let mut roots = Vec::new();
        for (folder, manifest) in &all.by_folder {
            let mut patterns = manifest.workspaces.clone();
            patterns.extend(of_pnpm(folder, sources)?);
            if !patterns.is_empty() {
                roots.push((folder, Patterns::new(&patterns)?));
            }
        }
        for (folder, manifest) in &all.by_folder {
            let matches = |(root, patterns): &(&RelPath, Patterns)| {
                folder != *root && folder.relative_to(root).is_some_and(|inner| patterns.cover(&inner))
            };
            if let (Some(name), true) = (&manifest.name, roots.iter().any(matches)) {
                workspaces.insert(name.as_str(), folder.clone());
            }
        }
        Ok(Self { sources, all, workspaces })
    }

    fn is_workspace(&self, folder: &RelPath) -> bool {
        self.workspaces.values().any(|workspace| workspace == folder)
    }

    /// What belongs to no workspace stays.
    fn spare(&self, owner: &RelPath) -> Spare {
        if self.is_workspace(owner) { Spare::Nothing } else { Spare::File }
    }

    /// The packages at paths that lead upward out of this one.
    fn above(&self, folder: &RelPath, from: &RelPath, written: &[String]) -> Vec<RelPath> {
        let places = written.iter().filter_map(|written| join(from, written));
        let out = places.filter(|place| !place.starts_with(folder));
        let owner = |place: RelPath| {
            if self.all.by_folder.contains_key(&place) { Some(place) } else { self.all.owner(&place.join(b"x")) }
        };
        out.filter_map(owner).filter(|owner| self.is_workspace(owner)).collect()
    }

    /// Workspaces that the files of this one import, declared or not.
    fn imported(&self, folder: &RelPath) -> Vec<RelPath> {
        let mut found = Vec::new();
        for node in self.sources.named_like(Language::Npm) {
            let node = *node as usize;
            let path = &self.sources.tree().nodes()[node].path;
            if !path.starts_with(folder) || self.all.owner(path).as_ref() != Some(folder) {
                continue;
            }
            if let Parsed::Script(file) = self.sources.parsed(node) {
                found.extend(file.packages.iter().filter_map(|name| self.workspaces.get(name.as_str()).cloned()));
                found.extend(self.above(folder, &path.parent().unwrap_or_default(), &file.upward));
            }
        }
        found
    }

    /// Workspaces that a `tsconfig.json` of this one refers to.
    fn referred(&self, folder: &RelPath) -> Vec<RelPath> {
        let tree = self.sources.tree();
        let mut found = Vec::new();
        for node in tree.below(folder) {
            let path = &tree.nodes()[node].path;
            let is_config = path.name().starts_with(b"tsconfig") && path.name().ends_with(b".json");
            if !is_config || self.all.owner(path).as_ref() != Some(folder) {
                continue;
            }
            if let Parsed::Text(text) = self.sources.parsed(node) {
                let upward: Vec<String> =
                    crate::language::cargo::upward_paths(text).into_iter().map(str::to_owned).collect();
                found.extend(self.above(folder, &path.parent().unwrap_or_default(), &upward));
            }
        }
        found
    }
}

impl Rules for Npm<'_> {
    const KIND: &'static str = "npm workspace";
    const MANIFEST: &'static str = "package.json";

    fn named(&self, name: &str) -> Option<RelPath> {
        self.workspaces.get(name).cloned()
    }

    fn is_package(&self, folder: &RelPath) -> bool {
        self.all.by_folder.contains_key(folder)
    }

    fn label(&self, folder: &RelPath) -> String {
        self.all.by_folder.get(folder).and_then(|manifest| manifest.name.clone()).unwrap_or_else(|| folder.to_string())
    }

    fn needs(&self, folder: &RelPath) -> Result<Vec<RelPath>, String> {
        let mut needs = Vec::new();
        for (name, written) in &self.all.by_folder[folder].dependencies {
            let path = ["file:", "link:", "portal:"].iter().find_map(|form| written.strip_prefix(form));
            if let Some(path) = path {
                needs.extend(join(folder, path).filter(|place| self.all.by_folder.contains_key(place)));
            }
            // `workspace:other@*` is another name for a workspace.
            let alias = written.strip_prefix("workspace:").or_else(|| written.strip_prefix("npm:"));
            let alias = alias.and_then(|alias| alias.rfind('@').filter(|at| *at > 0).map(|at| &alias[..at]));
            let names = std::iter::once(name.as_str()).chain(alias);
            needs.extend(names.filter_map(|name| self.workspaces.get(name).cloned()));
        }
        needs.extend(self.imported(folder));
        needs.extend(self.referred(folder));
        Ok(needs)
    }

    fn always(&self) -> Vec<RelPath> {
        let runs = |folder: &&RelPath| self.all.by_folder[*folder].runs_at_install;
        self.workspaces.values().filter(runs).cloned().collect()
    }
}

fn of_pnpm(folder: &RelPath, sources: &dyn Sources) -> Result<Vec<String>, String> {
    let path = folder.join(b"pnpm-workspace.yaml");
    let Some(node) = sources.tree().find(&path) else { return Ok(Vec::new()) };
    match sources.parsed(node) {
        Parsed::Text(text) => Ok(pnpm_patterns(text)),
        Parsed::Unclear(why) => Err(format!("`{path}`: {why}")),
        _ => Err(format!("`{path}` is no text")),
    }
}

/// Patterns of workspaces; those with `!` take away.
struct Patterns {
    with: GlobSet,
    without: GlobSet,
}

impl Patterns {
    fn new(patterns: &[String]) -> Result<Self, String> {
        let set = |negated: bool| -> Result<GlobSet, String> {
            let mut set = GlobSetBuilder::new();
            for pattern in patterns.iter().filter(|pattern| pattern.starts_with('!') == negated) {
                let tidy = pattern.trim_start_matches('!').trim_start_matches("./").trim_end_matches('/');
                set.add(
                    Glob::new(tidy)
                        .map_err(|error| format!("the pattern `{pattern}` of workspaces: {}", error.kind()))?,
                );
            }
            set.build().map_err(|error| error.to_string())
        };
        Ok(Self { with: set(false)?, without: set(true)? })
    }

    fn cover(&self, folder: &RelPath) -> bool {
        let text = folder.to_string();
        self.with.is_match(&text) && !self.without.is_match(&text)
    }
}
