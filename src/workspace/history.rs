//! What git's history says of commits that other runs were made on.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::git::{GitState, fetch_more, has_origin, is_ancestor, origin_head};
use crate::plan::{Age, Claim, Here, Standing, judge};
use crate::project::Order;

/// The history below the commit that is checked out. Each commit is asked for once.
#[derive(Debug, Default)]
pub struct History {
    git: Option<GitState>,
    known: Mutex<BTreeMap<String, Age>>,
    /// The branch and the default branch; asked for where they matter alone.
    branches: OnceLock<(Option<String>, Option<String>)>,
    /// Whether more history was fetched, once that was tried.
    deepened: Mutex<Option<bool>>,
}

impl History {
    /// The history of a checkout; `None` knows of nothing.
    pub fn new(git: Option<GitState>) -> Self {
        Self { git, ..Self::default() }
    }

    /// Where `commit` stands. Runs git, so it blocks for some milliseconds.
    pub fn age_of(&self, commit: &str) -> Age {
        let Some(git) = &self.git else { return Age::Unknown };
        if commit == git.commit {
            return Age::Before;
        }
        if let Some(age) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(commit) {
            return *age;
        }
        // What others wrote into a registry is no argument for git unless it is a commit.
        let is_commit = matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let says = |old: &str, new: &str| is_ancestor(git, old, new).ok().flatten() == Some(true);
        let age = match is_commit {
            true if says(commit, &git.commit) => Age::Before,
            true if says(&git.commit, commit) => Age::After,
            _ => Age::Unknown,
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(commit.to_owned(), age);
        age
    }

    /// This run, as the rule of moving tags sees it, by the registry's clock `now`. Runs git the first time.
    pub fn here(&self, now: i64) -> Here {
        let (branch, default) = self.branches().clone();
        Here { time: self.git.as_ref().map(|git| git.time), branch, default, now }
    }

    /// The branch of this run: the one that is checked out, or that the CI system names; the default branch where the commit is one of
    /// its own, as in Jenkins, which checks out a commit and says no more.
    pub fn branch(&self) -> Option<String> {
        self.branches().0.clone()
    }

    /// What `claims` say of this run's moving a tag, by the registry's clock `now`. With `deepens`, git is asked for more history where
    /// times say too little.
    pub fn judge(&self, claims: &[Claim], now: i64, order: &Order, deepens: bool) -> Option<Standing> {
        let judged = || judge(claims, &self.here(now), order, &|commit| self.age_of(commit));
        let standing = judged();
        let doubtful = standing.as_ref().is_some_and(|standing| standing.why.is_doubtful());
        if deepens && doubtful && self.may_deepen() && self.deepen() { judged() } else { standing }
    }

    fn branches(&self) -> &(Option<String>, Option<String>) {
        self.branches.get_or_init(|| {
            let Some(git) = &self.git else { return (None, None) };
            let default = git.default_branch.clone().or_else(|| origin_head(&git.top));
            let on_default = |default: &String| {
                let remote = format!("refs/remotes/origin/{default}");
                is_ancestor(git, &git.commit, &remote).ok().flatten() == Some(true)
            };
            let branch = git.branch.clone().or_else(|| default.clone().filter(on_default));
            (branch, default)
        })
    }

    /// Whether git could be asked for more history, and was not.
    pub fn may_deepen(&self) -> bool {
        let tried = self.deepened.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        !tried && self.git.as_ref().is_some_and(|git| has_origin(&git.top))
    }

    /// Fetches more history, once in a run. Whether some came. Blocks for as long as the fetch takes, a minute at most.
    pub fn deepen(&self) -> bool {
        let mut deepened = self.deepened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = *deepened {
            return done;
        }
        let done = self.git.as_ref().is_some_and(|git| has_origin(&git.top) && fetch_more(git));
        if done {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, age| *age != Age::Unknown);
        }
        *deepened = Some(done);
        done
    }
}

/// The times of all commits that the checkout knows, by their hashes, in seconds since 1970. Empty where git knows none.
pub fn commit_times(git: Option<&GitState>) -> BTreeMap<String, i64> {
    let log = git.and_then(|git| super::git::all_commits(&git.top).ok()).unwrap_or_default();
    let lines = log.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(commit, time)| Some((commit.to_owned(), time.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::super::git_state;
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let fixed = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").args(fixed).args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(folder: &Path, name: &str) -> String {
        git(folder, &["commit", "-q", "--allow-empty", "-m", name]);
        git(folder, &["rev-parse", "HEAD"])
    }

    fn history(folder: &Path) -> History {
        History::new(git_state(folder, &BTreeMap::new()).unwrap())
    }

    #[test]
    fn commits_before_after_beside_and_unheard_of() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        git(root, &["init", "-q", "-b", "main"]);
        let (first, second) = (commit(root, "one"), commit(root, "two"));
        let third = commit(root, "three");
        git(root, &["checkout", "-q", "-b", "side", &first]);
        let side = commit(root, "beside");
        git(root, &["checkout", "-q", "main"]);
        git(root, &["checkout", "-q", &second]);
        let seen = history(root);
        let ages = [&first, &second, &third, &side].map(|commit| seen.age_of(commit));
        assert_eq!(ages, [Age::Before, Age::Before, Age::After, Age::Unknown]);
        for odd in ["0".repeat(40).as_str(), "--help", "HEAD", ""] {
            assert_eq!(seen.age_of(odd), Age::Unknown, "{odd}");
        }
        assert_eq!(seen.age_of(&third), Age::After, "the second time from memory");
        assert_eq!(History::default().age_of(&first), Age::Unknown, "without git");
    }

    #[test]
    fn the_times_of_all_commits() {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q", "-b", "main"]);
        let first = commit(folder.path(), "one");
        git(folder.path(), &["checkout", "-q", "--orphan", "side"]);
        let second = commit(folder.path(), "two");
        let state = git_state(folder.path(), &BTreeMap::new()).unwrap();
        let times = commit_times(state.as_ref());
        assert_eq!(times.len(), 2);
        assert!(times[&first] > 1_600_000_000 && times[&second] >= times[&first]);
        assert!(commit_times(None).is_empty());
    }

    #[test]
    fn a_shallow_clone_does_not_tell() {
        let folder = tempfile::tempdir().unwrap();
        let origin = folder.path().join("origin");
        std::fs::create_dir(&origin).unwrap();
        git(&origin, &["init", "-q", "-b", "main"]);
        let first = commit(&origin, "one");
        let second = commit(&origin, "two");
        let url = format!("file://{}", origin.display());
        git(folder.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
        let seen = history(&folder.path().join("shallow"));
        assert_eq!([&first, &second].map(|commit| seen.age_of(commit)), [Age::Unknown, Age::Before]);
    }
}
