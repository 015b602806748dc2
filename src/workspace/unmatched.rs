//! Globs of `inputs:` and `context.paths.only` that match nothing, and what may have been meant.

use std::path::Path;

use crate::path::RelPath;
use crate::problem::{Location, did_you_mean};
use crate::project::{Context, Located};
use crate::tree::Tree;

use super::files::ContextRequest;
use super::globs::{Globs, literal_base, tidy};
use super::open::Workspace;
use super::snapshot::Origin;

/// A glob of the manifest, and whether it matches something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// The key that it stands in.
    pub key: &'static str,
    /// As written.
    pub pattern: String,
    /// Its place, or that of what holds it.
    pub location: Location,
    /// Whether it matches something, or is meant for what need not be there.
    pub matches: bool,
    /// What may have been meant, as a sentence.
    pub hint: Option<String>,
}

impl Workspace {
    /// The globs of a request, each with whether it matches something in the context. Globs that cannot be understood are a problem of
    /// their own and are not among them.
    pub fn globs_of(&mut self, request: &ContextRequest<'_>) -> Vec<Glob> {
        let index = self.walk_all(std::slice::from_ref(request))[0];
        let Ok(state) = &self.states[index] else { return Vec::new() };
        let (tree, mut found) = (&state.walked.tree, Vec::new());
        let places: &[(RelPath, std::path::PathBuf)] = match &*state.walked.origin {
            Origin::Folder(folder) => &[(RelPath::root(), folder.clone())],
            Origin::Assembled(parts) => parts,
        };
        let folder = places.iter().find(|(to, _)| to.is_root()).map_or(self.root.as_path(), |(_, from)| from);
        for glob in &request.inputs.include {
            found.extend(judged("inputs.include", glob, |globs| covers_any(tree, &RelPath::root(), globs), folder));
        }
        for glob in &request.inputs.exclude {
            let matches = |globs: &Globs| {
                // What is left out may be there on some machines only: `**/*.pyc`, or what git ignores.
                let (base, _) = literal_base(tidy(&glob.value));
                let place = folder.join(base);
                base.is_empty()
                    || covers_any(tree, &RelPath::root(), globs)
                    || place.symlink_metadata().is_ok()
                    || super::git::succeeds_with(&self.root, &["check-ignore", "-q", &place.to_string_lossy()], b"")
            };
            found.extend(judged("inputs.exclude", glob, matches, folder));
        }
        if let Context::Assembled(parts) = request.context {
            for (part, (to, from)) in parts.iter().zip(places) {
                for pattern in &part.only {
                    let glob = Located { value: pattern.clone(), location: request.location.clone() };
                    found.extend(judged("context.paths.only", &glob, |globs| covers_any(tree, to, globs), from));
                }
            }
        }
        found
    }

    /// The globs of `inputs.extra`; paths without wildcards are not among them, since their absence is an error.
    pub fn extra_globs(&self, extra: &[Located<String>]) -> Vec<Glob> {
        let wild = extra.iter().filter(|glob| !literal_base(tidy(&glob.value)).1.is_empty());
        let judged = wild.filter_map(|glob| {
            let matches = !self.glob(tidy(&glob.value)).ok()?.is_empty();
            let hint = if matches { None } else { hint(&self.root, &glob.value) };
            let (pattern, location) = (glob.value.clone(), glob.location.clone());
            Some(Glob { key: "inputs.extra", pattern, location, matches, hint })
        });
        judged.collect()
    }
}

fn judged(key: &'static str, glob: &Located<String>, matches: impl Fn(&Globs) -> bool, folder: &Path) -> Option<Glob> {
    let globs = Globs::new([glob.value.as_str()]).ok()?;
    let matches = matches(&globs);
    let hint = if matches { None } else { hint(folder, &glob.value) };
    Some(Glob { key, pattern: glob.value.clone(), location: glob.location.clone(), matches, hint })
}

fn covers_any(tree: &Tree, to: &RelPath, globs: &Globs) -> bool {
    tree.nodes()[tree.below(to)]
        .iter()
        .any(|node| globs.covers(node.path.relative_to(to).unwrap_or_default().as_bytes()))
}

/// A name near the first one of the glob that is not there; or that it is all there and something leaves it out.
fn hint(folder: &Path, glob: &str) -> Option<String> {
    let (base, rest) = literal_base(tidy(glob));
    let mut place = folder.to_owned();
    for (at, name) in base.split('/').filter(|name| !name.is_empty()).enumerate() {
        let next = place.join(name);
        if next.symlink_metadata().is_ok() {
            place = next;
            continue;
        }
        let names: Vec<String> = std::fs::read_dir(&place)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| at > 0 || !name.starts_with(".git"))
            .collect();
        return did_you_mean(name, names.iter().map(String::as_str));
    }
    (rest.is_empty() && !base.is_empty()).then(|| "it is there, but the ignore file leaves it out".to_owned())
}

/// A name near the last one of `path`, which is not in `tree`.
pub(super) fn near(tree: &Tree, path: &RelPath) -> Option<String> {
    let parent = path.parent()?;
    if !parent.is_root() {
        tree.find(&parent)?;
    }
    let strip = if parent.is_root() { 0 } else { parent.as_bytes().len() + 1 };
    let names = tree.nodes()[tree.below(&parent)].iter().filter_map(|node| {
        let name = &node.path.as_bytes()[strip..];
        (!name.contains(&b'/')).then(|| String::from_utf8_lossy(name).into_owned())
    });
    let names: Vec<String> = names.collect();
    did_you_mean(&String::from_utf8_lossy(path.name()), names.iter().map(String::as_str))
}
