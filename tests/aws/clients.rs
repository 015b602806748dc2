//! Unmodified clients against the servers that play AWS: what the other tests take for granted is what they take for ECR too.

use std::process::Command;

use serde_json::json;

use crate::real;
use crate::world::World;

const REGISTRY: &str = "123456789012/us-east-1";

/// Whether skopeo did it, and what it said.
fn skopeo(world: &World, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("skopeo").args(arguments).current_dir(world.root()).env("HOME", world.root()).output();
    let output = output.expect("skopeo is there: scripts/install-test-tools clients installs it");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn skopeo_takes_it_for_ecr() {
    if real::real("skopeo_takes_it_for_ecr").is_none() {
        return;
    }
    let world = World::new();
    // An image to copy: the layout that apply makes without registries.
    world.manifest("", "  api:\n    push: [{ repository: api, tags: [latest] }]\n");
    world.run(&["apply"]).expect(0);
    let image = "oci:.orchestrate/images/api:latest";
    let host = world.private(REGISTRY).replace("http://", "");
    let at = |name: &str| format!("docker://{host}/{name}");
    let login = format!("AWS:{}", world.token(false));
    let push =
        |to: &str, login: &str| skopeo(&world, &["copy", "--dest-tls-verify=false", "--dest-creds", login, image, to]);

    let (done, said) = push(&at("team/api:one"), &login);
    assert!(!done && said.contains("does not exist in the registry with id '123456789012'"), "{said}");
    world.post("create", &json!({ "registry": REGISTRY, "name": "team/api", "mutability": "IMMUTABLE" }));
    let (done, said) = push(&at("team/api:one"), &login);
    assert!(done, "{said}");
    let (done, said) = push(&at("team/api:one"), &login);
    assert!(!done && said.contains("cannot be overwritten because the tag is immutable"), "{said}");

    let inspect = |login: &str| {
        skopeo(&world, &["inspect", "--raw", "--tls-verify=false", "--creds", login, &at("team/api:one")])
    };
    assert!(inspect(&login).1.contains("schemaVersion"));
    let (done, said) = inspect("AWS:of-nobody");
    assert!(!done, "{said}");
    let pull = ["copy", "--src-tls-verify=false", "--src-creds", &login, &at("team/api:one"), "dir:pulled"];
    let (done, said) = skopeo(&world, &pull);
    assert!(done, "layers come by a redirect: {said}");
    let (done, said) = skopeo(&world, &["delete", "--tls-verify=false", "--creds", &login, &at("team/api:one")]);
    assert!(!done, "{said}");
    world.set(&json!({ "expire_tokens": true }));
    let (done, said) = inspect(&login);
    assert!(!done && said.contains("authorization token has expired"), "{said}");

    let public = world.public().replace("http://", "");
    let public = format!("docker://{public}/a1b2c3d4/api:one");
    world.post("create", &json!({ "registry": "public", "name": "api" }));
    let login = format!("AWS:{}", world.token(true));
    let (done, said) = push(&public, &login);
    assert!(done, "{said}");
    let (done, said) = skopeo(&world, &["inspect", "--raw", "--tls-verify=false", "--no-creds", &public]);
    assert!(done, "everybody may read: {said}");
    let (done, said) = skopeo(&world, &["inspect", "--raw", "--tls-verify=false", "--creds", "AWS:stale", &public]);
    assert!(!done, "a stale login is refused: {said}");
}
