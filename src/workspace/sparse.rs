//! Files of the commit that a sparse checkout left out: an image that reads them would lack them.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dockerfile::select;
use crate::ignore::Ignore;
use crate::path::RelPath;
use crate::problem::Code;
use crate::project::Context;
use crate::tree::{Node, NodeKind, Tree};

use super::context::{Failure, State, lexical};
use super::entries::some;
use super::files::ContextRequest;
use super::git::{git, succeeds_with};
use super::globs::Globs;
use super::narrow::by_globs;
use super::snapshot::Origin;

/// What sparse checkouts left out, by the top folder of each repository.
#[derive(Debug, Default)]
pub(super) struct Sparse(HashMap<PathBuf, Arc<[PathBuf]>>);

impl Sparse {
    /// The absolute places of what the repository that holds `folder` has in its index and, being sparse, not on disk.
    pub fn of(&mut self, folder: &Path) -> Arc<[PathBuf]> {
        let is_top = |folder: &&Path| folder.join(".git").symlink_metadata().is_ok();
        let Some(top) = folder.ancestors().find(is_top) else { return Arc::default() };
        let found = self.0.entry(top.to_owned());
        Arc::clone(found.or_insert_with(|| if is_sparse(top) { left_out(top).into() } else { Arc::default() }))
    }

    /// The failure that stands for "there is no such context" where that is because a sparse checkout left all of it out.
    pub fn instead_of_missing(&mut self, root: &Path, context: &Context) -> Option<Failure> {
        let folders: Vec<&str> = match context {
            Context::Folder(folder) => vec![folder],
            Context::Assembled(parts) => parts.iter().map(|part| part.from.as_str()).collect(),
        };
        folders.into_iter().find_map(|folder| {
            let place = lexical(root, folder);
            let there = place.ancestors().find(|place| place.is_dir())?;
            let left_out = self.of(there);
            left_out.iter().any(|gone| gone.starts_with(&place)).then(|| failure(&[folder.to_owned()]))
        })
    }
}

/// Whether the checkout whose top folder this is may leave files of the commit out.
pub(super) fn is_sparse(top: &Path) -> bool {
    succeeds_with(top, &["config", "--type=bool", "--get", "core.sparseCheckout"], b"true\n")
}

/// Source: git-ls-files(1): `S` marks what has the skip-worktree bit. A sparse index is listed file by file.
fn left_out(top: &Path) -> Vec<PathBuf> {
    let Ok(Some(listed)) = git(top, &["ls-files", "-t", "-z"]) else { return Vec::new() };
    let skipped = listed.split(|byte| *byte == 0).filter_map(|record| record.strip_prefix(b"S "));
    let places = skipped.map(|path| top.join(OsStr::from_bytes(path)));
    places.filter(|place| place.symlink_metadata().is_err()).collect()
}

/// The paths of the context that the request would see if a sparse checkout had not left them out.
pub(super) fn unseen(
    state: &State,
    request: &ContextRequest<'_>,
    left_out: &[PathBuf],
) -> Result<Vec<RelPath>, Failure> {
    if left_out.is_empty() {
        return Ok(Vec::new());
    }
    let ignore = request.ignore.map_or_else(|| Ok(Ignore::empty()), Ignore::parse).map_err(Failure::Placed)?;
    let mut gone = BTreeSet::new();
    for (to, from, only) in parts(state, request.context)? {
        let within = left_out.iter().filter_map(|place| {
            let below = RelPath::new(place.strip_prefix(&from).ok()?.as_os_str().as_bytes())?;
            only.as_ref().is_none_or(|only| only.covers(below.as_bytes())).then_some(below)
        });
        let placed = within.map(|below| if to.is_root() { below } else { to.join(below.as_bytes()) });
        gone.extend(placed.filter(|path| !path.is_root() && !ignore.matched(path).is_ignored()));
    }
    let names = tree_of(gone.iter());
    if let Some(kept) = by_globs(&names, request.inputs)? {
        gone.retain(|path| names.find(path).is_some_and(|node| kept.binary_search(&(node as u32)).is_ok()));
    }
    if let (false, Some(reads)) = (gone.is_empty(), request.reads) {
        let there = state.walked.tree.nodes().iter().cloned();
        let missing = names.nodes().iter().filter(|node| state.walked.tree.find(&node.path).is_none()).cloned();
        let whole = Tree::new(there.chain(missing).collect());
        let selection = select(&whole, reads);
        gone.retain(|path| whole.find(path).is_some_and(|node| selection.contains(node)));
    }
    Ok(gone.into_iter().collect())
}

/// Each part of a context: its place in it, its place on disk, and what of it counts.
fn parts(state: &State, context: &Context) -> Result<Vec<(RelPath, PathBuf, Option<Globs>)>, Failure> {
    match (&*state.walked.origin, context) {
        (Origin::Assembled(places), Context::Assembled(parts)) => {
            let part = |((to, from), part): (&(RelPath, PathBuf), &crate::project::ContextPart)| {
                let only = match part.only.is_empty() {
                    true => None,
                    false => Some(Globs::new(part.only.iter().map(String::as_str))?),
                };
                Ok((to.clone(), from.clone(), only))
            };
            // What stands behind the parts is for the folders above them.
            places.iter().zip(parts).map(part).collect()
        }
        (Origin::Folder(folder), _) => Ok(vec![(RelPath::root(), folder.clone(), None)]),
        (Origin::Assembled(_), Context::Folder(_)) => Ok(Vec::new()),
    }
}

/// Files and the folders above them.
fn tree_of<'a>(files: impl Iterator<Item = &'a RelPath>) -> Tree {
    let (mut nodes, mut folders) = (Vec::new(), BTreeSet::new());
    for path in files {
        let mut above = path.parent();
        while let Some(folder) = above.filter(|folder| !folder.is_root()) {
            above = folder.parent();
            folders.insert(folder);
        }
        nodes.push(Node { path: path.clone(), kind: NodeKind::File });
    }
    nodes.extend(folders.into_iter().map(|path| Node { path, kind: NodeKind::Folder }));
    Tree::new(nodes)
}

/// The problem of an image that reads what was left out.
pub(super) fn failure(names: &[String]) -> Failure {
    let message = format!("{} among the inputs: left out by the sparse checkout", some(names));
    let help = "make the checked-in files complete (`git sparse-checkout add FOLDER` or `git sparse-checkout disable`), or keep them out of the image \
                with the ignore file or `inputs.exclude`";
    Failure::new(Code::SparseCheckout, message, help)
}
