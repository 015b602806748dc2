//! What a manifest may name: files of its repository. A pull request could name the credentials of the machine that looks at it otherwise, and
//! have them printed as the source of an error or published in an image.

use std::io;
use std::path::{Path, PathBuf};

use super::context::lexical;
use super::error::Error;
use super::open::Workspace;

/// The repository that `root` lies in: the nearest folder above it that holds `.git`, itself without one.
pub(super) fn repository_of(root: &Path) -> PathBuf {
    root.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(root).to_owned()
}

impl Workspace {
    /// Lets the manifest name what lies below `path` too, relative to the root or absolute.
    pub fn allow_outside(&mut self, path: &Path) {
        let path = self.root.join(path);
        let path = path.canonicalize().unwrap_or_else(|_| lexical(&self.root, &path.to_string_lossy()));
        self.bounds.push(path);
    }

    /// Refuses what lies outside the repository, by its name or through a link.
    ///
    /// # Errors
    /// It does.
    pub fn hold(&self, path: &str) -> Result<(), Error> {
        let place = lexical(&self.root, path);
        // Of what is not there the nearest folder that is counts: a link in the middle may lead out.
        let real = place.ancestors().find_map(|place| place.canonicalize().ok()).unwrap_or(place.clone());
        let holds = |place: &Path| self.bounds.iter().any(|bound| place.starts_with(bound));
        if holds(&place) && holds(&real) { Ok(()) } else { Err(Error::Outside { path: PathBuf::from(path) }) }
    }

    /// Refuses a state folder of which a part is a link: what is written and deleted there is the program's own.
    ///
    /// # Errors
    /// The folder, or something in it that the program makes, is a link or no folder.
    pub fn check_state_folder(&self) -> Result<(), Error> {
        let state = self.state_folder();
        let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        let linked = |path: &Path| Error::StateLink { path: path.strip_prefix(&self.root).unwrap_or(path).to_owned() };
        if is_link(&state) {
            return Err(linked(&state));
        }
        // Folders in folders: below them lie files that are written by rename, which follows no link.
        let mut open = vec![(state, 2)];
        while let Some((folder, depth)) = open.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                    continue;
                }
                Err(error) => return Err(Error::io("list", &folder)(error)),
            };
            for entry in entries.flatten() {
                let path = entry.path();
                if is_link(&path) {
                    return Err(linked(&path));
                }
                if depth > 0 && path.is_dir() {
                    open.push((path, depth - 1));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::STATE_FOLDER;

    fn checkout() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["repo/.git", "repo/sub", "repo/other", "home"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["home/secret", "repo/other/f", "repo/sub/f"] {
            std::fs::write(folder.path().join(name), "text").unwrap();
        }
        std::os::unix::fs::symlink("../../home", folder.path().join("repo/sub/link")).unwrap();
        std::os::unix::fs::symlink("../other", folder.path().join("repo/sub/inside")).unwrap();
        let workspace = Workspace::open(&folder.path().join("repo/sub")).unwrap();
        (folder, workspace)
    }

    #[test]
    fn what_lies_outside_the_repository_is_not_read() {
        let (folder, mut workspace) = checkout();
        for path in ["f", "../other/f", "inside/f", "not/there", "./f"] {
            assert!(workspace.read_source(path).is_ok(), "{path}");
        }
        let absolute = folder.path().join("home/secret").to_string_lossy().into_owned();
        for path in ["../../home/secret", "link/secret", "link/not-there", &absolute, "/etc/hostname", "../../../x"] {
            let error = workspace.read_source(path).unwrap_err();
            assert!(matches!(error, Error::Outside { .. }), "{path}: {error}");
        }
        workspace.allow_outside(Path::new("../../home"));
        assert!(workspace.read_source("link/secret").unwrap().is_some());
        assert!(workspace.read_source("/etc/hostname").is_err());
    }

    #[test]
    fn a_state_folder_is_no_link() {
        let (folder, workspace) = checkout();
        workspace.check_state_folder().unwrap();
        let state = folder.path().join("repo/sub").join(STATE_FOLDER);
        std::fs::create_dir_all(state.join("cache/configs")).unwrap();
        workspace.check_state_folder().unwrap();
        std::os::unix::fs::symlink("/tmp", state.join("cache/assemble")).unwrap();
        let error = workspace.check_state_folder().unwrap_err();
        assert!(error.to_string().contains("`.orchestrate/cache/assemble` is a link"), "{error}");
        std::fs::remove_dir_all(&state).unwrap();
        std::os::unix::fs::symlink("../../home", &state).unwrap();
        assert!(workspace.check_state_folder().is_err());
    }
}
