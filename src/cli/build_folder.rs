//! The folder of a run for blobs between a build and its publication.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// What the names of these folders begin with.
const PREFIX: &str = "build-";
/// A file in each, locked as long as its run lives.
const LOCK: &str = "lock";

/// A folder that goes with this value, and, where the run was killed, with the next run.
#[derive(Debug)]
pub struct BuildFolder {
    folder: TempDir,
    _lock: File,
}

impl BuildFolder {
    /// A new folder in the state folder, after those of runs that were killed are removed.
    ///
    /// # Errors
    /// If the folder or its lock cannot be made. What cannot be removed stays.
    pub fn new(state: &Path) -> io::Result<Self> {
        remove_abandoned(state);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(state)?;
        let lock = File::create(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders whose lock nobody holds. One without a lock is only just being made.
fn remove_abandoned(state: &Path) {
    let Ok(entries) = fs::read_dir(state) else { return };
    let folders = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for path in folders.map(|entry| entry.path()) {
        let Ok(lock) = File::open(path.join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_killed_runs_are_removed_and_no_others() {
        let state = tempfile::tempdir().unwrap();
        let alive = BuildFolder::new(state.path()).unwrap();
        let killed = state.path().join("build-killed");
        fs::create_dir_all(killed.join("blobs")).unwrap();
        fs::write(killed.join(LOCK), "").unwrap();
        fs::create_dir(state.path().join("build-begins")).unwrap();
        fs::create_dir(state.path().join("cache")).unwrap();
        let next = BuildFolder::new(state.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        let mut wanted = vec![alive.path().to_owned(), next.path().to_owned()];
        wanted.extend(["build-begins", "cache"].map(|name| state.path().join(name)));
        wanted.sort();
        assert_eq!(left, wanted);
        drop((alive, next));
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 2);
    }
}
