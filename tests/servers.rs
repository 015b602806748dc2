//! The test servers themselves: what other tests against them take for granted.

use std::process::Command;

#[path = "support/real.rs"]
mod real;

#[test]
fn requests_are_counted() {
    let Some(real) = real::real("requests_are_counted") else { return };
    let repository = real.repository("counted");
    let path = format!("/v2/{repository}/tags/list");
    let mark = real.mark();
    assert_eq!(real.get(&path).0, 404);
    assert_eq!(real.get(&path).0, 404);
    assert_eq!(real.get("/v2/").0, 200);
    let request = real::Request { method: "GET".into(), path, status: 404 };
    assert_eq!(real.requests_since(mark, &repository), [request.clone(), request]);
    let mark = real.mark();
    assert_eq!(real.requests_since(mark, &repository), []);
}

#[test]
fn the_engine_builds_pushes_and_runs() {
    let Some(real) = real::real("the_engine_builds_pushes_and_runs") else { return };
    let reference = format!("{}/{}:one", real.registry, real.repository("engine"));
    let context = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/base-chain");
    let dockerfile = format!("{context}/dockerfiles/Dockerfile.receipt_dynamo");
    docker(&["buildx", "build", "--provenance=false", "--push", "-t", &reference, "-f", &dockerfile, context]);
    let said = docker(&["run", "--rm", "--pull=always", &reference, "/bin/say", "/opt/receipt_dynamo/version"]);
    assert_eq!(said, "receipt_dynamo 0.3.0\n");
    docker(&["image", "rm", &reference]);
}

/// The standard output of `docker`.
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker can be run");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
