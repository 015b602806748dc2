//! Where packages come from: the modules of a context, and where each import path leads.

use std::collections::BTreeSet;

use super::index::GoIndex;
use super::mod_file::ModFile;
use crate::language::paths::join;
use crate::language::sources::{Parsed, Sources};
use crate::path::RelPath;
use crate::tree::NodeKind;

/// The modules whose packages a build may take from the context.
#[derive(Debug)]
pub(super) struct Modules {
    /// The main module first, then those of `go.work`, then those that replace others.
    local: Vec<Module>,
    /// The `vendor` folders in force.
    vendors: Vec<RelPath>,
    /// The modules that are required from elsewhere.
    requires: BTreeSet<String>,
    /// The minor version of Go that the main module needs.
    pub go: Option<u32>,
}

/// A module whose files lie in the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    /// The path by which it is imported.
    pub path: String,
    /// Its folder.
    pub folder: RelPath,
}

/// Where an import path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To these folders; more than one where it depends on flags of the build.
    Local(Vec<RelPath>),
    /// Out of the context: a module that is downloaded.
    Elsewhere,
    /// To the standard library.
    Standard,
    /// Nowhere, though a module of the context should have it.
    Nowhere,
}

impl Modules {
    /// The modules around the package in `folder`; an error says what cannot be understood, `None` that there is no module.
    pub fn around(folder: &RelPath, sources: &dyn Sources) -> Result<Option<Self>, String> {
        let Some((main, file)) = above(folder, "go.mod", sources)? else { return Ok(None) };
        let mut modules = Self { local: Vec::new(), vendors: Vec::new(), requires: BTreeSet::new(), go: file.go };
        modules.vendors.push(main.join(b"vendor"));
        let mut replaces = Vec::new();
        modules.take(&main, file, &mut replaces);
        if let Some((folder, work)) = above(&main, "go.work", sources)? {
            modules.vendors.push(folder.join(b"vendor"));
            replaces.extend(work.replaces.into_iter().map(|(path, to)| (path, folder.clone(), to)));
            for written in &work.uses {
                let Some(used) = join(&folder, written) else { continue };
                if let Some(file) = mod_file(&used, "go.mod", sources)? {
                    modules.take(&used, file, &mut replaces);
                }
            }
        }
        for (path, base, to) in replaces {
            // What lies outside the context is elsewhere.
            if let Some(folder) = join(&base, &to).filter(|folder| is_folder(folder, sources)) {
                modules.add(Module { path, folder });
            }
        }
        modules.vendors.retain(|vendor| is_folder(vendor, sources));
        modules.vendors.dedup();
        Ok(Some(modules))
    }

    fn take(&mut self, folder: &RelPath, file: ModFile, replaces: &mut Vec<(String, RelPath, String)>) {
        replaces.extend(file.replaces.into_iter().map(|(path, to)| (path, folder.clone(), to)));
        self.requires.extend(file.requires);
        self.add(Module { path: file.module, folder: folder.clone() });
    }

    fn add(&mut self, module: Module) {
        if !self.local.contains(&module) {
            self.local.push(module);
        }
    }

    /// Where `import` leads.
    pub fn resolve(&self, import: &str, index: &GoIndex) -> Place {
        let mut folders: Vec<RelPath> = Vec::new();
        let mut nearest = None;
        for module in &self.local {
            let Some(rest) = below(import, &module.path) else { continue };
            nearest = nearest.max(Some(module.path.len()));
            let Some(folder) = join(&module.folder, rest) else { continue };
            if !index.is_other_module(&folder, &module.folder) && !index.package(&folder).is_empty() {
                folders.push(folder);
            }
        }
        for vendor in &self.vendors {
            folders.extend(join(vendor, import).filter(|folder| !index.package(folder).is_empty()));
        }
        if !folders.is_empty() {
            folders.sort_unstable();
            folders.dedup();
            return Place::Local(folders);
        }
        let required = self.requires.iter().filter(|path| below(import, path).is_some()).map(String::len).max();
        match nearest {
            Some(length) if required.is_none_or(|required| required <= length) => Place::Nowhere,
            Some(_) => Place::Elsewhere,
            None if import.split('/').next().is_some_and(|host| host.contains('.')) => Place::Elsewhere,
            None => Place::Standard,
        }
    }

    /// The modules of which a downloaded package may import something, so that all their packages count.
    ///
    /// Nobody can say without reading the downloaded module. One from elsewhere that imports our own modules would have to be made
    /// after them, which happens between modules of one repository; one that imports what we replace is why we replace it.
    pub fn open_to(&self, import: &str) -> impl Iterator<Item = &Module> {
        let main = self.local.first();
        let import = import.to_owned();
        self.local.iter().filter(move |module| {
            let is_main = main.is_some_and(|main| main == *module);
            let ours = main.is_some_and(|main| owner(&main.path) == owner(&module.path));
            let can_be_had = module.path.split('/').next().is_some_and(|host| host.contains('.'));
            let kin = owner(&module.path) == owner(&import);
            can_be_had && if is_main { below(&import, &module.path).is_some() } else { !ours || kin }
        })
    }
}

/// Host and owner: `github.com/acme` of `github.com/acme/app/cmd`.
fn owner(path: &str) -> (&str, &str) {
    let mut parts = path.split('/');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// What is left of an import path below a module's path.
fn below<'i>(import: &'i str, module: &str) -> Option<&'i str> {
    let rest = import.strip_prefix(module)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

pub(super) fn is_folder(path: &RelPath, sources: &dyn Sources) -> bool {
    let tree = sources.tree();
    path.is_root() || tree.find(path).is_some_and(|node| tree.nodes()[node].kind == NodeKind::Folder)
}

/// The nodes that stand in a folder itself.
pub(super) fn children<'a>(folder: &RelPath, sources: &'a dyn Sources) -> impl Iterator<Item = usize> + use<'a> {
    let tree = sources.tree();
    let range = tree.below(folder);
    let depth = if folder.is_root() { 0 } else { folder.as_bytes().len() + 1 };
    let mut next = range.start;
    std::iter::from_fn(move || {
        while next < range.end {
            let path = &tree.nodes()[next].path;
            let Some(slash) = path.as_bytes()[depth..].iter().position(|byte| *byte == b'/') else {
                next += 1;
                return Some(next - 1);
            };
            // All below a folder stands side by side: go past it at once.
            let inner = RelPath::new(&path.as_bytes()[..depth + slash]).expect("a part of a path is a path");
            next = tree.below(&inner).end;
        }
        None
    })
}

/// The nearest file of this name in `folder` or above it, and its folder.
fn above(folder: &RelPath, name: &str, sources: &dyn Sources) -> Result<Option<(RelPath, ModFile)>, String> {
    let mut at = Some(folder.clone());
    while let Some(folder) = at {
        if let Some(file) = mod_file(&folder, name, sources)? {
            return Ok(Some((folder, file)));
        }
        at = folder.parent();
    }
    Ok(None)
}

fn mod_file(folder: &RelPath, name: &str, sources: &dyn Sources) -> Result<Option<ModFile>, String> {
    let path = folder.join(name.as_bytes());
    let Some(node) = sources.tree().find(&path) else { return Ok(None) };
    match (&sources.tree().nodes()[node].kind, sources.parsed(node)) {
        (NodeKind::Folder, _) => Ok(None),
        (NodeKind::File, Parsed::Text(text)) => Ok(Some(ModFile::parse(text))),
        (NodeKind::Link(_), _) => Err(format!("`{path}` is a link")),
        (_, Parsed::Unclear(why)) => Err(format!("`{path}`: {why}")),
        (NodeKind::File, _) => Err(format!("`{path}` is no text")),
    }
}
