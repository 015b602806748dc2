//! The question and the answer, in all languages.

use std::collections::BTreeMap;

use super::sources::Sources;
use super::{cargo, go, npm, python};
use crate::path::RelPath;
use crate::platform::Platform;
use crate::problem::{Code, Problem};
use crate::project::{Language, LanguageInputs, Located, PackageName};

/// What one image wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What `inputs:` says of one language.
    pub inputs: &'a LanguageInputs,
    /// Where its packages would stand in the context, in the same order; `None` for what lies outside it.
    pub places: &'a [Option<RelPath>],
    /// The platform that the image is made for.
    pub platform: &'a Platform,
}

/// What the rules of a language leave out of a context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// The nodes that are left out, ascending.
    pub dropped: Vec<u32>,
    /// The nodes whose names stay though their contents do not: empty files stand in for them.
    pub placeholders: Vec<u32>,
    /// Why others stay.
    pub reasons: Reasons,
    /// Why nothing is left out, where something could not be understood.
    pub whole: Option<String>,
}

/// Answers for the language of the question.
///
/// # Errors
/// A package that is not there.
pub fn close(question: &Question<'_>, sources: &dyn Sources) -> Result<Closure, Problem> {
    match question.inputs.language {
        Language::Go => go::close(question, sources),
        Language::Cargo => cargo::close(question, sources),
        Language::Npm => npm::close(question, sources),
        Language::Python => python::close(question, sources),
    }
}

/// The problem of a package that is not there.
pub(super) fn missing(package: &Located<PackageName>, message: String, help: &str) -> Problem {
    Problem::error(Code::MissingPackage, message).at(&package.location, "").help(help)
}

/// Why files stay: the packages of the closure, each with the one that asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    units: Vec<Unit>,
    by_folder: BTreeMap<RelPath, usize>,
    /// What is embedded, and the package that embeds it.
    embedded: BTreeMap<RelPath, usize>,
    /// Which files of a package's folder this speaks of.
    scope: Scope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    label: String,
    asked_by: Option<usize>,
}

/// Which files belong to a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those with this ending that stand in its folder itself.
    #[default]
    GoFiles,
    /// All below its folder that stand in no folder of another package.
    Below,
}

impl Reasons {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// Adds a package, unless it is known; returns its number.
    pub(super) fn add(&mut self, folder: &RelPath, label: String, asked_by: Option<usize>) -> usize {
        let next = self.units.len();
        let index = *self.by_folder.entry(folder.clone()).or_insert(next);
        if index == next {
            self.units.push(Unit { label, asked_by });
        }
        index
    }

    pub(super) fn embed(&mut self, path: RelPath, unit: usize) {
        self.embedded.entry(path).or_insert(unit);
    }

    /// The packages of the closure: their folders, sorted.
    pub fn folders(&self) -> impl Iterator<Item = &RelPath> {
        self.by_folder.keys()
    }

    /// Adds the reasons of another closure.
    pub(super) fn merge(&mut self, other: Self) {
        let base = self.units.len();
        self.scope = other.scope;
        let moved = |unit: Unit| Unit { asked_by: unit.asked_by.map(|by| by + base), ..unit };
        self.units.extend(other.units.into_iter().map(moved));
        for (folder, unit) in other.by_folder {
            self.by_folder.entry(folder).or_insert(unit + base);
        }
        for (path, unit) in other.embedded {
            self.embedded.entry(path).or_insert(unit + base);
        }
    }

    /// Why the file at `path` stays, as a phrase: `imported by ./cmd/thumbnail via internal/img`. `None` where no language asks
    /// for it: it stays because nothing drops it.
    pub fn of(&self, path: &RelPath) -> Option<String> {
        let mut above = Some(path.clone());
        while let Some(at) = above {
            if let Some(unit) = self.embedded.get(&at) {
                return Some(format!("embedded by {}", self.units[*unit].label));
            }
            above = at.parent();
        }
        let verb = match self.scope {
            Scope::GoFiles if !path.name().ends_with(b".go") => return None,
            Scope::GoFiles => "imported by",
            Scope::Below => "needed by",
        };
        let mut folder = path.parent();
        let unit = loop {
            let at = folder?;
            match (self.by_folder.get(&at), self.scope) {
                (Some(unit), _) => break *unit,
                (None, Scope::GoFiles) => return None,
                (None, Scope::Below) => folder = at.parent(),
            }
        };
        Some(self.chain(unit, verb))
    }

    fn chain(&self, unit: usize, verb: &str) -> String {
        let mut via = Vec::new();
        let mut at = unit;
        while let Some(by) = self.units[at].asked_by {
            via.push(self.units[by].label.as_str());
            at = by;
        }
        let Some(root) = via.pop() else { return format!("part of {}", self.units[unit].label) };
        via.reverse();
        if via.is_empty() { format!("{verb} {root}") } else { format!("{verb} {root} via {}", via.join(", ")) }
    }
}
