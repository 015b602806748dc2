//! From contexts to snapshots: walk, choose, hash, put together. Each step is done for all images at once, in parallel, and
//! never twice for the same thing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use crate::dockerfile::{Missing, Read};
use crate::fingerprint::FileSet;
use crate::ignore::{Ignore, Match};
use crate::language::Reasons;
use crate::path::RelPath;
use crate::platform::Platform;
use crate::problem::{Code, Location, Problem, Problems, Source};
use crate::project::{Context, ContextPart, Inputs, Located, Modes};
use crate::tree::NodeKind;

use super::choose::{Choice, MissingRead, choose, question};
use super::context::{Failure, Key, State, identity_path};
use super::entries::{empty_submodule, entries, failures};
use super::globs;
use super::hash::{Content, Hashed, hash_file};
use super::open::Workspace;
use super::snapshot::{Origin, Snapshot};
use super::sparse;
use super::stat_cache::{Identity, StatCache};
use super::unmatched;

/// So many images are chosen for at a time; bounds the memory that choices take.
const CHUNK: usize = 64;

/// What one image wants to know of one of its contexts.
#[derive(Clone, Debug)]
pub struct ContextRequest<'a> {
    /// The context; named contexts that are folders are asked for one by one.
    pub context: &'a Context,
    /// The ignore file that holds.
    pub ignore: Option<&'a Source>,
    /// What the Dockerfile reads of it; `None` if all of it counts.
    pub reads: Option<&'a [Read]>,
    /// `inputs:`; `extra` is not looked at here.
    pub inputs: &'a Inputs,
    /// The platform that is built for: languages have files of their own for each.
    pub platform: &'a Platform,
    /// How modes count.
    pub modes: Modes,
    /// The place of the context in the manifest.
    pub location: &'a Location,
}

/// What the build sees of a context.
#[derive(Clone, Debug)]
pub struct ContextFiles {
    /// Its entries, as hashed and as they will be sent.
    pub snapshot: Snapshot,
    /// How many files `inputs:` dropped; [`Workspace::because`] names them.
    pub dropped: usize,
    /// The first few of them.
    pub first_dropped: Vec<RelPath>,
    /// Why source files stay that `inputs:` could have dropped, by language.
    pub reasons: Vec<Arc<Reasons>>,
    /// Languages whose rules could drop nothing.
    pub warnings: Problems,
}

/// What is remembered of a question about a context.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    files: Arc<FileSet>,
    missing: Vec<MissingRead>,
    placeholders: Arc<BTreeSet<RelPath>>,
    dropped: usize,
    first_dropped: Vec<RelPath>,
    reasons: Vec<Arc<Reasons>>,
    warnings: Problems,
    failures: Vec<Failure>,
}

impl Outcome {
    fn failed(failure: Failure) -> Self {
        Self {
            files: Arc::new(FileSet::new(Vec::new())),
            missing: Vec::new(),
            placeholders: Arc::default(),
            dropped: 0,
            first_dropped: Vec::new(),
            reasons: Vec::new(),
            warnings: Problems::new(),
            failures: vec![failure],
        }
    }
}

impl Workspace {
    /// The files that each request sees, in the order of the requests. Requests with equal answers share one set.
    ///
    /// Ask for all images at once: contexts are walked and files are hashed on all cores.
    pub fn files(&mut self, requests: &[ContextRequest<'_>]) -> Vec<Result<ContextFiles, Problems>> {
        let contexts = self.walk_all(requests);
        let questions: Vec<(usize, String)> =
            requests.iter().zip(&contexts).map(|(request, context)| (*context, question(request))).collect();
        let mut new = HashSet::new();
        let open: Vec<usize> = (0..requests.len())
            .filter(|index| !self.outcomes.contains_key(&questions[*index]) && new.insert(&questions[*index]))
            .collect();
        let mut settled = Vec::new();
        self.open_digests(requests);
        for chunk in open.chunks(CHUNK) {
            let choices: Vec<(usize, Result<Choice, Failure>)> = chunk
                .par_iter()
                .map(|index| (*index, self.view(contexts[*index]).and_then(|view| choose(&requests[*index], &view))))
                .collect();
            self.learn_what_was_read(&mut settled);
            self.hash_all(&contexts, &choices, &mut settled);
            for (index, outcome) in self.put_together(requests, &contexts, choices) {
                self.outcomes.insert(questions[index].clone(), outcome);
            }
        }
        if let Some(cache) = &mut self.cache {
            cache.save(&settled);
        }
        if let Some(digests) = &mut self.digests {
            digests.save();
        }
        requests.iter().zip(&questions).map(|(request, question)| self.answer(request, question)).collect()
    }

    /// The files that `inputs.extra` names: hashed, not sent. Where one lies above the root, `..` is written `(parent)`.
    ///
    /// # Errors
    /// What is missing or cannot be read.
    pub fn extra(&mut self, extra: &[Located<String>], modes: Modes) -> Result<Arc<FileSet>, Problems> {
        let Some(first) = extra.first() else { return Ok(Arc::new(FileSet::new(Vec::new()))) };
        let parts = extra.iter().map(|glob| {
            let (from, rest) = globs::literal_base(globs::tidy(&glob.value));
            let to: Vec<&str> = from
                .split('/')
                .filter(|name| !name.is_empty() && *name != ".")
                .map(|name| if name == ".." { "(parent)" } else { name })
                .collect();
            let only = if rest.is_empty() { Vec::new() } else { vec![rest.to_owned()] };
            ContextPart { from: from.to_owned(), to: to.join("/"), only }
        });
        let context = Context::Assembled(parts.collect());
        let inputs = Inputs::default();
        let (context, location, platform) = (&context, &first.location, &Platform::of_this_machine());
        let request = ContextRequest { context, ignore: None, reads: None, inputs: &inputs, platform, modes, location };
        Ok(self.files(&[request]).remove(0)?.snapshot.shared_files())
    }

    /// The state of the context of each request; those that are new are walked.
    pub(super) fn walk_all(&mut self, requests: &[ContextRequest<'_>]) -> Vec<usize> {
        let key = |request: &ContextRequest<'_>| {
            Key::new(&self.root, request.context, request.ignore, request.inputs, &self.never)
        };
        let keys = requests.iter().map(|request| (key(request), request.ignore.cloned())).collect();
        self.walk_keys(keys)
    }

    fn walk_keys(&mut self, keys: Vec<(Key, Option<Source>)>) -> Vec<usize> {
        if self.cache.is_none() {
            // Before anything is looked at: what is younger than this moment is not trusted.
            let state = self.make_state_folder().unwrap_or_else(|_| self.state_folder());
            self.cache = Some(StatCache::open(&state.join("cache")));
        }
        let mut indices = Vec::with_capacity(keys.len());
        let mut new = Vec::new();
        for (key, ignore) in keys {
            let next = self.states.len() + new.len();
            let index = *self.keys.entry(key.clone()).or_insert(next);
            if index == next {
                new.push((key, ignore));
            }
            indices.push(index);
        }
        let root = &self.root;
        let held: Vec<_> = new.iter().map(|(key, _)| key.folders().try_for_each(|from| self.hold(from))).collect();
        let opened: Vec<_> = new
            .par_iter()
            .zip(held)
            .map(|((key, ignore), held)| {
                held?;
                State::open(root, key, ignore.as_ref())
            })
            .collect();
        self.states.extend(opened);
        indices
    }

    /// Hashes the chosen files that nobody has hashed yet, each once. Adds what later runs may trust to `settled`.
    fn hash_all(
        &mut self,
        contexts: &[usize],
        choices: &[(usize, Result<Choice, Failure>)],
        settled: &mut Vec<Identity>,
    ) {
        let mut wanted: Vec<(usize, u32)> = Vec::new();
        for (index, choice) in choices {
            let (Ok(choice), Ok(state)) = (choice, &self.states[contexts[*index]]) else { continue };
            let unknown = |node: &&u32| is_unknown(state, **node) && choice.placeholders.binary_search(node).is_err();
            wanted.extend(choice.nodes.iter().filter(unknown).map(|node| (contexts[*index], *node)));
        }
        wanted.par_sort_unstable();
        wanted.dedup();
        let Some(cache) = &mut self.cache else { return };
        let (states, root) = (&self.states, &self.root);
        let looked_up: Vec<(Identity, Option<Content>)> = wanted
            .par_iter()
            .map(|(context, node)| {
                let state = states[*context].as_ref().expect("only walked contexts have chosen nodes");
                let identity = identity(root, state, *node);
                (identity, cache.get(&identity))
            })
            .collect();
        let mut first = HashSet::new();
        let misses: Vec<usize> =
            (0..wanted.len()).filter(|at| looked_up[*at].1.is_none() && first.insert(looked_up[*at].0)).collect();
        let read: Vec<(usize, std::io::Result<Hashed>)> = misses
            .par_iter()
            .map(|at| {
                let (context, node) = wanted[*at];
                let state = states[context].as_ref().expect("only walked contexts have chosen nodes");
                (*at, hash_file(&place(state, node), &state.walked.stats[node as usize]))
            })
            .collect();
        self.files_read += read.len();
        let mut unusual: HashMap<Identity, std::io::Result<Hashed>> = HashMap::new();
        for (at, result) in read {
            let (context, node) = wanted[at];
            let (identity, _) = looked_up[at];
            match result {
                Ok(hashed) if hashed.stable => {
                    cache.put(identity, hashed.content);
                    let stat = self.states[context].as_ref().map(|state| state.walked.stats[node as usize]);
                    if stat.is_ok_and(|stat| cache.is_settled(&stat)) {
                        settled.push(identity);
                    }
                }
                other => drop(unusual.insert(identity, other)),
            }
        }
        for ((context, node), (identity, known)) in wanted.into_iter().zip(looked_up) {
            let Ok(state) = &mut self.states[context] else { continue };
            let node = node as usize;
            match (known.or_else(|| cache.get(&identity)), unusual.get(&identity)) {
                (Some(content), _) => state.learn(node, content),
                (None, Some(Ok(hashed))) => {
                    state.learn(node, hashed.content);
                    state.resized.insert(node, hashed.size);
                }
                (None, Some(Err(error))) => drop(state.failed.insert(node, error.to_string())),
                (None, None) => {}
            }
        }
    }

    fn put_together(
        &mut self,
        requests: &[ContextRequest<'_>],
        contexts: &[usize],
        choices: Vec<(usize, Result<Choice, Failure>)>,
    ) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::with_capacity(choices.len());
        let mut made = Vec::new();
        for (index, choice) in choices {
            match choice {
                Err(failure) => {
                    let is_missing = matches!(failure, Failure::Anywhere { code: Code::MissingContext, .. });
                    let context = requests[index].context;
                    let sparse = is_missing.then(|| self.sparse.instead_of_missing(&self.root, context)).flatten();
                    outcomes.push((index, Outcome::failed(sparse.unwrap_or(failure))));
                }
                Ok(choice) => made.push((index, (contexts[index], summary(&choice, requests[index].modes)), choice)),
            }
        }
        let mut seen = HashSet::new();
        let new: Vec<_> = made.iter().filter(|(_, id, _)| !self.sets.contains_key(id) && seen.insert(*id)).collect();
        let states = &self.states;
        let sets: Vec<_> = new
            .par_iter()
            .filter_map(|(index, id, choice)| {
                let state = states[id.0].as_ref().ok()?;
                Some((*id, Arc::new(FileSet::new(entries(state, choice, requests[*index].modes)))))
            })
            .collect();
        self.sets.extend(sets);
        for (index, id, choice) in made {
            let Ok(state) = &self.states[id.0] else { continue };
            let mut failures = failures(state, &choice);
            let places: Vec<PathBuf> = match &*state.walked.origin {
                Origin::Folder(folder) => vec![folder.clone()],
                Origin::Assembled(parts) => parts.iter().map(|(_, from)| from.clone()).collect(),
            };
            let mut left_out: Vec<PathBuf> = Vec::new();
            for place in places {
                let submodules = self.submodules.of(&place);
                failures.extend(submodules.iter().filter_map(|submodule| empty_submodule(state, &choice, submodule)));
                left_out.extend(self.sparse.of(&place).iter().cloned());
                let below = submodules.iter().filter(|submodule| submodule.starts_with(&place));
                below.for_each(|submodule| left_out.extend(self.sparse.of(submodule).iter().cloned()));
            }
            left_out.retain(|place| !self.never.contains(place));
            let mut missing = choice.missing;
            match sparse::unseen(state, &requests[index], &left_out) {
                Ok(unseen) if unseen.is_empty() => {}
                Ok(unseen) => {
                    let names: Vec<String> = unseen.iter().map(ToString::to_string).collect();
                    // What would be there is not told twice.
                    missing.retain(|read| !names.iter().any(|name| name.starts_with(&read.missing.path)));
                    failures.push(sparse::failure(&names));
                }
                Err(failure) => failures.push(failure),
            }
            let files = Arc::clone(&self.sets[&id]);
            let path = |node: &u32| state.walked.tree.nodes()[*node as usize].path.clone();
            let outcome = Outcome {
                files,
                missing,
                placeholders: Arc::new(choice.placeholders.iter().map(path).collect()),
                dropped: choice.dropped.count as usize,
                first_dropped: choice.dropped.first.iter().map(path).collect(),
                reasons: choice.languages.reasons,
                warnings: choice.languages.warnings,
                failures,
            };
            outcomes.push((index, outcome));
        }
        outcomes
    }

    fn answer(&self, request: &ContextRequest<'_>, question: &(usize, String)) -> Result<ContextFiles, Problems> {
        let outcome = &self.outcomes[question];
        let mut problems = Problems::new();
        for failure in &outcome.failures {
            problems.append(failure.at(request.location));
        }
        for MissingRead { missing, dropped } in &outcome.missing {
            let help = if missing.path.split('/').any(|name| name == ".git") {
                "`.git` is left out of every context; `inputs.include` brings it in"
            } else if *dropped {
                "`inputs` drops it, and what is dropped is not sent: keep it, or leave the instruction out"
            } else {
                "paths are relative to the context, and what the ignore file leaves out is not there"
            };
            let problem = missing.problem(request.reads.unwrap_or_default()).help(help);
            problems.push(if *dropped { problem } else { self.explained(request, question.0, missing, problem) });
        }
        let state = self.states[question.0].as_ref();
        let origin =
            state.map_or_else(|_| Arc::new(Origin::Folder(self.root.clone())), |state| state.walked.origin.clone());
        problems.or(ContextFiles {
            snapshot: Snapshot::new(Arc::clone(&outcome.files), origin)
                .with_placeholders(Arc::clone(&outcome.placeholders)),
            dropped: outcome.dropped,
            first_dropped: outcome.first_dropped.clone(),
            reasons: outcome.reasons.clone(),
            warnings: outcome.warnings.clone(),
        })
    }
}

impl Workspace {
    /// The problem of something that is missing, with the line of the ignore file that leaves it out, or with what may have been meant.
    fn explained(
        &self,
        request: &ContextRequest<'_>,
        context: usize,
        missing: &Missing,
        mut problem: Problem,
    ) -> Problem {
        let (Ok(state), Some(path)) = (&self.states[context], RelPath::new(missing.path.as_bytes())) else {
            return problem;
        };
        let ignore = request.ignore.and_then(|source| Ignore::parse(source).ok()).unwrap_or_default();
        let there = || state.walked.origin.place(&path).symlink_metadata().is_ok();
        match ignore.matched(&path) {
            Match::Ignored(line) if there() => {
                let file = line.location.source.name();
                problem.message = format!("`{path}` is there, but `{}` in `{file}` leaves it out", line.text);
                let why = format!("leaves out `{path}`");
                problem.at(&line.location, why).help(format!("write `!{path}` below that line, or take the line out"))
            }
            _ => problem.maybe_help(unmatched::near(&state.walked.tree, &path)),
        }
    }
}

impl State {
    pub(super) fn learn(&mut self, node: usize, content: Content) {
        self.hashes[node] = Some(content.hash);
        if content.pointer {
            self.pointers.insert(node);
        }
    }
}

fn is_unknown(state: &State, node: u32) -> bool {
    let node = node as usize;
    state.hashes[node].is_none()
        && state.walked.tree.nodes()[node].kind == NodeKind::File
        && state.walked.stats[node].is_regular()
        && !state.failed.contains_key(&node)
}

pub(super) fn place(state: &State, node: u32) -> PathBuf {
    state.walked.origin.place(&state.walked.tree.nodes()[node as usize].path)
}

pub(super) fn identity(root: &std::path::Path, state: &State, node: u32) -> Identity {
    let stat = &state.walked.stats[node as usize];
    match &state.scope {
        Some(scope) => Identity::new(scope, state.walked.tree.nodes()[node as usize].path.as_bytes(), stat),
        None => Identity::new(b"", &identity_path(root, &place(state, node)), stat),
    }
}

/// A hash of the chosen nodes, so that equal choices share one set.
fn summary(choice: &Choice, modes: Modes) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(modes == Modes::Exact)]);
    let mut bytes = Vec::with_capacity(choice.nodes.len() * 4);
    bytes.extend(choice.nodes.iter().flat_map(|node| node.to_le_bytes()));
    hasher.update(&(choice.nodes.len() as u64).to_le_bytes()).update(&bytes);
    bytes.clear();
    bytes.extend(choice.placeholders.iter().flat_map(|node| node.to_le_bytes()));
    *hasher.update(&bytes).finalize().as_bytes()
}
