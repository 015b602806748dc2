//! A context as the rules of a language see it: names from the walk, contents from the caches or the disk.

use std::path::Path;
use std::sync::OnceLock;

use super::context::State;
use super::digests::Digests;
use super::files::{identity, place};
use super::hash::{self, Hashed};
use super::stat_cache::{Identity, StatCache};
use crate::language::{GoIndex, Parsed, Sources, sources_of};
use crate::path::RelPath;
use crate::project::Language;
use crate::tree::{NodeKind, Tree};

/// What the languages have learned of a context.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// By node.
    files: OnceLock<Vec<OnceLock<Loaded>>>,
    named: [OnceLock<Vec<u32>>; Language::ALL.len()],
    go: OnceLock<GoIndex>,
    family: OnceLock<Family>,
    /// Whether there are links.
    links: OnceLock<bool>,
}

/// Which folder holds each node, and how many nodes each folder holds itself.
#[derive(Debug)]
pub(super) struct Family {
    /// By node; `None` for those in the root.
    pub parents: Vec<Option<u32>>,
    /// By node; none for what is no folder.
    pub children: Vec<u32>,
}

impl Family {
    fn of(tree: &Tree) -> Self {
        let parent = |path: &RelPath| tree.find(&path.parent()?).map(|node| node as u32);
        let parents: Vec<Option<u32>> = tree.nodes().iter().map(|node| parent(&node.path)).collect();
        let mut children = vec![0; parents.len()];
        parents.iter().flatten().for_each(|parent| children[*parent as usize] += 1);
        Self { parents, children }
    }
}

/// What a file says, and what reading it gave besides; that is taken away once the workspace knows it.
#[derive(Debug)]
struct Loaded {
    parsed: Parsed,
    read: Option<(Identity, Hashed)>,
}

/// A file that was read for a language: its node, and what [`hash::hash_file`] would have said.
pub(super) struct ReadFile {
    pub node: usize,
    pub identity: Identity,
    pub hashed: Hashed,
}

impl Learned {
    /// The files that were read since the last time, with what they say.
    pub fn take(&mut self) -> Vec<(ReadFile, &Parsed)> {
        let cells = self.files.get_mut().map(Vec::as_mut_slice).unwrap_or_default();
        let loaded = cells.iter_mut().enumerate().filter_map(|(node, cell)| Some((node, cell.get_mut()?)));
        let taken = loaded.filter_map(|(node, loaded)| {
            let (identity, hashed) = loaded.read.take()?;
            Some((ReadFile { node, identity, hashed }, &loaded.parsed))
        });
        taken.collect()
    }
}

/// See the module.
pub(super) struct View<'a> {
    pub root: &'a Path,
    pub state: &'a State,
    pub cache: &'a StatCache,
    pub digests: Option<&'a Digests>,
}

impl View<'_> {
    /// Who holds whom.
    pub fn family(&self) -> &Family {
        self.state.learned.family.get_or_init(|| Family::of(self.tree()))
    }

    /// Whether there are links in the context.
    pub fn has_links(&self) -> bool {
        let is_link = |kind: &NodeKind| matches!(kind, NodeKind::Link(_));
        *self.state.learned.links.get_or_init(|| self.tree().nodes().iter().any(|node| is_link(&node.kind)))
    }

    fn load(&self, node: usize) -> Loaded {
        let name = &self.tree().nodes()[node];
        let stat = &self.state.walked.stats[node];
        if name.kind != NodeKind::File || !stat.is_regular() {
            return Loaded { parsed: Parsed::Unclear("it is no regular file".to_owned()), read: None };
        }
        let identity = identity(self.root, self.state, node as u32);
        let content = self.digests.and_then(|digests| Some((digests, self.cache.get(&identity)?)));
        let known = content.and_then(|(digests, content)| digests.get(name.path.name(), content.hash));
        if let Some(parsed) = known {
            return Loaded { parsed: parsed.clone(), read: None };
        }
        match hash::read_file(&place(self.state, node as u32), stat) {
            Ok((bytes, hashed)) => {
                Loaded { parsed: Parsed::of(name.path.name(), &bytes), read: Some((identity, hashed)) }
            }
            Err(error) => Loaded { parsed: Parsed::Unclear(error.to_string()), read: None },
        }
    }
}

impl Sources for View<'_> {
    fn tree(&self) -> &Tree {
        &self.state.walked.tree
    }

    fn parsed(&self, node: usize) -> &Parsed {
        let count = self.tree().nodes().len();
        let cells =
            self.state.learned.files.get_or_init(|| std::iter::repeat_with(OnceLock::new).take(count).collect());
        &cells[node].get_or_init(|| self.load(node)).parsed
    }

    fn go_index(&self) -> &GoIndex {
        self.state.learned.go.get_or_init(|| GoIndex::of(self.tree(), self.named_like(Language::Go)))
    }

    fn named_like(&self, language: Language) -> &[u32] {
        self.state.learned.named[language as usize].get_or_init(|| sources_of(self.tree(), language))
    }
}
