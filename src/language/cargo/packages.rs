//! The walk over packages of Cargo.

use super::CargoManifest;
use crate::language::closure::{Closure, Question};
use crate::language::paths::join;
use crate::language::sources::{Parsed, Sources};
use crate::language::units::{Rules, Spare, Units, drop_outside, reach};
use crate::path::RelPath;
use crate::problem::Problem;
use crate::project::Language;

/// The Rust files of the context that the packages of the question are not built from.
///
/// # Errors
/// A package that is not there.
pub(in crate::language) fn close(question: &Question<'_>, sources: &dyn Sources) -> Result<Closure, Problem> {
    let all = match Units::find(sources, "Cargo.toml", manifest) {
        Ok(all) => all,
        Err(whole) => return Ok(Closure { whole: Some(whole), ..Closure::default() }),
    };
    let packages = all.by_folder.iter().filter(|(_, manifest)| manifest.name.is_some());
    let packages = Units { by_folder: packages.map(|(folder, manifest)| (folder.clone(), *manifest)).collect() };
    let cargo = Cargo { sources, all: &all, packages: &packages };
    let reasons = match reach(question, &cargo)? {
        Ok(reasons) => reasons,
        Err(whole) => return Ok(Closure { whole: Some(whole), ..Closure::default() }),
    };
    Ok(drop_outside(question, sources, &packages, reasons, |owner, path| cargo.spare(owner, path)))
}

fn manifest(parsed: &Parsed) -> Option<&CargoManifest> {
    match parsed {
        Parsed::Cargo(manifest) => Some(manifest),
        _ => None,
    }
}

struct Cargo<'a> {
    sources: &'a dyn Sources,
    /// All manifests, those of virtual workspaces too.
    all: &'a Units<'a, CargoManifest>,
    packages: &'a Units<'a, CargoManifest>,
}

impl Cargo<'_> {
    /// The root of the workspace of the package in `folder`: itself if it has none.
    fn root(&self, folder: &RelPath) -> RelPath {
        let named = self.all.by_folder[folder].workspace.as_deref().and_then(|written| join(folder, written));
        let mut at = Some(named.unwrap_or_else(|| folder.clone()));
        while let Some(above) = at {
            if self.all.by_folder.get(&above).is_some_and(|manifest| manifest.is_root) {
                return above;
            }
            at = above.parent();
        }
        folder.clone()
    }

    /// The package at a path that a manifest names.
    fn at(&self, base: &RelPath, written: &str) -> Result<RelPath, String> {
        join(base, written).filter(|folder| self.packages.by_folder.contains_key(folder)).ok_or_else(|| {
            format!("`{}` depends on `{written}`, which is no package of the context", base.join(b"Cargo.toml"))
        })
    }

    /// Packages of which the files of this one include something.
    fn included(&self, folder: &RelPath) -> Vec<RelPath> {
        let mut found = Vec::new();
        for node in self.sources.named_like(Language::Cargo) {
            let node = *node as usize;
            let path = &self.sources.tree().nodes()[node].path;
            if !path.starts_with(folder) || self.packages.owner(path).as_ref() != Some(folder) {
                continue;
            }
            let Parsed::Rust(file) = self.sources.parsed(node) else { continue };
            for written in &file.upward {
                // Relative to the file, or to the package.
                let bases = [path.parent().unwrap_or_default(), folder.clone()];
                let places = bases.iter().filter_map(|base| join(base, written));
                let there = places.filter(|place| self.sources.tree().find(place).is_some());
                found.extend(there.filter_map(|place| self.packages.owner(&place)));
            }
        }
        found
    }

    /// Vendored packages are checked against their checksums as a whole; of others cargo wants the targets to exist.
    fn spare(&self, owner: &RelPath, path: &RelPath) -> Spare {
        if self.sources.tree().find(&owner.join(b".cargo-checksum.json")).is_some() {
            return Spare::File;
        }
        let Some(inner) = path.relative_to(owner) else { return Spare::File };
        let inner = inner.to_string();
        let parts: Vec<&str> = inner.split('/').collect();
        let named = |folder: &str, name: &str| {
            self.packages.by_folder[owner].targets.iter().any(|(at, target)| at == folder && target == name)
        };
        let is_target = match parts[..] {
            ["build.rs"] | ["src", "lib.rs" | "main.rs"] | ["src", "bin", _] | ["src", "bin", _, "main.rs"] => true,
            [folder, file] => named(folder, file.trim_end_matches(".rs")),
            [folder, name, "main.rs"] => named(folder, name),
            _ => false,
        };
        if is_target { Spare::Name } else { Spare::Nothing }
    }
}

impl Rules for Cargo<'_> {
    const KIND: &'static str = "Cargo package";
    const MANIFEST: &'static str = "Cargo.toml";

    fn named(&self, name: &str) -> Option<RelPath> {
        let named = self.packages.by_folder.iter().find(|(_, manifest)| manifest.name.as_deref() == Some(name));
        named.map(|(folder, _)| folder.clone())
    }

    fn is_package(&self, folder: &RelPath) -> bool {
        self.packages.by_folder.contains_key(folder)
    }

    fn label(&self, folder: &RelPath) -> String {
        self.packages
            .by_folder
            .get(folder)
            .and_then(|manifest| manifest.name.clone())
            .unwrap_or_else(|| folder.to_string())
    }

    fn needs(&self, folder: &RelPath) -> Result<Vec<RelPath>, String> {
        let manifest = self.packages.by_folder[folder];
        let root = self.root(folder);
        let root_manifest = self.all.by_folder[&root];
        let mut needs = Vec::new();
        for written in &manifest.paths {
            needs.push(self.at(folder, written)?);
        }
        for name in &manifest.inherited {
            if let Some((_, written)) = root_manifest.shared.iter().find(|(shared, _)| shared == name) {
                needs.push(self.at(&root, written)?);
            }
        }
        // Which package from elsewhere is replaced in this build is in the lock; all of them is never too few.
        for written in &root_manifest.patches {
            needs.push(self.at(&root, written)?);
        }
        needs.extend(self.included(folder));
        Ok(needs)
    }

    fn always(&self) -> Vec<RelPath> {
        Vec::new()
    }
}
