//! `--only`, `--with-dependents`, `--build-only`, `--jobs`.

use std::collections::BTreeMap;

use orchestrate::event::Kind;
use orchestrate::plan::{Action, Plan};

use crate::events::Events;
use crate::place::{Place, with};

#[test]
fn a_run_does_what_its_flags_choose() {
    let Some(place) = Place::five_lambdas("a_run_does_what_its_flags_choose") else { return };

    // One image, and what it builds on; only its own tags move.
    let events = place.run(&["apply", "--json", "--jobs", "1", "--only", "api"]).exits(0).events();
    assert_eq!(events.built(), ["runtime", "api"]);
    let tags: Vec<String> = place.registry.whole_for_people().into_keys().collect();
    assert_eq!(tags.len(), 2, "{tags:?}");
    assert!(tags.iter().all(|tag| tag.contains("-light:api-")), "{tags:?}");
    place.run(&["plan", "--exit-code", "--only", "api"]).exits(0);
    place.run(&["plan", "--exit-code", "--only", "enhance"]).exits(5);

    // A base and all that builds on it.
    let plan = place.run(&["plan", "--json", "--only", "media-tools", "--with-dependents"]).exits(0).plan();
    assert_eq!(with(&plan, Action::Build), ["media-tools", "thumb", "select", "video"]);
    // A group, a glob, a name that nothing has.
    let plan = place.run(&["plan", "--json", "--only", "lambdas"]).exits(0).plan();
    assert_eq!(plan.images.iter().filter(|step| step.chosen).count(), 5);
    let plan = place.run(&["plan", "--json", "--only", "t*"]).exits(0).plan();
    assert_eq!(chosen(&plan), ["thumb"]);
    let mark = place.registry.mark();
    let run = place.run(&["apply", "--only", "thumbs"]).exits(2);
    assert!(run.stderr.contains("thumbs") && run.stderr.contains("thumb"), "{}", run.stderr);
    assert_eq!(place.registry.requests_since(mark), []);

    // Keys alone, for shards; then the tags, by manifest PUTs alone.
    let events = place.run(&["apply", "--json", "--build-only", "--jobs", "1"]).exits(0).events();
    assert_eq!(events.built().len(), 5);
    assert_eq!(at_once(&events, &place.plan()), (1, 2), "one at a time, the heavy ones weigh two");
    assert_eq!(place.registry.whole_for_people().into_keys().collect::<Vec<_>>(), tags);
    let mark = place.registry.mark();
    let events = place.apply().events();
    assert_eq!(events.built(), Vec::<String>::new());
    assert_eq!(events.moved().len(), 18);
    let writes = place.registry.writes_since(mark);
    assert!(writes.iter().all(|write| write.method == "PUT" && write.path.contains("/manifests/")), "{writes:#?}");
    // Beside the tags: where a moving tag moves, who moved it there, and the list of what refers to the image.
    let tags = writes.iter().filter(|write| !write.path.contains("/manifests/sha256"));
    assert_eq!((tags.count(), writes.len()), (18, 18 + 2 * 11), "{writes:#?}");

    // Three at once, counted by weight.
    place.write("examples/five-lambdas/runtime/version", "2\n");
    let dockerfile = "examples/five-lambdas/runtime/Dockerfile";
    place.write(dockerfile, &format!("{}COPY runtime/version /etc/runtime-version\n", place.read(dockerfile)));
    place.commit("another runtime");
    let plan = place.plan();
    let events = place.run(&["apply", "--json", "--jobs", "3"]).exits(0).events();
    assert_eq!(events.built().len(), 7);
    let (images, weight) = at_once(&events, &plan);
    assert!(images >= 2 && weight <= 3, "{images} images at once, {weight} by weight");
}

fn chosen(plan: &Plan) -> Vec<&str> {
    plan.images.iter().filter(|step| step.chosen).map(|step| step.name.as_str()).collect()
}

/// The most images that BuildKit built at once, and the most by weight: from the first to the last step of each build. What is assembled is not
/// counted, since no program runs, and neither is what is built and being published.
fn at_once(events: &Events, plan: &Plan) -> (usize, u32) {
    let weight = |name: &str| plan.images.iter().find(|step| step.name.as_str() == name).unwrap().weight;
    let mut spans: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (at, event) in events.0.iter().enumerate() {
        if let Kind::BuildStep { image, .. } = &event.event {
            spans.entry(image.to_string()).or_insert((at, at)).1 = at;
        }
    }
    let running = (0..events.0.len()).map(|at| {
        let running = spans.iter().filter(|(_, (first, last))| (*first..=*last).contains(&at));
        running.fold((0, 0), |(images, weights), (name, _)| (images + 1, weights + weight(name)))
    });
    running.fold((0, 0), |most: (usize, u32), now| (most.0.max(now.0), most.1.max(now.1)))
}
