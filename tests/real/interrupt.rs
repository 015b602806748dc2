//! Ctrl-C: what is under way ends, nothing is half written, and the next run goes on.

use orchestrate::event::{Kind, Outcome, Phase, RunOutcome};

use crate::events::Events;
use crate::place::Place;
use crate::proxy::{End, Side};
use crate::run::Run;

/// The run was interrupted, says so, and moved no tag.
fn assert_interrupted(place: &Place, events: &Events, run: Run) {
    let run = run.exits(130);
    assert!(run.stderr.contains("interrupted"), "{}", run.stderr);
    let receipt = events.receipt();
    assert_eq!(receipt.outcome, RunOutcome::Interrupted);
    let written: orchestrate::event::Receipt = serde_json::from_str(&place.read(".orchestrate/receipt.json")).unwrap();
    assert_eq!(&written, receipt);
    assert_eq!(place.registry.whole_for_people().len(), 0, "no tag moved");
    // What the receipt says that exists does, whole, under its key.
    let standing = place.registry.whole();
    for image in receipt.images.iter().filter(|image| image.outcome == Outcome::Built) {
        let home = image.published[0].reference.split_once('/').unwrap().1;
        assert_eq!(Some(&standing[&format!("{home}:{}", image.key.tag())]), image.digest.as_ref());
    }
}

#[test]
fn an_interrupted_run_ends_soon_and_goes_on_later() {
    let test = "an_interrupted_run_ends_soon_and_goes_on_later";
    let Some(place) = Place::five_lambdas_behind_a_proxy(test) else { return };
    let proxy = place.proxy.as_ref().unwrap();

    // While a blob waits for a registry that does not answer.
    proxy.hold(Side::Before, |line| line.starts_with("PUT /v2/private/base-runtime/blobs/uploads/"));
    let mut run = place.watch(&["apply", "--json"]);
    run.until(|kind| matches!(kind, Kind::PhaseStarted { phase: Phase::Blobs, .. }));
    proxy.held();
    run.signal("TERM");
    let (events, run) = run.wait();
    proxy.release(End::Lost);
    assert_interrupted(&place, &events, run);
    assert_eq!(events.built(), ["runtime"], "nothing else was begun");

    // Between the first destination and the second: the first is in the receipt.
    proxy.hold(Side::Before, |line| line.starts_with("PUT /v2/public/base-runtime/manifests/"));
    let run = place.watch(&["apply", "--json"]);
    proxy.held();
    run.signal("TERM");
    let (events, run) = run.wait();
    proxy.release(End::Lost);
    assert_interrupted(&place, &events, run);
    let runtime = events.receipt().images.iter().find(|image| image.name.as_str() == "runtime").unwrap();
    assert_eq!(runtime.outcome, Outcome::Failed);
    let homes: Vec<&str> = runtime.published.iter().map(|home| home.reference.split_once('/').unwrap().1).collect();
    assert_eq!(homes, ["private/base-runtime"]);
    assert_eq!(runtime.digest, Some(place.registry.whole()[&format!("{}:{}", homes[0], runtime.key.tag())]));

    // While BuildKit builds.
    let mut run = place.watch(&["apply", "--json"]);
    run.until(|kind| matches!(kind, Kind::PhaseStarted { image, phase: Phase::Build, .. } if image.as_str() == "api"));
    run.signal("INT");
    let (events, run) = run.wait();
    assert_interrupted(&place, &events, run);
    let finished = [events.ended(Outcome::Built), events.ended(Outcome::Copied)].concat();
    assert!(finished.contains(&"runtime".to_owned()) && finished.len() < 7, "{finished:?}");

    // A second Ctrl-C waits for nothing.
    proxy.hold(Side::Before, |line| line.starts_with("PUT ") && line.contains("/manifests/key-"));
    let run = place.watch(&["apply", "--json"]);
    proxy.held();
    run.signal("INT");
    run.until_said("interrupted");
    run.signal("INT");
    let (_, run) = run.wait();
    proxy.release(End::Lost);
    run.exits(130);
    assert_eq!(place.registry.whole_for_people().len(), 0, "no tag moved");

    // In the tag phase the first Ctrl-C lets it end: the tags are never left mixed.
    proxy.hold(Side::Before, |line| line.starts_with("PUT ") && line.contains("-latest "));
    let run = place.watch(&["apply", "--json"]);
    proxy.held();
    run.signal("INT");
    run.until_said("interrupted");
    proxy.release(End::Goes);
    let (events, run) = run.wait();
    run.exits(0);
    assert_eq!(events.receipt().outcome, RunOutcome::Succeeded);
    let again: Vec<String> = events.built().into_iter().filter(|name| finished.contains(name)).collect();
    assert_eq!(again, Vec::<String>::new(), "these were finished before");
    assert_eq!(place.registry.whole_for_people().len(), 20);
    place.run(&["plan", "--exit-code"]).exits(0);
}
