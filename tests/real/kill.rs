//! `kill -9` in each part of an apply: no tag is ever half an image, and nothing that was finished is done again.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use orchestrate::event::{Kind, Phase};
use orchestrate::plan::{Action, Plan, Step};

use crate::events::Events;
use crate::place::{Place, with};
use crate::proxy::{End, Side};
use crate::registry::Tags;

/// Where a run is killed: while this request of the publication is on one side of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// The part of the image's publication in which the run is killed.
    pub phase: Phase,
    /// The image.
    pub image: &'static str,
    /// Whether the registry has done the request.
    pub side: Side,
    /// Its method.
    pub method: &'static str,
    /// What the path begins with after `/v2/`, and what it goes on with somewhere.
    pub path: (&'static str, &'static str),
    /// What the path must not have.
    pub not: &'static str,
    /// Which of the requests that fit, from 1.
    pub nth: usize,
}

/// The first request of an image's publication that fits.
pub const fn point(
    phase: Phase,
    image: &'static str,
    side: Side,
    method: &'static str,
    path: (&'static str, &'static str),
) -> Point {
    Point { phase, image, side, method, path, not: "\0", nth: 1 }
}

const PRIVATE: &str = "private/base-runtime/";
const PUBLIC: &str = "public/base-runtime/";

/// In the order in which one image is published: each run comes a little further than the one before.
const POINTS: &[Point] = &[
    point(Phase::Blobs, "runtime", Side::Before, "PUT", (PRIVATE, "blobs/uploads/")),
    point(Phase::Blobs, "runtime", Side::After, "PUT", (PRIVATE, "blobs/uploads/")),
    point(Phase::Manifest, "runtime", Side::Before, "PUT", (PRIVATE, "manifests/sha256:")),
    point(Phase::Manifest, "runtime", Side::After, "PUT", (PRIVATE, "manifests/sha256:")),
    point(Phase::Record, "runtime", Side::Before, "PUT", (PRIVATE, "blobs/uploads/")),
    point(Phase::Record, "runtime", Side::Before, "PUT", (PRIVATE, ".record")),
    point(Phase::Record, "runtime", Side::After, "PUT", (PRIVATE, ".record")),
    point(Phase::Record, "runtime", Side::After, "PUT", (PRIVATE, "manifests/sha256-")),
    Point { not: ".record", ..point(Phase::Key, "runtime", Side::Before, "PUT", (PRIVATE, "manifests/key-")) },
    Point { not: ".record", ..point(Phase::Key, "runtime", Side::After, "PUT", (PRIVATE, "manifests/key-")) },
    // The image is finished at its home; the second destination takes its blobs from there.
    point(Phase::Blobs, "runtime", Side::After, "POST", (PUBLIC, "blobs/uploads/")),
    point(Phase::Manifest, "runtime", Side::Before, "PUT", (PUBLIC, "manifests/sha256:")),
    Point { not: ".record", ..point(Phase::Key, "runtime", Side::Before, "PUT", (PUBLIC, "manifests/key-")) },
    Point {
        not: ".record",
        ..point(Phase::Key, "media-tools", Side::After, "PUT", ("private/base-media-tools/", "manifests/key-"))
    },
];

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let Some(place) = Place::five_lambdas_behind_a_proxy("a_killed_run_goes_on_where_it_was") else { return };
    place.apply();
    let old = place.registry.whole_for_people();
    // Another runtime: all seven are to be built anew.
    place.write("examples/five-lambdas/runtime/version", "2\n");
    let dockerfile = "examples/five-lambdas/runtime/Dockerfile";
    place.write(dockerfile, &format!("{}COPY runtime/version /etc/runtime-version\n", place.read(dockerfile)));
    place.commit("another runtime");
    assert_eq!(with(&place.plan(), Action::Build).len(), 7);

    for point in POINTS {
        let finished = finished(&place);
        let events = killed_at_request(&place, point);
        nothing_is_built_again(&events, &finished);
        assert_eq!(place.registry.whole_for_people(), old, "a tag moved before the last part of the run");
    }
    killed_while_building(&place, &old);
    killed_while_tags_move(&place, &old, Side::Before, 1);
    killed_while_tags_move(&place, &old, Side::After, 3);

    let events = place.apply().events();
    assert_eq!(events.built(), Vec::<String>::new(), "everything was built before the tags moved");
    place.run(&["plan", "--exit-code"]).exits(0);
    let plan = place.plan();
    let now = place.registry.whole_for_people();
    for (reference, digest) in expected(&plan) {
        assert_eq!(now[&reference], digest, "{reference}");
    }
    let left: Vec<_> = std::fs::read_dir(place.root().join(".orchestrate"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("build"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "blobs of the killed runs are left behind");
}

/// Kills a run while a request of the point is held; the event log proves the part of the run.
pub fn killed_at_request(place: &Place, point: &Point) -> Events {
    let proxy = place.proxy.as_ref().unwrap();
    let Point { method, path: (begin, more), not, nth, .. } = *point;
    let count = AtomicUsize::new(0);
    let written = Mutex::new(BTreeSet::new());
    proxy.hold(point.side, move |line| {
        if let Some(path) = line.strip_prefix("PUT ") {
            written.lock().unwrap().insert(path.to_owned());
        }
        let path = line.strip_prefix(method).and_then(|line| line.strip_prefix(" /v2/"));
        let rest = path.and_then(|path| path.strip_prefix(begin));
        // A plan reads manifests too; what is read back was written before.
        let is_ours = method != "GET"
            || !more.contains("manifests/sha256:")
            || written.lock().unwrap().contains(line.trim_start_matches("GET "));
        is_ours
            && rest.is_some_and(|rest| rest.contains(more) && !rest.contains(not))
            && count.fetch_add(1, Ordering::SeqCst) + 1 >= nth
    });
    let mut run = place.watch(&["apply", "--json"]);
    // A record's blobs go where the image's went, so the part of the run is waited for first.
    run.until(|kind| {
        matches!(kind, Kind::PhaseStarted { image, phase, at } if image.as_str() == point.image
            && *phase == point.phase && (*phase == Phase::Build || at.ends_with(begin.trim_end_matches('/'))))
    });
    let line = proxy.held();
    let events = run.kill();
    proxy.release(End::Lost);
    assert_eq!(events.last_phase(point.image), Some(point.phase), "killed at {line}");
    events
}

/// A build that BuildKit runs: whichever of the Lambdas is in it when the signal arrives.
fn killed_while_building(place: &Place, old: &Tags) {
    for image in ["api", "enhance", "select", "thumb", "video"] {
        let finished = finished(place);
        if finished.iter().any(|name| name == image) {
            continue;
        }
        let mut run = place.watch(&["apply", "--json"]);
        run.until(|kind| {
            matches!(kind, Kind::PhaseStarted { image: name, phase: Phase::Build, .. } if name.as_str() == image)
        });
        let events = run.kill();
        nothing_is_built_again(&events, &finished);
        assert_eq!(&place.registry.whole_for_people(), old);
        if events.last_phase(image) == Some(Phase::Build) {
            return;
        }
    }
    panic!("no run was killed while it built");
}

/// Kills a run while its n-th tag moves: each tag is the old image or the new one.
fn killed_while_tags_move(place: &Place, old: &Tags, side: Side, nth: usize) {
    let proxy = place.proxy.as_ref().unwrap();
    let count = AtomicUsize::new(0);
    proxy.hold(side, move |line| {
        let tag = line.strip_prefix("PUT ").and_then(|line| line.split("/manifests/").nth(1)).unwrap_or("sha256:");
        let counts = !tag.starts_with("key-") && !tag.starts_with("sha256");
        counts && count.fetch_add(1, Ordering::SeqCst) + 1 >= nth
    });
    let mut run = place.watch(&["apply", "--json"]);
    run.until(|kind| matches!(kind, Kind::PhaseStarted { phase: Phase::Tags, .. }));
    proxy.held();
    let events = run.kill();
    proxy.release(End::Lost);
    assert_eq!(events.phases().last().map(|(_, phase)| *phase), Some(Phase::Tags));

    let plan = place.plan();
    assert_eq!(with(&plan, Action::Build), Vec::<&str>::new(), "all keys stand before the first tag moves");
    let new: Tags = expected(&plan).into_iter().collect();
    let now = place.registry.whole_for_people();
    for (reference, digest) in &now {
        assert!(old.get(reference) == Some(digest) || new.get(reference) == Some(digest), "{reference} is {digest}");
    }
    let moved = new.iter().filter(|(reference, digest)| now.get(*reference) == Some(digest)).count();
    assert!(moved < new.len(), "the run was killed before its end");
    assert!(side == Side::Before || moved >= nth, "{moved} tags moved");
}

/// Every tag that the plan's images are to have, with the digest that they are published as.
fn expected(plan: &Plan) -> Vec<(String, orchestrate::digest::Digest)> {
    let steps = plan.images.iter().flat_map(|step| &step.destinations);
    steps
        .flat_map(|publication| {
            let repository = path_of(&publication.reference);
            publication.tags.iter().map(move |tag| (format!("{repository}:{}", tag.tag), tag.to.unwrap()))
        })
        .collect()
}

fn path_of(reference: &str) -> &str {
    reference.split_once('/').unwrap().1
}

/// The images whose key, or pinned key, stands at their home, as the registry says; the plan must see the same.
fn finished(place: &Place) -> Vec<String> {
    let plan = place.plan();
    let stands = |step: &&Step| {
        let home = &step.destinations[0];
        let tags = place.registry.tags(path_of(&home.reference));
        tags.contains(&step.key.tag()) || home.pinned.is_some_and(|pinned| tags.contains(&pinned.tag()))
    };
    let finished: Vec<String> = plan.images.iter().filter(stands).map(|step| step.name.to_string()).collect();
    for step in &plan.images {
        let stands = finished.contains(&step.name.to_string());
        assert_eq!(step.action != Action::Build, stands, "{}: {:?}", step.name, step.action);
    }
    finished
}

fn nothing_is_built_again(events: &Events, finished: &[String]) {
    let again: Vec<_> = events.built().into_iter().filter(|name| finished.contains(name)).collect();
    assert_eq!(again, Vec::<String>::new(), "these were finished before");
}
