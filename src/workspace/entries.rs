//! The entries of a snapshot, and what forbids that they become one.

use std::path::Path;

use crate::digest::ContentHash;
use crate::fingerprint::{FileEntry, FileKind};
use crate::path::{RelPath, escape};
use crate::problem::Code;
use crate::project::Modes;
use crate::tree::NodeKind;

use super::choose::{Choice, parents};
use super::context::{Failure, State};
use super::submodules::is_empty_folder;

/// What a choice is as hashed and sent: the chosen nodes and the folders above them.
pub(super) fn entries(state: &State, choice: &Choice, modes: Modes) -> Vec<FileEntry> {
    let above = parents(&state.walked.tree, &choice.nodes);
    let mut entries = Vec::with_capacity(choice.nodes.len() + above.len());
    let folder = |node: &u32| FileEntry {
        path: state.walked.tree.nodes()[*node as usize].path.clone(),
        kind: FileKind::Folder,
        // Nobody reads the mode of a folder that is only on the way to something.
        mode: 0o755,
    };
    entries.extend(above.iter().map(folder));
    entries.extend(choice.nodes.iter().filter_map(|node| match choice.placeholders.binary_search(node) {
        Ok(_) => Some(placeholder(state, *node as usize)),
        Err(_) => entry(state, *node as usize, modes),
    }));
    entries
}

/// An empty file that stands in for one.
fn placeholder(state: &State, node: usize) -> FileEntry {
    let hash = ContentHash::from_bytes(*blake3::hash(b"").as_bytes());
    let path = state.walked.tree.nodes()[node].path.clone();
    FileEntry { path, kind: FileKind::File { hash, size: 0 }, mode: 0o644 }
}

/// `None` for a file that has no hash; then there is a failure that says so.
fn entry(state: &State, node: usize, modes: Modes) -> Option<FileEntry> {
    let (stat, name) = (&state.walked.stats[node], &state.walked.tree.nodes()[node]);
    let (kind, git) = match &name.kind {
        NodeKind::Folder => (FileKind::Folder, 0o755),
        NodeKind::Link(target) => (FileKind::Link { target: escape(target) }, 0o777),
        NodeKind::File => {
            let size = state.resized.get(&node).copied().unwrap_or(stat.size);
            let mode = if stat.mode & 0o100 == 0 { 0o644 } else { 0o755 };
            (FileKind::File { hash: state.hashes[node]?, size }, mode)
        }
    };
    let exact = modes == Modes::Exact && !matches!(kind, FileKind::Link { .. });
    Some(FileEntry { path: name.path.clone(), kind, mode: if exact { stat.permissions() } else { git } })
}

/// What is wrong with the chosen nodes.
pub(super) fn failures(state: &State, choice: &Choice) -> Vec<Failure> {
    let (mut pointers, mut special, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for node in choice.nodes.iter().filter(|node| choice.placeholders.binary_search(node).is_err()) {
        let index = *node as usize;
        let path = || &state.walked.tree.nodes()[index].path;
        match state.walked.tree.nodes()[index].kind {
            NodeKind::Folder if state.walked.unreadable.contains(path()) => {
                let message = format!("cannot list the folder `{}`, which is an input", path());
                failures.push(Failure::new(
                    Code::UnreadableInput,
                    message,
                    "make it readable, or put it into the ignore file",
                ));
            }
            NodeKind::File if !state.walked.stats[index].is_regular() => special.push(path().to_string()),
            NodeKind::File if state.pointers.contains(&index) => pointers.push(path().to_string()),
            NodeKind::File => {
                if let Some(error) = state.failed.get(&index) {
                    let message = format!("cannot read `{}`, which is an input: {error}", path());
                    let help = "make it readable, or put it into the ignore file";
                    failures.push(Failure::new(Code::UnreadableInput, message, help));
                }
            }
            _ => {}
        }
    }
    if !pointers.is_empty() {
        let message = format!("{} among the inputs: Git LFS pointers instead of contents", some(&pointers));
        failures.push(Failure::new(Code::LfsPointer, message, "run `git lfs pull`, or check out with LFS switched on"));
    }
    if !special.is_empty() {
        let message = format!("{} among the inputs: neither files, folders nor links", some(&special));
        failures.push(Failure::new(Code::SpecialFile, message, "put pipes and devices into the ignore file"));
    }
    failures
}

/// The first few of many names.
pub(super) fn some(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0..=3 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), more - 3),
    }
}

/// The submodule at this place on disk, if the build would see that it is empty.
pub(super) fn empty_submodule(state: &State, choice: &Choice, submodule: &Path) -> Option<Failure> {
    let tree = &state.walked.tree;
    let chosen = |path: &RelPath| {
        tree.find(path).is_some_and(|node| choice.nodes.binary_search(&(node as u32)).is_ok())
            && tree.below(path).is_empty()
            && state.walked.origin.place(path) == submodule
            && is_empty_folder(submodule)
    };
    let path = state.walked.origin.paths_at(submodule).into_iter().find(chosen)?;
    let message = format!("the git submodule `{path}` is an input and was not fetched");
    Some(Failure::new(Code::EmptySubmodule, message, "run `git submodule update --init`"))
}
