//! Some fifty times `kill -9` in the publication of images that need no BuildKit: after each, every tag resolves to a whole image, and the
//! next run completes.

use std::collections::BTreeMap;

use orchestrate::event::Phase;

use crate::kill::{Point, killed_at_request, point};
use crate::place::Place;
use crate::proxy::Side;

const MANIFEST: &str = r#"version: 1
project: kills
registries:
  here: { kind: oci, url: "http://REGISTRY" }
bases:
  base:
    dockerfile: base.Dockerfile
    push:
      - { registry: here, repository: one/base, tags: [stable, "stable-2"] }
      - { registry: here, repository: two/base, tags: [stable] }
images:
  app:
    dockerfile: app.Dockerfile
    args: { BASE: "{{ref 'base'}}" }
    push:
      - { registry: here, repository: one/app, tags: [latest, "app-{{git.short}}"] }
      - { registry: here, repository: two/app, tags: [latest] }
"#;
const BASE: &str = "FROM scratch\nCOPY say round /\n";
const APP: &str = "ARG BASE\nFROM ${BASE}\nCOPY round /app/\n";

/// The phases of a publication in their order, with what is asked of a registry in each: method, repository, path, and which one of those.
const REQUESTS: &[(Phase, &str, &str, &str, &str, usize)] = &[
    // The base is published then; the first blob that is read of it is its record.
    (Phase::Build, "app", "GET", "one/base/", "blobs/sha256:", 2),
    (Phase::Build, "app", "GET", "one/base/", "blobs/sha256:", 3),
    (Phase::Blobs, "base", "POST", "one/base/", "blobs/uploads/", 1),
    (Phase::Blobs, "base", "PUT", "one/base/", "blobs/uploads/", 1),
    (Phase::Blobs, "base", "PUT", "one/base/", "blobs/uploads/", 2),
    (Phase::Blobs, "base", "POST", "two/base/", "blobs/uploads/", 1),
    (Phase::Blobs, "app", "POST", "one/app/", "blobs/uploads/", 2),
    (Phase::Blobs, "app", "POST", "two/app/", "blobs/uploads/", 3),
    (Phase::Manifest, "base", "PUT", "one/base/", "manifests/sha256:", 1),
    (Phase::Manifest, "base", "GET", "one/base/", "manifests/sha256:", 1),
    (Phase::Manifest, "base", "PUT", "two/base/", "manifests/sha256:", 1),
    (Phase::Manifest, "app", "PUT", "one/app/", "manifests/sha256:", 1),
    (Phase::Manifest, "app", "GET", "two/app/", "manifests/sha256:", 1),
    (Phase::Record, "base", "PUT", "one/base/", ".record", 1),
    (Phase::Record, "base", "GET", "one/base/", "manifests/sha256-", 1),
    (Phase::Record, "app", "PUT", "one/app/", ".record", 1),
    (Phase::Record, "app", "PUT", "one/app/", ".record", 2),
    (Phase::Record, "app", "PUT", "one/app/", "manifests/sha256-", 1),
    (Phase::Record, "app", "PUT", "two/app/", ".record", 1),
    (Phase::Key, "base", "PUT", "one/base/", "manifests/key-", 1),
    (Phase::Key, "base", "PUT", "two/base/", "manifests/key-", 1),
    (Phase::Key, "app", "PUT", "one/app/", "manifests/key-", 1),
    (Phase::Key, "app", "PUT", "one/app/", "manifests/key-", 2),
    (Phase::Key, "app", "PUT", "two/app/", "manifests/key-", 1),
    (Phase::Tags, "base", "PUT", "one/base/", "manifests/stable", 1),
    (Phase::Tags, "base", "PUT", "one/base/", "manifests/stable", 2),
    (Phase::Tags, "base", "PUT", "two/base/", "manifests/stable", 1),
    (Phase::Tags, "app", "PUT", "one/app/", "manifests/latest", 1),
    (Phase::Tags, "app", "PUT", "one/app/", "manifests/app-", 1),
    (Phase::Tags, "app", "PUT", "two/app/", "manifests/latest", 1),
];

/// Some places are met twice so that each phase has eight.
const AGAIN: &[(Phase, usize)] = &[(Phase::Build, 2)];

#[test]
fn after_each_of_fifty_kills_the_tags_are_whole_and_the_next_run_completes() {
    let files = [("deploy.yaml", MANIFEST), ("base.Dockerfile", BASE), ("app.Dockerfile", APP), ("round", "0\n")];
    let name = "after_each_of_fifty_kills_the_tags_are_whole_and_the_next_run_completes";
    let Some(place) = Place::of_behind_a_proxy(name, &files) else { return };
    place.apply();
    let mut kills: BTreeMap<String, usize> = BTreeMap::new();
    for &(phase, image, method, repository, path, nth) in REQUESTS {
        let times = AGAIN.iter().find(|(again, _)| *again == phase).map_or(1, |(_, times)| *times);
        for side in [Side::Before, Side::After].repeat(times) {
            let round: usize = kills.values().sum::<usize>() + 1;
            let not = if path.contains("key-") { ".record" } else { "\0" };
            let point = Point { not, nth, ..point(phase, image, side, method, (repository, path)) };
            killed(&place, round, &point);
            eprintln!("kill {round}: {phase:?} of {image}, {side:?} {method} {repository}{path}, number {nth}");
            *kills.entry(format!("{phase:?}")).or_default() += 1;
        }
    }
    place.registry.whole();
    eprintln!("kills in each phase: {kills:?}, {} in all", kills.values().sum::<usize>());
    assert!(kills.len() == 6 && kills.values().all(|kills| *kills >= 8), "{kills:?}");
    assert!(kills.values().sum::<usize>() >= 50, "{kills:?}");
}

/// One run that is killed and one that completes.
fn killed(place: &Place, round: usize, point: &Point) {
    let before = place.registry.whole_for_people_alone();
    place.write("round", &format!("{round}\n"));
    place.commit(&format!("round {round}"));
    if point.phase == Phase::Build {
        place.run(&["apply", "--only", "base"]).exits(0);
    }
    let before_kill = place.registry.whole_for_people_alone();
    killed_at_request(place, point);

    let after = place.registry.whole_for_people_alone();
    let moved: Vec<_> = after.iter().filter(|(tag, digest)| before_kill.get(*tag) != Some(digest)).collect();
    assert!(point.phase == Phase::Tags || moved.is_empty(), "{point:?}: {moved:?}");

    let events = place.apply().events();
    assert!(events.failed().is_empty(), "{point:?}: {:?}", events.failed());
    let whole = place.registry.whole_for_people_alone();
    let plan = place.run(&["plan", "--exit-code", "--json"]).exits(0).plan();
    for publication in plan.images.iter().flat_map(|step| &step.destinations) {
        let repository = publication.reference.split_once('/').unwrap().1;
        for tag in &publication.tags {
            let reference = format!("{repository}:{}", tag.tag);
            assert_eq!(whole.get(&reference), tag.to.as_ref(), "{point:?}: {reference}");
            assert_ne!(before.get(&reference), tag.to.as_ref(), "{point:?}: {reference} is of the round before");
        }
    }
    for (reference, digest) in moved {
        assert_eq!(whole.get(reference), Some(digest), "{point:?}: {reference} moved in the killed run and again");
    }
}
