//! Manifests in tests.

use std::collections::BTreeMap;

use super::super::*;
use crate::problem::{Problems, Source, to_json};
use crate::project::{Image, Project};

/// A checkout at a commit, on branch `main`, without a tag.
pub(super) fn choices() -> Choices {
    Choices {
        git: Some(GitFacts {
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            short: "0123456".to_owned(),
            branch: Some("feature/x".to_owned()),
            tag: None,
            dirty: false,
            date: "2026-01-31".to_owned(),
        }),
        aws_account: Some("123456789012".to_owned()),
        host_platform: "linux/amd64".parse().unwrap(),
        ..Choices::default()
    }
}

/// The manifest and files of a test.
pub(super) struct Case {
    pub text: String,
    pub choices: Choices,
    pub files: BTreeMap<String, String>,
}

/// A manifest with the obligatory head.
pub(super) fn case(body: &str) -> Case {
    Case { text: format!("version: 1\nproject: p\n{body}"), choices: choices(), files: BTreeMap::new() }
}

impl Case {
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.choices.set.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn profile(mut self, name: &str) -> Self {
        self.choices.profile = Some(name.to_owned());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.choices.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn run(&self) -> Result<Resolved, Problems> {
        let manifest = parse(&Source::new("deploy.yaml", self.text.as_str()))?;
        let read = |path: &str| Ok(self.files.get(path).cloned());
        let glob = |pattern: &str| {
            let matcher = globset::GlobBuilder::new(pattern).literal_separator(true).build().unwrap().compile_matcher();
            Ok(self.files.keys().filter(|path| matcher.is_match(path)).cloned().collect())
        };
        resolve(&manifest, &self.choices, &Files { read: &read, glob: &glob })
    }

    pub fn project(&self) -> Project {
        match self.run() {
            Ok(resolved) => resolved.project,
            Err(problems) => panic!("{}", crate::problem::render(&problems, false, 120)),
        }
    }

    /// `code line:column` of every problem, and warnings if it resolves.
    pub fn problems(&self) -> Vec<String> {
        let problems = match self.run() {
            Ok(resolved) => resolved.warnings,
            Err(problems) => problems,
        };
        let json = to_json(&problems);
        let one = |problem: &serde_json::Value| {
            let place = &problem["places"][0];
            format!("{} {}:{}", problem["code"].as_str().unwrap(), place["line"], place["column"])
        };
        json.as_array().unwrap().iter().map(one).collect()
    }
}

/// An image by name.
pub(super) fn image<'p>(project: &'p Project, name: &str) -> &'p Image {
    &project.images[&crate::name::ImageName::new(name)]
}

/// The value of an arg, with references as `<name>`.
pub(super) fn arg(image: &Image, name: &str) -> String {
    image.args[name].value.as_ref().unwrap().render(|name| format!("<{name}>"))
}

/// All tags of all destinations as `registry/repository:tag`.
pub(super) fn tags(image: &Image) -> Vec<String> {
    let mut all = Vec::new();
    for destination in &image.destinations {
        for rule in &destination.tags {
            for tag in render_tag(rule, Some(&crate::digest::Key::from_bytes([0xab; 32])), None).unwrap() {
                all.push(format!("{}/{}:{tag}", destination.registry, destination.repository));
            }
        }
    }
    all
}
