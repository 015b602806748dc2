//! What `check` says of the files that builds read: the same as `plan`, without asking anybody.

use crate::place::Place;

const MANIFEST: &str = r#"version: 1
project: x
images:
  copies: { dockerfile: copies }
  extra: { inputs: { extra: [nope.txt] } }
  include: { inputs: { include: ["nope/**"] } }
  go: { inputs: { go: ./cmd/x } }
"#;

#[test]
fn check_refuses_what_plan_refuses_in_contexts() {
    let place = Place::with_manifest(MANIFEST).file("copies", "FROM scratch\nCOPY nope /all\n").committed();
    let found = place.run(&["check", "--json"]).exits(2).problems();
    assert_eq!(
        found,
        [
            "source-missing Dockerfile:2:6",
            "source-missing copies:2:6",
            "missing-context deploy.yaml:5:30",
            "matches-nothing deploy.yaml:6:34",
            "missing-package deploy.yaml:7:23",
        ]
    );
    let plan = place.run(&["plan", "--offline", "--json"]).exits(2).problems();
    assert!(plan.iter().all(|problem| found.contains(problem)), "{plan:?}");
}

#[test]
fn check_asks_nobody_for_a_base() {
    let place = Place::with_manifest("version: 1\nproject: x\nimages:\n  a: {}\n")
        .file("Dockerfile", "FROM registry.invalid/base:1\nCOPY deploy.yaml /\nCOPY nope /\n")
        .committed();
    assert_eq!(place.run(&["check", "--json"]).exits(2).problems(), ["source-missing Dockerfile:3:6"]);
}

#[test]
fn check_says_once_that_git_left_out_is_left_out() {
    let place =
        Place::with_manifest("version: 1\nproject: x\nimages:\n  a: { platforms: [linux/amd64, linux/arm64], inputs: { exclude: [deploy.yaml] } }\n")
            .file("Dockerfile", "FROM scratch\nCOPY mod /mod\n")
            .file("mod/a", "a")
            .committed();
    assert!(place.run(&["check", "--json"]).exits(0).problems().is_empty(), "what is not copied is not missed");
    place.write("Dockerfile", "FROM scratch\nCOPY . /\n");
    assert!(place.run(&["check", "--json"]).exits(0).problems().is_empty(), "the checkout's own");
    place.write("Dockerfile", "FROM scratch\nCOPY mod /mod\n");
    place.write("mod/.git", "gitdir: ../.git/modules/mod\n");
    let ran = place.run(&["check", "--json"]).exits(0);
    assert_eq!(ran.problems(), ["git-left-out Dockerfile:2:6"]);
    assert!(ran.stdout.contains("`mod/.git` is left out"), "{}", ran.stdout);
    place.write(".dockerignore", "**/.git\n");
    assert!(place.run(&["check", "--json"]).exits(0).problems().is_empty(), "the ignore file says so already");
}

#[test]
fn a_path_in_git_names_the_way_out() {
    let place = Place::with_manifest("version: 1\nproject: x\nimages:\n  a: {}\n")
        .file("Dockerfile", "FROM scratch\nCOPY .git/HEAD /h\n")
        .committed();
    let ran = place.run(&["check"]).exits(2);
    assert!(
        ran.stderr.contains("`inputs.include` brings it in") && !ran.stderr.contains("ignore file"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_context_that_is_missing_is_what_is_said() {
    let place = Place::with_manifest("version: 1\nproject: x\nimages:\n  a: { context: nope }\n");
    for command in [&["check", "--json"][..], &["plan", "--offline", "--json"]] {
        assert_eq!(place.run(command).exits(2).problems(), ["missing-context deploy.yaml:4:17"]);
    }
}
