//! Interrupted runs.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::published::{publish, shop};
use crate::requests::SilentRegistry;

/// Runs `command` until the registry waits with an answer, sends SIGINT, and gives the exit code and stderr.
fn interrupted(place: &Place, registry: &SilentRegistry, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = place.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let wait = |child: &mut std::process::Child| {
        let first = registry.waiting.recv_timeout(Duration::from_secs(30));
        if first.is_err() {
            child.kill().unwrap();
        }
        first.expect("the program asks the registry to take something")
    };
    let first = wait(&mut child);
    assert!(first.starts_with("POST "), "{first}");
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn one_hundred_and_thirty_interrupted() {
    let registry = SilentRegistry::start();
    let place = shop();
    let text = place.read("deploy.yaml");
    let text = text
        .replace("defaults:", &format!("  far: {{ kind: oci, url: 'http://{}' }}\ndefaults:", registry.address))
        .replace("push: { repo", "push:\n      - { registry: far, repository: api }\n      - { registry: disk, repo");
    place.write("deploy.yaml", &text);
    publish(&place);
    let (code, stderr) = interrupted(&place, &registry, &["apply", "--allow-dirty"]);
    assert_eq!(code, Some(130), "{stderr}");
    let receipt: serde_json::Value = serde_json::from_str(&place.read(".orchestrate/receipt.json")).unwrap();
    assert_eq!(receipt["outcome"], "interrupted", "{stderr}");
}
