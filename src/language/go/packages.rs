//! The walk over packages: which are imported, and which of their files belong to the build.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::GoFile;
use super::constraint::{Tags, Truth};
use super::index::{GoIndex, is_passed_over};
use super::modules::{Modules, Place, children, is_folder};
use crate::language::closure::{Closure, Question, Reasons, Scope, missing};
use crate::language::paths::join;
use crate::language::sources::{Parsed, Sources};
use crate::path::RelPath;
use crate::pattern::Glob;
use crate::problem::Problem;
use crate::tree::NodeKind;

/// The Go files of the context that the packages of the question do not need.
///
/// # Errors
/// A package that is not there, or is in no module.
pub(in crate::language) fn close(question: &Question<'_>, sources: &dyn Sources) -> Result<Closure, Problem> {
    let mut kept = HashSet::new();
    let mut reasons = Reasons::new(Scope::GoFiles);
    for (package, place) in question.inputs.packages.iter().zip(question.places) {
        let absent = |why: &str| {
            let help =
                "name the folder of a package, relative to this file: `go: ./cmd/api`, or `./cmd/...` for all below";
            missing(package, format!("`{}` is no Go package of the context: {why}", package.value.written), help)
        };
        let place = place.as_ref().ok_or_else(|| absent("it lies outside"))?;
        let (folder, below) = match place.name() {
            b"..." => (place.parent().unwrap_or_default(), true),
            _ => (place.clone(), false),
        };
        if !is_folder(&folder, sources) {
            return Err(absent("there is no such folder"));
        }
        let modules = match Modules::around(&folder, sources) {
            Ok(Some(modules)) => modules,
            Ok(None) => return Err(absent("no folder above it has a `go.mod`")),
            Err(whole) => return Ok(Closure { whole: Some(whole), ..Closure::default() }),
        };
        let tags = Tags {
            platform: question.platform,
            custom: question.inputs.tags.as_deref(),
            cgo: question.inputs.cgo,
            go: modules.go,
        };
        let mut walk = Walk::new(sources, &modules, &tags);
        let roots = if below { packages_below(&folder, sources.go_index()) } else { BTreeSet::from([folder]) };
        let mut any = false;
        for root in roots {
            any |= walk.start(&root, below);
        }
        if !any {
            return Err(absent("no Go file there belongs to a build for its platform"));
        }
        if let Err(whole) = walk.run() {
            return Ok(Closure { whole: Some(whole), ..Closure::default() });
        }
        kept.extend(walk.kept);
        reasons.merge(walk.reasons);
    }
    let dropped = sources.go_index().droppable.iter().copied().filter(|node| !kept.contains(node));
    Ok(Closure { dropped: dropped.collect(), reasons, ..Closure::default() })
}

/// The folders at and below `folder` that hold Go files, as `./...` finds them.
fn packages_below(folder: &RelPath, index: &GoIndex) -> BTreeSet<RelPath> {
    let is_listed = |package: &&RelPath| {
        let Some(inner) = package.relative_to(folder) else { return false };
        let passed = |name: &[u8]| is_passed_over(name) || name == b"vendor";
        !inner.as_bytes().split(|byte| *byte == b'/').any(passed) && !index.is_other_module(package, folder)
    };
    index.packages.keys().filter(is_listed).cloned().collect()
}

struct Walk<'a> {
    sources: &'a dyn Sources,
    modules: &'a Modules,
    tags: &'a Tags<'a>,
    kept: HashSet<u32>,
    reasons: Reasons,
    seen: HashSet<RelPath>,
    queue: VecDeque<(RelPath, usize)>,
    /// Import paths that have been dealt with.
    imported: HashSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn new(sources: &'a dyn Sources, modules: &'a Modules, tags: &'a Tags<'a>) -> Self {
        Self {
            sources,
            modules,
            tags,
            kept: HashSet::new(),
            reasons: Reasons::new(Scope::GoFiles),
            seen: HashSet::new(),
            queue: VecDeque::new(),
            imported: HashSet::new(),
        }
    }

    /// Begins with a package that the manifest names; false if it has no files for this build.
    fn start(&mut self, folder: &RelPath, one_of_many: bool) -> bool {
        let fits = |node: usize| match self.sources.parsed(node) {
            Parsed::Go(file) => self.belongs(node, file) != Truth::No,
            _ => true,
        };
        let any = self.sources.go_index().package(folder).iter().any(|node| fits(*node as usize));
        if any || !one_of_many {
            self.ask_for(folder.clone(), None);
        }
        any
    }

    fn ask_for(&mut self, folder: RelPath, by: Option<usize>) {
        if self.seen.insert(folder.clone()) {
            let label = match by {
                None if folder.is_root() => ".".to_owned(),
                None => format!("./{folder}"),
                Some(_) if folder.is_root() => ".".to_owned(),
                Some(_) => folder.to_string(),
            };
            let unit = self.reasons.add(&folder, label, by);
            self.queue.push_back((folder, unit));
        }
    }

    /// Follows all imports. An error says why nothing can be dropped.
    fn run(&mut self) -> Result<(), String> {
        while let Some((folder, unit)) = self.queue.pop_front() {
            for node in self.sources.go_index().package(&folder) {
                self.file(*node as usize, &folder, unit)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, node: usize, folder: &RelPath, unit: usize) -> Result<(), String> {
        let sources = self.sources;
        let name = &sources.tree().nodes()[node];
        if name.kind != NodeKind::File {
            return Err(format!("`{}` is a link", name.path));
        }
        let file = match sources.parsed(node) {
            Parsed::Go(file) => file,
            Parsed::Unclear(why) => return Err(format!("`{}`: {why}", name.path)),
            _ => return Err(format!("`{}` is no Go file", name.path)),
        };
        if self.belongs(node, file) == Truth::No {
            return Ok(());
        }
        self.kept.insert(node as u32);
        for pattern in &file.embeds {
            self.embed(pattern, folder, unit)?;
        }
        for import in &file.imports {
            self.import(import, &name.path, unit)?;
        }
        Ok(())
    }

    /// Whether a file belongs to the build, by its name, its constraint and its use of cgo.
    fn belongs(&self, node: usize, file: &GoFile) -> Truth {
        let name = &self.sources.tree().nodes()[node].path;
        let by_name = std::str::from_utf8(name.name()).map_or(Truth::Maybe, |name| self.tags.file_name(name));
        let by_constraint = file.constraint.as_ref().map_or(Truth::Yes, |constraint| self.tags.holds(constraint));
        let by_cgo = if file.cgo { self.tags.tag("cgo") } else { Truth::Yes };
        match (by_name, by_constraint, by_cgo) {
            (Truth::No, ..) | (_, Truth::No, _) | (.., Truth::No) => Truth::No,
            (Truth::Yes, Truth::Yes, Truth::Yes) => Truth::Yes,
            _ => Truth::Maybe,
        }
    }

    fn import(&mut self, import: &'a str, file: &RelPath, unit: usize) -> Result<(), String> {
        if !self.imported.insert(import) {
            return Ok(());
        }
        if import.starts_with('.') || import.starts_with('/') {
            return Err(format!("`{file}` imports the path `{import}`, which is not one of a module"));
        }
        match self.modules.resolve(import, self.sources.go_index()) {
            Place::Standard => {}
            Place::Local(folders) => folders.into_iter().for_each(|folder| self.ask_for(folder, Some(unit))),
            Place::Nowhere => {
                return Err(format!("`{file}` imports `{import}`, which is not there: the build may generate it"));
            }
            Place::Elsewhere => {
                let open: Vec<RelPath> = self.modules.open_to(import).map(|module| module.folder.clone()).collect();
                for folder in open {
                    for package in packages_below(&folder, self.sources.go_index()) {
                        self.ask_for(package, Some(unit));
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps the Go files among what a pattern of `//go:embed` matches.
    fn embed(&mut self, pattern: &str, folder: &RelPath, unit: usize) -> Result<(), String> {
        let pattern = pattern.strip_prefix("all:").unwrap_or(pattern);
        let unclear = || format!("`//go:embed {pattern}` in `{folder}` cannot be understood");
        let glob = Glob::new(pattern.as_bytes()).map_err(|_| unclear())?;
        if let Some(literal) = glob.literal() {
            let path = join(folder, literal).ok_or_else(unclear)?;
            self.embed_at(path, unit);
            return Ok(());
        }
        // Names match part by part, so only what lies as deep as the pattern can match.
        let depth = pattern.split('/').count();
        let mut level: Vec<RelPath> = vec![folder.clone()];
        for part in 0..depth {
            let inner = level.iter().flat_map(|folder| children(folder, self.sources));
            let nodes: Vec<usize> = inner.collect();
            let tree = self.sources.tree();
            let last = part + 1 == depth;
            let wanted = |node: &&usize| last || tree.nodes()[**node].kind == NodeKind::Folder;
            level = nodes.iter().filter(wanted).map(|node| tree.nodes()[*node].path.clone()).collect();
        }
        for path in level {
            let relative = path.relative_to(folder).unwrap_or_default();
            if glob.matches(relative.as_bytes()) {
                self.embed_at(path, unit);
            }
        }
        Ok(())
    }

    fn embed_at(&mut self, path: RelPath, unit: usize) {
        let tree = self.sources.tree();
        let Some(node) = tree.find(&path) else { return };
        let below = tree.below(&path);
        let go = |node: &usize| tree.nodes()[*node].path.as_bytes().ends_with(b".go");
        self.kept.extend(std::iter::once(node).chain(below).filter(go).map(|node| node as u32));
        self.reasons.embed(path, unit);
    }
}
