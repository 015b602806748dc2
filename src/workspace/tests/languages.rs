//! Languages that narrow contexts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::super::*;
use super::support::{Ask, located, part, place, project, reads, write};
use crate::path::RelPath;
use crate::project::{Context, Inputs, Language, LanguageInputs, Located, PackageName};

fn of_go(package: &str) -> Inputs {
    let package = PackageName { written: format!("./{package}"), path: package.to_owned() };
    let packages = vec![Located { value: package, location: place() }];
    let language = LanguageInputs { language: Language::Go, packages, tags: None, cgo: None };
    Inputs { languages: vec![language], ..Inputs::default() }
}

const GO: [(&str, &str); 7] = [
    ("go.mod", "module m\n"),
    ("cmd/api/main.go", "package main\nimport _ \"m/db\"\n"),
    ("cmd/web/main.go", "package main\n"),
    ("db/db.go", "package db\n"),
    ("db/db_test.go", "package db\n"),
    ("db/schema.sql", ""),
    ("docs/x.md", ""),
];

#[test]
fn a_language_narrows_and_globs_narrow_further() {
    let folder = project(&GO);
    let ask = Ask { inputs: of_go("cmd/api"), ..Ask::default() };
    let all = "cmd cmd/api cmd/api/main.go db db/db.go db/schema.sql docs docs/x.md go.mod";
    assert_eq!(ask.paths(folder.path()), all);
    let files = ask.at(folder.path()).unwrap();
    let first: Vec<String> = files.first_dropped.iter().map(ToString::to_string).collect();
    assert_eq!((files.dropped, first.join(" ").as_str()), (2, "cmd/web/main.go db/db_test.go"));
    let ask = Ask { inputs: Inputs { exclude: vec![located("docs")], ..of_go("cmd/api") }, ..Ask::default() };
    assert_eq!(ask.paths(folder.path()), "cmd cmd/api cmd/api/main.go db db/db.go db/schema.sql go.mod");
    let ask = Ask { inputs: of_go("cmd/api"), reads: reads(&["db", "go.mod"]), ..Ask::default() };
    assert_eq!(ask.paths(folder.path()), "db db/db.go db/schema.sql go.mod");
    // What is dropped cannot be copied by name.
    let ask = Ask { inputs: of_go("cmd/api"), reads: reads(&["cmd/web", "go.mod"]), ..Ask::default() };
    assert_eq!(ask.problem(folder.path()), "source-missing: `cmd/web` is not in the context");
    let ask = Ask { inputs: of_go("cmd/apo"), ..Ask::default() };
    assert!(ask.problem(folder.path()).starts_with("missing-package: `./cmd/apo` is no Go package"));
    let ask = Ask { inputs: of_go("cmd/api"), context: Context::Folder("cmd".to_owned()), ..Ask::default() };
    assert!(ask.problem(folder.path()).ends_with("no folder above it has a `go.mod`"));
    let outside = Ask { inputs: of_go("cmd/api"), context: Context::Folder("db".to_owned()), ..Ask::default() };
    assert!(outside.problem(folder.path()).ends_with("it lies outside"));
    let parts = vec![part("go.mod", "src/go.mod", &[]), part("cmd", "src/cmd", &[]), part("db", "src/db", &["*.go"])];
    let ask = Ask { inputs: of_go("cmd/api"), context: Context::Assembled(parts), ..Ask::default() };
    assert_eq!(ask.paths(folder.path()), "src src/cmd src/cmd/api src/cmd/api/main.go src/db src/db/db.go src/go.mod");
}

#[test]
fn languages_read_each_file_once_and_nothing_when_warm() {
    let folder = project(&GO);
    std::thread::sleep(Duration::from_millis(20));
    let plan = || {
        let mut workspace = Workspace::open(folder.path()).unwrap();
        let asks =
            [Ask { inputs: of_go("cmd/api"), ..Ask::default() }, Ask { inputs: of_go("cmd/web"), ..Ask::default() }];
        let location = place();
        let requests: Vec<_> = asks.iter().map(|ask| ask.request(&location)).collect();
        let answers = workspace.files(&requests);
        let hashes: Vec<[u8; 32]> =
            answers.into_iter().map(|answer| *answer.unwrap().snapshot.files().hash()).collect();
        (hashes, workspace.files_read())
    };
    let (cold, warm) = (plan(), plan());
    assert_eq!(cold.0, warm.0);
    // Six are inputs of one of them; the seventh, a test, is dropped by its name alone.
    assert_eq!((cold.1, warm.1), (6, 0));
    fs::write(folder.path().join(STATE_FOLDER).join("cache/sources"), "damaged").unwrap();
    assert_eq!(plan().0, cold.0);
}

#[test]
fn placeholders_are_recorded_and_sent_as_empty_files() {
    let folder = project(&[
        ("Cargo.toml", "[workspace]\nmembers = ['a', 'b']\n"),
        ("a/Cargo.toml", "[package]\nname = 'a'\n"),
        ("a/src/lib.rs", "a"),
        ("b/Cargo.toml", "[package]\nname = 'b'\n"),
        ("b/src/lib.rs", "one"),
    ]);
    let package = PackageName { written: "a".to_owned(), path: "a".to_owned() };
    let packages = vec![Located { value: package, location: place() }];
    let language = LanguageInputs { language: Language::Cargo, packages, tags: None, cgo: None };
    let inputs = Inputs { languages: vec![language], ..Inputs::default() };
    let ask = Ask { inputs, ..Ask::default() };
    let before = ask.at(folder.path()).unwrap().snapshot;
    write(folder.path(), &[("b/src/lib.rs", "another")]);
    fs::set_permissions(folder.path().join("b/src/lib.rs"), fs::Permissions::from_mode(0o755)).unwrap();
    let after = ask.at(folder.path()).unwrap().snapshot;
    assert_eq!(before.files(), after.files());
    let read = |path: &str| {
        let mut text = String::new();
        let path = RelPath::new(path.as_bytes()).unwrap();
        std::io::Read::read_to_string(&mut after.open(&path).unwrap(), &mut text).unwrap();
        text
    };
    assert_eq!((read("b/src/lib.rs").as_str(), read("a/src/lib.rs").as_str()), ("", "a"));
    write(folder.path(), &[("a/src/lib.rs", "changed")]);
    assert_ne!(before.files(), ask.at(folder.path()).unwrap().snapshot.files());
}
