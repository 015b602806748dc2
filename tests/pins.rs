//! What comes from addresses and registries is pinned in `deploy.lock`, and built as pinned.

#![allow(clippy::unwrap_used, reason = "a test's helpers may panic")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "support/real.rs"]
mod real;

/// A server of the files in a folder; gives its `127.0.0.1:PORT`. It ends with the test.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
            let path = first.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/");
            let head = if first.starts_with("HEAD") { "head" } else { "whole" };
            let (status, body) = match std::fs::read(folder.join(path.trim_start_matches('/'))) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            if head == "whole" {
                let _ = stream.write_all(&body);
            }
        }
    });
    address
}

fn shell(folder: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-euc", script]).current_dir(folder).env("HOME", folder).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Exit code, stdout and stderr of orchestrate in a folder.
fn orchestrate(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrate"));
    let output = command.args(arguments).current_dir(folder).env_remove("CI").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

const COMMIT: &str =
    "git -c user.name=a -c user.email=a@b commit -q -m x && git update-server-info && git rev-parse HEAD";

#[test]
fn what_add_fetches_is_pinned_until_update() {
    let Some(real) = real::real("what_add_fetches_is_pinned_until_update") else { return };
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("data.txt"), "one\n").unwrap();
    let first = shell(
        &site,
        &format!("git init -q -b main r.git && cd r.git && mkdir sub && echo one > sub/f && git add . && {COMMIT}"),
    );
    // The folder of the repository is served as it is, without git.
    let address = serve(site.clone());
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let git = format!("http://{address}/r.git/.git#main:sub");
    let dockerfile = format!("FROM scratch\nADD http://{address}/data.txt /data\nADD {git} /sub\n");
    std::fs::write(work.join("Dockerfile"), dockerfile).unwrap();
    let repository = real.repository("pins");
    let manifest = format!(
        "version: 1\nproject: pins\nregistries: {{ here: {{ kind: oci, url: \"http://{}\" }} }}\nimages:\n  a: {{ context: ., push: [{{ registry: here, repository: {repository}, tags: [latest] }}] }}\n",
        real.registry
    );
    std::fs::write(work.join("deploy.yaml"), manifest).unwrap();

    let (code, stdout, stderr) = orchestrate(&work, &["plan", "--offline"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains(&format!("not planned: a: `http://{address}/data.txt` has no pin in deploy.lock")),
        "{stdout}"
    );
    let (code, _, stderr) = orchestrate(&work, &["plan", "--locked"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("missing-pin") && stderr.contains("Dockerfile:2:5"), "{stderr}");
    let (code, _, stderr) = orchestrate(&work, &["apply"]);
    assert_eq!(code, 0, "{stderr}");
    let lock = std::fs::read_to_string(work.join("deploy.lock")).unwrap();
    assert!(lock.contains(&first) && lock.contains(&format!("http://{address}/data.txt\": \"sha256:")), "{lock}");
    assert_eq!(orchestrate(&work, &["plan", "--exit-code", "--locked"]).0, 0);

    std::fs::write(site.join("data.txt"), "two\n").unwrap();
    let second = shell(&site.join("r.git"), &format!("echo two > sub/f && git add . && {COMMIT}"));
    assert_eq!(orchestrate(&work, &["plan", "--exit-code"]).0, 0, "what is pinned has not changed");
    let (code, stdout, _) = orchestrate(&work, &["update", "--check"]);
    assert_eq!(code, 5, "{stdout}");
    assert!(stdout.contains(&format!("{first} -> {second}")) && stdout.contains("/data.txt: sha256:"), "{stdout}");
    assert_eq!(std::fs::read_to_string(work.join("deploy.lock")).unwrap(), lock, "--check writes nothing");

    // What was pinned is not to be had any more: nothing else is built in its place.
    // BuildKit may have kept it; then that is what is built.
    let latest = || real.get(&format!("/v2/{repository}/manifests/latest")).1;
    let before = latest();
    let (code, _, stderr) = orchestrate(&work, &["apply", "--rebuild", "a"]);
    assert!(code == 0 || (code == 1 && stderr.contains("digest mismatch")), "{stderr}");
    assert_eq!(latest(), before);

    assert_eq!(orchestrate(&work, &["update"]).0, 0);
    let (code, stdout, _) = orchestrate(&work, &["plan", "--json", "--exit-code"]);
    assert_eq!(code, 5);
    assert!(stdout.contains("data.txt") && stdout.contains(&second), "the reasons name both: {stdout}");
    let (code, _, stderr) = orchestrate(&work, &["apply"]);
    assert_eq!(code, 0, "{stderr}");
    assert_ne!(latest(), before);
}

#[test]
fn layers_of_a_base_stay_as_they_are() {
    let Some(real) = real::real("layers_of_a_base_stay_as_they_are") else { return };
    let folder = tempfile::tempdir().unwrap();
    let base = format!("{}/{}:1", real.registry, real.repository("outside"));
    std::fs::write(folder.path().join("file"), "x\n").unwrap();
    std::fs::write(folder.path().join("Dockerfile.base"), "FROM scratch\nCOPY file /base\n").unwrap();
    shell(folder.path(), &format!("docker buildx build --provenance=false --push -t {base} -f Dockerfile.base . >&2"));
    let repository = real.repository("dependent");
    std::fs::write(folder.path().join("Dockerfile"), format!("FROM {base}\nWORKDIR /w\nCOPY file .\n")).unwrap();
    let manifest = format!(
        "version: 1\nproject: pins\nregistries: {{ here: {{ kind: oci, url: \"http://{}\" }} }}\nimages:\n  a: {{ context: ., executor: buildkit, push: [{{ registry: here, repository: {repository}, tags: [latest] }}] }}\n",
        real.registry
    );
    std::fs::write(folder.path().join("deploy.yaml"), manifest).unwrap();
    let layers = |reference: &str| {
        let (repository, tag) = reference.rsplit_once(':').unwrap();
        let repository = repository.rsplit_once('/').map_or(repository, |(_, name)| name);
        let body = real.get(&format!("/v2/{repository}/manifests/{tag}")).1;
        let manifest: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let layers = manifest["layers"].as_array().unwrap_or_else(|| panic!("{body}")).clone();
        layers.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut built = Vec::new();
    for _ in 0..2 {
        let (code, _, stderr) = orchestrate(folder.path(), &["apply", "--rebuild", "a"]);
        assert_eq!(code, 0, "{stderr}");
        built.push(layers(&format!("{repository}:latest")));
    }
    assert_eq!(built[0][0], layers(&base)[0], "the layer of the base");
    assert_eq!(built[0], built[1], "built twice, the same layers");
}

#[test]
fn a_front_end_comes_by_its_pinned_digest() {
    let Some(real) = real::real("a_front_end_comes_by_its_pinned_digest") else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = real.repository("front-end");
    let reference = format!("{}/{name}:1", real.registry);
    // An image that is no front end: BuildKit says which one it fetched, and that it does not answer.
    let push = |text: &str| {
        std::fs::write(folder.path().join("file"), text).unwrap();
        std::fs::write(folder.path().join("Dockerfile.fe"), "FROM scratch\nCOPY file /fe\n").unwrap();
        let push = format!("docker buildx build --provenance=false --push -t {reference} -f Dockerfile.fe . >&2");
        shell(folder.path(), &push);
        let output = shell(folder.path(), &format!("docker buildx imagetools inspect {reference}"));
        let digest = output.lines().find_map(|line| line.strip_prefix("Digest:")).unwrap().trim().to_owned();
        assert!(digest.starts_with("sha256:"), "{output}");
        digest
    };
    let first = push("one\n");
    std::fs::write(folder.path().join("Dockerfile"), format!("# syntax={reference}\nFROM scratch\nCOPY file /\n"))
        .unwrap();
    let repository = real.repository("dependent");
    let manifest = format!(
        "version: 1\nproject: pins\nregistries: {{ here: {{ kind: oci, url: \"http://{}\" }} }}\nimages:\n  a: {{ context: ., push: [{{ registry: here, repository: {repository}, tags: [latest] }}] }}\n",
        real.registry
    );
    std::fs::write(folder.path().join("deploy.yaml"), manifest).unwrap();
    let built_with = |digest: &str| {
        let (code, _, stderr) = orchestrate(folder.path(), &["apply"]);
        assert_eq!(code, 1, "it is no front end: {stderr}");
        let log = std::fs::read_to_string(folder.path().join(".orchestrate/events.jsonl")).unwrap();
        assert!(log.contains(&format!("{name}@{digest}")), "BuildKit fetches {digest}: {stderr}");
    };
    built_with(&first);
    let second = push("two\n");
    assert_ne!(first, second);
    built_with(&first);
    let (code, stdout, _) = orchestrate(folder.path(), &["update", "--check"]);
    assert!(code == 5 && stdout.contains("# syntax"), "{stdout}");
    assert_eq!(orchestrate(folder.path(), &["update"]).0, 0);
    built_with(&second);
}
