//! Help and the command line's own mistakes.

use crate::place::{Place, snapshot};

const COMMANDS: &[&str] = &[
    "init",
    "check",
    "show",
    "plan",
    "apply",
    "why",
    "inputs",
    "graph",
    "update",
    "load",
    "run",
    "tag",
    "prune",
    "sizes",
    "doctor",
    "schema",
    "completions",
];

#[test]
fn the_program() {
    let place = Place::new();
    snapshot!(place.run(&["--help"]).exits(0), place.run(&["-h"]).exits(0), place.run(&["--version"]).exits(0));
}

#[test]
fn each_command() {
    let place = Place::new();
    for command in COMMANDS {
        let ran = place.run(&[command, "--help"]).exits(0);
        insta::with_settings!({ snapshot_suffix => *command }, { snapshot!(ran) });
    }
}

#[test]
fn the_list_above_is_whole() {
    let help = Place::new().run(&["-h"]).stdout;
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let listed: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed, COMMANDS);
}

#[test]
fn mistyped() {
    let place = Place::with_manifest("version: 1\nproject: shop\nimages:\n  api: {}\n  worker: {}\n");
    snapshot!(
        place.run(&["chekc"]).exits(2),
        place.run(&["plan", "--ofline"]).exits(2),
        place.run(&["plan", "--offline", "--only", "wroker"]).exits(2),
        place.run(&["plan", "--offline", "--only", "web-*"]).exits(2),
        place.run(&["plan", "--offline", "--rebuild", "apy"]).exits(2),
        place.run(&["inputs", "wroker"]).exits(2),
        place.run(&["inputs"]).exits(2),
        place.run(&["check", "--set", "colour"]).exits(2),
        place.run(&["check", "--profile", "prod"]).exits(2),
        place.run(&["plan", "--with-dependents"]).exits(2),
        place.run(&[]).exits(2),
    );
}

#[test]
fn nothing_there() {
    let place = Place::new();
    snapshot!(
        place.run(&["check"]).exits(2),
        place.run(&["plan", "--json"]).exits(2),
        place.run(&["check", "-f", "other.yaml"]).exits(2),
        place.run(&["check", "-C", "nowhere"]).exits(2),
        place.run(&["apply", "saved.plan"]).exits(2),
    );
}
