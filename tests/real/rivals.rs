//! Two runs at once build the same keys to different bytes: one image wins, everywhere and in what builds on it.

use std::collections::BTreeSet;
use std::thread;

use orchestrate::event::{Kind, Outcome};

use crate::events::Events;
use crate::place::{Place, git, program};
use crate::run::Run;

/// `REV` differs from run to run and is no part of the key: a layer that holds it is never the same twice.
const MANIFEST: &str = r#"version: 1
project: rivals
env: [REV]
registries:
  here: { kind: oci, url: "http://REGISTRY" }
bases:
  base:
    dockerfile: base.Dockerfile
    args: { REV: { value: "{{env.REV}}", volatile: true } }
    push:
      - { registry: here, repository: one/base, tags: [stable] }
      - { registry: here, repository: two/base, tags: [stable] }
images:
  app:
    dockerfile: app.Dockerfile
    args: { BASE: "{{ref 'base'}}" }
    push:
      - { registry: here, repository: one/app, tags: [latest] }
      - { registry: here, repository: two/app, tags: [latest] }
"#;
const BASE: &str =
    "FROM scratch\nARG REV\nCOPY say /say\nCOPY round /round\nCOPY <<EOF /rev\n$REV\nEOF\nRUN [\"/say\", \"/rev\"]\n";
const APP: &str = "ARG BASE\nFROM ${BASE}\nCOPY round /app\n";

/// How often; more by `ORCHESTRATE_RIVALS`.
const ROUNDS: usize = 20;

#[test]
fn two_runs_at_once_settle_on_one_image() {
    let files = [("deploy.yaml", MANIFEST), ("base.Dockerfile", BASE), ("app.Dockerfile", APP), ("round", "0\n")];
    let Some(place) = Place::of_behind_a_proxy("two_runs_at_once_settle_on_one_image", &files) else { return };
    let proxy = place.proxy.as_ref().unwrap();
    // The barrier: whoever is about to write a key waits for the other.
    proxy.meet(|line| line.starts_with("PUT ") && line.contains("/manifests/key-") && !line.contains(".record"));
    let rounds = std::env::var("ORCHESTRATE_RIVALS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let (mut races, mut dropped) = (0, 0);
    for round in 1..=rounds {
        place.write("round", &format!("{round}\n"));
        place.commit(&format!("round {round}"));
        let other = place.beside(&format!("clone-{round}"));
        git(&place.beside("."), &["clone", "-q", place.root().to_str().unwrap(), other.to_str().unwrap()]);
        let before = proxy.met();
        let runs = thread::scope(|scope| {
            let runs = [place.root(), other.clone()].map(|folder| {
                scope.spawn(move || {
                    let mut command = program(&folder);
                    let rev = format!("{} {}", folder.display(), round);
                    command.args(["apply", "--json"]).env("REV", rev);
                    Run::of(command)
                })
            });
            runs.map(|run| run.join().unwrap())
        });
        let events = runs.map(|run| run.exits(0).events());
        races += usize::from(proxy.met() > before);
        dropped += usize::from(events.iter().any(has_dropped));
        one_image_everywhere(&place, &events);
        std::fs::remove_dir_all(other).unwrap();
    }
    eprintln!("{rounds} rounds, {races} with both runs at the key at once, {dropped} builds dropped");
    assert!(races * 2 > rounds, "the runs rarely met: {races} of {rounds}");
    assert!(dropped * 2 > rounds, "{dropped} of {rounds}");
}

fn has_dropped(events: &Events) -> bool {
    events.0.iter().any(|event| matches!(event.event, Kind::Adopted { dropped: Some(_), .. }))
}

fn one_image_everywhere(place: &Place, events: &[Events; 2]) {
    for (image, tag) in [("base", "stable"), ("app", "latest")] {
        let digests: BTreeSet<_> = events
            .iter()
            .map(|events| {
                let receipt = events.receipt();
                let found = receipt.images.iter().find(|other| other.name.as_str() == image).unwrap();
                assert!(!matches!(found.outcome, Outcome::Failed | Outcome::Skipped), "{receipt:?}");
                (found.digest.unwrap(), found.key.tag())
            })
            .collect();
        assert_eq!(digests.len(), 1, "{image}: the runs disagree: {digests:?}");
        let (digest, key) = digests.first().unwrap();
        let standing = place.registry.whole();
        for repository in ["one", "two"] {
            for tag in [key.as_str(), tag] {
                assert_eq!(standing[&format!("{repository}/{image}:{tag}")], *digest, "{repository}/{image}:{tag}");
            }
        }
    }
    for repository in ["one", "two"] {
        let base = place.registry.layers(&format!("{repository}/base"), "stable");
        let app = place.registry.layers(&format!("{repository}/app"), "latest");
        assert_eq!(app[..base.len()], base[..], "the app of {repository} is built on another base");
    }
}
