//! What git knows of the checkout, by the `git` binary. Nothing is written: git takes no optional lock for us.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::path::RelPath;

use super::error::Error;
use super::snapshot::{Origin, Snapshot};

/// The commit that is checked out, and what differs from it.
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
    /// Whether anything differs from the commit.
    pub dirty: bool,
    /// Whether history is cut off, so that ancestry cannot be denied.
    pub shallow: bool,
    /// What is changed or untracked, relative to `top`; a folder stands for all below it. Files that git ignores are not here.
    pub changed: BTreeSet<RelPath>,
    /// The folder that git manages.
    pub top: PathBuf,
}

/// What git knows at `root`; `None` without a `git` binary, without a repository, and before the first commit.
///
/// Costs about as much as `git status`; run it beside the walk, and only where something needs it.
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
    let Some(status) = git(root, &["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal"])? else {
        return Ok(None);
    };
    let status = parse_status(&status);
    let Some(commit) = status.commit else { return Ok(None) };
    let format =
        ["log", "-1", "--no-show-signature", "--decorate=full", "--decorate-refs=refs/tags/", "--format=%ct%n%D"];
    let Some(log) = git(root, &format)? else { return Ok(None) };
    let log = String::from_utf8_lossy(&log);
    let mut lines = log.lines();
    let time: i64 = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or_default();
    let tags = lines.next().unwrap_or_default().split(", ").filter_map(|name| name.strip_prefix("tag: refs/tags/"));
    Ok(Some(GitState {
        branch: status.branch.or_else(|| branch_of_ci(env)),
        tag: tag_of_ci(env).or_else(|| tags.max_by_key(|tag| by_version(tag)).map(str::to_owned)),
        date: day(time),
        dirty: !status.changed.is_empty(),
        changed: status.changed,
        commit,
        time,
        shallow,
        top,
    }))
}

impl GitState {
    /// The entries of a snapshot that differ from the commit.
    pub fn differing(&self, snapshot: &Snapshot) -> Vec<RelPath> {
        let mut found = BTreeSet::new();
        for changed in &self.changed {
            let changed = changed.below(&self.top);
            match snapshot.origin() {
                Origin::Folder(root) => below(snapshot, &changed, &RelPath::root(), root, &mut found),
                Origin::Assembled(parts) => {
                    for (to, from) in parts {
                        below(snapshot, &changed, to, from, &mut found);
                    }
                }
            }
        }
        found.into_iter().collect()
    }
}

/// Adds the entries of the part `to` (on disk at `from`) that are `changed` or lie below it.
fn below(snapshot: &Snapshot, changed: &Path, to: &RelPath, from: &Path, found: &mut BTreeSet<RelPath>) {
    let within = if from.starts_with(changed) {
        to.clone()
    } else if let Ok(rest) = changed.strip_prefix(from) {
        let Some(rest) = RelPath::new(rest.as_os_str().as_bytes()) else { return };
        if to.is_root() { rest } else { to.join(rest.as_bytes()) }
    } else {
        return;
    };
    let entries = snapshot.files().entries();
    let start = entries.partition_point(|entry| entry.path < within);
    // What begins with the same bytes is contiguous; look-alikes (`a-b` beside `a/b`) are passed over.
    let alike = entries[start..].iter().take_while(|entry| entry.path.as_bytes().starts_with(within.as_bytes()));
    found.extend(
        alike
            .filter(|entry| {
                entry.path.starts_with(&within) && !matches!(entry.kind, crate::fingerprint::FileKind::Folder)
            })
            .filter(|entry| snapshot.path_of(&entry.path).starts_with(changed))
            .map(|entry| entry.path.clone()),
    );
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

/// Hash and time of each commit of each branch and tag, one a line.
///
/// # Errors
/// As [`git_state`].
pub(super) fn all_commits(top: &Path) -> Result<String, Error> {
    let log = git(top, &["log", "--all", "HEAD", "--no-show-signature", "--format=%H %ct"])?;
    Ok(log.map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default())
}

/// Runs git; `None` where there is no such program.
fn run(root: &Path, arguments: &[&str]) -> Result<Option<std::process::Output>, Error> {
    let mut command = Command::new("git");
    command.arg("--no-optional-locks").args(arguments).current_dir(root).stdin(Stdio::null());
    match command.output() {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { verb: "run git in", path: root.to_owned(), source }),
    }
}

/// What git wrote to stdout; `None` where there is no git.
fn git(root: &Path, arguments: &[&str]) -> Result<Option<Vec<u8>>, Error> {
    let Some(output) = run(root, arguments)? else { return Ok(None) };
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let message = text.lines().find(|line| line.starts_with("fatal: ")).or(text.lines().last()).unwrap_or_default();
    let message = message.strip_prefix("fatal: ").unwrap_or(message).to_owned();
    Err(Error::Git { command: arguments[0].to_owned(), message })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    commit: Option<String>,
    branch: Option<String>,
    changed: BTreeSet<RelPath>,
}

/// Source: git-status(1), "Porcelain Format Version 2" and "Pathname Format Notes and -z".
fn parse_status(bytes: &[u8]) -> Status {
    let mut status = Status::default();
    let mut records = bytes.split(|byte| *byte == 0);
    let mut add = |path: &[u8]| status.changed.extend(RelPath::new(path.strip_suffix(b"/").unwrap_or(path)));
    while let Some(record) = records.next() {
        // The number of fields before the path is fixed for each kind of record; the path may hold blanks.
        let path = |fields: usize| record.splitn(fields + 1, |byte| *byte == b' ').nth(fields).unwrap_or_default();
        match record.first() {
            Some(b'1') => add(path(8)),
            Some(b'2') => {
                add(path(9));
                add(records.next().unwrap_or_default());
            }
            Some(b'u') => add(path(10)),
            Some(b'?') => add(path(1)),
            Some(b'#') => {
                let text = String::from_utf8_lossy(record);
                if let Some(commit) = text.strip_prefix("# branch.oid ") {
                    status.commit = (commit != "(initial)").then(|| commit.to_owned());
                } else if let Some(branch) = text.strip_prefix("# branch.head ") {
                    status.branch = (branch != "(detached)").then(|| branch.to_owned());
                }
            }
            _ => {}
        }
    }
    status.changed.remove(&RelPath::root());
    status
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

fn day(time: i64) -> String {
    let at = jiff::Timestamp::from_second(time).unwrap_or_default();
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::digest::ContentHash;
    use crate::fingerprint::{FileEntry, FileKind, FileSet};

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
    fn status_records_of_all_kinds() {
        let text = "# branch.oid 1234\0# branch.head (detached)\0\
            1 .M N... 100644 100644 100644 aa bb a file\0\
            2 R. N... 100644 100644 100644 aa bb R100 new name\0old name\0\
            u UU N... 100644 100644 100644 100644 aa bb cc both\0\
            ? folder/\0! ignored\0";
        let status = parse_status(text.as_bytes());
        let changed: Vec<String> = status.changed.iter().map(ToString::to_string).collect();
        assert_eq!(changed, ["a file", "both", "folder", "new name", "old name"]);
        assert_eq!((status.commit.as_deref(), status.branch), (Some("1234"), None));
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
        assert_eq!((state.tag.as_deref(), state.date.as_str(), state.dirty), (Some("v1.10.0"), "2026-11-21", false));

        shell(folder.path(), "echo 2 > sub/a && mkdir new && echo 1 > new/x && git checkout -q --detach");
        let ci = env(&[("GITHUB_REF", "refs/pull/7/merge"), ("GITHUB_HEAD_REF", "feature/x")]);
        let state = git_state(folder.path(), &ci).unwrap().unwrap();
        let changed: Vec<String> = state.changed.iter().map(ToString::to_string).collect();
        assert_eq!((state.branch.as_deref(), state.dirty), (Some("feature/x"), true));
        assert_eq!(changed, ["new", "sub/a"]);

        let top = folder.path().canonicalize().unwrap();
        let entry = |path: &str| FileEntry {
            path: RelPath::new(path.as_bytes()).unwrap(),
            kind: FileKind::File { hash: ContentHash::from_bytes([0; 32]), size: 0 },
            mode: 0o644,
        };
        let files = ["b", "new/x", "new-er", "sub/a", "sub/c"].map(entry).to_vec();
        let whole = Snapshot::new(Arc::new(FileSet::new(files)), Arc::new(Origin::Folder(top.clone())));
        let text = |paths: Vec<RelPath>| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(text(state.differing(&whole)), "new/x sub/a");
        let part = |to: &str, from: &str| (RelPath::new(to.as_bytes()).unwrap(), top.join(from));
        let files = Arc::new(FileSet::new(["fresh/x", "s/a", "s/c"].map(entry).to_vec()));
        let parts = Origin::Assembled(vec![part("fresh", "new"), part("s", "sub")]);
        assert_eq!(text(state.differing(&Snapshot::new(files, Arc::new(parts)))), "fresh/x s/a");
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
