//! The Dockerfiles of a repository, and what stands beside them.

use std::path::{Path, PathBuf};

use crate::dockerfile::{self, Dockerfile};
use crate::problem::Source;

/// Folders that hold what others wrote, or what a build made.
const SKIPPED: &[&str] = &["node_modules", "vendor", "target", "venv", "__pycache__", "testdata"];
/// How deep Dockerfiles are looked for.
const DEEPEST: usize = 8;

/// A Dockerfile that can be read.
pub struct Found {
    /// Its path below the root, with `/`.
    pub path: String,
    /// What it says.
    pub dockerfile: Dockerfile,
}

impl Found {
    /// The folder that it stands in; "" is the root.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its name without the folder.
    pub fn file(&self) -> &str {
        self.path.rsplit_once('/').map_or(self.path.as_str(), |(_, file)| file)
    }
}

/// The files of a repository, as far as a first manifest needs to know of them.
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// A repository by its root.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The name of its folder.
    pub fn name(&self) -> String {
        self.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Whether there is a file or folder.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The names of what is in a folder, sorted; hidden ones left out. Nothing if it cannot be listed.
    pub fn entries(&self, folder: &str) -> Vec<(String, bool)> {
        let listed = std::fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        let mut entries: Vec<(String, bool)> = listed
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                (!name.starts_with('.')).then_some((name, entry.file_type().ok()?.is_dir()))
            })
            .collect();
        entries.sort();
        entries
    }
}

/// Every Dockerfile, by path, and those that cannot be read as one.
pub fn find(repository: &Repository) -> (Vec<Found>, Vec<String>) {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for (name, is_folder) in repository.entries(&folder) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if is_folder {
                if depth < DEEPEST && !SKIPPED.contains(&name.as_str()) {
                    folders.push((path, depth + 1));
                }
            } else if is_dockerfile(&name) {
                match read(repository, &path) {
                    Some(dockerfile) => found.push(Found { path, dockerfile }),
                    None => unreadable.push(path),
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    unreadable.sort();
    (found, unreadable)
}

fn read(repository: &Repository, path: &str) -> Option<Dockerfile> {
    let text = std::fs::read_to_string(repository.root.join(path)).ok()?;
    dockerfile::parse(&Source::new(path, text)).ok().filter(|dockerfile| !dockerfile.stages.is_empty())
}

/// `Dockerfile`, `Dockerfile.api`, `api.Dockerfile`, `Containerfile`; not their ignore files.
pub fn is_dockerfile(name: &str) -> bool {
    let lower = name.to_lowercase();
    let named =
        |word: &str| lower == word || lower.starts_with(&format!("{word}.")) || lower.ends_with(&format!(".{word}"));
    (named("dockerfile") || named("containerfile")) && !lower.ends_with(".dockerignore")
}

#[cfg(test)]
mod tests {
    use super::is_dockerfile;

    #[test]
    fn names_of_dockerfiles() {
        for name in ["Dockerfile", "Dockerfile.light", "api.Dockerfile", "api.dockerfile", "Containerfile"] {
            assert!(is_dockerfile(name), "{name}");
        }
        for name in ["Dockerfile.dockerignore", "Dockerfiles", "mydockerfile", "README.md"] {
            assert!(!is_dockerfile(name), "{name}");
        }
    }
}
