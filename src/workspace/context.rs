//! Contexts on disk: which folders make one up, walked once for all images that share it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::digest::ContentHash;
use crate::ignore::Ignore;
use crate::path::RelPath;
use crate::problem::{Code, Location, Problem, Problems, Source};
use crate::project::{Context, Inputs};
use crate::tree::{Node, NodeKind, Tree};

use super::error::Error;
use super::globs::{self, Globs};
use super::snapshot::Origin;
use super::stat::FileStat;
use super::view::Learned;
use super::walk::{self, Found, Never};

/// Something wrong with a context that many images may share.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Each image shows it at a place of its own.
    Anywhere { code: Code, message: String, help: Option<&'static str> },
    /// Stands at places of its own: lines of an ignore file.
    Placed(Problems),
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>, help: &'static str) -> Self {
        Self::Anywhere { code, message: message.into(), help: Some(help) }
    }

    pub fn at(&self, location: &Location) -> Problems {
        match self {
            Self::Anywhere { code, message, help } => {
                Problem::error(*code, message.clone()).at(location, "").maybe_help(help.map(str::to_owned)).into()
            }
            Self::Placed(problems) => problems.clone(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = if matches!(error, Error::Glob { .. }) { Code::BadGlob } else { Code::UnreadableInput };
        Self::Anywhere { code, message: error.to_string(), help: None }
    }
}

/// All that the walk of a context depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    parts: Vec<Part>,
    assembled: bool,
    ignore: Option<String>,
    never: Never,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Part {
    to: String,
    from: String,
    only: Vec<String>,
}

impl Key {
    pub fn new(root: &Path, context: &Context, ignore: Option<&Source>, inputs: &Inputs, never: &[PathBuf]) -> Self {
        let (parts, assembled) = match context {
            Context::Folder(folder) => {
                (vec![Part { to: String::new(), from: folder.clone(), only: Vec::new() }], false)
            }
            Context::Assembled(parts) => {
                let part = |part: &crate::project::ContextPart| Part {
                    to: part.to.clone(),
                    from: part.from.clone(),
                    only: part.only.clone(),
                };
                (parts.iter().map(part).collect(), true)
            }
        };
        // `inputs.include` may name what is left out otherwise; in an assembled context a part does that.
        let named = |place: &dyn Fn(&str) -> bool| inputs.include.iter().any(|glob| place(globs::tidy(&glob.value)));
        let folder = lexical(root, &parts.first().map_or(String::new(), |part| part.from.clone()));
        let is_named = |path: &PathBuf| named(&|glob| folder.join(globs::literal_base(glob).0).starts_with(path));
        let never = Never {
            paths: never.iter().filter(|path| assembled || !is_named(path)).cloned().collect(),
            git: !named(&|glob| glob.split('/').any(|name| name == ".git")),
        };
        Self { parts, assembled, ignore: ignore.map(|source| source.text().to_owned()), never }
    }
}

impl Key {
    /// The folders and files that the context is made of, as written.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.from.as_str())
    }
}

/// The names of a context and what the disk says of them.
#[derive(Debug)]
pub(super) struct Walked {
    /// The names.
    pub tree: Tree,
    /// What the disk says of each node of the tree, in the same order.
    pub stats: Vec<FileStat>,
    /// Where they lie on disk.
    pub origin: Arc<Origin>,
    /// Folders whose contents may not be listed.
    pub unreadable: BTreeSet<RelPath>,
    /// What is called `.git` and left out for that alone.
    pub git: Vec<RelPath>,
}

/// A walked context and what has been learned of its files so far.
#[derive(Debug)]
pub(super) struct State {
    pub walked: Walked,
    /// The files that were hashed.
    pub hashes: Vec<Option<ContentHash>>,
    /// Files that had another size when they were read than when they were walked.
    pub resized: HashMap<usize, u64>,
    /// Git LFS pointers among the hashed files.
    pub pointers: BTreeSet<usize>,
    /// Files that could not be read.
    pub failed: HashMap<usize, String>,
    /// For a context of one folder: where that lies below the root.
    pub scope: Option<Vec<u8>>,
    /// What the languages know of it.
    pub learned: Learned,
}

impl State {
    pub fn open(root: &Path, key: &Key, ignore: Option<&Source>) -> Result<Self, Failure> {
        let ignore = ignore.map_or_else(|| Ok(Ignore::empty()), Ignore::parse).map_err(Failure::Placed)?;
        let walked = if key.assembled { assemble(root, key, &ignore)? } else { folder(root, key, &ignore)? };
        let scope = match &*walked.origin {
            Origin::Folder(folder) => Some(identity_path(root, folder)),
            Origin::Assembled(_) => None,
        };
        let hashes = vec![None; walked.stats.len()];
        Ok(Self {
            walked,
            hashes,
            resized: HashMap::new(),
            pointers: BTreeSet::new(),
            failed: HashMap::new(),
            scope,
            learned: Learned::default(),
        })
    }
}

/// The bytes that stand for a place in the stat cache: relative to the root where it lies below it.
pub(super) fn identity_path(root: &Path, place: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    place.strip_prefix(root).unwrap_or(place).as_os_str().as_bytes().to_vec()
}

fn walked(origin: Origin, found: Found) -> Walked {
    let (nodes, stats): (Vec<Node>, Vec<FileStat>) = found.nodes.into_iter().unzip();
    Walked {
        tree: Tree::new(nodes),
        stats,
        origin: Arc::new(origin),
        unreadable: found.unreadable.into_iter().collect(),
        git: found.git,
    }
}

fn folder(root: &Path, key: &Key, ignore: &Ignore) -> Result<Walked, Failure> {
    let written = &key.parts[0].from;
    let missing = |what: &str| {
        let message = format!("the context `{written}` {what}");
        Failure::new(Code::MissingContext, message, "contexts are folders, relative to the file that names them")
    };
    let folder = root.join(written).canonicalize().map_err(|_| missing("does not exist"))?;
    if !folder.is_dir() {
        return Err(missing("is not a folder"));
    }
    let found = walk::walk(&folder, &RelPath::root(), ignore, &key.never)?;
    if found.unreadable.contains(&RelPath::root()) {
        return Err(missing("cannot be listed"));
    }
    Ok(walked(Origin::Folder(folder), found))
}

fn assemble(root: &Path, key: &Key, ignore: &Ignore) -> Result<Walked, Failure> {
    let found = key.parts.par_iter().map(|part| walk_part(root, part, ignore, key)).collect::<Result<Vec<_>, _>>()?;
    let mut places: Vec<(RelPath, PathBuf)> = Vec::new();
    let (mut nodes, mut unreadable, mut git) = (Vec::new(), Vec::new(), Vec::new());
    for (to, from, found) in found {
        places.push((to, from));
        nodes.extend(found.nodes.into_iter().map(|(node, stat)| (node, stat, places.len() - 1)));
        unreadable.extend(found.unreadable);
        git.extend(found.git);
    }
    nodes.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    let mut all = places.clone();
    if !all.iter().any(|(to, _)| to.is_root()) {
        // What no part holds (the folders above the parts) counts as lying below the root.
        all.push((RelPath::root(), root.to_owned()));
    }
    let origin = Origin::Assembled(all);
    let overlap = |path: &RelPath| {
        let message = format!("two parts of the context both give `{path}`");
        Failure::new(Code::ContextOverlap, message, "narrow one of them with `only`, or move it with `to`")
    };
    for (node, _, part) in &nodes {
        let (to, from) = &places[*part];
        if node.kind != NodeKind::Folder && origin.place(&node.path) != below_part(&node.path, to, from) {
            return Err(overlap(&node.path));
        }
    }
    let mut unique: Vec<(Node, FileStat)> = Vec::with_capacity(nodes.len());
    for (node, stat, _) in nodes {
        match unique.last() {
            Some((last, _)) if last.path == node.path && last.kind != node.kind => return Err(overlap(&node.path)),
            Some((last, _)) if last.path == node.path => {}
            _ => unique.push((node, stat)),
        }
    }
    add_parents(&mut unique);
    Ok(walked(origin, Found { nodes: unique, unreadable, git }))
}

fn below_part(path: &RelPath, to: &RelPath, from: &Path) -> PathBuf {
    path.relative_to(to).unwrap_or_default().below(from)
}

/// The place of a part in the context, on disk, and what was found there.
fn walk_part(root: &Path, part: &Part, ignore: &Ignore, key: &Key) -> Result<(RelPath, PathBuf, Found), Failure> {
    let tidy = globs::tidy(&part.to);
    let to = RelPath::new(tidy.as_bytes()).ok_or_else(|| {
        let message = format!("`{}` leads out of the context", part.to);
        Failure::new(Code::BadContextPath, message, "say with `to` where it stands in the context")
    })?;
    let missing = |_| {
        let message = format!("`{}`, a part of the context, does not exist", part.from);
        Failure::new(Code::MissingContext, message, "parts are files and folders, relative to the file that names them")
    };
    let place = root.join(&part.from);
    let metadata = place.symlink_metadata().map_err(missing)?;
    if metadata.is_dir() {
        let place = place.canonicalize().map_err(missing)?;
        let mut found = walk::walk(&place, &to, ignore, &key.never)?;
        if !part.only.is_empty() {
            let only = Globs::new(part.only.iter().map(String::as_str))?;
            let covers = |path: &RelPath| only.covers(path.relative_to(&to).unwrap_or_default().as_bytes());
            found.nodes.retain(|(node, _)| covers(&node.path));
            found.git.retain(covers);
        } else if !to.is_root() {
            found.nodes.push((Node { path: to.clone(), kind: NodeKind::Folder }, FileStat::of(&metadata)));
        }
        return Ok((to, place, found));
    }
    // The file's parent is made canonical, not the file: a link is a link.
    let parent = place.parent().unwrap_or(root).canonicalize().map_err(missing)?;
    let place = parent.join(place.file_name().unwrap_or_default());
    let kind = walk::node_kind(metadata.file_type(), &place).map_err(Error::io("read", &place))?;
    let kept = !to.is_root() && !ignore.matched(&to).is_ignored();
    let nodes = kept.then(|| (Node { path: to.clone(), kind }, FileStat::of(&metadata))).into_iter().collect();
    Ok((to, place, Found { nodes, ..Found::default() }))
}

/// Adds the folders that stand between the context and its parts.
fn add_parents(nodes: &mut Vec<(Node, FileStat)>) {
    let present: BTreeSet<RelPath> = nodes.iter().map(|(node, _)| node.path.clone()).collect();
    let mut missing = BTreeSet::new();
    for path in &present {
        let mut parent = path.parent();
        while let Some(folder) = parent.filter(|folder| !folder.is_root() && !present.contains(folder)) {
            parent = folder.parent();
            if !missing.insert(folder) {
                break;
            }
        }
    }
    nodes.extend(missing.into_iter().map(|path| (Node { path, kind: NodeKind::Folder }, FileStat::implied_folder())));
    nodes.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
}

/// `root` and `path` with `.` and `..` resolved as text.
pub(super) fn lexical(root: &Path, path: &str) -> PathBuf {
    let mut result = root.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => drop(result.pop()),
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}
