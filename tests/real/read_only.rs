//! `plan` only reads: no docker, nothing that it may write to, GET and HEAD alone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::place::{Place, is_root, path_without_docker, program};
use crate::run::Run;

#[test]
fn a_plan_changes_nothing_anywhere() {
    let Some(place) = Place::five_lambdas("a_plan_changes_nothing_anywhere") else { return };
    place.apply();
    // Something to build and something to tag, so that records are read too.
    place.replace("examples/five-lambdas/media-tools/ffmpeg", "7.1", "7.2");
    place.commit("ffmpeg 7.2");
    let wanted = place.run(&["plan", "--json"]).exits(0).stdout;
    fs::remove_dir_all(place.root().join(".orchestrate")).unwrap();

    let home = place.beside("home");
    fs::create_dir(&home).unwrap();
    let path = path_without_docker(&place.beside("bin"));
    for folder in [&home, &place.root()] {
        permit(folder, 0o555, 0o444);
    }
    let before = (listing(&place.root()), listing(&home));

    // Root writes wherever it likes, so another user plans; git must be told that this is meant.
    let planning = || {
        let mut command = if is_root() { place.nobody(&place.root()) } else { program(&place.root()) };
        command.args(["plan", "--json", "--profile", "local"]).env("HOME", &home).env("PATH", &path);
        command.env_remove("DOCKER_CONFIG").env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        command
    };
    if is_root() {
        let run = Run::of(planning()).exits(2);
        assert!(run.stderr.contains("safe.directory"), "{}", run.stderr);
    }
    let mut command = planning();
    command.envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "safe.directory"), ("GIT_CONFIG_VALUE_0", "*")]);
    let mark = place.registry.mark();
    let run = Run::of(command).exits(0);
    let requests = place.registry.requests_since(mark);
    let after = (listing(&place.root()), listing(&home));
    for folder in [&home, &place.root()] {
        permit(folder, 0o755, 0o644);
    }
    assert_eq!(run.stdout, wanted, "the same plan");
    assert_eq!(before, after);
    assert!(requests.iter().any(|request| request.method == "GET"), "records were read");
    let writes: Vec<_> = requests.iter().filter(|request| !["GET", "HEAD"].contains(&&request.method[..])).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    assert!(requests.len() < 60, "{} requests", requests.len());
}

/// The modes of a folder and of all below it; the x bits of files stay.
fn permit(folder: &Path, folders: u32, files: u32) {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let executable = fs::metadata(&path).unwrap().mode() & 0o111;
                fs::set_permissions(&path, fs::Permissions::from_mode(files | executable)).unwrap();
            }
        }
        if folders != 0o755 {
            fs::set_permissions(&folder, fs::Permissions::from_mode(folders)).unwrap();
        }
    }
}

/// Everything below a folder, with what a write would change.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            found.push(format!(
                "{} {:o} {} {}.{}",
                path.display(),
                stat.mode(),
                stat.len(),
                stat.mtime(),
                stat.mtime_nsec()
            ));
            if stat.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}
