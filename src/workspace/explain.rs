//! Why each path of a context is an input or not, and what the languages read on the way to that.

use crate::dockerfile::select;
use crate::path::RelPath;
use crate::problem::Problems;
use crate::tree::NodeKind;

use super::choose::choose;
use super::context::Failure;
use super::digests::Digests;
use super::files::ContextRequest;
use super::open::Workspace;
use super::stat_cache::Identity;
use super::view::View;

/// Why a path is or is not an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// All of the context counts.
    Whole,
    /// This read of the request can see it, or something below it; the first, if there are several.
    Read(usize),
    /// `inputs:` drops it.
    Dropped,
}

/// A path of a context, and why it is or is not an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Where it stands in the context.
    pub path: RelPath,
    /// Why.
    pub because: Because,
    /// Why the rules of a language keep it, as a phrase: `imported by ./cmd/api via internal/db`.
    pub language: Option<String>,
}

impl Workspace {
    /// Every path of a context that is an input, and why, and those that `inputs:` drops; sorted by path.
    ///
    /// # Errors
    /// What is wrong with the context, or with `inputs:`.
    pub fn because(&mut self, request: &ContextRequest<'_>) -> Result<Vec<Explained>, Problems> {
        let index = self.walk_all(std::slice::from_ref(request))[0];
        self.open_digests(std::slice::from_ref(request));
        let placed = |failure: Failure| failure.at(request.location);
        let view = self.view(index).map_err(placed)?;
        let choice = choose(request, &view).map_err(placed)?;
        let tree = &view.state.walked.tree;
        let all: Vec<(usize, Because)> = match request.reads {
            None => (0..tree.nodes().len()).map(|node| (node, Because::Whole)).collect(),
            Some(reads) => select(tree, reads).iter().map(|(node, read)| (node, Because::Read(read))).collect(),
        };
        let said = all.into_iter().filter_map(|(node, because)| {
            let path = tree.nodes()[node].path.clone();
            if choice.nodes.binary_search(&(node as u32)).is_err() {
                let is_folder = tree.nodes()[node].kind == NodeKind::Folder;
                return (!is_folder).then_some(Explained { path, because: Because::Dropped, language: None });
            }
            let language = match choice.placeholders.binary_search(&(node as u32)) {
                Ok(_) => Some("an empty file stands in for it, since its package is not built".to_owned()),
                Err(_) => choice.languages.reasons.iter().find_map(|reasons| reasons.of(&path)),
            };
            Some(Explained { path, because, language })
        });
        Ok(said.collect())
    }

    /// What the languages see of a context.
    pub(super) fn view(&self, context: usize) -> Result<View<'_>, Failure> {
        let state = self.states[context].as_ref().map_err(Clone::clone)?;
        let cache = self.cache.as_ref().expect("the cache is opened before the first walk");
        Ok(View { root: &self.root, state, cache, digests: self.digests.as_ref() })
    }

    /// Opens the cache of what source files say, if one of the requests needs it.
    pub(super) fn open_digests(&mut self, requests: &[ContextRequest<'_>]) {
        if self.digests.is_none() && requests.iter().any(|request| !request.inputs.languages.is_empty()) {
            self.digests = Some(Digests::open(&self.state_folder().join("cache")));
        }
    }

    /// Takes over what the languages have read, so that no file is read again to be hashed. Adds what later runs may trust to
    /// `settled`.
    pub(super) fn learn_what_was_read(&mut self, settled: &mut Vec<Identity>) {
        let (Some(cache), Some(digests)) = (&mut self.cache, &mut self.digests) else { return };
        for state in self.states.iter_mut().flatten() {
            let read: Vec<_> = {
                let taken = state.learned.take().into_iter();
                let known = taken.map(|(file, parsed)| {
                    if file.hashed.stable {
                        digests.put(state.walked.tree.nodes()[file.node].path.name(), file.hashed.content.hash, parsed);
                    }
                    file
                });
                known.collect()
            };
            self.files_read += read.len();
            for file in read {
                if file.hashed.stable {
                    cache.put(file.identity, file.hashed.content);
                    if cache.is_settled(&state.walked.stats[file.node]) {
                        settled.push(file.identity);
                    }
                } else {
                    state.resized.insert(file.node, file.hashed.size);
                }
                state.learn(file.node, file.hashed.content);
            }
        }
    }
}
