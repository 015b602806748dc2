//! The five Lambdas of the repository: from nothing, and as they are worked on.

use orchestrate::event::{Outcome, RunOutcome};
use orchestrate::plan::{Action, Executor};

use crate::place::{Place, path_without_docker, program, with};
use crate::run::Run;

const ALL: [&str; 7] = ["runtime", "media-tools", "api", "enhance", "thumb", "select", "video"];
const LAMBDAS: [&str; 5] = ["api", "enhance", "thumb", "select", "video"];
const LIGHT: &str = "private/ai-social-media-lambda-light";
const HEAVY: &str = "private/ai-social-media-lambda-heavy";

/// `NAME-COMMIT` and `NAME-latest` of each name, sorted.
fn tags(names: &[&str], commits: &[&str]) -> Vec<String> {
    let marks = commits.iter().copied().chain(["latest"]);
    let mut tags: Vec<String> = marks.flat_map(|mark| names.iter().map(move |name| format!("{name}-{mark}"))).collect();
    tags.sort();
    tags
}

#[test]
fn five_lambdas_from_nothing() {
    let Some(place) = Place::five_lambdas("five_lambdas_from_nothing") else { return };
    let commit = place.git(&["rev-parse", "--short=7", "HEAD"]).trim().to_owned();

    let plan = place.plan();
    assert_eq!(with(&plan, Action::Build), ALL);
    assert!(place.run(&["plan"]).exits(0).stdout.contains("plan: 7 to build, 0 to copy, 0 to tag, 0 to keep"));
    place.run(&["plan", "--exit-code"]).exits(5);

    let events = place.apply().events();
    assert_eq!(events.receipt().outcome, RunOutcome::Succeeded);
    let mut built = events.ended(Outcome::Built);
    assert_eq!(built[0], "runtime", "all others build on it");
    built.sort();
    assert_eq!(built, {
        let mut all = ALL;
        all.sort_unstable();
        all
    });
    for step in &plan.images {
        for need in &step.needs {
            events.assert_order(need.as_str(), step.name.as_str());
        }
    }
    // Who builds follows from the Dockerfile alone: what runs a program needs BuildKit.
    for step in &plan.images {
        let runs = LAMBDAS.contains(&step.name.as_str());
        assert_eq!(step.executor, if runs { Executor::Buildkit } else { Executor::Assemble }, "{}", step.name);
    }
    for heavy in ["thumb", "select", "video"] {
        assert!(plan.images.iter().any(|step| step.name.as_str() == heavy && step.needs.len() == 2), "{plan:#?}");
    }

    // Every tag that the manifest asks for, and no other.
    assert_eq!(place.registry.people_tags(LIGHT), tags(&["api", "enhance"], &[&commit]));
    assert_eq!(place.registry.people_tags(HEAVY), tags(&["thumb", "select", "video"], &[&commit]));
    assert_eq!(place.registry.people_tags("public/lambda-light"), tags(&["enhance"], &[&commit]));
    assert_eq!(place.registry.people_tags("public/lambda-heavy"), tags(&["thumb", "video"], &[&commit]));
    assert_eq!(place.registry.people_tags("private/base-runtime"), ["stable"]);
    assert_eq!(place.registry.people_tags("public/base-media-tools"), ["stable"]);
    assert_eq!(skopeo_tags(&place, LIGHT), place.registry.tags(LIGHT));
    place.registry.whole();

    assert_eq!(place.container(&format!("{LIGHT}:api-latest")), "api: hello from media-lambda\n");
    assert_eq!(place.container(&format!("{LIGHT}:enhance-{commit}")), "enhance: hello from enhance-lambda\n");
    let heavy = |name: &str| place.container(&format!("{HEAVY}:{name}-latest"));
    let tool = place.read("examples/five-lambdas/media-tools/ffmpeg");
    assert_eq!(heavy("thumb"), format!("thumb: hello from thumbnail-lambda, with\n{tool}"));
    assert_eq!(heavy("select"), format!("select: hello from selection-lambda, with\n{tool}"));
    let public = place.container(&format!("public/lambda-heavy:video-{commit}"));
    assert_eq!(public, format!("video: hello from video-lambda, with\n{tool}"));

    nothing_is_left_to_do(&place);
}

fn nothing_is_left_to_do(place: &Place) {
    place.run(&["plan", "--exit-code"]).exits(0);
    let mark = place.registry.mark();
    let events = place.apply().events();
    assert_eq!(events.phases(), [], "nothing is built, sent or tagged");
    assert_eq!(events.receipt().images.iter().filter(|image| image.outcome == Outcome::Kept).count(), 7);
    let requests = place.registry.requests_since(mark);
    assert!(
        requests.iter().all(|request| request.method == "HEAD" && request.path.contains("/manifests/")),
        "{requests:#?}"
    );
    // 12 destinations and 20 tags: the cost that is promised.
    assert_eq!(requests.len(), 32);

    // With no engine to be had and no docker to ask for one.
    let mut command = program(&place.root());
    command.args(["apply", "--profile", "local"]).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    command.env("PATH", path_without_docker(&place.beside("bin")));
    let run = Run::of(command).exits(0);
    assert!(run.stderr.contains("done: 7 kept"), "{}", run.stderr);
}

fn skopeo_tags(place: &Place, repository: &str) -> Vec<String> {
    let mut command = std::process::Command::new("skopeo");
    command.args(["list-tags", "--tls-verify=false", &format!("docker://{}/{repository}", place.address())]);
    let answer: serde_json::Value = serde_json::from_str(&Run::of(command).exits(0).stdout).unwrap();
    let mut tags: Vec<String> = serde_json::from_value(answer["Tags"].clone()).unwrap();
    tags.sort();
    tags
}

#[test]
fn a_commit_moves_tags_and_an_edit_builds_what_depends_on_it() {
    let Some(place) = Place::five_lambdas("a_commit_moves_tags_and_an_edit_builds_what_depends_on_it") else { return };
    let first = place.git(&["rev-parse", "--short=7", "HEAD"]).trim().to_owned();
    place.apply();

    // A commit that touches no input.
    place.write("README.md", "Nobody builds from this.\n");
    let second = place.commit("a readme");
    let plan = place.plan();
    assert_eq!(with(&plan, Action::Tag), LAMBDAS);
    assert_eq!(with(&plan, Action::Keep), ["runtime", "media-tools"]);
    let mark = place.registry.mark();
    let events = place.apply().events();
    assert_eq!(events.built(), Vec::<String>::new());
    let mut moved = events.moved();
    let writes = place.registry.writes_since(mark);
    // One new tag at each of the eight destinations of the five. `latest` stands right already: that this commit wants it there is noted
    // beside the image, and in the list that stands in for the registry's missing one. All of it manifests.
    assert_eq!((writes.len(), moved.len()), (3 * 8, 8), "{writes:#?}");
    assert!(writes.iter().all(|write| write.method == "PUT" && write.path.contains("/manifests/")), "{writes:#?}");
    let (tagged, noted): (Vec<_>, Vec<_>) = writes.iter().partition(|write| write.path.ends_with(&second));
    assert_eq!((tagged.len(), noted.len()), (8, 16), "{writes:#?}");
    assert!(noted.iter().all(|write| write.path.contains("/manifests/sha256")), "{noted:#?}");
    moved.retain(|reference| !reference.ends_with(&second));
    assert_eq!(moved, Vec::<String>::new());
    assert_eq!(place.registry.people_tags(LIGHT), tags(&["api", "enhance"], &[&first, &second]));
    place.run(&["plan", "--exit-code"]).exits(0);

    // One handler.
    let handler = "examples/five-lambdas/cmd/video-lambda/main.say";
    place.replace(handler, "hello from video-lambda", "good evening from video-lambda");
    let third = place.commit("video says good evening");
    let run = place.run(&["plan"]).exits(0);
    assert!(run.stdout.contains("cmd/video-lambda/main.say"), "the plan names the file:\n{}", run.stdout);
    let plan = place.plan();
    assert_eq!(with(&plan, Action::Build), ["video"]);
    assert_eq!(with(&plan, Action::Tag), ["api", "enhance", "thumb", "select"]);
    assert_eq!(place.apply().events().built(), ["video"]);
    let said = place.container(&format!("public/lambda-heavy:video-{third}"));
    assert!(said.starts_with("video: good evening from video-lambda"), "{said}");
    assert_eq!(place.container(&format!("{LIGHT}:api-{third}")), "api: hello from media-lambda\n");

    // The base of the heavy ones: they alone, and the light ones are kept but for their tags.
    place.replace("examples/five-lambdas/media-tools/ffmpeg", "ffmpeg", "ffmpeg, newer");
    place.commit("a newer ffmpeg");
    let plan = place.plan();
    assert_eq!(with(&plan, Action::Build), ["media-tools", "thumb", "select", "video"]);
    let events = place.apply().events();
    assert_eq!(events.built()[0], "media-tools");
    assert_eq!(events.built().len(), 4);
    assert!(place.container(&format!("{HEAVY}:select-latest")).contains("ffmpeg, newer"));
    place.registry.whole();
}
