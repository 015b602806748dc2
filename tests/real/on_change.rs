//! `on: change`: a commit's tag where the commit changed the image, also where the run that built it did not move the tags.

use crate::place::Place;

const MANIFEST: &str = r#"version: 1
project: changes
registries:
  here: { kind: oci, url: "http://REGISTRY" }
images:
  app:
    dockerfile: Dockerfile
    push:
      - registry: here
        repository: app
        tags: [latest, { tag: "{{git.short}}", on: change }]
"#;

#[test]
fn a_commit_has_a_tag_where_it_changed_the_image() {
    let test = "a_commit_has_a_tag_where_it_changed_the_image";
    let files = [("deploy.yaml", MANIFEST), ("Dockerfile", "FROM scratch\nCOPY file /\n"), ("file", "1\n")];
    let Some(place) = Place::of(test, &files) else { return };
    let mut wanted = vec![place.commit("the first")];
    place.apply();
    place.commit("nothing of the image");
    place.run(&["plan", "--exit-code"]).exits(0);

    place.write("file", "2\n");
    wanted.push(place.commit("another file"));
    // What a shard does, or a run that is killed before its last part.
    place.run(&["apply", "--build-only"]).exits(0);
    assert!(!place.registry.people_tags("app").contains(wanted.last().unwrap()));
    place.run(&["plan", "--exit-code"]).exits(5);
    place.run(&["apply", "--publish"]).exits(0);
    place.run(&["plan", "--exit-code"]).exits(0);
    place.commit("nothing of the image again");
    place.run(&["plan", "--exit-code"]).exits(0);

    wanted.push("latest".to_owned());
    wanted.sort();
    assert_eq!(place.registry.people_tags("app"), wanted);
}
