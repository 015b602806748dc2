//! Inputs that are put together or lie elsewhere, and what cannot be one.

use std::fs;
use std::time::Duration;

use super::super::*;
use super::support::{Ask, located, part, paths, place, project, reads};
use crate::path::RelPath;
use crate::project::{Context, ContextPart, Generated, Located, Modes};

#[test]
fn assembled_contexts_keep_the_layout() {
    let folder =
        project(&[("go.mod", "m"), ("cmd/api/main.go", "a"), ("cmd/api/x.md", ""), ("lib/l.go", "l"), ("other", "")]);
    let parts = vec![
        part("go.mod", "go.mod", &[]),
        part("cmd/api", "cmd/api", &["*.go"]),
        part("cmd", "cmd", &["**/*.go"]),
        part("lib", "vendor/lib", &[]),
    ];
    let ask = Ask { context: Context::Assembled(parts), ..Ask::default() };
    assert_eq!(ask.paths(folder.path()), "cmd cmd/api cmd/api/main.go go.mod vendor vendor/lib vendor/lib/l.go");
    let files = ask.at(folder.path()).unwrap();
    let mut text = String::new();
    let path = RelPath::new(b"vendor/lib/l.go").unwrap();
    std::io::Read::read_to_string(&mut files.snapshot.open(&path).unwrap(), &mut text).unwrap();
    assert_eq!(text, "l");

    let problem =
        |parts: Vec<ContextPart>| Ask { context: Context::Assembled(parts), ..Ask::default() }.problem(folder.path());
    let clash = problem(vec![part("lib", "x", &[]), part("cmd", "x", &[])]);
    assert!(clash.starts_with("context-overlap: two parts of the context both give"), "{clash}");
    let clash = problem(vec![part("cmd", "", &[]), part("other", "api", &[])]);
    assert!(clash.starts_with("context-overlap"), "{clash}");
    assert!(problem(vec![part("nowhere", "x", &[])]).starts_with("missing-context"));
    assert!(problem(vec![part("lib", "../x", &[])]).starts_with("bad-context-path"));
}

#[test]
fn extra_inputs_are_hashed_wherever_they_lie() {
    let outer =
        project(&[("go.mod", "m"), ("repo/a.json", "{}"), ("repo/x/b.json", ""), ("repo/.orchestrate/c.json", "")]);
    let root = outer.path().join("repo");
    let mut workspace = Workspace::open(&root).unwrap();
    assert!(workspace.extra(&[located("../go.mod")], Modes::Git).is_err(), "outside the repository");
    workspace.allow_outside(outer.path());
    let files = workspace.extra(&[located("**/*.json"), located("../go.mod")], Modes::Git).unwrap();
    assert_eq!(paths(&files), "(parent) (parent)/go.mod a.json x x/b.json");
    assert!(workspace.extra(&[located("nowhere")], Modes::Git).is_err());
    assert!(workspace.extra(&[], Modes::Git).unwrap().entries().is_empty());
}

#[test]
fn what_cannot_be_an_input_is_refused_only_where_it_is_one() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let folder = project(&[
        ("good", ""),
        ("big.bin", pointer),
        (".gitmodules", "[submodule \"s\"]\n\tpath = libs/s\n"),
        (".git/HEAD", ""),
    ]);
    let root = folder.path();
    fs::create_dir_all(root.join("libs/s")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
    assert!(fifo.success());
    assert_eq!(Ask { reads: reads(&["good"]), ..Ask::default() }.paths(root), "good");
    for _ in 0..2 {
        // The second time the cache knows that it is a pointer.
        let problem = Ask { reads: reads(&["big.bin"]), ..Ask::default() }.problem(root);
        assert!(problem.starts_with("lfs-pointer: `big.bin` among the inputs"), "{problem}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let problem = Ask { reads: reads(&["libs"]), ..Ask::default() }.problem(root);
    assert_eq!(problem, "empty-submodule: the git submodule `libs/s` is an input and was not fetched");
    let problem = Ask { reads: reads(&["pipe"]), ..Ask::default() }.problem(root);
    assert!(problem.starts_with("special-file: `pipe`"), "{problem}");
    let problem = Ask { context: Context::Folder("nowhere".to_owned()), ..Ask::default() }.problem(root);
    assert_eq!(problem, "missing-context: the context `nowhere` does not exist");
}

#[test]
fn texts_globs_and_generated_files() {
    let folder =
        project(&[("a/Dockerfile", ""), ("b/Dockerfile", ""), ("b/c/Dockerfile", ""), (".git/Dockerfile", "")]);
    fs::write(folder.path().join("binary"), b"\xff").unwrap();
    let workspace = Workspace::open(folder.path()).unwrap();
    assert_eq!(workspace.glob("*/Dockerfile").unwrap(), ["a/Dockerfile", "b/Dockerfile"]);
    assert_eq!(workspace.glob("b/**/Dockerfile").unwrap(), ["b/Dockerfile", "b/c/Dockerfile"]);
    assert_eq!(workspace.glob("*").unwrap(), ["a", "b", "binary"]);
    assert_eq!(workspace.glob("a/").unwrap(), ["a"]);
    assert_eq!(workspace.glob("{a,b/c}/Dockerfile").unwrap(), ["a/Dockerfile", "b/c/Dockerfile"]);
    assert!(workspace.glob("nowhere/*").unwrap().is_empty());
    assert!(workspace.read_source("nowhere").unwrap().is_none());
    assert_eq!(workspace.read_source("binary").unwrap_err().to_string(), "`binary` is not UTF-8");
    let generated =
        Located { value: Generated { path: "gen/x.go".to_owned(), by: "make proto".to_owned() }, location: place() };
    let problems = workspace.missing_generated(&[generated]);
    assert!(problems.sorted()[0].help.as_ref().unwrap().contains("make proto"));
}
