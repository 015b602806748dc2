//! `COPY . .` with no ignore file, and a layout inside the context: what the program writes itself is no input.

use orchestrate::event::Outcome;
use orchestrate::plan::Action;

use crate::place::{Place, docker, git, program, with};
use crate::run::Run;

const MANIFEST: &str = r#"version: 1
project: everything
registries:
  disk: { kind: layout, path: images }
  remote: { kind: oci, url: "http://REGISTRY" }
images:
  app:
    dockerfile: Dockerfile
    push:
      - { registry: disk, repository: app, tags: [latest] }
  other:
    dockerfile: Dockerfile
    args: { NAME: other }
    push:
      - { registry: remote, repository: other, tags: [latest] }
      - { registry: disk, repository: other, tags: [latest] }
"#;
const DOCKERFILE: &str = "FROM scratch\nARG NAME=app\nLABEL name=$NAME\nCOPY . .\nCMD [\"/say\", \"/greeting\"]\n";

#[test]
fn copy_of_everything_with_a_layout_inside_is_kept_in_two_clones() {
    let files = [("deploy.yaml", MANIFEST), ("Dockerfile", DOCKERFILE), ("greeting", "hello\n")];
    let test = "copy_of_everything_with_a_layout_inside_is_kept_in_two_clones";
    let Some(place) = Place::of(test, &files) else { return };
    let first = place.root();
    let second = place.beside("clone");
    git(&place.beside("."), &["clone", "-q", first.to_str().unwrap(), second.to_str().unwrap()]);

    let run = |folder: &std::path::Path, arguments: &[&str]| {
        let mut command = program(folder);
        command.args(arguments);
        Run::of(command)
    };
    let plan = place.plan();
    assert_eq!(with(&plan, Action::Build), ["app", "other"]);
    let events = place.apply().events();
    assert_eq!(events.ended(Outcome::Built).len(), 2);
    assert!(first.join("images").is_dir(), "the layout lies in the context");
    run(&first, &["plan", "--exit-code"]).exits(0);
    run(&first, &["plan", "--exit-code", "--out", "saved.plan"]).exits(0);
    run(&first, &["apply", "saved.plan"]).exits(0);
    std::fs::remove_file(first.join("saved.plan")).unwrap();

    // The second clone has no layout yet: what is in no registry is built, all else is copied. The keys are the same.
    let again = run(&second, &["plan", "--json"]).exits(0).plan();
    let keys = |plan: &orchestrate::plan::Plan| plan.images.iter().map(|step| step.key).collect::<Vec<_>>();
    assert_eq!(keys(&again), keys(&plan));
    assert_eq!(with(&again, Action::Build), ["app"]);
    assert_eq!(with(&again, Action::Copy), ["other"]);
    run(&second, &["apply"]).exits(0);
    run(&second, &["plan", "--exit-code"]).exits(0);
    run(&first, &["plan", "--exit-code"]).exits(0);
    let mark = place.registry.mark();
    let events = run(&second, &["apply", "--json"]).exits(0).events();
    assert_eq!(events.phases(), []);
    assert_eq!(place.registry.writes_since(mark), []);

    // The image holds the checkout and neither the layout nor the state.
    let reference = format!("{}/other:latest", place.address());
    docker(&["pull", "--quiet", &reference]);
    assert_eq!(docker(&["run", "--rm", &reference]), "hello\n");
    let container = docker(&["create", &reference]);
    let listed = std::process::Command::new("sh")
        .args(["-c", &format!("docker export {} | tar -t", container.trim())])
        .output()
        .unwrap();
    docker(&["rm", container.trim()]);
    docker(&["image", "rm", &reference]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names: Vec<&str> = listed.lines().map(|line| line.trim_end_matches('/')).collect();
    for name in ["Dockerfile", "deploy.yaml", "greeting", "say"] {
        assert!(names.contains(&name), "{name} is missing:\n{listed}");
    }
    for name in ["images", ".orchestrate", ".git"] {
        assert!(!names.iter().any(|found| found.starts_with(name)), "{name} was sent:\n{listed}");
    }
}
