//! Git submodules that were never fetched: empty folders where the files of another repository should be.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where submodules stand, by the folder from which they were looked for.
#[derive(Debug, Default)]
pub(super) struct Submodules(HashMap<PathBuf, Arc<[PathBuf]>>);

impl Submodules {
    /// The places of all submodules of the repository that holds `folder`.
    pub fn of(&mut self, folder: &Path) -> Arc<[PathBuf]> {
        if let Some(found) = self.0.get(folder) {
            return Arc::clone(found);
        }
        let top = folder.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok()).unwrap_or(folder);
        let text = std::fs::read_to_string(top.join(".gitmodules")).unwrap_or_default();
        let found: Arc<[PathBuf]> = paths(&text).map(|path| top.join(path)).collect();
        self.0.insert(folder.to_owned(), Arc::clone(&found));
        found
    }
}

/// The values of `path`. Source: gitmodules(5); the file has the syntax of git-config(1).
fn paths(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case("path").then_some(value)
    })
}

/// Whether there is nothing in the folder.
pub(super) fn is_empty_folder(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_gitmodules_file() {
        let text = "[submodule \"a\"]\n\tpath = libs/a\n\turl = x\n[submodule \"b\"]\n\turl = path = y\n\tPath=\"with blank\"\n";
        assert_eq!(paths(text).collect::<Vec<_>>(), ["libs/a", "with blank"]);
    }
}
