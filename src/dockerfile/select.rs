//! Which names of a context a build reads: the sources of COPY, ADD and bind mounts against a tree.

use std::ops::Range;

use super::analysis::{Read, ReadKind};
use crate::path::RelPath;
use crate::pattern::{Excludes, Glob, Matched, Pattern, inside};
use crate::problem::{Code, Problem};
use crate::tree::{NodeKind, Tree};

/// How many links one path may lead over.
const MOST_LINKS: usize = 255;

/// The names that reads choose. Folders on the way to a chosen name are chosen too; the context's root has no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// What is chosen, as ranges of the tree's nodes: ascending, without overlap.
    pub runs: Vec<Run>,
    /// The reads with which the build would fail.
    pub missing: Vec<Missing>,
}

/// Nodes that stand side by side in the tree, and a read that chose them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Indices of nodes.
    pub nodes: Range<usize>,
    /// Index of the read.
    pub read: usize,
}

/// A read that finds nothing where BuildKit wants something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Index of the read.
    pub read: usize,
    /// What is not there: a path of the context.
    pub path: String,
    /// Why the build would fail, as a phrase.
    pub why: &'static str,
}

impl Missing {
    /// The problem to show for it.
    pub fn problem(&self, reads: &[Read]) -> Problem {
        let read = &reads[self.read];
        Problem::error(Code::SourceMissing, format!("`{}` {}", self.path, self.why)).at(&read.location, "")
    }
}

impl Selection {
    /// The chosen nodes with the read that chose each, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.runs.iter().flat_map(|run| run.nodes.clone().map(move |node| (node, run.read)))
    }

    /// How many nodes are chosen.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.nodes.len()).sum()
    }

    /// Whether none is chosen.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether a node is chosen.
    pub fn contains(&self, node: usize) -> bool {
        let index = self.runs.partition_point(|run| run.nodes.end <= node);
        self.runs.get(index).is_some_and(|run| run.nodes.contains(&node))
    }
}

/// Chooses the names that `reads` can see in `tree`, which holds what an ignore file left.
///
/// Source: behaviour of BuildKit: paths cannot leave the context; links in a source are followed, the last part too; `*`
/// and `?` stop at `/` and a wildcard without a match is no error, unless the folder before it is not sent either.
/// A link that a wildcard matches must lead to something that is sent. Links below what is copied are copied as they are:
/// BuildKit before 0.25 follows them to sum up what they lead to, which counts here only where something else sends it, and then it
/// is chosen anyway.
pub fn select(tree: &Tree, reads: &[Read]) -> Selection {
    let mut picker =
        Picker { tree, read: 0, ranges: Vec::new(), missing: Vec::new(), bases: Vec::new(), links: Vec::new() };
    for (index, read) in reads.iter().enumerate() {
        picker.read = index;
        if let Err((path, why)) = picker.pick(read) {
            picker.missing.push(Missing { read: index, path: path.to_string(), why });
        }
    }
    picker.finish()
}

/// A read that fails: the path that is not there, and why that is an error.
type Fault = (RelPath, &'static str);

const NOT_THERE: &str = "is not in the context";

struct Picker<'a> {
    tree: &'a Tree,
    read: usize,
    ranges: Vec<(Range<usize>, usize)>,
    missing: Vec<Missing>,
    /// Folders before wildcards without a match: someone else must choose them.
    bases: Vec<(usize, usize)>,
    /// Links that must lead to something that is sent.
    links: Vec<(usize, usize)>,
}

impl Picker<'_> {
    fn pick(&mut self, read: &Read) -> Result<(), Fault> {
        if read.kind == ReadKind::Whole {
            self.take(0..self.tree.nodes().len());
            return Ok(());
        }
        let unreadable = || (RelPath::root(), "cannot be a path");
        let excludes = patterns(&read.exclude).ok_or_else(unreadable)?;
        if read.parents {
            return self.parents(&read.pattern, &excludes);
        }
        let path = inside(read.pattern.as_bytes()).ok_or_else(unreadable)?;
        if read.kind == ReadKind::Bind || !Glob::is_wild(path.as_bytes()) {
            return self.literal(&path, &excludes);
        }
        self.wild(&path, &excludes)
    }

    fn take(&mut self, nodes: Range<usize>) {
        if !nodes.is_empty() {
            self.ranges.push((nodes, self.read));
        }
    }

    /// One node and the folders above it.
    fn take_with_parents(&mut self, path: &RelPath) {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if let Some(index) = self.tree.find(&path) {
                self.take(index..index + 1);
            }
            at = path.parent();
        }
    }

    /// One path: where it leads, and all below that.
    fn literal(&mut self, path: &RelPath, excludes: &Excludes) -> Result<(), Fault> {
        let place = self.resolve(path)?;
        self.take_with_parents(&place);
        if excludes.is_empty() {
            self.take(self.tree.below(&place));
        } else {
            self.filtered(&place, place.as_bytes().len(), None, (excludes, &Matched::default()));
        }
        Ok(())
    }

    /// Follows a path inside the context; the links on the way are chosen. Gives where it ends.
    fn resolve(&mut self, path: &RelPath) -> Result<RelPath, Fault> {
        let mut links = Vec::new();
        let place = follow(self.tree, path, &mut links, &|_| true);
        links.iter().for_each(|link| self.take_with_parents(link));
        place
    }

    /// A path with wildcards.
    fn wild(&mut self, path: &RelPath, excludes: &Excludes) -> Result<(), Fault> {
        let (head, tail) = split_wild(path);
        let base = self.resolve(&head)?;
        if !base.is_root() && !self.is_folder(&base) {
            return Err((base, "is no folder"));
        }
        let bad = || (path.clone(), "is not a pattern: a `[` is open, or it ends with a backslash");
        let mut found = Vec::new();
        if tail.contains(&b'[') {
            let glob = Glob::new(&tail).map_err(|_| bad())?;
            self.scan(&base, &glob, &mut found);
        } else {
            let globs: Result<Vec<_>, _> = parts(&tail).map(Glob::new).collect();
            self.descend(&base, &globs.map_err(|_| bad())?, &mut found);
        }
        if let (true, Some(index)) = (found.is_empty(), self.tree.find(&base)) {
            self.bases.push((index, self.read));
        }
        // Only the names that one wildcard matches are looked at for links before anything is sent.
        let links_stay = parts(&tail).count() > 1;
        for path in found {
            match self.tree.find(&path) {
                Some(index) if links_stay && matches!(self.tree.nodes()[index].kind, NodeKind::Link(_)) => {
                    self.take_with_parents(&path);
                    self.links.push((index, self.read));
                }
                _ => self.literal(&path, excludes)?,
            }
        }
        Ok(())
    }

    fn is_folder(&self, path: &RelPath) -> bool {
        self.tree.find(path).is_some_and(|index| self.tree.nodes()[index].kind == NodeKind::Folder)
    }

    /// The paths below `folder` of which each part matches its pattern.
    fn descend(&self, folder: &RelPath, globs: &[Glob], found: &mut Vec<RelPath>) {
        let Some((first, rest)) = globs.split_first() else { return };
        let mut enter = |index: usize| {
            let node = &self.tree.nodes()[index];
            if rest.is_empty() {
                found.push(node.path.clone());
            } else if node.kind == NodeKind::Folder {
                self.descend(&node.path, rest, found);
            }
        };
        if let Some(name) = first.literal() {
            self.tree.find(&folder.join(name.as_bytes())).into_iter().for_each(enter);
            return;
        }
        for index in children(self.tree, folder) {
            if first.matches(self.tree.nodes()[index].path.name()) {
                enter(index);
            }
        }
    }

    /// The same for patterns with brackets, which may match a `/`: each name below is tried, none below a match.
    fn scan(&self, folder: &RelPath, glob: &Glob, found: &mut Vec<RelPath>) {
        for index in children(self.tree, folder) {
            let node = &self.tree.nodes()[index];
            self.scan_node(&node.path, folder, glob, found);
        }
    }

    fn scan_node(&self, path: &RelPath, base: &RelPath, glob: &Glob, found: &mut Vec<RelPath>) {
        if glob.matches(below(path, base.as_bytes().len())) {
            found.push(path.clone());
            return;
        }
        for index in children(self.tree, path) {
            self.scan_node(&self.tree.nodes()[index].path, base, glob, found);
        }
    }

    /// `--parents`: the part after `/./` (all, if there is none) is a pattern of moby's kind, and its folders travel.
    fn parents(&mut self, pattern: &str, excludes: &Excludes) -> Result<(), Fault> {
        let (start, pattern) = pattern.split_once("/./").unwrap_or(("", pattern));
        let unreadable = || (RelPath::root(), "cannot be a path");
        let start = inside(start.as_bytes()).ok_or_else(unreadable)?;
        let inner = inside(pattern.as_bytes()).ok_or_else(unreadable)?;
        if Glob::is_wild(start.as_bytes()) {
            let mut starts = Vec::new();
            let globs: Result<Vec<_>, _> = parts(start.as_bytes()).map(Glob::new).collect();
            self.descend(&RelPath::root(), &globs.map_err(|_| unreadable())?, &mut starts);
            return starts.iter().try_for_each(|start| self.parents_below(start, &inner, excludes, false));
        }
        self.parents_below(&start, &inner, excludes, !Glob::is_wild(inner.as_bytes()))
    }

    fn parents_below(
        &mut self,
        start: &RelPath,
        inner: &RelPath,
        excludes: &Excludes,
        required: bool,
    ) -> Result<(), Fault> {
        let start = self.resolve(start)?;
        self.take_with_parents(&start);
        if required {
            let whole = parts(inner.as_bytes()).fold(start.clone(), |path, part| path.join(part));
            self.resolve(&whole)?;
        }
        let strip = start.as_bytes().len();
        if inner.is_root() {
            self.filtered(&start, strip, None, (excludes, &Matched::default()));
            return Ok(());
        }
        let bad = (inner.clone(), "is not a pattern: a `[` is open, or it ends with a backslash");
        let include = Excludes::new(vec![Pattern::new(inner.as_bytes()).map_err(|_| bad)?]);
        self.filtered(&start, strip, Some((&include, &Matched::default())), (excludes, &Matched::default()));
        Ok(())
    }

    /// What lies below `folder`, is included and not excluded; patterns see paths without their first `strip` bytes.
    fn filtered(
        &mut self,
        folder: &RelPath,
        strip: usize,
        include: Option<(&Excludes, &Matched)>,
        (excludes, state): (&Excludes, &Matched),
    ) {
        if include.is_none() && excludes.is_empty() {
            self.take(self.tree.below(folder));
            return;
        }
        let tree = self.tree;
        for index in children(tree, folder) {
            let node = &tree.nodes()[index];
            let path = below(&node.path, strip);
            let (verdict, state) = excludes.folder(path, state);
            let (included, inner) = match include {
                None => (true, None),
                Some((patterns, state)) => {
                    let (verdict, state) = patterns.folder(path, state);
                    // What lies below a match is included whole.
                    let inner = (!verdict.is_excluded()).then_some((patterns, state));
                    (verdict.is_excluded(), inner)
                }
            };
            if included && !verdict.is_excluded() {
                self.take_with_parents(&node.path);
            }
            if node.kind == NodeKind::Folder && (!verdict.is_excluded() || excludes.may_keep_below(path)) {
                let inner = inner.as_ref().map(|(patterns, state)| (*patterns, state));
                self.filtered(&node.path, strip, inner, (excludes, &state));
            }
        }
    }

    fn finish(mut self) -> Selection {
        self.ranges.sort_by(|(a, read), (b, other)| (a.start, b.end, read).cmp(&(b.start, a.end, other)));
        let mut runs: Vec<Run> = Vec::new();
        let mut free = 0;
        for (nodes, read) in self.ranges {
            let nodes = nodes.start.max(free)..nodes.end;
            if nodes.is_empty() {
                continue;
            }
            free = nodes.end;
            match runs.last_mut() {
                Some(last) if last.nodes.end == nodes.start && last.read == read => last.nodes.end = nodes.end,
                _ => runs.push(Run { nodes, read }),
            }
        }
        let mut selection = Selection { runs, missing: self.missing };
        for (base, read) in self.bases {
            if !selection.contains(base) {
                let path = self.tree.nodes()[base].path.to_string();
                selection.missing.push(Missing {
                    read,
                    path,
                    why: "holds nothing that the pattern matches, so it is not sent",
                });
            }
        }
        for (link, read) in self.links {
            let path = &self.tree.nodes()[link].path;
            if follow(self.tree, path, &mut Vec::new(), &|index| selection.contains(index)).is_err() {
                let path = path.to_string();
                selection.missing.push(Missing { read, path, why: "is a link to something that is not sent" });
            }
        }
        selection.missing.sort_by_key(|missing| missing.read);
        selection
    }
}

/// Follows a path over the names for which `there` holds; notes the links on the way. Gives where it ends.
fn follow(
    tree: &Tree,
    path: &RelPath,
    links: &mut Vec<RelPath>,
    there: &dyn Fn(usize) -> bool,
) -> Result<RelPath, Fault> {
    let mut open: Vec<Vec<u8>> = parts(path.as_bytes()).rev().map(<[u8]>::to_vec).collect();
    let mut place = RelPath::root();
    while let Some(part) = open.pop() {
        if part == b".." {
            place = place.parent().unwrap_or_default();
            continue;
        }
        let next = place.join(&part);
        let Some(index) = tree.find(&next).filter(|index| there(*index)) else { return Err((next, NOT_THERE)) };
        match &tree.nodes()[index].kind {
            NodeKind::Link(target) => {
                if links.len() == MOST_LINKS {
                    return Err((next, "is a link in a circle"));
                }
                links.push(next);
                if target.first() == Some(&b'/') {
                    place = RelPath::root();
                }
                open.extend(parts(target).rev().map(<[u8]>::to_vec));
            }
            NodeKind::File if open.iter().any(|part| part != b"..") => {
                return Err((next.join(&open[open.len() - 1]), NOT_THERE));
            }
            _ => place = next,
        }
    }
    Ok(place)
}

/// The parts of a path, without empty ones and `.`.
fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// A path without its first `strip` bytes and the slash after them.
fn below(path: &RelPath, strip: usize) -> &[u8] {
    let rest = &path.as_bytes()[strip..];
    rest.strip_prefix(b"/").unwrap_or(rest)
}

/// The part before the first wildcard, and the rest from there.
fn split_wild(path: &RelPath) -> (RelPath, Vec<u8>) {
    let mut head = RelPath::root();
    let mut tail: Vec<&[u8]> = Vec::new();
    for part in parts(path.as_bytes()) {
        if tail.is_empty() && !Glob::is_wild(part) {
            head = head.join(part);
        } else {
            tail.push(part);
        }
    }
    (head, tail.join(&b'/'))
}

fn patterns(texts: &[String]) -> Option<Excludes> {
    let texts = texts.iter().filter(|text| !text.trim().is_empty());
    let patterns: Result<Vec<_>, _> = texts.map(|text| Pattern::new(text.as_bytes())).collect();
    patterns.ok().map(Excludes::new)
}

/// The indices of the names directly inside `folder`. Jumps over what lies deeper.
fn children<'t>(tree: &'t Tree, folder: &RelPath) -> impl Iterator<Item = usize> + use<'t> {
    let range = tree.below(folder);
    let skip = if folder.is_root() { 0 } else { folder.as_bytes().len() + 1 };
    let mut at = range.start;
    std::iter::from_fn(move || {
        while at < range.end {
            let path = tree.nodes()[at].path.as_bytes();
            let Some(slash) = path[skip..].iter().position(|b| *b == b'/') else {
                at += 1;
                return Some(at - 1);
            };
            let deeper = RelPath::new(&path[..skip + slash]).expect("the start of a path up to a slash is a path");
            at = tree.below(&deeper).end;
        }
        None
    })
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
