//! Workspaces in tests: a project on disk, and one question about one of its contexts.

use std::fs;
use std::path::Path;

use super::super::*;
use crate::dockerfile::{Read, ReadKind};
use crate::fingerprint::FileSet;
use crate::platform::Platform;
use crate::problem::{Location, Problems, Source};
use crate::project::{Context, ContextPart, Inputs, Located, Modes};

pub(super) fn place() -> Location {
    Source::new("deploy.yaml", "context: .").at(0, 7)
}

pub(super) fn located(text: &str) -> Located<String> {
    Located { value: text.to_owned(), location: place() }
}

pub(super) fn inputs(include: &[&str], exclude: &[&str]) -> Inputs {
    let globs = |globs: &[&str]| globs.iter().map(|glob| located(glob)).collect();
    Inputs { include: globs(include), exclude: globs(exclude), ..Inputs::default() }
}

pub(super) fn copy(pattern: &str) -> Read {
    Read {
        pattern: pattern.to_owned(),
        kind: ReadKind::Copy,
        parents: false,
        exclude: Vec::new(),
        location: Source::new("Dockerfile", "COPY x /").at(5, 1),
        text: pattern.to_owned(),
    }
}

pub(super) fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }
}

pub(super) fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    folder
}

/// One question about one context.
pub(super) struct Ask {
    pub context: Context,
    pub ignore: Option<Source>,
    pub reads: Option<Vec<Read>>,
    pub inputs: Inputs,
    pub platform: Platform,
    pub modes: Modes,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            context: Context::Folder(".".to_owned()),
            ignore: None,
            reads: None,
            inputs: Inputs::default(),
            platform: "linux/arm64".parse().unwrap(),
            modes: Modes::Git,
        }
    }
}

impl Ask {
    pub fn of(&self, workspace: &mut Workspace) -> Result<ContextFiles, Problems> {
        let location = place();
        workspace.files(&[self.request(&location)]).remove(0)
    }

    pub fn request<'a>(&'a self, location: &'a Location) -> ContextRequest<'a> {
        ContextRequest {
            context: &self.context,
            ignore: self.ignore.as_ref(),
            reads: self.reads.as_deref(),
            inputs: &self.inputs,
            platform: &self.platform,
            modes: self.modes,
            location,
        }
    }

    pub fn at(&self, root: &Path) -> Result<ContextFiles, Problems> {
        self.of(&mut Workspace::open(root).unwrap())
    }

    pub fn paths(&self, root: &Path) -> String {
        paths(self.at(root).unwrap().snapshot.files())
    }

    pub fn problem(&self, root: &Path) -> String {
        let problems = self.at(root).unwrap_err();
        problems
            .sorted()
            .iter()
            .map(|problem| format!("{}: {}", problem.code, problem.message))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

pub(super) fn paths(files: &FileSet) -> String {
    files.entries().iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>().join(" ")
}

pub(super) fn reads(patterns: &[&str]) -> Option<Vec<Read>> {
    Some(patterns.iter().map(|pattern| copy(pattern)).collect())
}

pub(super) fn part(from: &str, to: &str, only: &[&str]) -> ContextPart {
    ContextPart { from: from.to_owned(), to: to.to_owned(), only: only.iter().map(|glob| (*glob).to_owned()).collect() }
}
