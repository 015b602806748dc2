//! What the reading commands print.

use crate::place::{Place, snapshot};
use crate::published::{publish, shop};

const MANIFEST: &str = r#"version: 1
project: shop
registries:
  disk: { kind: layout, path: .orchestrate/images }
defaults:
  platforms: [linux/amd64]
  executor: buildkit
  args: { COMMIT: { value: "{{git.short}}", volatile: true } }
bases:
  common:
    dockerfile: docker/common
    push: { repository: common, tags: [stable] }
images:
  handlers:
    matrix: { name: [api, worker] }
    name: "{{matrix.name}}"
    dockerfile: docker/handler
    args: { BASE: "{{ref 'common'}}", HANDLER: "{{matrix.name}}" }
    push: { repository: handlers, tags: ["{{name}}-{{git.short}}", "{{name}}-latest"] }
"#;

fn place() -> Place {
    Place::new()
        .file("deploy.yaml", MANIFEST)
        .file("docker/common", "FROM scratch\nCOPY shared /shared\n")
        .file("docker/handler", "ARG BASE\nFROM ${BASE}\nARG HANDLER\nCOPY src/${HANDLER} /src\nCMD [\"/src/main\"]\n")
        .file("shared/text", "shared\n")
        .file("src/api/main", "api\n")
        .file("src/worker/main", "worker\n")
        .file(".gitignore", ".orchestrate\n")
        .committed()
}

#[test]
fn check_and_graph() {
    let place = place();
    snapshot!(
        place.run(&["check"]).exits(0),
        place.run(&["check", "--json"]).exits(0),
        place.run(&["check", "--quiet"]).exits(0),
        place.run(&["graph"]).exits(0),
        place.run(&["graph", "--json"]).exits(0),
    );
}

#[test]
fn show_as_yaml() {
    snapshot!(place().run(&["show"]).exits(0));
}

#[test]
fn show_as_json() {
    snapshot!(place().run(&["show", "--json"]).exits(0));
}

#[test]
fn plan_as_a_table() {
    let place = place();
    snapshot!(
        place.run(&["plan"]).exits(0),
        place.run(&["plan", "--offline"]).exits(0),
        place.run(&["plan", "--offline", "--verbose", "--only", "worker"]).exits(0),
        place.run(&["plan", "--offline", "--only", "common", "--with-dependents"]).exits(0),
        place.run(&["plan", "--matrix"]).exits(0),
    );
    assert!(!place.path(".orchestrate/images").exists(), "a plan publishes nothing");
}

#[test]
fn plan_as_json() {
    let place = place();
    let ran = place.run(&["plan", "--json", "--only", "api"]).exits(0);
    assert_eq!(ran.stdout, place.run(&["plan", "--json", "--only", "api"]).exits(0).stdout);
    snapshot!(ran);
}

#[test]
fn plan_with_something_not_committed() {
    let place = place();
    place.write("src/api/main", "changed\n");
    place.write("src/worker/more", "new\n");
    snapshot!(
        place.run(&["plan", "--offline"]).exits(2),
        place.run(&["plan", "--offline", "--allow-dirty"]).exits(0),
        place.run(&["apply"]).exits(2),
    );
}

#[test]
fn inputs() {
    let place = place();
    snapshot!(place.run(&["inputs", "api"]).exits(0), place.run(&["inputs", "common", "--json"]).exits(0));
}

#[test]
fn why_and_tag_without_an_image() {
    let place = place();
    snapshot!(
        place.run(&["why", "api"]).exits(2),
        place.run(&["why", "apy"]).exits(2),
        place.run(&["why", "api", "--offline"]).exits(2),
        place.run(&["why", "handlers"]).exits(2),
        place.run(&["tag", "api", "v1"]).exits(2),
        place.run(&["tag", "api", "no spaces"]).exits(2),
        place.run(&["apply", "--offline"]).exits(2),
    );
}

#[test]
fn why_and_tag_of_an_image() {
    let place = shop();
    publish(&place);
    place.run(&["apply"]).exits(0);
    let nothing = place.run(&["why", "api"]).exits(0);
    let tagged = place.run(&["tag", "api", "v1", "v2"]).exits(0);
    let again = place.run(&["tag", "api", "v1", "v2.1", "--json"]).exits(0).json();
    assert_eq!(again["tags"][0]["from"], again["tags"][0]["to"], "it stands there already");
    assert!(again["tags"][1]["from"].is_null() && again["tags"][1]["to"].is_string(), "{again}");
    place.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    snapshot!(
        nothing,
        tagged,
        place.run(&["why", "api"]).exits(0),
        place.run(&["why", "api", "--since", "v1", "--json"]).exits(0),
        place.run(&["why", "api", "--since", "v3"]).exits(2),
        place.run(&["plan"]).exits(2),
    );
}

/// Built, changed and explained: a file, an arg, an instruction, and a base of which all comes.
#[test]
fn why_after_a_change() {
    let place = place();
    place.write("deploy.yaml", &MANIFEST.replace("  executor: buildkit\n", ""));
    place.commit();
    place.run(&["apply"]).exits(0);
    let nothing = place.run(&["why", "api"]).exits(0);
    place.write("src/api/main", "changed\n");
    place.write("src/api/more", "new\n");
    let file = place.run(&["why", "api"]).exits(0);
    place.write("shared/text", "changed\n");
    let base = place.run(&["why", "worker"]).exits(0);
    place.write(
        "docker/handler",
        "ARG BASE\nFROM ${BASE}\nARG HANDLER\nCOPY src/${HANDLER} /src\nCMD [\"/src/more\"]\n",
    );
    snapshot!(nothing, file, base, place.run(&["why", "api"]).exits(0), place.run(&["plan"]).exits(2));
}

#[test]
fn update_with_nothing_from_outside() {
    let place = place();
    snapshot!(place.run(&["update"]).exits(0), place.run(&["update", "--check"]).exits(0));
    assert!(!place.path("deploy.lock").exists());
}
