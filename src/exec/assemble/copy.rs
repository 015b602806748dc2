//! COPY and ADD of files: where a source goes, what it becomes there, and what is refused.
//!
//! The rules are those of BuildKit's file operations (`solver/llbsolver/file`, `tonistiigi/fsutil/copy`), found by reading and by
//! comparing results; they differ from `cp` in that the contents of a folder are copied, never the folder itself.

use std::collections::BTreeMap;

use super::archive;
use super::error::Fault;
use super::files::Files;
use super::mode::Mode;
use super::node::{FileNode, Identity, Meta, Node, NodeKind};
use super::owner::Owner;
use crate::path::RelPath;
use crate::pattern::{Excludes, Glob, Matched};
use crate::problem::Code;

/// What the flags of COPY and ADD say.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub owner: Option<Owner>,
    pub mode: Option<Mode>,
    pub excludes: Excludes,
    /// `--parents`: what to include below the source.
    pub includes: Option<Excludes>,
    /// ADD: archives are unpacked.
    pub unpack: bool,
}

impl Options {
    /// Owner and permissions of folders that are made for a destination: an octal mode is theirs too (since BuildKit 0.21).
    const fn around(&self) -> (Option<Owner>, Option<u32>) {
        let mode = match self.mode {
            Some(Mode::Octal(mode)) => Some(mode),
            _ => None,
        };
        (self.owner, mode)
    }

    /// What a copy of `node` gets.
    fn meta(&self, node: &Node) -> Meta {
        let mut meta = node.meta;
        if let Some(Owner { uid, gid }) = self.owner {
            meta = Meta { uid, gid, ..meta };
        }
        match (&self.mode, &node.kind) {
            (_, NodeKind::Link(_)) | (None, _) => {}
            (Some(mode), _) => meta.mode = mode.apply(meta.mode, node.is_folder()),
        }
        meta
    }
}

/// The paths that a source of COPY or ADD means: itself, or what its wildcards match.
pub(super) fn sources(from: &Files, source: &str) -> Result<Vec<Vec<u8>>, Fault> {
    let clean = crate::pattern::clean(&[b"/", source.as_bytes()].concat());
    let parts: Vec<&[u8]> = clean.split(|b| *b == b'/').filter(|part| !part.is_empty()).collect();
    let Some(wild) = parts.iter().position(|part| Glob::is_wild(part)) else { return Ok(vec![clean]) };
    let glob = Glob::new(&parts[wild..].join(&b'/'))
        .map_err(|error| Fault::new(Code::SourceMissing, format!("`{source}` is not a pattern: {error}")))?;
    let folder = from.resolve(&RelPath::root(), &parts[..wild].join(&b'/'))?;
    if from.get(&folder).is_none() {
        return Err(missing(source));
    }
    let below = from.subtree(&folder).into_iter().map(|(path, _)| path);
    let matching = below.filter(|path| path.relative_to(&folder).is_some_and(|rest| glob.matches(rest.as_bytes())));
    Ok(matching.map(|path| path.as_bytes().to_vec()).collect())
}

fn missing(source: &str) -> Fault {
    Fault::new(Code::SourceMissing, format!("`{source}` is not there"))
}

/// Copies `source`, a path without wildcards, to `destination`, an absolute path that may end with `/`.
pub(super) fn copy(
    into: &mut Files,
    from: &Files,
    (source, destination): (&[u8], &[u8]),
    options: &Options,
) -> Result<(), Fault> {
    let followed = from.resolve(&RelPath::root(), source)?;
    let Some(node) = from.get(&followed) else { return Err(missing(&String::from_utf8_lossy(source))) };
    if options.unpack
        && let NodeKind::File(file) = &node.kind
        && archive::unpack(into, file, destination, options.owner)?
    {
        return Ok(());
    }
    let slash = destination.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    let folder = into.resolve(&RelPath::root(), &destination[..slash])?;
    into.make_folders(&folder, options.around())?;
    let mut target = into.resolve(&RelPath::root(), destination)?;
    let there = into.get(&target);
    if !node.is_folder() && there.as_ref().is_some_and(Node::is_folder) {
        let name = RelPath::new(source.strip_prefix(b"/").unwrap_or(source)).unwrap_or_default();
        target = target.join(name.name());
    }
    let around = if node.is_folder() && there.is_none() { Some(target.clone()) } else { target.parent() };
    into.make_folders(&around.unwrap_or_default(), options.around())?;
    let mut copier = Copier { into, from, options, names: BTreeMap::new() };
    if node.is_folder() {
        if copier.into.get(&target).is_some_and(|node| !node.is_folder()) {
            return Err(not_a_folder(&target));
        }
        copier.folder(&followed, &target)
    } else {
        copier.file(&target, node)
    }
}

fn not_a_folder(path: &RelPath) -> Fault {
    Fault::new(Code::BadDestination, format!("a folder cannot be copied onto `/{path}`, which is none"))
}

struct Copier<'a> {
    into: &'a mut Files,
    from: &'a Files,
    options: &'a Options,
    /// From the identity of a source to that of its copy: hard links stay.
    names: BTreeMap<Identity, Identity>,
}

/// What the patterns say of a folder, for what it holds.
#[derive(Clone, Default)]
struct State {
    included: Matched,
    excluded: Matched,
}

impl Copier<'_> {
    fn file(&mut self, target: &RelPath, mut node: Node) -> Result<(), Fault> {
        if self.into.get(target).is_some_and(|old| old.is_folder()) {
            let message = format!("a file cannot be copied onto the folder `/{target}`");
            return Err(Fault::new(Code::BadDestination, message));
        }
        node.meta = self.options.meta(&node);
        if let NodeKind::File(FileNode { identity: Some(identity), .. }) = &mut node.kind {
            *identity = *self.names.entry(*identity).or_insert_with(Identity::fresh);
        }
        self.into.put(target.clone(), node);
        Ok(())
    }

    /// Copies what `source` holds into `target`, which is a folder.
    fn folder(&mut self, source: &RelPath, target: &RelPath) -> Result<(), Fault> {
        let mut states: BTreeMap<RelPath, State> = BTreeMap::new();
        for (path, node) in self.from.subtree(source) {
            let rest = path.relative_to(source).expect("what lies below a folder begins with its path");
            let parent = rest.parent().unwrap_or_default();
            let state = states.get(&parent).cloned().unwrap_or_default();
            let taken = if node.is_folder() {
                let (excluded, below) = self.options.excludes.folder(rest.as_bytes(), &state.excluded);
                let mut inner = State { included: Matched::default(), excluded: below };
                let mut taken = !excluded.is_excluded();
                if let Some(includes) = &self.options.includes {
                    let (included, below) = includes.folder(rest.as_bytes(), &state.included);
                    inner.included = below;
                    taken &= included.is_excluded();
                }
                states.insert(rest.clone(), inner);
                taken
            } else {
                let excluded = self.options.excludes.verdict(rest.as_bytes(), &state.excluded).is_excluded();
                let includes = self.options.includes.as_ref();
                !excluded && includes.is_none_or(|list| list.verdict(rest.as_bytes(), &state.included).is_excluded())
            };
            if !taken {
                continue;
            }
            let place = rest.as_bytes().split(|b| *b == b'/').fold(target.clone(), |path, part| path.join(part));
            self.parents(source, target, &parent)?;
            if node.is_folder() {
                self.sub_folder(&place, &node, self.options.includes.is_none())?;
            } else {
                self.file(&place, node)?;
            }
        }
        Ok(())
    }

    /// The folders between the source's own folder and an entry that patterns let through: some were passed over.
    fn parents(&mut self, source: &RelPath, target: &RelPath, parent: &RelPath) -> Result<(), Fault> {
        let (mut from, mut to) = (source.clone(), target.clone());
        for part in parent.as_bytes().split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            (from, to) = (from.join(part), to.join(part));
            match self.into.get(&to) {
                Some(node) if node.is_folder() => {}
                Some(_) => return Err(not_a_folder(&to)),
                None => {
                    let node = self.from.get(&from).unwrap_or_else(|| Node::folder(Meta::FOLDER));
                    self.sub_folder(&to, &node, true)?;
                }
            }
        }
        Ok(())
    }

    /// A folder inside a copied one: it takes the source's permissions also where it was there (`overwrite`).
    fn sub_folder(&mut self, target: &RelPath, node: &Node, overwrite: bool) -> Result<(), Fault> {
        match self.into.get(target) {
            Some(old) if !old.is_folder() => return Err(not_a_folder(target)),
            Some(_) if !overwrite => return Ok(()),
            _ => {}
        }
        let meta = self.options.meta(node);
        self.into.put(target.clone(), Node { kind: NodeKind::Folder, meta, attributes: node.attributes.clone() });
        Ok(())
    }
}
