//! Which contexts of the builds to come are sent to BuildKit once for several of them. Pure.
//!
//! Images of one repository mostly read one folder, each a part of it. What is sent for all of them is the union of what they read. An image
//! gets it if its Dockerfile sees in the union what it sees in its own snapshot, no more and no less; `COPY . /` among images with
//! ignore files of their own does not. The others share what is equal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::work::Work;
use crate::dockerfile::{Read, select};
use crate::fingerprint::{FileEntry, FileKind, FileSet};
use crate::name::ImageName;
use crate::path::RelPath;
use crate::plan::{Action, Executor, Plan};
use crate::platform::Platform;
use crate::tree::{Node, NodeKind, Tree};
use crate::workspace::{Origin, Snapshot};

/// Who reads a context: an image, a platform, and the context's name (`""` for the main one).
type Reader = (ImageName, Platform, String);

/// What is sent once for several builds, by who reads it.
#[derive(Clone, Debug, Default)]
pub struct Together(BTreeMap<Reader, Snapshot>);

/// One build's use of a context.
struct Use<'a> {
    reader: Reader,
    snapshot: &'a Snapshot,
    /// What the Dockerfile reads of it; all of it if that is not known.
    reads: Option<&'a [Read]>,
}

impl Together {
    /// Of all builds by BuildKit that a plan has.
    pub fn of(work: &Work, plan: &Plan) -> Self {
        let mut places: BTreeMap<Vec<(RelPath, PathBuf)>, Vec<Use<'_>>> = BTreeMap::new();
        let builds =
            plan.images.iter().filter(|step| step.action == Action::Build && step.executor == Executor::Buildkit);
        for (name, image) in builds.filter_map(|step| Some((&step.name, work.images.get(&step.name)?))) {
            for (platform, planned) in &image.platforms {
                let analysis = &planned.recipe.analysis;
                for (context, snapshot) in &planned.contexts {
                    let reads = analysis.reads.get(context).filter(|_| analysis.frontend_known);
                    let reader = (name.clone(), platform.clone(), context.clone());
                    let used = Use { reader, snapshot, reads: reads.map(Vec::as_slice) };
                    places.entry(place(snapshot)).or_default().push(used);
                }
            }
        }
        let mut together = Self::default();
        for uses in places.values() {
            together.add(uses);
        }
        together
    }

    /// What is sent for a reader, if it is not sent for that one alone.
    pub fn get(&self, image: &ImageName, platform: &Platform, context: &str) -> Option<&Snapshot> {
        self.0.get(&(image.clone(), platform.clone(), context.to_owned()))
    }

    fn add(&mut self, uses: &[Use<'_>]) {
        let union = union_of(uses);
        let tree = tree(&union);
        // Many images have one set and one way to read it (`COPY . /`).
        let mut known: HashMap<([u8; 32], Option<Vec<String>>), bool> = HashMap::new();
        let fits = |used: &&Use<'_>| {
            let key = (*used.snapshot.files().hash(), used.reads.map(|reads| reads.iter().map(sight).collect()));
            !has_placeholders(used.snapshot) && *known.entry(key).or_insert_with(|| sees_the_same(used, &union, &tree))
        };
        let (fitting, others): (Vec<&Use<'_>>, Vec<&Use<'_>>) = uses.iter().partition(fits);
        // What only others read need not be sent.
        let union = union_of(fitting.iter().copied());
        if let [first, _, ..] = &fitting[..] {
            let snapshot = Snapshot::new(Arc::new(FileSet::new(union)), Arc::new(first.snapshot.origin().clone()));
            self.0.extend(fitting.iter().map(|used| (used.reader.clone(), snapshot.clone())));
        }
        let mut equal: BTreeMap<&[u8; 32], Vec<&Use<'_>>> = BTreeMap::new();
        for used in others {
            equal.entry(used.snapshot.files().hash()).or_default().push(used);
        }
        for same in equal.values().filter(|same| same.len() > 1) {
            self.0.extend(same.iter().map(|used| (used.reader.clone(), same[0].snapshot.clone())));
        }
    }
}

/// What of a read decides what it sees.
fn sight(read: &Read) -> String {
    format!("{:?} {} {:?} {:?}", read.kind, read.parents, read.pattern, read.exclude)
}

fn place(snapshot: &Snapshot) -> Vec<(RelPath, PathBuf)> {
    match snapshot.origin() {
        Origin::Folder(folder) => vec![(RelPath::root(), folder.clone())],
        Origin::Assembled(parts) => parts.clone(),
    }
}

/// The entries that any of them reads, sorted; each path as the first has it.
fn union_of<'a>(uses: impl IntoIterator<Item = &'a Use<'a>>) -> Vec<FileEntry> {
    let mut seen = BTreeSet::new();
    let mut entries: BTreeMap<&RelPath, &FileEntry> = BTreeMap::new();
    for used in uses {
        // Equal sets are kept once in memory.
        if seen.insert(used.snapshot.files().hash()) {
            for entry in used.snapshot.files().entries() {
                entries.entry(&entry.path).or_insert(entry);
            }
        }
    }
    entries.into_values().cloned().collect()
}

fn tree(entries: &[FileEntry]) -> Tree {
    let node = |entry: &FileEntry| {
        let kind = match &entry.kind {
            FileKind::Folder => NodeKind::Folder,
            FileKind::File { .. } => NodeKind::File,
            FileKind::Link { target } => NodeKind::Link(target.as_bytes().into()),
        };
        Node { path: entry.path.clone(), kind }
    };
    Tree::new(entries.iter().map(node).collect())
}

/// Whether it sends empty files for some that are not: the union is read from the disk.
fn has_placeholders(snapshot: &Snapshot) -> bool {
    snapshot.files().entries().iter().any(|entry| snapshot.is_placeholder(&entry.path))
}

/// Whether the reads of a Dockerfile choose of the union what the snapshot has.
fn sees_the_same(used: &Use<'_>, union: &[FileEntry], tree: &Tree) -> bool {
    let own = used.snapshot.files().entries();
    let Some(reads) = used.reads else { return own == union };
    let selection = select(tree, reads);
    selection.missing.is_empty()
        && selection.len() == own.len()
        && selection.iter().zip(own).all(|((node, _), entry)| union[node] == *entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::ContentHash;
    use crate::dockerfile::ReadKind;
    use crate::problem::Source;

    const SHARED: &str = "shared/a shared/b";

    fn file(path: &str) -> FileEntry {
        let kind = FileKind::File { hash: ContentHash::from_bytes(*blake3::hash(path.as_bytes()).as_bytes()), size: 1 };
        FileEntry { path: RelPath::new(path.as_bytes()).unwrap(), kind, mode: 0o644 }
    }

    fn snapshot(at: &str, paths: &str) -> Snapshot {
        let mut entries: Vec<FileEntry> = paths.split_whitespace().map(file).collect();
        let folders: BTreeSet<RelPath> = entries.iter().filter_map(|entry| entry.path.parent()).collect();
        let folders = folders.into_iter().filter(|path| !path.is_root());
        entries.extend(folders.map(|path| FileEntry { path, kind: FileKind::Folder, mode: 0o755 }));
        Snapshot::new(Arc::new(FileSet::new(entries)), Arc::new(Origin::Folder(at.into())))
    }

    fn reads(sources: &str) -> Vec<Read> {
        let read = |pattern: &str| Read {
            pattern: pattern.to_owned(),
            kind: ReadKind::Copy,
            parents: false,
            exclude: Vec::new(),
            location: Source::new("Dockerfile", "COPY x /").at(1, 1),
            text: pattern.to_owned(),
        };
        sources.split_whitespace().map(read).collect()
    }

    /// What is sent for each image (named by its place in the list), given the files that it sees and the sources that it copies.
    fn sent(images: &[(&str, Option<&str>)]) -> Vec<Option<String>> {
        let images: Vec<_> =
            images.iter().map(|(files, sources)| (snapshot("/c", files), sources.map(reads))).collect();
        let reader = |index: usize| (ImageName::new(format!("i{index}")), Platform::of_this_machine(), String::new());
        let used = |(index, (snapshot, reads)): (usize, &'_ (Snapshot, Option<Vec<Read>>))| {
            (reader(index), snapshot.clone(), reads.clone())
        };
        let owned: Vec<_> = images.iter().enumerate().map(used).collect();
        let uses: Vec<Use<'_>> = owned
            .iter()
            .map(|(reader, snapshot, reads)| Use { reader: reader.clone(), snapshot, reads: reads.as_deref() })
            .collect();
        let mut together = Together::default();
        together.add(&uses);
        let paths = |snapshot: &Snapshot| {
            let files = snapshot.files().entries().iter().filter(|entry| entry.kind != FileKind::Folder);
            files.map(|entry| entry.path.to_string()).collect::<Vec<_>>().join(" ")
        };
        (0..images.len()).map(|index| together.0.get(&reader(index)).map(paths)).collect()
    }

    #[test]
    fn images_that_copy_parts_of_a_folder_get_the_union() {
        let all = Some("one/x shared/a shared/b two/y".to_owned());
        let one = ("one/x shared/a shared/b", Some("one shared"));
        let two = ("shared/a shared/b two/y", Some("shared two/*"));
        assert_eq!(sent(&[one, two]), [all.clone(), all]);
        assert_eq!(sent(&[one]), [None], "what one build reads is sent for it alone");
    }

    #[test]
    fn who_would_see_more_in_the_union_keeps_the_own_snapshot() {
        // `COPY .` with ignore files of their own, a wildcard that matches another image's files, a front end that is not known.
        let whole = (SHARED, Some("."));
        let part = ("one/x", Some("one"));
        assert_eq!(sent(&[whole, part]), [None, None]);
        assert_eq!(sent(&[("a.txt", Some("*.txt")), ("b.txt", Some("b.txt"))]), [None, None]);
        assert_eq!(sent(&[(SHARED, None), part]), [None, None]);
        let shared = Some(SHARED.to_owned());
        assert_eq!(
            sent(&[whole, part, whole]),
            [shared.clone(), None, shared.clone()],
            "equal snapshots are sent once"
        );
        assert_eq!(sent(&[(SHARED, None), (SHARED, None)]), [shared.clone(), shared]);
    }

    #[test]
    fn what_only_others_read_is_not_in_the_union() {
        let both = Some("shared/a shared/b".to_owned());
        let part = (SHARED, Some("shared"));
        assert_eq!(sent(&[part, part, ("other/z shared/a", Some("."))])[..2], [both.clone(), both]);
    }

    #[test]
    fn a_path_that_two_see_differently_is_not_shared() {
        let mut other = file("shared/a");
        other.mode = 0o755;
        let one = snapshot("/c", "shared/a");
        let folder = one.files().entries()[0].clone();
        let two = Snapshot::new(Arc::new(FileSet::new(vec![folder, other])), Arc::new(one.origin().clone()));
        let reads = reads("shared");
        let used = |name: &str, snapshot| Use {
            reader: (ImageName::new(name), Platform::of_this_machine(), String::new()),
            snapshot,
            reads: Some(&reads[..]),
        };
        let mut together = Together::default();
        together.add(&[used("one", &one), used("two", &two)]);
        assert!(together.0.is_empty());
    }
}
