//! A registry that goes away in the middle of a push and comes back.

use std::thread;
use std::time::{Duration, Instant};

use orchestrate::event::{Kind, Phase};

use crate::place::Place;
use crate::proxy::{End, Side};

const MANIFEST: &str = r#"version: 1
project: outage
registries:
  here: { kind: oci, url: "http://REGISTRY" }
images:
  app:
    matrix: { number: ["1", "2", "3"] }
    name: "app{{matrix.number}}"
    dockerfile: Dockerfile
    args: { NUMBER: "{{matrix.number}}" }
    push: [{ registry: here, repository: "{{name}}", tags: [latest] }]
"#;
const DOCKERFILE: &str = "FROM scratch\nARG NUMBER\nCOPY say /say\nLABEL number=$NUMBER\n";
/// How long the registry is away.
const AWAY: Duration = Duration::from_secs(20);

#[test]
fn a_registry_that_is_gone_for_twenty_seconds_is_waited_for() {
    let test = "a_registry_that_is_gone_for_twenty_seconds_is_waited_for";
    let files = [("deploy.yaml", MANIFEST), ("Dockerfile", DOCKERFILE)];
    let Some(mut place) = Place::of_behind_a_proxy(test, &files) else { return };
    let proxy = place.proxy.as_ref().unwrap();
    proxy.hold(Side::Before, |line| line.starts_with("PUT ") && line.contains("/blobs/uploads/"));
    let mut run = place.watch(&["apply", "--json"]);
    run.until(|kind| matches!(kind, Kind::PhaseStarted { phase: Phase::Blobs, .. }));
    proxy.held();
    proxy.release(End::Lost);
    place.registry.leave();
    let gone = Instant::now();
    thread::sleep(AWAY);
    let folder = place.beside("registry");
    place.registry.come_back(&folder);
    let (events, run) = run.wait();
    run.exits(0);
    assert!(gone.elapsed() >= AWAY);
    assert_eq!(events.built().len(), 3);
    assert_eq!(place.registry.whole_for_people().len(), 3);
    place.run(&["plan", "--exit-code"]).exits(0);
}
