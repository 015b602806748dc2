//! `kind: docker`: what is tagged is in the local daemon's store.

use orchestrate::plan::Action;

use crate::place::{Place, docker, with};

const MANIFEST: &str = r#"version: 1
project: local
registries:
  daemon: { kind: docker }
  remote: { kind: oci, url: "http://REGISTRY" }
images:
  app:
    dockerfile: Dockerfile
    push:
      - { registry: daemon, repository: NAME/app, tags: [latest, dev] }
      - { registry: remote, repository: app, tags: [latest] }
"#;
const DOCKERFILE: &str = "FROM scratch\nCOPY say greeting /\nCMD [\"/say\", \"/greeting\"]\n";

#[test]
fn what_is_tagged_is_in_the_daemons_store() {
    let name = format!("orchestrate-test-{}", std::process::id());
    let manifest = MANIFEST.replace("NAME", &name);
    let files = [("deploy.yaml", manifest.as_str()), ("Dockerfile", DOCKERFILE), ("greeting", "hello\n")];
    let Some(place) = Place::of("what_is_tagged_is_in_the_daemons_store", &files) else { return };
    let (latest, dev) = (format!("{name}/app:latest"), format!("{name}/app:dev"));
    assert_eq!(with(&place.plan(), Action::Build), ["app"]);
    place.apply();
    assert_eq!(docker(&["run", "--rm", "--pull=never", &latest]), "hello\n");
    let id = |reference: &str| docker(&["image", "inspect", "--format", "{{.Id}}", reference]);
    assert_eq!(id(&latest), id(&dev));
    place.run(&["plan", "--exit-code"]).exits(0);

    // What somebody takes from the daemon is put back, without a build.
    docker(&["image", "rm", &latest]);
    assert_eq!(with(&place.plan(), Action::Tag), ["app"]);
    place.apply();
    assert_eq!(docker(&["run", "--rm", "--pull=never", &latest]), "hello\n");

    place.write("greeting", "good day\n");
    place.apply();
    assert_eq!(docker(&["run", "--rm", "--pull=never", &dev]), "good day\n");
    place.run(&["plan", "--exit-code"]).exits(0);
    docker(&["image", "rm", &latest, &dev]);
}
