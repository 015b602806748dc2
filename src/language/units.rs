//! What Cargo, npm and Python have in common: packages are folders with a manifest, and own what lies below them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::closure::{Closure, Question, Reasons, Scope, missing};
use super::sources::{Parsed, Sources};
use crate::path::RelPath;
use crate::problem::Problem;
use crate::tree::NodeKind;

/// The packages of a context, by folder.
pub(super) struct Units<'a, M> {
    /// The manifest of each.
    pub by_folder: BTreeMap<RelPath, &'a M>,
}

impl<'a, M> Units<'a, M> {
    /// All packages whose manifest has this name; `of` takes what was parsed, or says that it is no package. An error says which
    /// manifest cannot be understood.
    pub fn find(
        sources: &'a dyn Sources,
        manifest: &str,
        of: impl Fn(&'a Parsed) -> Option<&'a M>,
    ) -> Result<Self, String> {
        let mut by_folder = BTreeMap::new();
        for (index, node) in sources.tree().nodes().iter().enumerate() {
            if node.path.name() != manifest.as_bytes() || node.kind == NodeKind::Folder || is_foreign(&node.path) {
                continue;
            }
            if let NodeKind::Link(_) = node.kind {
                return Err(format!("`{}` is a link", node.path));
            }
            match sources.parsed(index) {
                Parsed::Unclear(why) => return Err(format!("`{}`: {why}", node.path)),
                parsed => {
                    let folder = node.path.parent().unwrap_or_default();
                    by_folder.extend(of(parsed).map(|manifest| (folder, manifest)));
                }
            }
        }
        Ok(Self { by_folder })
    }

    /// The folder of the package that owns a path: the nearest above it.
    pub fn owner(&self, path: &RelPath) -> Option<RelPath> {
        let mut at = path.parent();
        while let Some(folder) = at {
            if self.by_folder.contains_key(&folder) {
                return Some(folder);
            }
            at = folder.parent();
        }
        None
    }
}

/// Whether a path lies in a folder of packages that were installed there.
fn is_foreign(path: &RelPath) -> bool {
    path.as_bytes().split(|byte| *byte == b'/').any(|name| name == b"node_modules" || name == b".venv")
}

/// The rules of one language over [`Units`].
pub(super) trait Rules {
    /// What a package is called in messages.
    const KIND: &'static str;
    /// The name of its manifest.
    const MANIFEST: &'static str;

    /// The folder of the package that goes by this name, if there is one.
    fn named(&self, name: &str) -> Option<RelPath>;
    /// Whether there is a package in this folder.
    fn is_package(&self, folder: &RelPath) -> bool;
    /// What to call the package in this folder.
    fn label(&self, folder: &RelPath) -> String;
    /// The packages that this one needs; an error says what cannot be told.
    fn needs(&self, folder: &RelPath) -> Result<Vec<RelPath>, String>;
    /// The packages that every build needs.
    fn always(&self) -> Vec<RelPath>;
}

/// The closure of the question's packages, as folders with their reasons; `Err` inside says why it cannot be told.
pub(super) fn reach(question: &Question<'_>, rules: &impl Rules) -> Result<Result<Reasons, String>, Problem> {
    let mut reasons = Reasons::new(Scope::Below);
    let mut queue = VecDeque::new();
    let mut seen = BTreeSet::new();
    for (package, place) in question.inputs.packages.iter().zip(question.places) {
        let there = place.clone().filter(|place| rules.is_package(place));
        let Some(folder) = there.or_else(|| rules.named(&package.value.written)) else {
            return Err(absent(question, package.value.written.as_str(), rules));
        };
        let unit = reasons.add(&folder, rules.label(&folder), None);
        if seen.insert(folder.clone()) {
            queue.push_back((folder, unit));
        }
    }
    let first = queue.front().map(|(_, unit)| *unit);
    for folder in rules.always() {
        let unit = reasons.add(&folder, rules.label(&folder), first);
        if seen.insert(folder.clone()) {
            queue.push_back((folder, unit));
        }
    }
    while let Some((folder, unit)) = queue.pop_front() {
        let needs = match rules.needs(&folder) {
            Ok(needs) => needs,
            Err(why) => return Ok(Err(why)),
        };
        for needed in needs {
            if seen.insert(needed.clone()) {
                let next = reasons.add(&needed, rules.label(&needed), Some(unit));
                queue.push_back((needed, next));
            }
        }
    }
    Ok(Ok(reasons))
}

fn absent<R: Rules>(question: &Question<'_>, written: &str, _: &R) -> Problem {
    let packages = &question.inputs.packages;
    let package = packages.iter().find(|package| package.value.written == written).unwrap_or(&packages[0]);
    let message = format!("`{written}` is no {} of the context", R::KIND);
    missing(package, message, &format!("name its folder, relative to this file, or the name in its `{}`", R::MANIFEST))
}

/// Drops the source files whose package is not among `kept`, unless `spares` says that one must stay.
pub(super) fn drop_outside<M>(
    question: &Question<'_>,
    sources: &dyn Sources,
    units: &Units<'_, M>,
    reasons: Reasons,
    spares: impl Fn(&RelPath, &RelPath) -> Spare,
) -> Closure {
    let kept: BTreeSet<&RelPath> = reasons.folders().collect();
    let (mut dropped, mut placeholders) = (Vec::new(), Vec::new());
    for node in sources.named_like(question.inputs.language) {
        let name = &sources.tree().nodes()[*node as usize];
        if name.kind != NodeKind::File || is_foreign(&name.path) {
            continue;
        }
        let Some(owner) = units.owner(&name.path).filter(|owner| !kept.contains(owner)) else { continue };
        match spares(&owner, &name.path) {
            Spare::Nothing => dropped.push(*node),
            Spare::Name => placeholders.push(*node),
            Spare::File => {}
        }
    }
    Closure { dropped, placeholders, reasons, whole: None }
}

/// What of a file outside the closure stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    /// Nothing: it is dropped.
    Nothing,
    /// Its name: an empty file stands in for it.
    Name,
    /// All of it.
    File,
}
