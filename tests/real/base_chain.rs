//! A chain of bases: what is edited builds, and then what builds on it, in that order.

use orchestrate::event::Outcome;
use orchestrate::plan::{Action, Reason};

use crate::place::{Place, git, program, with};
use crate::run::Run;

#[test]
fn an_edited_base_rebuilds_its_dependents_in_order() {
    let Some(place) = Place::base_chain("an_edited_base_rebuilds_its_dependents_in_order") else { return };
    let all = ["base-dynamo", "base-label", "create-labels", "list-receipts", "upload-images"];
    let mut planned = with_sorted(&place, Action::Build);
    assert_eq!(planned, all);
    place.apply();
    place.run(&["plan", "--exit-code"]).exits(0);
    place.registry.whole();
    let before = place.registry.whole_for_people();

    place.replace("receipt_dynamo/version", "0.3.0", "0.4.0");
    place.commit("receipt_dynamo 0.4.0");
    planned = with_sorted(&place, Action::Build);
    assert_eq!(planned, all);
    let plan = place.plan();
    for step in &plan.images {
        let file = step
            .reasons
            .iter()
            .any(|reason| matches!(reason, Reason::File { path, .. } if path == "receipt_dynamo/version"));
        let cascade = step.reasons.iter().any(Reason::is_cascade);
        let is_root = step.name.as_str() == "base-dynamo";
        assert_eq!((file, cascade), (is_root, !is_root), "{}: {:?}", step.name, step.reasons);
    }
    let events = place.apply().events();
    assert_eq!(events.built()[..1], ["base-dynamo"]);
    events.assert_order("base-dynamo", "base-label");
    events.assert_order("base-dynamo", "list-receipts");
    events.assert_order("base-label", "create-labels");
    events.assert_order("base-label", "upload-images");
    let after = place.registry.whole_for_people();
    for repository in ["base-receipt-dynamo:stable", "base-receipt-label:stable", "upload-images-lambda:latest"] {
        assert_ne!(before[repository], after[repository], "{repository}");
    }
    let said = place.container("create-labels-lambda:latest");
    assert!(said.contains("receipt_dynamo 0.4.0"), "{said}");

    // The second base: the first one and what builds on it alone stay as they are.
    place.replace("receipt_label/version", "receipt_label", "receipt_label, edited:");
    place.commit("receipt_label");
    assert_eq!(with_sorted(&place, Action::Build), ["base-label", "create-labels", "upload-images"]);
    assert_eq!(with_sorted(&place, Action::Keep), ["base-dynamo"]);
    assert_eq!(with_sorted(&place, Action::Tag), ["list-receipts"]);
    let events = place.apply().events();
    assert_eq!(events.built()[..1], ["base-label"]);
    assert_eq!(events.built().len(), 3);
    events.assert_order("base-label", "create-labels");
    assert!(place.container("create-labels-lambda:latest").contains("receipt_label, edited:"));

    // A file that no build reads.
    place.write("README.md", "Other words.\n");
    assert_eq!(with_sorted(&place, Action::Build), Vec::<String>::new());
}

fn with_sorted(place: &Place, action: Action) -> Vec<String> {
    let plan = place.plan();
    let mut names: Vec<String> = with(&plan, action).into_iter().map(str::to_owned).collect();
    names.sort();
    names
}

/// A base that is rebuilt to the same digest leaves its dependents as they are.
#[test]
fn a_base_rebuilt_to_the_same_digest_builds_no_dependent() {
    let Some(place) = Place::base_chain("a_base_rebuilt_to_the_same_digest_builds_no_dependent") else { return };
    // A file that counts and is not sent: another key, and the same image.
    place.replace(
        "deploy.yaml",
        "    dockerfile: dockerfiles/Dockerfile.receipt_dynamo\n",
        "    dockerfile: dockerfiles/Dockerfile.receipt_dynamo\n    inputs: { extra: [notes] }\n",
    );
    place.write("notes", "These are notes.\n");
    place.commit("notes");
    place.apply();
    place.write("notes", "And these are other ones.\n");
    place.commit("other notes");
    assert_eq!(with_sorted(&place, Action::Build).len(), 5, "the keys are others");
    let events = place.apply().events();
    assert_eq!(events.built(), ["base-dynamo"], "{events:?}");
    assert_eq!(events.ended(Outcome::Adopted).len(), 4);
    place.run(&["plan", "--exit-code"]).exits(0);

    // A fresh clone, which has built nothing, knows it from the registry.
    let clone = place.beside("clone");
    git(&place.beside("."), &["clone", "-q", place.root().to_str().unwrap(), clone.to_str().unwrap()]);
    let plan = |words: &[&str]| {
        let mut command = program(&clone);
        command.arg("plan").args(words);
        Run::of(command).exits(0)
    };
    plan(&["--exit-code"]);
    let fresh = plan(&["--json"]).plan();
    assert!(fresh.images.iter().all(|step| step.action == Action::Keep), "{fresh:#?}");
}
