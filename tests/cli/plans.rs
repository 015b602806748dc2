//! What a plan says of what it does not know, and what goes into its JSON.

use serde_json::{Value, json};

use crate::place::Place;
use crate::schemas::Schema;

fn plan(place: &Place, more: &[&str]) -> Value {
    let plan = place.run(&[&["plan", "--json"], more].concat()).exits(0).json();
    Schema::committed("plan.schema.json").must_take("the plan", &plan);
    plan
}

/// Pairs of the fields of a list.
fn pairs(list: &Value, first: &str, second: &str) -> Vec<(String, Value)> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| (item[first].as_str().unwrap().to_owned(), item[second].clone())).collect()
}

#[test]
fn offline_plans_what_it_can() {
    let manifest = "version: 1\nproject: p\ndefaults: { platforms: [linux/amd64] }\nimages:\n  \
        on-alpine: { dockerfile: alpine }\n  above: { dockerfile: above, args: { BASE: \"{{ref 'on-alpine'}}\" } }\n  own: { dockerfile: own }\n";
    let place = Place::with_manifest(manifest)
        .file("alpine", "FROM alpine:3.20\nCOPY own /\n")
        .file("above", "ARG BASE\nFROM ${BASE}\nCOPY own /\n")
        .file("own", "FROM scratch\nCOPY own /\n");
    let said = place.run(&["plan", "--offline"]).exits(0).stdout;
    for line in [
        "not planned: above: it builds on on-alpine, and --offline forbids to ask",
        "not planned: on-alpine: `docker.io/library/alpine:3.20` has no pin in deploy.lock, and --offline forbids to ask",
        "plan: 1 to build, 0 to copy, 0 to tag, 0 to keep; 2 not planned",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let plan = plan(&place, &["--offline"]);
    let why = [
        ("above".to_owned(), json!({ "kind": "image", "image": "on-alpine" })),
        ("on-alpine".to_owned(), json!({ "kind": "pin", "reference": "docker.io/library/alpine:3.20" })),
    ];
    assert_eq!(pairs(&plan["unseen"], "name", "because"), why);
    assert_eq!(plan["images"].as_array().unwrap().len(), 1);
    place.run(&["plan", "--offline", "--exit-code", "--only", "above"]).exits(5);
    let matrix = place.run(&["plan", "--offline", "--matrix"]).exits(0);
    assert!(matrix.stderr.contains("not planned: above"), "a matrix that lacks images says so: {}", matrix.stderr);

    // The pin alone does not tell what the base brings along.
    let digest = format!("sha256:{}", "a".repeat(64));
    let pins = json!({ "docker.io/library/alpine:3.20": { "linux/amd64": digest } });
    place.write("deploy.lock", &json!({ "version": 1, "images": pins }).to_string());
    let said = place.run(&["plan", "--offline"]).exits(0).stdout;
    assert!(
        said.contains("on-alpine: the configuration of `docker.io/library/alpine:3.20` was never read here"),
        "{said}"
    );
    // Whoever may not add a pin is told so.
    place.write("deploy.lock", "{ \"version\": 1 }");
    let locked = place.run(&["plan", "--offline", "--locked", "--json"]).exits(2);
    assert_eq!(locked.problems(), ["missing-pin alpine:1:6"]);
}

#[test]
fn without_a_moving_tag_nobody_knows_what_was_before() {
    for (tags, first) in [("\"{{published}}\"", "untraced"), ("", "untraced"), ("latest", "never-published")] {
        let manifest = format!(
            "version: 1\nproject: p\nimages:\n  app: {{ platforms: [linux/amd64], push: {{ repository: app, tags: [{tags}] }} }}\n"
        );
        let place =
            Place::with_manifest(&manifest).file("Dockerfile", "FROM scratch\nCOPY a.txt /\n").file("a.txt", "one");
        assert_eq!(plan(&place, &[])["images"][0]["reasons"], json!([{ "kind": first }]), "{tags}");
        place.run(&["apply"]).exits(0);
        place.write("a.txt", "two");
        let second = plan(&place, &[])["images"][0]["reasons"][0]["kind"].clone();
        assert_eq!(second, if first == "untraced" { "untraced" } else { "file" }, "{tags}");
    }
}

#[test]
fn warnings_are_in_the_json() {
    let manifest = "version: 1\nproject: p\nimages:\n  app:\n    matrix: { n: [a, b], exclude: [{ n: c }] }\n    \
        name: \"{{matrix.n}}\"\n    platforms: [linux/amd64]\n";
    let place = Place::with_manifest(manifest).file("Dockerfile", "FROM scratch\nCOPY a.txt /\n").file("a.txt", "one");
    let ran = place.run(&["plan", "--json"]).exits(0);
    let plan = ran.json();
    Schema::committed("plan.schema.json").must_take("the plan", &plan);
    let warning = &plan["warnings"][0];
    assert_eq!(warning["code"], "exclude-unused", "{plan:#}");
    assert_eq!(warning["places"][0], json!({ "file": "deploy.yaml", "line": 5, "column": 38 }));
    assert!(warning["message"].is_string() && ran.stderr.contains("exclude-unused"), "{}", ran.stderr);
}
