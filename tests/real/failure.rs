//! A build that fails: what is shown, what goes on, what is left alone.

use orchestrate::event::RunOutcome;
use orchestrate::plan::Action;

use crate::place::{Place, with};

#[test]
fn a_failed_build_shows_its_place_and_stops_its_dependents_alone() {
    let test = "a_failed_build_shows_its_place_and_stops_its_dependents_alone";
    let Some(place) = Place::five_lambdas(test) else { return };
    let dockerfile = "examples/five-lambdas/media-tools/Dockerfile";
    let sound = place.read(dockerfile);
    place.write(dockerfile, &format!("{sound}RUN [\"/bin/say\", \"/opt/media/ffmpeg\", \"/opt/media/codecs\"]\n"));
    place.commit("a step that fails");

    let mark = place.registry.mark();
    let run = place.run(&["apply", "--json"]).exits(1);
    let events = run.events();
    assert_eq!(events.receipt().outcome, RunOutcome::Failed);
    let [(failed, error)] = &events.failed()[..] else { panic!("{:?}", events.failed()) };
    assert_eq!(failed, "media-tools");
    let line = sound.lines().count() + 1;
    for part in [
        format!("{dockerfile}:{line}"),
        "RUN [\"/bin/say\", \"/opt/media/ffmpeg\", \"/opt/media/codecs\"]".to_owned(),
        place.read("examples/five-lambdas/media-tools/ffmpeg").trim_end().to_owned(),
        "say: cannot read /opt/media/codecs".to_owned(),
    ] {
        assert!(error.contains(&part), "{part:?} is missing in:\n{error}");
    }
    let mut skipped = events.skipped();
    skipped.sort();
    let because = |name: &str| (name.to_owned(), "media-tools".to_owned());
    assert_eq!(skipped, [because("select"), because("thumb"), because("video")]);
    let mut built = events.ended(orchestrate::event::Outcome::Built);
    built.sort();
    assert_eq!(built, ["api", "enhance", "runtime"], "the others go on");

    // No tag moves in a run that failed; what is finished stands under its key.
    assert!(place.registry.whole_for_people().is_empty());
    assert!(place.registry.writes_since(mark).iter().all(|write| !write.path.contains("media-tools")));
    assert_eq!(with(&place.plan(), Action::Tag), ["runtime", "api", "enhance"]);

    // People are shown the same.
    let run = place.run(&["apply", "--fail-fast"]).exits(1);
    assert!(run.stderr.contains(&format!("{dockerfile}:{line}")), "{}", run.stderr);
    assert!(run.stderr.contains("say: cannot read /opt/media/codecs"), "{}", run.stderr);
    assert!(run.stderr.contains("failed: 3 kept, 1 failed, 3 skipped"), "{}", run.stderr);

    // The tags of what succeeded move if that is asked for.
    let events = place.run(&["apply", "--json", "--publish-partial"]).exits(1).events();
    assert_eq!(events.built(), ["media-tools"]);
    assert_eq!(place.registry.people_tags("private/ai-social-media-lambda-light").len(), 4);
    assert_eq!(place.registry.people_tags("private/base-runtime"), ["stable"]);
    let tags = place.registry.whole_for_people();
    assert!(
        tags.keys().all(|reference| !reference.contains("heavy") && !reference.contains("media-tools")),
        "{tags:?}"
    );

    // Repaired, only what failed and what waited for it is built.
    place.write(dockerfile, &sound);
    place.commit("without it");
    let mut built = place.apply().events().built();
    built.sort();
    assert_eq!(built, ["media-tools", "select", "thumb", "video"]);
    place.run(&["plan", "--exit-code"]).exits(0);
}

#[test]
fn without_an_engine_nothing_is_touched() {
    let Some(place) = Place::base_chain("without_an_engine_nothing_is_touched") else { return };
    // Its first instruction that only BuildKit can run.
    let dockerfile = "dockerfiles/Dockerfile.receipt_dynamo";
    place
        .write(dockerfile, &format!("{}RUN [\"/bin/say\", \"/opt/receipt_dynamo/version\"]\n", place.read(dockerfile)));
    place.commit("a step");
    let mark = place.registry.mark();
    let mut command = place.command(&["apply"]);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let run = crate::run::Run::of(command).exits(3);
    assert!(run.stderr.contains("help:"), "{}", run.stderr);
    assert_eq!(place.registry.writes_since(mark), []);
}
