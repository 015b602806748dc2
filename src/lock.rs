//! `deploy.lock`: what everything from outside is pinned to. Committed, without times, one line for each pin.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::platform::Platform;
use crate::problem::{Code, Problem, Problems, Source};
use crate::reference::Reference;

/// The version of the format that this program reads and writes.
pub const VERSION: u32 = 1;

/// All pins of a project. Empty where there is no file yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// Outside images, by reference and platform: the digest of the platform's own manifest.
    #[serde(default)]
    images: BTreeMap<Reference, BTreeMap<Platform, Digest>>,
    /// Front ends that `# syntax=` names: the digest of the image or index, since the platform is the builder's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    frontends: BTreeMap<Reference, Digest>,
    /// What ADD fetches, by address: the digest of a file, the commit of a repository.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    remotes: BTreeMap<String, String>,
    /// Generations of images with `rebuild_every`, by image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    generations: BTreeMap<String, u64>,
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            version: VERSION,
            images: BTreeMap::new(),
            frontends: BTreeMap::new(),
            remotes: BTreeMap::new(),
            generations: BTreeMap::new(),
        }
    }
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// One problem, if it is not a lock file of this version.
    pub fn parse(source: &Source) -> Result<Self, Problems> {
        let problem = |error: &serde_json::Error| {
            let (start, length) = word_at(source.text(), error.line(), error.column());
            Problem::error(Code::BadLock, format!("this is not a lock file: {}", plain(error)))
                .at(&source.at(start, length), "")
                .help("take it from version control again, or delete it and run `orchestrate update`")
        };
        let lock: Self = serde_json::from_str(source.text()).map_err(|error| Problems::from(problem(&error)))?;
        if lock.version != VERSION {
            let problem = Problem::error(
                Code::BadLock,
                format!("the lock file has version {}, this program reads version {VERSION}", lock.version),
            );
            return Err(problem.at(&source.at(0, 1), "").help("use the version of orchestrate that wrote it").into());
        }
        Ok(lock)
    }

    /// The file's text: the same pins give the same bytes.
    pub fn render(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a lock has only string keys and plain values");
        text.push('\n');
        text
    }

    /// The pin of a reference on a platform.
    pub fn pin(&self, reference: &Reference, platform: &Platform) -> Option<Digest> {
        self.images.get(reference)?.get(platform).copied()
    }

    /// Sets a pin.
    pub fn set(&mut self, reference: Reference, platform: Platform, digest: Digest) {
        self.images.entry(reference).or_default().insert(platform, digest);
    }

    /// Every pin.
    pub fn pins(&self) -> impl Iterator<Item = (&Reference, &Platform, Digest)> {
        self.images
            .iter()
            .flat_map(|(reference, pins)| pins.iter().map(move |(platform, digest)| (reference, platform, *digest)))
    }

    /// Keeps only the pins that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&Reference, &Platform) -> bool) {
        for (reference, pins) in &mut self.images {
            pins.retain(|platform, _| keep(reference, platform));
        }
        self.images.retain(|_, pins| !pins.is_empty());
    }

    /// The pin of a front end.
    pub fn frontend(&self, reference: &Reference) -> Option<Digest> {
        self.frontends.get(reference).copied()
    }

    /// Pins a front end.
    pub fn set_frontend(&mut self, reference: Reference, digest: Digest) {
        self.frontends.insert(reference, digest);
    }

    /// Keeps only the front ends that `keep` wants.
    pub fn retain_frontends(&mut self, mut keep: impl FnMut(&Reference) -> bool) {
        self.frontends.retain(|reference, _| keep(reference));
    }

    /// The pin of what ADD fetches from an address: `sha256:...` of a file, the commit of a repository.
    pub fn remote(&self, url: &str) -> Option<&str> {
        self.remotes.get(url).map(String::as_str)
    }

    /// Pins what ADD fetches from an address.
    pub fn set_remote(&mut self, url: impl Into<String>, pin: impl Into<String>) {
        self.remotes.insert(url.into(), pin.into());
    }

    /// Keeps only the addresses that `keep` wants.
    pub fn retain_remotes(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.remotes.retain(|url, _| keep(url));
    }

    /// The generation of an image with `rebuild_every`; 0 until it is raised for the first time.
    pub fn generation(&self, image: &str) -> u64 {
        self.generations.get(image).copied().unwrap_or(0)
    }

    /// Keeps only the generations of images that `keep` wants.
    pub fn retain_generations(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.generations.retain(|image, _| keep(image));
    }

    /// Raises the generation of an image, so that it is rebuilt.
    pub fn raise_generation(&mut self, image: &str) {
        *self.generations.entry(image.to_owned()).or_default() += 1;
    }
}

/// serde_json's message without its own "at line ... column ...".
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Offset and length of what serde_json complains of: the text in quotes that ends at this line and column, else one character.
fn word_at(text: &str, line: usize, column: usize) -> (usize, usize) {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = (start + column.saturating_sub(1)).min(text.len().saturating_sub(1));
    let opening = text.get(start..end).filter(|_| text[end..].starts_with('"')).and_then(|before| before.rfind('"'));
    opening.map_or((end, 1), |at| (start + at, end + 1 - (start + at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_reads_back_as_written() {
        let mut lock = Lock::default();
        let reference: Reference = "alpine:3".parse().unwrap();
        let platform: Platform = "linux/arm64".parse().unwrap();
        lock.set(reference.clone(), platform.clone(), Digest::of(b"x"));
        lock.raise_generation("base");
        lock.set_frontend("docker/dockerfile:1".parse().unwrap(), Digest::of(b"f"));
        lock.set_remote("https://example.com/x", "sha256:0");
        let text = lock.render();
        let again = Lock::parse(&Source::new("deploy.lock", text.clone())).unwrap();
        assert_eq!(again, lock);
        assert_eq!(again.render(), text);
        assert_eq!(again.pin(&reference, &platform), Some(Digest::of(b"x")));
        assert_eq!(again.generation("base"), 1);
        assert_eq!(again.remote("https://example.com/x"), Some("sha256:0"));
        assert_eq!(again.frontend(&"docker.io/docker/dockerfile:1".parse().unwrap()), Some(Digest::of(b"f")));
        lock.retain(|_, _| false);
        lock.retain_frontends(|_| false);
        lock.retain_remotes(|_| false);
        lock.retain_generations(|_| false);
        assert_eq!(lock, Lock::default());
    }

    #[test]
    fn damage_is_a_problem_with_a_place() {
        for text in ["", "{", "{\"version\": 2}", "{\"version\": 1, \"imagse\": {}}", "[]"] {
            let problems = Lock::parse(&Source::new("deploy.lock", text)).unwrap_err();
            assert_eq!(problems.sorted()[0].code, Code::BadLock, "{text}");
        }
        let text = "{\n  \"version\": 1,\n  \"imagse\": {}\n}";
        let problems = Lock::parse(&Source::new("deploy.lock", text)).unwrap_err();
        let place = &problems.sorted()[0].labels[0].location;
        assert_eq!((place.line_column(), place.span.length), ((3, 3), "\"imagse\"".len()));
    }
}
