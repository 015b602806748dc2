//! Contexts in memory, and contexts read from a folder as they are.

use std::sync::OnceLock;

use super::closure::{Closure, Question, close};
use super::go::GoIndex;
use super::sources::{Parsed, Sources, sources_of};
use crate::path::RelPath;
use crate::problem::Source;
use crate::project::{Language, LanguageInputs, Located, PackageName};
use crate::tree::{Node, NodeKind, Tree};

/// A context that is held in memory.
pub(crate) struct Memory {
    tree: Tree,
    parsed: Vec<Parsed>,
    named: [OnceLock<Vec<u32>>; Language::ALL.len()],
    go: OnceLock<GoIndex>,
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
            go: OnceLock::new(),
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

    fn go_index(&self) -> &GoIndex {
        self.go.get_or_init(|| GoIndex::of(&self.tree, self.named_like(Language::Go)))
    }

    fn named_like(&self, language: Language) -> &[u32] {
        self.named[language as usize].get_or_init(|| sources_of(&self.tree, language))
    }
}

/// What the rules of a language say of these packages (paths, or names of packages).
pub(crate) fn ask(memory: &Memory, language: Language, packages: &[&str]) -> Result<Closure, String> {
    let location = Source::new("deploy.yaml", "go: x").at(4, 1);
    let located = |package: &&str| Located {
        value: PackageName { written: (*package).to_owned(), path: (*package).to_owned() },
        location: location.clone(),
    };
    let packages_of = packages.iter().map(located).collect();
    let inputs = LanguageInputs { language, packages: packages_of, tags: None, cgo: None };
    let places: Vec<Option<RelPath>> = packages.iter().map(|package| RelPath::new(package.as_bytes())).collect();
    let question = Question { inputs: &inputs, places: &places, platform: &"linux/arm64".parse().unwrap() };
    close(&question, memory).map_err(|problem| format!("{}: {}", problem.code, problem.message))
}

/// The paths at some nodes.
pub(crate) fn paths(memory: &Memory, nodes: &[u32]) -> String {
    let paths = nodes.iter().map(|node| memory.tree().nodes()[*node as usize].path.to_string());
    paths.collect::<Vec<_>>().join(" ")
}

/// The paths that are dropped.
pub(crate) fn dropped(memory: &Memory, language: Language, packages: &[&str]) -> String {
    let closure = ask(memory, language, packages).unwrap();
    assert_eq!(closure.whole, None);
    paths(memory, &closure.dropped)
}
