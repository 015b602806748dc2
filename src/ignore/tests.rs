//! The matcher's rules, each by an example; and the walker's form against the plain one.

use proptest::prelude::*;

use super::*;

fn ignore(text: &str) -> Ignore {
    Ignore::parse(&Source::new(".dockerignore", text)).unwrap()
}

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

#[test]
fn what_is_ignored() {
    for (file, name, want) in [
        ("a", "a", true),
        ("a", "a/b", true),
        ("a", "x/a", false),
        ("/a", "a", true),
        ("a/", "a", true),
        ("./a", "a", true),
        ("a//b", "a/b", true),
        ("a/../b", "b", true),
        ("  a  ", "a", true),
        ("# a", "# a", false),
        (" # a", "# a", true),
        ("\u{feff}a", "a", true),
        ("a\r\nb\r\n", "b", true),
        ("*", "a", true),
        ("*", "a/b", true),
        ("*.md", "README.md", true),
        ("*.md", "x/README.md", false),
        ("*/*.md", "x/README.md", true),
        ("**/*.md", "README.md", true),
        ("**/*.md", "x/y/README.md", true),
        ("**", "a/b/c", true),
        ("**/a", "a", true),
        ("**/a", "x/a", true),
        ("**/a", "xa", false),
        ("**a", "xa", true),
        ("a/**", "a/b", true),
        ("a/**", "a", false),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "a/xb", false),
        ("a**b", "axb", false),
        ("a**", "ab/c", true),
        ("a?c", "abc", true),
        ("a?c", "a/c", false),
        ("a[bc]d", "abd", true),
        ("a[^b]d", "abd", false),
        ("a[!b]d", "a!d", true),
        ("a[!b]d", "acd", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("a.c", "abc", false),
        ("a+b*", "a+bc", true),
        ("(a)*", "(a)b", true),
        ("$a*", "$ab", true),
        ("A", "a", false),
        ("*\n!a", "a", false),
        ("*\n!a", "b", true),
        ("!a\n*", "a", true),
        ("*\n!a\na/b", "a/b", true),
        ("*\n!a\na/b", "a/c", false),
        ("a\n!a/b", "a/b", false),
        ("a\n!a/b", "a/b/c", false),
        ("a\n!a/b", "a/c", true),
        ("a\n!a/b", "a", true),
        ("a/*\n!a/b", "a/b", false),
        ("**\n!**/*.go", "x/y.go", false),
        ("**\n!**/*.go", "x/y.c", true),
        ("! a\na", "a", true),
        ("a\n! a", "a", false),
        ("a\n!/a", "a", false),
        ("a\n!a\na", "a", true),
        (".", "a", false),
        ("/", "a", false),
        ("..", "a", false),
        ("../a", "a", false),
        (".git", ".git/config", true),
        (".*", ".env", true),
        (".*", "x/.env", false),
        ("a{1}", "a{1}", true),
        ("a{1}*", "a", true),
        ("ü*", "über", true),
        ("a?b", "aüb", true),
    ] {
        assert_eq!(ignore(file).matched(&path(name)).is_ignored(), want, "{file:?} {name}");
    }
}

#[test]
fn the_line_that_decided_is_named() {
    let file = ignore("# all\n*\n!src\nsrc/*.tmp\n");
    let line = |name: &str| match file.matched(&path(name)) {
        Match::None => "none".to_owned(),
        Match::Ignored(line) => format!("ignored by {}", line.location),
        Match::Kept(line) => format!("kept by {} {}", line.location, line.text),
    };
    assert_eq!(line("a"), "ignored by .dockerignore:2:1");
    assert_eq!(line("src/x"), "kept by .dockerignore:3:1 !src");
    assert_eq!(line("src/x.tmp"), "ignored by .dockerignore:4:1");
    assert!(Ignore::empty().is_empty() && ignore("# x\n\n").is_empty());
    assert_eq!(ignore("a").matched(&RelPath::root()), Match::None);
}

#[test]
fn what_docker_refuses() {
    for text in ["!", "a\n! \n", "[", "a[", "a\\", "[]a]"] {
        assert!(Ignore::parse(&Source::new("x", text)).is_err(), "{text:?}");
    }
    let all = Ignore::parse(&Source::new("x", "[\nok\n!\n")).unwrap_err();
    assert_eq!(all.sorted().len(), 2);
}

#[test]
fn folders_are_skipped_only_where_nothing_can_come_back() {
    for (file, folder, want) in [
        ("a", "a", false),
        ("*\n!a/b", "a", true),
        ("*\n!a/b", "c", false),
        ("*\n!a", "b", false),
        ("*\n!**/x", "any/where", true),
        ("*\n!*/x", "a", true),
        ("*\n!*/x", "a/b", false),
        ("*\n!a/*/x", "a/b", true),
        ("*\n!a/*/x", "b", false),
        ("*\n!a[b/]c", "a", true),
        ("*\n!ab", "a", false),
        ("*\n!a/**", "a", true),
    ] {
        assert_eq!(ignore(file).may_keep_below(&path(folder)), want, "{file:?} {folder}");
    }
}

#[test]
fn names_need_not_be_utf8() {
    let name = RelPath::new(b"a\xff\xfe").unwrap();
    assert!(ignore("a??").matched(&name).is_ignored());
    assert!(ignore("a*").matched(&name).is_ignored());
    assert!(!ignore("a?").matched(&name).is_ignored());
}

proptest! {
    #[test]
    fn arbitrary_files_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), name in "[a-c/]{0,8}") {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let (Ok(file), Some(name)) = (Ignore::parse(&Source::new("x", text)), RelPath::new(name.as_bytes())) {
            let _ = file.matched(&name);
        }
    }

    /// A walker that prunes sees the same names as one that asks for each path anew.
    #[test]
    fn a_walker_agrees(
        lines in proptest::collection::vec("!?(\\*\\*/|\\*/|a/|b/)?[ab*?]{1,2}(/[ab*]|/\\*\\*)?", 1..6),
        names in proptest::collection::btree_set("[ab]{1,2}(/[ab]{1,2}){0,3}", 1..8),
    ) {
        let file = ignore(&lines.join("\n"));
        for name in names {
            let plain = file.matched(&path(&name)).is_ignored();
            let (mut state, mut pruned) = (State::default(), false);
            for (at, _) in name.match_indices('/') {
                let folder = path(&name[..at]);
                let (verdict, inner) = file.folder(&folder, &state);
                state = inner;
                pruned |= verdict.is_ignored() && !file.may_keep_below(&folder);
            }
            let walked = pruned || file.child(&path(&name), &state).is_ignored();
            prop_assert_eq!(walked, plain, "{:?} {}", lines, name);
        }
    }
}
