//! `plan --out FILE`, then `apply FILE`: exactly that, or nothing.

use orchestrate::event::Outcome;

use crate::place::{Place, git, program};
use crate::run::Run;

#[test]
fn a_saved_plan_is_applied_or_refused() {
    let Some(place) = Place::five_lambdas("a_saved_plan_is_applied_or_refused") else { return };
    let file = place.beside("saved.plan");
    let file = file.to_str().unwrap();
    place.run(&["plan", "--out", file]).exits(0);
    let same = std::fs::read(file).unwrap();
    place.run(&["plan", "--out", file]).exits(0);
    assert_eq!(std::fs::read(file).unwrap(), same, "two runs, the same bytes");
    assert!(!String::from_utf8(same).unwrap().contains(place.root().to_str().unwrap()), "no place of this machine");

    // On another runner.
    let runner = place.beside("runner");
    git(&place.beside("."), &["clone", "-q", place.root().to_str().unwrap(), runner.to_str().unwrap()]);
    // The plan says for which profile and which images it is.
    let elsewhere = |arguments: &[&str]| {
        let mut command = program(&runner);
        command.args(arguments);
        Run::of(command)
    };
    let part = place.beside("part.plan");
    let part = part.to_str().unwrap();
    place.run(&["plan", "--only", "api", "--out", part]).exits(0);
    assert_eq!(elsewhere(&["apply", "--json", part]).exits(0).events().built(), ["runtime", "api"]);
    // What the whole plan holds is still true, only less is left of it.
    let events = elsewhere(&["apply", "--json", file]).exits(0).events();
    assert_eq!(events.ended(Outcome::Built).len(), 5);
    // What an earlier run of the same plan did is not staleness.
    let events = elsewhere(&["apply", "--json", file]).exits(0).events();
    assert_eq!(events.phases(), []);

    // An input that changed.
    let handler = "examples/five-lambdas/cmd/video-lambda/main.say";
    let text = place.read(handler);
    place.replace(handler, "hello", "HELLO");
    assert_stale(&place, file, "video");
    place.write(handler, &text);
    place.run(&["apply", file]).exits(0);

    // A tag that somebody moved.
    place.commit("another commit");
    place.run(&["plan", "--out", file]).exits(0);
    let heavy = format!("docker://{}/private/ai-social-media-lambda-heavy", place.address());
    let mut skopeo = std::process::Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]);
    skopeo.args([format!("{heavy}:thumb-latest"), format!("{heavy}:video-latest")]);
    Run::of(skopeo).exits(0);
    assert_stale(&place, file, "video-latest");

    // No plan at all.
    std::fs::write(file, "{}").unwrap();
    place.run(&["apply", file]).exits(2);
    place.run(&["apply", "nowhere.plan"]).exits(2);
}

fn assert_stale(place: &Place, file: &str, why: &str) {
    let mark = place.registry.mark();
    let run = place.run(&["apply", file]).exits(4);
    assert!(run.stderr.contains("stale") && run.stderr.contains(why), "{}", run.stderr);
    assert_eq!(place.registry.writes_since(mark), [], "nothing was touched");
}
