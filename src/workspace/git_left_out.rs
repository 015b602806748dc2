//! `.git` where a build would read it: it is part of no context unless `inputs.include` names it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dockerfile::select;
use crate::path::RelPath;
use crate::problem::Location;
use crate::tree::{Node, NodeKind, Tree};

use super::files::ContextRequest;
use super::narrow::by_globs;
use super::open::Workspace;

impl Workspace {
    /// What is called `.git` and would be read if it were not left out, as a path below the root (or absolute), and where it would
    /// be read. The `.git` of the checkout itself is not among it.
    pub fn git_left_out(&mut self, request: &ContextRequest<'_>) -> Vec<(String, Location)> {
        let index = self.walk_all(std::slice::from_ref(request))[0];
        let Ok(state) = &self.states[index] else { return Vec::new() };
        let tree = tree_of(&state.walked.git);
        // Globs that cannot be understood are a problem of their own.
        let Ok(kept) = by_globs(&tree, request.inputs) else { return Vec::new() };
        let read: Vec<(usize, Location)> = match request.reads {
            None => (0..tree.nodes().len()).map(|node| (node, request.location.clone())).collect(),
            Some(reads) => {
                let chosen = select(&tree, reads);
                chosen.iter().map(|(node, read)| (node, reads[read].location.clone())).collect()
            }
        };
        let stays = |node: usize| kept.as_ref().is_none_or(|kept| kept.binary_search(&(node as u32)).is_ok());
        let left_out = read.into_iter().filter(|(node, _)| tree.nodes()[*node].kind == NodeKind::File && stays(*node));
        let place = |node: usize| state.walked.origin.place(&tree.nodes()[node].path);
        let of_others = left_out.map(|(node, location)| (place(node), location)).filter(|(place, _)| {
            // That of the checkout which holds the manifest: nobody expects it in an image.
            place.parent().is_some_and(|folder| !self.root.starts_with(folder))
        });
        let shown = |place: &Path| place.strip_prefix(&self.root).unwrap_or(place).display().to_string();
        of_others.map(|(place, location)| (shown(&place), location)).collect()
    }
}

/// The paths as files, with the folders above them.
fn tree_of(paths: &[RelPath]) -> Tree {
    let mut folders = BTreeSet::new();
    for path in paths {
        let mut parent = path.parent();
        while let Some(folder) = parent.filter(|folder| !folder.is_root()) {
            parent = folder.parent();
            folders.insert(folder);
        }
    }
    let folders = folders.into_iter().map(|path| Node { path, kind: NodeKind::Folder });
    let files = paths.iter().map(|path| Node { path: path.clone(), kind: NodeKind::File });
    Tree::new(folders.chain(files).collect())
}
