//! The same tree has the same keys wherever it is checked out, and another tree has others, however it hides.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Command;

use orchestrate::plan::Action;

use crate::place::{Place, git, is_root, program, with};
use crate::real;
use crate::run::Run;

/// The keys of all images, by name.
fn keys(mut command: Command) -> BTreeMap<String, String> {
    command.args(["plan", "--offline", "--json", "--allow-dirty", "--profile", "local"]);
    let plan = Run::of(command).exits(0).plan();
    assert_eq!(plan.images.len(), 7);
    plan.images.iter().map(|step| (step.name.to_string(), step.key.to_string())).collect()
}

fn clone(place: &Place, name: &str, umask: &str) -> std::path::PathBuf {
    let to = place.beside(name);
    let mut command = Command::new("sh");
    command.args(["-c", "umask $1 && exec git clone -q \"$2\" \"$3\"", "sh", umask]).arg(place.root()).arg(&to);
    Run::of(command).exits(0);
    to
}

#[test]
fn a_tree_has_the_same_keys_everywhere() {
    let Some(place) = Place::five_lambdas("a_tree_has_the_same_keys_everywhere") else { return };
    let wanted = keys(program(&place.root()));
    assert_eq!(keys(program(&place.root())), wanted, "with the stat cache");
    place.apply();

    let other = clone(&place, "another folder with a longer name", "022");
    assert_eq!(keys(program(&other)), wanted, "another folder");
    for umask in ["000", "077"] {
        let folder = clone(&place, &format!("umask-{umask}"), umask);
        assert_eq!(keys(program(&folder)), wanted, "umask {umask}");
    }
    for (name, value) in [("TZ", "Asia/Kathmandu"), ("TZ", "Pacific/Honolulu"), ("LC_ALL", "tr_TR.UTF-8")] {
        let mut command = program(&other);
        command.env(name, value);
        assert_eq!(keys(command), wanted, "{name}={value}");
    }
    // What was published from one checkout is kept in another.
    let mut command = program(&other);
    command.args(["plan", "--exit-code", "--profile", "local"]);
    Run::of(command).exits(0);
    as_another_user(&place, &wanted);
}

fn as_another_user(place: &Place, wanted: &BTreeMap<String, String>) {
    if !is_root() {
        real::skip("a_tree_has_the_same_keys_everywhere", "only root can become another user");
        return;
    }
    let folder = clone(place, "of-nobody", "022");
    let mut chown = Command::new("chown");
    chown.args(["-R", "65534:65534"]).arg(&folder);
    Run::of(chown).exits(0);
    let home = place.beside("home-of-nobody");
    fs::create_dir(&home).unwrap();
    let mut command = place.nobody(&folder);
    command.env("HOME", &home);
    assert_eq!(keys(command), *wanted, "another user");
}

#[test]
fn an_edit_of_the_same_size_and_time_is_seen_and_built() {
    let Some(place) = Place::five_lambdas("an_edit_of_the_same_size_and_time_is_seen_and_built") else { return };
    place.apply();
    // The stat cache knows every file.
    let before = keys(program(&place.root()));
    assert_eq!(keys(program(&place.root())), before);

    let handler = "examples/five-lambdas/cmd/media-lambda/main.say";
    let path = place.root().join(handler);
    let metadata = fs::metadata(&path).unwrap();
    place.replace(handler, "hello from", "hullo from");
    File::options().write(true).open(&path).unwrap().set_modified(metadata.modified().unwrap()).unwrap();
    let now = fs::metadata(&path).unwrap();
    assert_eq!((now.len(), now.modified().unwrap()), (metadata.len(), metadata.modified().unwrap()));

    let after = keys(program(&place.root()));
    let changed: Vec<&String> = before.keys().filter(|name| before[*name] != after[*name]).collect();
    assert_eq!(changed, ["api"]);
    git(&place.root(), &["commit", "-q", "-a", "-m", "hullo"]);
    assert_eq!(with(&place.plan(), Action::Build), ["api"]);
    assert_eq!(place.apply().events().built(), ["api"]);
    let said = place.container("private/ai-social-media-lambda-light:api-latest");
    assert_eq!(said, "api: hullo from media-lambda\n", "BuildKit built the new bytes");
}

#[test]
fn why_on_a_clone_without_local_state_names_the_changed_file() {
    let Some(place) = Place::five_lambdas("why_on_a_clone_without_local_state_names_the_changed_file") else { return };
    place.apply();
    let handler = "examples/five-lambdas/cmd/video-lambda/main.say";
    place.replace(handler, "hello from", "good evening from");
    place.commit("video says good evening");
    place.replace("examples/five-lambdas/media-tools/ffmpeg", "ffmpeg", "ffmpeg, newer");
    place.commit("a newer ffmpeg");

    let folder = clone(&place, "of somebody else", "077");
    assert!(!folder.join(".orchestrate").exists() && !folder.join("examples/five-lambdas/.orchestrate").exists());
    let why = |words: &[&str]| {
        let mut command = program(&folder);
        command.args(["why", "--profile", "local"]).args(words);
        Run::of(command).exits(0).stdout
    };
    let text = why(&["video"]);
    assert!(text.contains("cmd/video-lambda/main.say changed"), "{text}");
    assert!(text.contains("media-tools"), "and the base from which the rest follows: {text}");
    let json: serde_json::Value = serde_json::from_str(&why(&["video", "--json"])).unwrap();
    let shown = json.to_string();
    assert!(shown.contains("cmd/video-lambda/main.say") && shown.contains("content"), "{shown}");
    let text = why(&["media-tools"]);
    assert!(text.contains("media-tools/ffmpeg changed") && !text.contains("main.say"), "{text}");
    assert!(!folder.join("deploy.lock").exists() || git(&folder, &["status", "--porcelain"]).is_empty());
}
