//! Sources against a tree. Lines marked "seen" were compared with a real BuildKit.

use super::*;
use crate::problem::Source;
use crate::tree::Node;

fn tree(names: &[&str]) -> Tree {
    let node = |name: &&str| {
        let (path, kind) = match name.split_once(" -> ") {
            Some((path, target)) => (path, NodeKind::Link(target.as_bytes().into())),
            None => match name.strip_suffix('/') {
                Some(folder) => (folder, NodeKind::Folder),
                None => (*name, NodeKind::File),
            },
        };
        Node { path: RelPath::new(path.as_bytes()).unwrap(), kind }
    };
    Tree::new(names.iter().map(node).collect())
}

fn context() -> Tree {
    tree(&[
        "a.txt",
        "a-b",
        "busybox",
        "dangling -> nowhere",
        "dir/",
        "dir/b.txt",
        "dir/empty/",
        "dir/sub/",
        "dir/sub/c.txt",
        "dir/up -> ../../../a.txt",
        "dir.d/",
        "dir.d/x",
        "la -> a.txt",
        "labs -> /dir/b.txt",
        "ld -> dir",
        "loop -> loop",
        "we[i]rd",
        "in -> ld/sub",
    ])
}

fn read(pattern: &str) -> Read {
    Read {
        pattern: pattern.to_owned(),
        kind: ReadKind::Copy,
        parents: false,
        exclude: Vec::new(),
        location: Source::new("Dockerfile", "").at(0, 0),
        text: pattern.to_owned(),
    }
}

fn names(tree: &Tree, selection: &Selection) -> String {
    let names: Vec<_> = selection.iter().map(|(node, _)| tree.nodes()[node].path.to_string()).collect();
    names.join(" ")
}

const ALL: &str = "a-b a.txt busybox dangling dir dir.d dir.d/x dir/b.txt dir/empty dir/sub dir/sub/c.txt dir/up in la labs ld loop we[i]rd";

#[test]
fn sources_as_buildkit_reads_them() {
    for (pattern, want) in [
        ("a.txt", "a.txt"),          // seen
        ("/a.txt", "a.txt"),         // seen
        ("../a.txt", "a.txt"),       // seen
        ("a.txt/", "a.txt"),         // seen
        ("dir/../a.txt", "a.txt"),   // seen
        ("nodir/../a.txt", "a.txt"), // seen
        ("ld/../a.txt", "a.txt"),    // seen
        (".", ALL),                  // seen
        ("", ALL),                   // seen
        ("/", ALL),
        ("dir", "dir dir/b.txt dir/empty dir/sub dir/sub/c.txt dir/up"), // seen
        ("./dir/./sub", "dir dir/sub dir/sub/c.txt"),                    // seen
        ("dir/sub/c.txt", "dir dir/sub dir/sub/c.txt"),
        ("la", "a.txt la"),               // seen
        ("labs", "dir dir/b.txt labs"),   // seen
        ("dir/up", "a.txt dir dir/up"),   // seen
        ("ld/b.txt", "dir dir/b.txt ld"), // seen
        ("in", "dir dir/sub dir/sub/c.txt in ld"),
        ("nothing*", ""), // seen
        ("a*", "a-b a.txt"),
        ("*/b.txt", "dir dir/b.txt"),                                             // seen
        ("l?/b.txt", ""),                                                         // seen: links are not walked
        ("dir/*", "a.txt dir dir/b.txt dir/empty dir/sub dir/sub/c.txt dir/up"),  // seen
        ("dir/**", "a.txt dir dir/b.txt dir/empty dir/sub dir/sub/c.txt dir/up"), // seen
        ("dir/*/c.txt", "dir dir/sub dir/sub/c.txt"),
        ("dir[.]d/x", "dir.d dir.d/x"),
        ("we[[]i]rd", "we[i]rd"),
        ("[ab]*", "a-b a.txt busybox"),
    ] {
        let tree = context();
        let selection = select(&tree, &[read(pattern)]);
        assert_eq!((names(&tree, &selection).as_str(), selection.missing.len()), (want, 0), "{pattern} {selection:?}");
    }
}

#[test]
fn sources_with_which_a_build_fails() {
    for (pattern, path) in [
        ("nothing", "nothing"),           // seen
        ("dangling", "nowhere"),          // seen
        ("dang*", "nowhere"),             // seen
        ("nodir/*.txt", "nodir"),         // seen
        ("dir/*.zip", "dir"),             // seen: the folder is not sent
        ("dir/empty/*.txt", "dir/empty"), // seen
        ("a.txt/foo", "a.txt/foo"),       // seen
        ("a.txt/*", "a.txt"),             // seen
        ("a\\*", "a\\\\*"),               // seen: without a wildcard the backslash is a character
        ("[a.txt", "[a.txt"),             // seen
        ("loop", "loop"),
        ("dir/nothing/x", "dir/nothing"),
    ] {
        let missing = select(&context(), &[read(pattern)]).missing;
        assert_eq!(missing.first().map(|missing| missing.path.as_str()), Some(path), "{pattern}");
    }
    let others = [read("dir/*.zip"), read("dir/b.txt")];
    assert!(select(&context(), &others).missing.is_empty(), "another source sends the folder");
    let bind = Read { kind: ReadKind::Bind, ..read("nothing*") };
    assert_eq!(select(&context(), &[bind]).missing.len(), 1, "mounts have no wildcards");
}

/// BuildKit before 0.25 and 0.26 refused some of these; newer ones copy the links as they are.
#[test]
fn links_below_what_is_copied_need_not_lead_anywhere() {
    let names_of =
        ["README.md -> docs/README.md", "docs/", "docs/README.md", "dl/", "dl/broken -> nowhere", "in -> docs"];
    let tree = tree(&names_of);
    let exclude = |exclude: &str, pattern: &str| Read { exclude: vec![exclude.to_owned()], ..read(pattern) };
    let parents = |pattern: &str| Read { parents: true, ..read(pattern) };
    for (read, want) in [
        (exclude("docs", "."), "README.md dl dl/broken in"),
        (exclude("x", "dl"), "dl dl/broken"),
        (read("dl"), "dl dl/broken"),
        (read("dl*"), "dl dl/broken"),
        (read("*"), "README.md dl dl/broken docs docs/README.md in"),
        (parents("dl"), "dl dl/broken"),
        (parents("in"), "in"),
        (parents("*.md"), "README.md"),
    ] {
        let selection = select(&tree, std::slice::from_ref(&read));
        assert_eq!((names(&tree, &selection).as_str(), selection.missing.len()), (want, 0), "{read:?}");
    }
    // Refused by old and new: a match of a wildcard that is itself a broken link.
    assert_eq!(select(&tree, &[read("dl/br*")]).missing.len(), 1);
    assert_eq!(select(&tree, &[read("*/br*")]).missing.len(), 1);
}

#[test]
fn excludes_are_relative_to_the_source() {
    let tree = context();
    let read = Read { exclude: vec!["/sub".to_owned()], ..read("dir") };
    assert_eq!(names(&tree, &select(&tree, &[read])), "dir dir/b.txt dir/empty dir/sub dir/sub/c.txt dir/up");
}

#[test]
fn excludes_see_paths_below_the_source() {
    for (source, exclude, want) in [
        ("dir", "*.txt", "dir dir/empty dir/sub dir/sub/c.txt dir/up"),
        ("dir", "**/*.txt", "dir dir/empty dir/sub dir/up"),
        ("dir", "sub", "dir dir/b.txt dir/empty dir/up"),
        ("dir", "dir/sub", "dir dir/b.txt dir/empty dir/sub dir/sub/c.txt dir/up"),
        ("a.txt", "*.txt", "a.txt"),
    ] {
        let tree = context();
        let read = Read { exclude: vec![exclude.to_owned()], ..read(source) };
        assert_eq!(names(&tree, &select(&tree, &[read])), want, "{source} {exclude}");
    }
    let tree = context();
    let read = Read { exclude: vec!["*".to_owned(), "!sub/c.txt".to_owned()], ..read("dir") };
    assert_eq!(names(&tree, &select(&tree, &[read])), "dir dir/sub dir/sub/c.txt");
}

#[test]
fn parents_take_patterns_and_a_pivot() {
    for (source, want, missing) in [
        ("dir/sub/c.txt", "dir dir/sub dir/sub/c.txt", 0),
        ("dir/./sub/c.txt", "dir dir/sub dir/sub/c.txt", 0),
        ("**/*.txt", "a.txt dir dir/b.txt dir/sub dir/sub/c.txt", 0),
        ("dir/./**/c.txt", "dir dir/sub dir/sub/c.txt", 0),
        ("dir/sub", "dir dir/sub dir/sub/c.txt", 0),
        ("*.zip", "", 0),
        ("dir/none", "", 1),
    ] {
        let tree = context();
        let selection = select(&tree, &[Read { parents: true, ..read(source) }]);
        let got = names(&tree, &selection);
        assert_eq!(selection.missing.len(), missing, "{source}");
        if missing == 0 {
            assert_eq!(got, want, "{source}");
        }
    }
}

#[test]
fn runs_are_sorted_and_disjoint() {
    let tree = context();
    let selection = select(&tree, &[read("dir/b.txt"), read("dir"), read("."), read("a*")]);
    assert_eq!(names(&tree, &selection), ALL);
    assert!(selection.runs.windows(2).all(|two| two[0].nodes.end <= two[1].nodes.start));
    assert_eq!(selection.len(), tree.nodes().len());
    assert!((0..tree.nodes().len()).all(|node| selection.contains(node)) && !selection.contains(tree.nodes().len()));
}

#[test]
fn many_images_read_one_large_tree() {
    let names: Vec<String> = (0..200_000).map(|n| format!("d{:03}/f{:04}", n % 1000, n / 1000)).collect();
    let folders: Vec<String> = (0..1000).map(|n| format!("d{n:03}/")).collect();
    let all: Vec<&str> = names.iter().chain(&folders).map(String::as_str).collect();
    let tree = tree(&all);
    // A scan of the whole tree for each image would be noticed: bench/run times it.
    for image in (0..1000).step_by(50) {
        let selection =
            select(&tree, &[read(&format!("d{image:03}")), read(&format!("d{image:03}/f*")), read("*/f0001")]);
        assert_eq!(selection.len(), 201 + 999 * 2);
        let whole = select(&tree, &[read(".")]);
        assert_eq!(whole.runs.len(), 1);
    }
}
