//! What all questions about the Go files of one context have in common.

use std::collections::HashMap;

use crate::path::RelPath;
use crate::tree::{NodeKind, Tree};

/// The Go files of a context by folder.
#[derive(Debug)]
pub struct GoIndex {
    /// The files, and links, that the go command would take for parts of a package, without those of tests, by folder.
    pub(super) packages: HashMap<RelPath, Vec<u32>>,
    /// The folders that hold a `go.mod`, sorted.
    pub(super) modules: Vec<RelPath>,
    /// The files of packages, tests included, ascending. What the go command never looks at is no Go source: it stays, as all
    /// other files do.
    pub(super) droppable: Vec<u32>,
}

impl GoIndex {
    /// Looks at the names of a context; `named` are the nodes that end in `.go`.
    pub fn of(tree: &Tree, named: &[u32]) -> Self {
        let mut index = Self { packages: HashMap::new(), modules: Vec::new(), droppable: Vec::new() };
        for node in tree.nodes().iter().filter(|node| node.kind != NodeKind::Folder && node.path.name() == b"go.mod") {
            index.modules.push(node.path.parent().unwrap_or_default());
        }
        for number in named {
            let node = &tree.nodes()[*number as usize];
            let name = node.path.name();
            if node.kind == NodeKind::Folder || is_ignored(name) {
                continue;
            }
            if !name.ends_with(b"_test.go") {
                index.packages.entry(node.path.parent().unwrap_or_default()).or_default().push(*number);
            }
            let mut folders = node.path.as_bytes().split(|byte| *byte == b'/');
            if node.kind == NodeKind::File && !folders.any(is_passed_over) {
                index.droppable.push(*number);
            }
        }
        index
    }

    /// The nodes that may be parts of the package in `folder`.
    pub(super) fn package(&self, folder: &RelPath) -> &[u32] {
        self.packages.get(folder).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a module of its own stands between `above` and `folder`, or in it.
    pub(super) fn is_other_module(&self, folder: &RelPath, above: &RelPath) -> bool {
        let between = |module: &RelPath| module != above && module.starts_with(above) && folder.starts_with(module);
        self.modules.iter().any(between)
    }
}

/// Names that begin with `_` or `.` are not looked at by the go command.
fn is_ignored(name: &[u8]) -> bool {
    name.starts_with(b"_") || name.starts_with(b".")
}

/// Folders into which `./...` does not look.
pub(super) fn is_passed_over(name: &[u8]) -> bool {
    is_ignored(name) || name == b"testdata"
}
