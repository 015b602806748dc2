//! Contexts in memory, and contexts read from a folder as they are.

use std::sync::OnceLock;

use super::sources::{Parsed, Sources, sources_of};
use crate::path::RelPath;
use crate::project::Language;
use crate::tree::{Node, NodeKind, Tree};

/// A context that is held in memory.
pub(crate) struct Memory {
    tree: Tree,
    parsed: Vec<Parsed>,
    named: [OnceLock<Vec<u32>>; Language::ALL.len()],
}

impl Memory {
    /// A context of these files; the folders above them come along. A text that begins with `->` makes a link.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut nodes: std::collections::BTreeMap<RelPath, (NodeKind, Parsed)> = std::collections::BTreeMap::new();
        for (path, text) in files {
            let path = RelPath::new(path.as_bytes()).unwrap();
            let mut above = path.parent();
            while let Some(folder) = above.filter(|folder| !folder.is_root()) {
                above = folder.parent();
                nodes.insert(folder, (NodeKind::Folder, Parsed::Text(String::new())));
            }
            let kind = match text.strip_prefix("->") {
                Some(target) => NodeKind::Link(target.as_bytes().into()),
                None => NodeKind::File,
            };
            let parsed = Parsed::of(path.name(), text.as_bytes());
            nodes.insert(path, (kind, parsed));
        }
        let tree = nodes.iter().map(|(path, (kind, _))| Node { path: path.clone(), kind: kind.clone() }).collect();
        Self {
            tree: Tree::new(tree),
            parsed: nodes.into_values().map(|(_, parsed)| parsed).collect(),
            named: Default::default(),
        }
    }
}

impl Sources for Memory {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn parsed(&self, node: usize) -> &Parsed {
        &self.parsed[node]
    }

    fn named_like(&self, language: Language) -> &[u32] {
        self.named[language as usize].get_or_init(|| sources_of(&self.tree, language))
    }
}
