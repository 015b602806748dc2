//! Which keys are known to be those of a commit, so that an unchanged tree need not be compared with it again.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::digest::Key;

/// How many commits are remembered.
const MOST_COMMITS: usize = 16;

/// Keys of which every input was as the commit has it. A key holds the contents of all inputs, so this never becomes untrue.
///
/// A cache: damage and a folder that cannot be written make it an empty one.
#[derive(Debug)]
pub struct CommittedKeys {
    file: PathBuf,
    keys: BTreeSet<String>,
    grown: bool,
}

impl CommittedKeys {
    /// What the cache in the state folder `state` knows of `commit`.
    pub fn open(state: &Path, commit: &str) -> Self {
        let file = state.join("cache").join("committed").join(commit);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let keys = text.lines().filter(|line| line.len() == 64).map(str::to_owned).collect();
        Self { file, keys, grown: false }
    }

    /// Whether all inputs of `key` are as the commit has them, as far as is known.
    pub fn holds(&self, key: Key) -> bool {
        self.keys.contains(&key.hex())
    }

    /// Remembers that all inputs of `key` are as the commit has them.
    pub fn add(&mut self, key: Key) {
        self.grown |= self.keys.insert(key.hex());
    }

    /// Writes what was learned, whole or not at all, and forgets the oldest commits.
    pub fn save(&self) {
        if !self.grown {
            return;
        }
        let Some(folder) = self.file.parent() else { return };
        let text: String = self.keys.iter().flat_map(|key| [key.as_str(), "\n"]).collect();
        let written = std::fs::create_dir_all(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.persist(&self.file).map_err(|error| error.error)
        });
        if written.is_ok() {
            forget_oldest(folder);
        }
    }
}

fn forget_oldest(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    files.sort();
    let over = files.len().saturating_sub(MOST_COMMITS);
    for (_, path) in files.into_iter().take(over) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_known_of_that_commit_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = |byte: u8| Key::from_bytes([byte; 32]);
        let mut keys = CommittedKeys::open(folder.path(), "aa");
        keys.add(key(1));
        keys.save();
        assert!(CommittedKeys::open(folder.path(), "aa").holds(key(1)));
        assert!(!CommittedKeys::open(folder.path(), "aa").holds(key(2)));
        assert!(!CommittedKeys::open(folder.path(), "bb").holds(key(1)));
        std::fs::write(folder.path().join("cache/committed/aa"), b"\xff\n01\n").unwrap();
        assert!(!CommittedKeys::open(folder.path(), "aa").holds(key(1)));
    }

    #[test]
    fn old_commits_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for commit in 0..MOST_COMMITS + 4 {
            let mut keys = CommittedKeys::open(folder.path(), &format!("{commit:02}"));
            keys.add(Key::from_bytes([1; 32]));
            keys.save();
        }
        assert_eq!(std::fs::read_dir(folder.path().join("cache/committed")).unwrap().count(), MOST_COMMITS);
    }
}
