//! Every kind of problem has a page and a fixture, and every fixture gives just what it expects.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use orchestrate::problem::Code;

use crate::place::{Place, repository};

/// The comments at the head of a fixture.
#[derive(Default)]
struct Head {
    /// `code file:line:column`, sorted.
    expected: Vec<String>,
    run: Vec<String>,
    elsewhere: Option<String>,
}

fn head(text: &str) -> Head {
    let mut head = Head { run: vec!["check".to_owned()], ..Head::default() };
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        if let Some(expected) = line.strip_prefix("# expect: ") {
            let (code, place) = expected.split_once(' ').unwrap();
            let place = if place.split(':').count() == 3 { place.to_owned() } else { format!("deploy.yaml:{place}") };
            head.expected.push(format!("{code} {place}"));
        }
        if let Some(run) = line.strip_prefix("# run: ") {
            head.run = run.split_whitespace().map(str::to_owned).collect();
        }
        if let Some(elsewhere) = line.strip_prefix("# untested-by-fixture: ") {
            head.elsewhere = Some(elsewhere.to_owned());
        }
    }
    head.expected.sort();
    head
}

/// The fixtures by name.
fn fixtures() -> BTreeMap<String, Head> {
    let entries = fs::read_dir(repository().join("tests/problems")).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let manifest = entry.path().join("deploy.yaml");
            let text = fs::read_to_string(&manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
            (name, head(&text))
        })
        .collect()
}

#[test]
fn every_fixture_gives_just_what_it_expects() {
    let place = Place::copy_of("tests/problems").committed();
    let fixtures = fixtures();
    let queue = Mutex::new(fixtures.iter().filter(|(_, head)| head.elsewhere.is_none()));
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some((name, head)) = next else { break };
                    let mut arguments: Vec<&str> = head.run.iter().map(String::as_str).collect();
                    arguments.push("--json");
                    let ran = place.run_in(name, &arguments);
                    let mut found = ran.problems();
                    found.sort();
                    let errors = ran.json()["problems"].to_string().contains("\"severity\":\"error\"");
                    if found != head.expected || ran.code != Some(if errors { 2 } else { 0 }) {
                        let text =
                            format!("{name}: expected {:?}, found {found:?}, exit {:?}", head.expected, ran.code);
                        wrong.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_fixture_and_a_page() {
    let fixtures = fixtures();
    let mut lacking = Vec::new();
    for code in Code::ALL {
        let page = format!("docs/problems/{code}.md");
        let text = fs::read_to_string(repository().join(&page)).unwrap_or_default();
        let lines = text.lines().count();
        if !text.starts_with(&format!("# {code}\n")) || !(6..=60).contains(&lines) {
            lacking.push(format!("{page} is missing, has another title, or has {lines} lines"));
        }
        match fixtures.get(code.as_str()) {
            None => lacking.push(format!("tests/problems/{code}/deploy.yaml is missing")),
            Some(Head { elsewhere: Some(elsewhere), .. }) => lacking.extend(no_test_elsewhere(*code, elsewhere)),
            Some(head) if !head.expected.iter().any(|expected| expected.starts_with(&format!("{code} "))) => {
                lacking.push(format!("tests/problems/{code} does not expect `{code}`"));
            }
            Some(_) => {}
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

/// What is wrong with a note that says where a test is: `path, why`.
fn no_test_elsewhere(code: Code, note: &str) -> Option<String> {
    let path = note.split([',', ' ']).next().unwrap();
    let text = fs::read_to_string(repository().join(path)).unwrap_or_default();
    let mentioned = text.contains(code.as_str()) || text.contains(&format!("{code:?}"));
    (!mentioned).then(|| format!("tests/problems/{code}: {path} does not mention the code"))
}

/// The code `unreadable-input`: nobody but the owner may read a file, and whoever runs the program is not the owner.
#[test]
fn an_input_that_cannot_be_read() {
    let place = Place::with_manifest("version: 1\nproject: p\nimages:\n  a: { platforms: [linux/amd64] }\n")
        .file("secret", "x");
    place.write("Dockerfile", "FROM scratch\nCOPY secret /\n");
    fs::set_permissions(place.path("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = place.command(&["plan", "--offline", "--json"]);
    if fs::read(place.path("secret")).is_ok() {
        // We are root, who reads everything: somebody else runs it.
        let program = command;
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]).arg(program.get_program());
        command
            .args(program.get_args())
            .current_dir(place.path(""))
            .env("HOME", "/nonexistent")
            .env("DOCKER_CONFIG", "/nonexistent");
        for folder in [place.path(""), place.path("..")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let ran = place.run_command(command, "plan --offline --json".to_owned()).exits(2);
    assert_eq!(ran.problems(), ["unreadable-input deploy.yaml:4:3"]);
}

#[test]
fn no_page_and_no_fixture_is_left_over() {
    let known = |name: &str| Code::ALL.iter().any(|code| code.as_str() == name);
    let pages = fs::read_dir(repository().join("docs/problems")).unwrap();
    let pages =
        pages.map(|page| Path::new(&page.unwrap().file_name()).file_stem().unwrap().to_str().unwrap().to_owned());
    let left: Vec<String> = pages.chain(fixtures().into_keys()).filter(|name| !known(name)).collect();
    assert!(left.is_empty(), "no code has these names: {left:?}");
}
