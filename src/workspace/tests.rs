//! Whole workspaces on disk: what is an input, what is refused, and that no cache and no surroundings change the answer.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::dockerfile::{Read, ReadKind};
use crate::fingerprint::{FileKind, FileSet};
use crate::path::RelPath;
use crate::platform::Platform;
use crate::problem::{Location, Problems, Source};
use crate::project::{Context, ContextPart, Generated, Inputs, Language, LanguageInputs, Located, Modes, PackageName};

fn place() -> Location {
    Source::new("deploy.yaml", "context: .").at(0, 7)
}

fn located(text: &str) -> Located<String> {
    Located { value: text.to_owned(), location: place() }
}

fn inputs(include: &[&str], exclude: &[&str]) -> Inputs {
    let globs = |globs: &[&str]| globs.iter().map(|glob| located(glob)).collect();
    Inputs { include: globs(include), exclude: globs(exclude), ..Inputs::default() }
}

fn copy(pattern: &str) -> Read {
    Read {
        pattern: pattern.to_owned(),
        kind: ReadKind::Copy,
        parents: false,
        exclude: Vec::new(),
        location: Source::new("Dockerfile", "COPY x /").at(5, 1),
        text: pattern.to_owned(),
    }
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }
}

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    folder
}

/// One question about one context.
struct Ask {
    context: Context,
    ignore: Option<Source>,
    reads: Option<Vec<Read>>,
    inputs: Inputs,
    platform: Platform,
    modes: Modes,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            context: Context::Folder(".".to_owned()),
            ignore: None,
            reads: None,
            inputs: Inputs::default(),
            platform: "linux/arm64".parse().unwrap(),
            modes: Modes::Git,
        }
    }
}

impl Ask {
    fn of(&self, workspace: &mut Workspace) -> Result<ContextFiles, Problems> {
        let location = place();
        workspace.files(&[self.request(&location)]).remove(0)
    }

    fn request<'a>(&'a self, location: &'a Location) -> ContextRequest<'a> {
        ContextRequest {
            context: &self.context,
            ignore: self.ignore.as_ref(),
            reads: self.reads.as_deref(),
            inputs: &self.inputs,
            platform: &self.platform,
            modes: self.modes,
            location,
        }
    }

    fn at(&self, root: &Path) -> Result<ContextFiles, Problems> {
        self.of(&mut Workspace::open(root).unwrap())
    }

    fn paths(&self, root: &Path) -> String {
        paths(self.at(root).unwrap().snapshot.files())
    }

    fn problem(&self, root: &Path) -> String {
        let problems = self.at(root).unwrap_err();
        problems
            .sorted()
            .iter()
            .map(|problem| format!("{}: {}", problem.code, problem.message))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn paths(files: &FileSet) -> String {
    files.entries().iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>().join(" ")
}

fn reads(patterns: &[&str]) -> Option<Vec<Read>> {
    Some(patterns.iter().map(|pattern| copy(pattern)).collect())
}

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

fn part(from: &str, to: &str, only: &[&str]) -> ContextPart {
    ContextPart { from: from.to_owned(), to: to.to_owned(), only: only.iter().map(|glob| (*glob).to_owned()).collect() }
}

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

/// A change to a tree of files.
#[derive(Clone, Debug)]
enum Edit {
    Write(usize, u8),
    /// Other bytes of the same length, with the old mtime put back.
    Sneak(usize, u8),
    Touch(usize),
    Mode(usize, bool),
    Rename(usize, usize),
    Remove(usize),
    Link(usize, u8),
    Plan,
}

const NAMES: [&str; 6] = ["a", "b", "c/d", "c/e", "c.x", "f/g/h"];

fn edit() -> impl Strategy<Value = Edit> {
    let file = 0..NAMES.len();
    prop_oneof![
        (file.clone(), 0_u8..4).prop_map(|(file, byte)| Edit::Write(file, byte)),
        (file.clone(), 0_u8..4).prop_map(|(file, byte)| Edit::Sneak(file, byte)),
        file.clone().prop_map(Edit::Touch),
        (file.clone(), any::<bool>()).prop_map(|(file, x)| Edit::Mode(file, x)),
        (file.clone(), file.clone()).prop_map(|(from, to)| Edit::Rename(from, to)),
        file.clone().prop_map(Edit::Remove),
        (file, 0_u8..3).prop_map(|(file, to)| Edit::Link(file, to)),
        Just(Edit::Plan),
    ]
}

fn apply(root: &Path, edit: &Edit) {
    let at = |index: usize| -> PathBuf { root.join(NAMES[index]) };
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    match edit {
        Edit::Write(file, byte) => {
            let _ = fs::remove_file(at(*file));
            write(root, &[(NAMES[*file], &format!("{byte}"))]);
        }
        Edit::Sneak(file, byte) if is_file(&at(*file)) => {
            let mtime = fs::metadata(at(*file)).unwrap().modified().unwrap();
            fs::write(at(*file), format!("{byte}")).unwrap();
            fs::File::options().write(true).open(at(*file)).unwrap().set_modified(mtime).unwrap();
        }
        Edit::Touch(file) if is_file(&at(*file)) => {
            let earlier = SystemTime::now() - Duration::from_secs(1000);
            fs::File::options().write(true).open(at(*file)).unwrap().set_modified(earlier).unwrap();
        }
        Edit::Mode(file, x) if is_file(&at(*file)) => {
            fs::set_permissions(at(*file), fs::Permissions::from_mode(if *x { 0o755 } else { 0o644 })).unwrap();
        }
        Edit::Rename(from, to) => {
            fs::create_dir_all(at(*to).parent().unwrap()).unwrap();
            let _ = fs::rename(at(*from), at(*to));
        }
        Edit::Remove(file) => drop(fs::remove_file(at(*file))),
        Edit::Link(file, to) => {
            let _ = fs::remove_file(at(*file));
            fs::create_dir_all(at(*file).parent().unwrap()).unwrap();
            let _ = symlink(format!("to-{to}"), at(*file));
        }
        _ => {}
    }
}

/// What a plan that never saw a cache says.
fn without_cache(root: &Path) -> std::sync::Arc<FileSet> {
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join(STATE_FOLDER), "a file, so that there can be no cache").unwrap();
    let context = Context::Folder(root.to_str().unwrap().to_owned());
    let mut workspace = Workspace::open(other.path()).unwrap();
    workspace.leave_out([root.join(STATE_FOLDER).to_str().unwrap()]);
    let ask = Ask { context, ..Ask::default() };
    ask.of(&mut workspace).unwrap().snapshot.shared_files()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_equal_with_the_cache_and_without_it(edits in prop::collection::vec(edit(), 1..24), damage in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (step, edit) in edits.iter().enumerate() {
            apply(root, edit);
            if matches!(edit, Edit::Plan) {
                // Old enough to be trusted, most of the time.
                std::thread::sleep(Duration::from_millis(if step % 3 == 0 { 0 } else { 8 }));
            }
            let cached = Ask::default().at(root).unwrap().snapshot.shared_files();
            prop_assert_eq!(&cached, &without_cache(root), "after {:?}", edit);
            let cache = root.join(STATE_FOLDER).join("cache/files");
            if damage % 5 == 0 && let Ok(mut bytes) = fs::read(&cache) {
                let at = (damage as usize / 5 + step) % bytes.len();
                bytes[at] ^= 0x20;
                fs::write(&cache, bytes).unwrap();
            }
        }
    }

    #[test]
    fn order_times_and_masks_do_not_matter(names in prop::collection::vec(0..NAMES.len(), 1..6), seconds in 1_u64..1_000_000, group in 0_u32..0o77) {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in &names {
            write(one.path(), &[(NAMES[*name], NAMES[*name])]);
        }
        for name in names.iter().rev() {
            write(two.path(), &[(NAMES[*name], NAMES[*name])]);
            let place = two.path().join(NAMES[*name]);
            fs::set_permissions(&place, fs::Permissions::from_mode(0o600 | (group & 0o77))).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::options().write(true).open(&place).unwrap().set_modified(time).unwrap();
        }
        let files = |root: &Path| Ask::default().at(root).unwrap().snapshot.shared_files();
        prop_assert_eq!(files(one.path()), files(two.path()));
    }
}

#[test]
fn a_warm_plan_reads_no_file_and_a_cold_one_reads_each_once() {
    let folder = project(&[("a", "1"), ("b/c", "2"), ("b/d", "3")]);
    std::thread::sleep(Duration::from_millis(20));
    let plan = || {
        let mut workspace = Workspace::open(folder.path()).unwrap();
        let asks = [Ask::default(), Ask { context: Context::Folder("b".to_owned()), ..Ask::default() }];
        let location = place();
        let requests: Vec<_> = asks.iter().map(|ask| ask.request(&location)).collect();
        let answers = workspace.files(&requests);
        let hashes: Vec<[u8; 32]> =
            answers.into_iter().map(|answer| *answer.unwrap().snapshot.files().hash()).collect();
        (hashes, workspace.files_read())
    };
    let (cold, warm) = (plan(), plan());
    assert_eq!((cold.1, warm.1), (3, 0));
    assert_eq!(cold.0, warm.0);
    write(folder.path(), &[("b/c", "4")]);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!((plan().1, plan().1), (1, 0));
}

#[test]
fn a_read_only_checkout_is_planned_without_a_cache() {
    let folder = project(&[("a", "1")]);
    fs::write(folder.path().join(STATE_FOLDER), "").unwrap();
    assert_eq!(Ask::default().paths(folder.path()), "a");
}

#[test]
fn two_plans_at_once_leave_a_sound_cache() {
    let files: Vec<(String, String)> =
        (0..200).map(|number| (format!("d{}/f{number}", number % 7), number.to_string())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let folder = project(&files);
    std::thread::sleep(Duration::from_millis(20));
    let expected = without_cache(folder.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(Ask::default().at(folder.path()).unwrap().snapshot.files(), &*expected));
        }
    });
    let mut workspace = Workspace::open(folder.path()).unwrap();
    assert_eq!(Ask::default().of(&mut workspace).unwrap().snapshot.files(), &*expected);
    assert_eq!(workspace.files_read(), 0);
}
