//! Which files are inputs: contexts, ignore files, reads, globs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::*;
use super::support::{Ask, inputs, paths, place, project, reads};
use crate::fingerprint::FileKind;
use crate::problem::Source;
use crate::project::{Context, Modes};

#[test]
fn the_whole_context_without_what_is_never_part_of_it() {
    let folder = project(&[
        ("a-b", ""),
        ("a/x", ""),
        ("a.b", ""),
        (".git/HEAD", ""),
        ("sub/.git", "gitdir: x"),
        ("sub/y", ""),
        ("sub/deploy.lock", ""),
        ("deploy.lock", ""),
        ("images/index.json", ""),
        ("out/plan.json", ""),
        (".orchestrate/x", ""),
    ]);
    let mut workspace = Workspace::open(folder.path()).unwrap();
    workspace.leave_out(["images", "./out/plan.json"]);
    let files = Ask::default().of(&mut workspace).unwrap();
    assert_eq!(paths(files.snapshot.files()), "a a-b a.b a/x out sub sub/deploy.lock sub/y");

    let named = Ask { inputs: inputs(&["a", ".git/HEAD", "images"], &[]), ..Ask::default() };
    let files = named.of(&mut workspace).unwrap();
    assert_eq!(paths(files.snapshot.files()), ".git .git/HEAD a a/x images images/index.json");
}

#[test]
fn kinds_modes_and_links() {
    let folder = project(&[("run", "x"), ("plain", "y"), ("empty/.keep", ""), ("private", "z")]);
    let root = folder.path();
    fs::remove_file(root.join("empty/.keep")).unwrap();
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(root.join("private"), fs::Permissions::from_mode(0o611)).unwrap();
    symlink("../outside", root.join("link")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let describe = |modes: Modes| {
        let files = Ask { modes, ..Ask::default() }.at(root).unwrap();
        let entries = files.snapshot.files().entries().to_vec();
        entries.iter().map(|entry| format!("{} {:o}", entry.path, entry.mode)).collect::<Vec<_>>()
    };
    assert_eq!(describe(Modes::Git), ["empty 755", "link 777", "plain 644", "private 644", "run 755"]);
    assert_eq!(describe(Modes::Exact)[3..], ["private 611", "run 750"]);
    let files = Ask::default().at(root).unwrap();
    let entries = files.snapshot.files().entries();
    assert!(matches!(&entries[1].kind, FileKind::Link { target } if target == "../outside"));
    assert!(
        matches!(&entries[4].kind, FileKind::File { hash, size: 1 } if hash.as_bytes() == blake3::hash(b"x").as_bytes())
    );
}

#[test]
fn the_ignore_file_prunes_and_takes_back() {
    let folder = project(&[("keep/a", ""), ("deep/er/b", ""), ("deep/er/c", ""), ("deep/d", ""), ("gone/e", "")]);
    let ignore = Some(Source::new(".dockerignore", "deep\ngone\n!deep/er/b\n"));
    assert_eq!(Ask { ignore, ..Ask::default() }.paths(folder.path()), "deep deep/er deep/er/b keep keep/a");
}

#[test]
fn reads_choose_and_folders_above_come_along() {
    let folder = project(&[("a/b/c", ""), ("a/b/d", ""), ("a/e", ""), ("f", "")]);
    let ask = Ask { reads: reads(&["a/b/c", "f"]), ..Ask::default() };
    assert_eq!(ask.paths(folder.path()), "a a/b a/b/c f");
    let mut workspace = Workspace::open(folder.path()).unwrap();
    let location = place();
    let because = workspace.because(&ask.request(&location)).unwrap();
    let text: Vec<String> = because.iter().map(|said| format!("{} {:?}", said.path, said.because)).collect();
    assert_eq!(text, ["a Read(0)", "a/b Read(0)", "a/b/c Read(0)", "f Read(1)"]);
    let missing = Ask { reads: reads(&["a/x"]), ..Ask::default() };
    assert_eq!(missing.problem(folder.path()), "source-missing: `a/x` is not in the context");
}

#[test]
fn inputs_narrow_and_say_what_they_dropped() {
    let folder = project(&[("cmd/api/x.go", ""), ("cmd/web/y.go", ""), ("docs/z.md", ""), ("go.mod", "")]);
    let ask = Ask { inputs: inputs(&["cmd", "go.mod"], &["cmd/web"]), ..Ask::default() };
    assert_eq!(ask.paths(folder.path()), "cmd cmd/api cmd/api/x.go go.mod");
    assert_eq!(ask.at(folder.path()).unwrap().dropped, 2);
    let some = Ask { reads: reads(&["cmd/web", "go.mod"]), inputs: inputs(&[], &["**/y.go"]), ..Ask::default() };
    let files = some.at(folder.path()).unwrap();
    assert_eq!((paths(files.snapshot.files()).as_str(), files.dropped), ("cmd cmd/web go.mod", 1));
    let mut workspace = Workspace::open(folder.path()).unwrap();
    let location = place();
    let because = workspace.because(&ask.request(&location)).unwrap();
    let dropped: Vec<String> =
        because.iter().filter(|said| said.because == Because::Dropped).map(|said| said.path.to_string()).collect();
    assert_eq!(dropped, ["cmd/web/y.go", "docs/z.md"]);
    let ask = Ask { inputs: inputs(&[], &["docs"]), reads: reads(&["go.mod", "docs"]), ..Ask::default() };
    assert_eq!(ask.problem(folder.path()), "source-missing: `docs` is not in the context");
    let problems = ask.at(folder.path()).unwrap_err();
    assert!(problems.sorted()[0].help.as_ref().unwrap().starts_with("`inputs` drops it"));
    let ask = Ask { reads: reads(&["docs/*", "cmd/*/x.go"]), inputs: inputs(&["**/*.go"], &[]), ..Ask::default() };
    assert!(ask.problem(folder.path()).starts_with("source-missing: `docs` is not in the context"));
    let ask = Ask { inputs: inputs(&["a["], &[]), ..Ask::default() };
    assert!(ask.problem(folder.path()).starts_with("bad-glob: `a[` is not a glob"));
}

#[test]
fn equal_selections_share_one_set() {
    let folder = project(&[("a/x", ""), ("b/y", "")]);
    let mut workspace = Workspace::open(folder.path()).unwrap();
    let asks = [
        Ask { reads: reads(&["a"]), ..Ask::default() },
        Ask { reads: reads(&["a", "a/x"]), ..Ask::default() },
        Ask { reads: reads(&["b"]), ..Ask::default() },
    ];
    let location = place();
    let requests: Vec<_> = asks.iter().map(|ask| ask.request(&location)).collect();
    let answers: Vec<_> =
        workspace.files(&requests).into_iter().map(|answer| answer.unwrap().snapshot.shared_files()).collect();
    assert!(std::sync::Arc::ptr_eq(&answers[0], &answers[1]));
    assert_ne!(answers[0].hash(), answers[2].hash());
}

#[test]
fn the_ignore_file_of_the_dockerfile_comes_first() {
    let folder = project(&[
        (".dockerignore", "root"),
        ("svc/.dockerignore", "svc"),
        ("svc/Dockerfile.dockerignore", "own"),
        ("other/.dockerignore", "other"),
    ]);
    let workspace = Workspace::open(folder.path()).unwrap();
    let of = |dockerfile: &str, context: &Context| {
        let found = workspace.ignore_file(dockerfile, context).unwrap();
        (
            found.source.map(|source| source.text().to_owned()).unwrap_or_default(),
            found.without_effect.unwrap_or_default(),
        )
    };
    let (root, svc) = (Context::Folder(".".to_owned()), Context::Folder("./svc/".to_owned()));
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(of("svc/Dockerfile", &root), pair("own", "svc/.dockerignore"));
    assert_eq!(of("svc/Dockerfile.x", &svc), pair("svc", ""));
    assert_eq!(of("other/Dockerfile", &root), pair("root", "other/.dockerignore"));
    assert_eq!(of("Dockerfile", &svc), pair("svc", ""));
    assert_eq!(of("svc/Dockerfile", &Context::Assembled(Vec::new())).0, "own");
    assert_eq!(of("other/Dockerfile", &Context::Assembled(Vec::new())).0, "");
    assert_eq!(workspace.folder_ignore("other/").unwrap().unwrap().text(), "other");
}
