//! What git knows of the checkout, by the `git` binary. Nothing is written: git takes no optional lock for us.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::Error;
use crate::fingerprint::day_of;

/// The commit that is checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitState {
    /// All hexadecimal digits of the commit.
    pub commit: String,
    /// The branch; from the CI's variables when HEAD is detached.
    pub branch: Option<String>,
    /// The tag that stands on the commit; the highest by version if there are several.
    pub tag: Option<String>,
    /// When the commit was made, in seconds since 1970.
    pub time: i64,
    /// The day when the commit was made, in UTC: `2026-11-21`.
    pub date: String,
    /// The default branch of the repository, where the CI system names it.
    pub default_branch: Option<String>,
    /// Whether history is cut off, so that ancestry cannot be denied.
    pub shallow: bool,
    /// The folder that git manages.
    pub top: PathBuf,
}

/// What git knows at `root` without looking at the files; `None` without a `git` binary, without a repository, and before the
/// first commit.
///
/// # Errors
/// [`Error::Git`] where git refuses (a repository of another owner, a damaged one).
pub fn git_state(root: &Path, env: &BTreeMap<String, String>) -> Result<Option<GitState>, Error> {
    if !root.ancestors().any(|folder| folder.join(".git").symlink_metadata().is_ok()) && !env.contains_key("GIT_DIR") {
        return Ok(None);
    }
    let Some(places) = git(root, &["rev-parse", "--is-shallow-repository", "--show-toplevel"])? else {
        return Ok(None);
    };
    let mut lines = places.splitn(2, |byte| *byte == b'\n');
    let shallow = lines.next() == Some(b"true");
    let top = lines.next().unwrap_or_default();
    let top = PathBuf::from(OsStr::from_bytes(top.strip_suffix(b"\n").unwrap_or(top)));
    let format = [
        "log",
        "-1",
        "--no-show-signature",
        "--decorate=full",
        "--decorate-refs=refs/tags/",
        "--decorate-refs=HEAD",
        "--decorate-refs=refs/heads/",
        "--format=%H%n%ct%n%D",
    ];
    let Some(Output { stdout, status, .. }) = run(root, &format)? else { return Ok(None) };
    // Before the first commit there is no log.
    if !status.success() {
        return Ok(None);
    }
    let log = String::from_utf8_lossy(&stdout);
    let mut lines = log.lines();
    let commit = lines.next().unwrap_or_default().to_owned();
    let time: i64 = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or_default();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(", ").collect();
    let branch = names.iter().find_map(|name| name.strip_prefix("HEAD -> refs/heads/"));
    let tags = names.iter().filter_map(|name| name.strip_prefix("tag: refs/tags/"));
    Ok(Some(GitState {
        branch: branch.map(str::to_owned).or_else(|| branch_of_ci(env)),
        default_branch: default_branch_of_ci(env),
        tag: tag_of_ci(env).or_else(|| tags.max_by_key(|tag| by_version(tag)).map(str::to_owned)),
        date: day_of(time),
        commit,
        time,
        shallow,
        top,
    }))
}

/// Whether `old` is `new` or one of its ancestors; `None` where history does not tell: a commit that is not here, or a
/// shallow clone in which the way from one to the other may be cut off.
///
/// # Errors
/// [`Error::Io`] if git cannot be run.
pub fn is_ancestor(state: &GitState, old: &str, new: &str) -> Result<Option<bool>, Error> {
    let arguments = ["merge-base", "--is-ancestor", old, new];
    let Some(output) = run(&state.top, &arguments)? else { return Ok(None) };
    Ok(match output.status.code() {
        Some(0) => Some(true),
        Some(1) if !state.shallow => Some(false),
        _ => None,
    })
}

/// The branch that `origin` calls its default one, as the last clone or `git remote set-head` noted it.
pub(super) fn origin_head(top: &Path) -> Option<String> {
    let output = run(top, &["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]).ok().flatten()?;
    let name = String::from_utf8_lossy(&output.stdout);
    name.trim().strip_prefix("refs/remotes/origin/").filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Whether there is somewhere to fetch more history from.
pub(super) fn has_origin(top: &Path) -> bool {
    let output = run(top, &["config", "--get", "remote.origin.url"]).ok().flatten();
    output.is_some_and(|output| output.status.success())
}

/// How many more commits of each line of history are fetched where history does not tell.
const DEEPER: &str = "--deepen=200";
/// How long that may take.
const FETCH_TIME: std::time::Duration = std::time::Duration::from_secs(60);

/// Fetches more history of the branch, or of all branches where none is checked out: of a shallow clone what was cut off, of a whole one
/// what it lacks. Whether git did so.
pub(super) fn fetch_more(state: &GitState) -> bool {
    let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
    arguments.extend(state.shallow.then_some(DEEPER));
    arguments.push("origin");
    let branch = state.branch.as_ref().map(|branch| format!("refs/heads/{branch}"));
    arguments.extend(branch.as_deref());
    let mut command = Command::new("git");
    command.args(&arguments).current_dir(&state.top).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Nobody is there to answer a question for a password.
    command.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS", "").env("GIT_ASKPASS", "");
    let Ok(mut child) = command.spawn() else { return false };
    let until = std::time::Instant::now() + FETCH_TIME;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if std::time::Instant::now() < until => std::thread::sleep(std::time::Duration::from_millis(20)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// Hash and time of each commit of each branch and tag, one a line.
///
/// # Errors
/// As [`git_state`].
pub(super) fn all_commits(top: &Path) -> Result<String, Error> {
    let log = git(top, &["log", "--all", "HEAD", "--no-show-signature", "--format=%H %ct"])?;
    Ok(log.map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default())
}

/// Runs git; `None` where there is no such program.
fn run(root: &Path, arguments: &[&str]) -> Result<Option<Output>, Error> {
    run_with(root, arguments, Stdio::null())
}

fn run_with(root: &Path, arguments: &[&str], input: Stdio) -> Result<Option<Output>, Error> {
    let mut command = Command::new("git");
    command.arg("--no-optional-locks").args(arguments).current_dir(root).stdin(input);
    match command.output() {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { verb: "run git in", path: root.to_owned(), source }),
    }
}

/// Whether git succeeds and writes exactly `expected`.
pub(super) fn succeeds_with(root: &Path, arguments: &[&str], expected: &[u8]) -> bool {
    matches!(run(root, arguments), Ok(Some(output)) if output.status.success() && output.stdout == expected)
}

/// What git wrote to stdout when it was given `input`; `None` where there is no git.
pub(super) fn git_with(root: &Path, arguments: &[&str], input: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source| Error::Io { verb: "run git in", path: root.to_owned(), source };
    // From a file: with a pipe, both sides could wait for each other.
    let mut file = tempfile::tempfile().map_err(failed)?;
    io::Write::write_all(&mut file, input).and_then(|()| io::Seek::rewind(&mut file)).map_err(failed)?;
    answer(run_with(root, arguments, file.into())?, arguments)
}

/// What git wrote to stdout; `None` where there is no git.
pub(super) fn git(root: &Path, arguments: &[&str]) -> Result<Option<Vec<u8>>, Error> {
    answer(run(root, arguments)?, arguments)
}

fn answer(output: Option<Output>, arguments: &[&str]) -> Result<Option<Vec<u8>>, Error> {
    let Some(output) = output else { return Ok(None) };
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let message = text.lines().find(|line| line.starts_with("fatal: ")).or(text.lines().last()).unwrap_or_default();
    let message = message.strip_prefix("fatal: ").unwrap_or(message).to_owned();
    Err(Error::Git { command: arguments[0].to_owned(), message })
}

/// The variables in which CI systems name the branch that they build, more specific ones first.
const BRANCH_VARIABLES: [&str; 14] = [
    "GITHUB_HEAD_REF",
    "GITHUB_REF",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
    "CI_COMMIT_BRANCH",
    "BUILDKITE_BRANCH",
    "CODEBUILD_WEBHOOK_HEAD_REF",
    "CIRCLE_BRANCH",
    "BITBUCKET_BRANCH",
    "BUILD_SOURCEBRANCH",
    "TRAVIS_PULL_REQUEST_BRANCH",
    "TRAVIS_BRANCH",
    "DRONE_SOURCE_BRANCH",
    "SEMAPHORE_GIT_BRANCH",
    "BRANCH_NAME",
];

fn branch_of_ci(env: &BTreeMap<String, String>) -> Option<String> {
    let tag = tag_of_ci(env);
    BRANCH_VARIABLES.iter().find_map(|variable| {
        let value = env.get(*variable)?;
        let branch = value.strip_prefix("refs/heads/").unwrap_or(value);
        let is_branch = !branch.is_empty() && !branch.starts_with("refs/") && tag.as_deref() != Some(branch);
        is_branch.then(|| branch.to_owned())
    })
}

/// The variables in which CI systems name the default branch.
const DEFAULT_BRANCH_VARIABLES: [&str; 4] =
    ["CI_DEFAULT_BRANCH", "BUILDKITE_PIPELINE_DEFAULT_BRANCH", "DRONE_REPO_BRANCH", "CI_REPO_DEFAULT_BRANCH"];

/// The default branch, from the CI's variables; GitHub has none and writes it into the file of the event.
fn default_branch_of_ci(env: &BTreeMap<String, String>) -> Option<String> {
    let named = DEFAULT_BRANCH_VARIABLES.iter().find_map(|variable| env.get(*variable).filter(|name| !name.is_empty()));
    let of_github = || {
        let event = std::fs::read(env.get("GITHUB_EVENT_PATH")?).ok()?;
        let event: serde_json::Value = serde_json::from_slice(&event).ok()?;
        event.pointer("/repository/default_branch")?.as_str().map(str::to_owned)
    };
    named.cloned().or_else(of_github)
}

fn tag_of_ci(env: &BTreeMap<String, String>) -> Option<String> {
    ["GITHUB_REF", "CI_COMMIT_TAG", "BUILDKITE_TAG", "CODEBUILD_WEBHOOK_HEAD_REF", "CIRCLE_TAG", "BITBUCKET_TAG"]
        .iter()
        .find_map(|variable| {
            let value = env.get(*variable)?;
            let tag = value.strip_prefix("refs/tags/").unwrap_or(value);
            (!tag.is_empty() && !tag.starts_with("refs/")).then(|| tag.to_owned())
        })
}

/// Parts of a tag for comparison: digits by value, other text as it is.
fn by_version(tag: &str) -> Vec<(u64, String)> {
    tag.split(['.', '-', '+', '/'])
        .map(|part| {
            let digits = part.trim_start_matches('v');
            (digits.parse().unwrap_or_default(), part.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn shell(folder: &Path, script: &str) -> String {
        let output = Command::new("sh")
            .args(["-euc", script])
            .current_dir(folder)
            .env("HOME", folder)
            .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "a")])
            .envs([("GIT_COMMITTER_EMAIL", "a@b"), ("GIT_COMMITTER_DATE", "2026-11-20T23:30:00-0200")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn state_of_a_repository_and_of_none() {
        let folder = tempfile::tempdir().unwrap();
        let none = BTreeMap::new();
        assert_eq!(git_state(folder.path(), &none).unwrap(), None);
        shell(folder.path(), "git init -q -b main . && mkdir sub && echo 1 > sub/a && echo 1 > b");
        assert_eq!(git_state(folder.path(), &none).unwrap(), None, "no commit yet");
        let commit = shell(
            folder.path(),
            "git add . && git commit -qm x && git tag v1.9.0 && git tag -am x v1.10.0 && git rev-parse HEAD",
        );
        let state = git_state(&folder.path().join("sub"), &none).unwrap().unwrap();
        assert_eq!((state.commit.as_str(), state.branch.as_deref()), (commit.as_str(), Some("main")));
        assert_eq!((state.tag.as_deref(), state.date.as_str()), (Some("v1.10.0"), "2026-11-21"));

        shell(folder.path(), "git checkout -q --detach");
        let ci = env(&[("GITHUB_REF", "refs/pull/7/merge"), ("GITHUB_HEAD_REF", "feature/x")]);
        let state = git_state(folder.path(), &ci).unwrap().unwrap();
        assert_eq!((state.branch.as_deref(), state.commit), (Some("feature/x"), commit));
    }

    #[test]
    fn ancestry_is_told_only_where_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let script = "git init -q -b main full && cd full && for n in 1 2 3; do echo $n > a && git add a && git commit -qm $n; done
            cd .. && git clone -q --depth 1 file://$PWD/full cut && cd full && git rev-parse HEAD~2 HEAD";
        let commits = shell(folder.path(), script);
        let (old, new) = commits.split_once('\n').unwrap();
        let state = |name: &str| git_state(&folder.path().join(name), &BTreeMap::new()).unwrap().unwrap();
        let full = state("full");
        assert_eq!(is_ancestor(&full, old, new).unwrap(), Some(true));
        assert_eq!(is_ancestor(&full, new, old).unwrap(), Some(false));
        assert_eq!(is_ancestor(&full, &"0".repeat(40), new).unwrap(), None);
        let cut = state("cut");
        assert!(cut.shallow && !full.shallow);
        assert_eq!(is_ancestor(&cut, old, new).unwrap(), None);
    }

    #[test]
    fn branches_and_tags_of_ci_systems() {
        let branch = |pairs: &[(&str, &str)]| branch_of_ci(&env(pairs));
        assert_eq!(branch(&[("CI_COMMIT_BRANCH", "main")]).unwrap(), "main");
        assert_eq!(branch(&[("CODEBUILD_WEBHOOK_HEAD_REF", "refs/heads/a/b")]).unwrap(), "a/b");
        assert_eq!(branch(&[("GITHUB_REF", "refs/tags/v1"), ("GITHUB_HEAD_REF", "")]), None);
        assert_eq!(branch(&[("BUILDKITE_BRANCH", "v1"), ("BUILDKITE_TAG", "v1")]), None);
        assert_eq!(tag_of_ci(&env(&[("GITHUB_REF", "refs/tags/v1")])).unwrap(), "v1");
        assert_eq!(tag_of_ci(&env(&[("GITHUB_REF", "refs/heads/v1")])), None);
    }
}
