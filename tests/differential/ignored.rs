//! `docker build` and the ignore matcher: the whole context that `context` puts together is what the docker command sends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use orchestrate::fingerprint::FileKind;

use crate::case::Case;
use crate::context;
use crate::dice::Dice;
use crate::mutations;
use crate::shapes;

/// Classes of changes that ignore files are about.
const CLASSES: [&str; 6] = [
    "one more pattern",
    "one pattern less",
    "patterns in another order",
    "an ignore file with ends of Windows",
    "a new ignore file",
    "a new ignore file of the Dockerfile",
];

/// Asks the docker command about `count` projects; gives what it sends otherwise.
pub fn unlike(count: usize, seed: u64) -> Vec<String> {
    let shapes: Vec<_> = shapes::all().into_iter().filter(|shape| shape.name.starts_with("ignore")).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for number in 0..count {
        let mut dice = Dice::new(seed, &format!("ignored {number}"));
        let shape = shapes[number % shapes.len()];
        let root = folder.path().join(number.to_string());
        fs::create_dir(&root).unwrap();
        let mut case = Case::new(&root.canonicalize().unwrap(), "salt".to_owned());
        (shape.make)(&mut case);
        let mut what = Vec::new();
        for _ in 0..number / shapes.len() {
            let class = mutations::named(CLASSES[dice.below(CLASSES.len())]);
            what.extend((class.apply)(&mut case, &mut dice));
        }
        case.dockerfile("FROM scratch\nCOPY . /\n");
        let (ours, docker) = (ours(&case), sent(&case));
        if ours != docker {
            let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
            let (more, less) = (only(&ours, &docker), only(&docker, &ours));
            found.push(format!("{}: {what:?}: only ours {more:?}, only docker's {less:?}", shape.name));
        }
    }
    found
}

fn ours(case: &Case) -> BTreeSet<String> {
    let snapshot = context::main(case);
    let mut names = BTreeSet::new();
    for entry in snapshot.files().entries() {
        let folder = entry.kind == FileKind::Folder;
        names.insert(format!("{}{}", entry.path, if folder { "/" } else { "" }));
        // A folder that is left out is there all the same where something in it is kept.
        let mut above = entry.path.parent();
        while let Some(path) = above.filter(|path| !path.is_root()) {
            names.insert(format!("{path}/"));
            above = path.parent();
        }
    }
    names
}

/// The paths of what `docker buildx build` makes of the context.
fn sent(case: &Case) -> BTreeSet<String> {
    let tar = case.root.join("result.tar");
    let output = Command::new("docker")
        .args(["buildx", "build", "--quiet", "--file"])
        .arg(case.root.join(&case.spec.dockerfile))
        .arg(format!("--output=type=tar,dest={}", tar.display()))
        .arg(case.root.join(&case.spec.context))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    names(&tar)
}

fn names(tar: &Path) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(fs::File::open(tar).unwrap());
    let name = |entry: std::io::Result<tar::Entry<'_, fs::File>>| {
        let entry = entry.unwrap();
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_end_matches('/').to_owned();
        let folder = entry.header().entry_type() == tar::EntryType::Directory;
        format!("{name}{}", if folder { "/" } else { "" })
    };
    archive.entries().unwrap().map(name).collect()
}
