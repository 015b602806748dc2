//! The repositories of a manifest as `prune` and `sizes` see them: each once, whatever images share it.

use std::collections::{BTreeMap, BTreeSet};

use super::exit::Failure;
use super::load::{load, load_at};
use super::settings::Settings;
use crate::digest::Key;
use crate::manifest::{GitFacts, render_tag};
use crate::name::{ImageName, RegistryName};
use crate::plan::reference_of;
use crate::project::{Keep, Project, RegistryKind, Retention, TagRule};
use crate::storage::Pattern;

/// A repository and what the manifest says of it.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Host and path, as in references.
    pub reference: String,
    /// The registry's name in the manifest.
    pub registry: String,
    /// The repository below the registry.
    pub repository: String,
    /// The images that are published there.
    pub images: BTreeSet<ImageName>,
    /// What stays, for each destination; empty if nothing says so.
    pub retain: Vec<Retention>,
    /// The tags that name commits.
    pub patterns: Vec<Pattern>,
    /// Digests, tags and references that something runs.
    pub in_use: BTreeSet<String>,
    /// What a GB costs each month.
    pub price: Option<f64>,
}

impl Shelf {
    /// Whether what lies there can be listed: the local daemon's store is not a registry.
    pub fn registry_can(&self, project: &Project) -> bool {
        let registry = project.registries.get(&RegistryName::new(&self.registry));
        registry.is_some_and(|registry| registry.kind != RegistryKind::Docker)
    }
}

/// The repositories of a project. `project` is as it is; `patterns` are the templates of its tags as [`patterns`] gives them.
pub fn shelves(project: &Project, patterns: &BTreeMap<(ImageName, usize), Vec<Pattern>>) -> Vec<Shelf> {
    let mut shelves: BTreeMap<String, Shelf> = BTreeMap::new();
    for image in project.images.values() {
        for (index, destination) in image.destinations.iter().enumerate() {
            let reference = reference_of(project, destination);
            let shelf = shelves.entry(reference.clone()).or_default();
            shelf.reference = reference;
            shelf.registry = destination.registry.to_string();
            shelf.repository.clone_from(&destination.repository);
            shelf.images.insert(image.name.clone());
            let near: [&Keep; 3] = [&destination.keep, keep_of(project, &destination.registry), &project.keep];
            let retain = near.iter().find_map(|keep| keep.retain.clone());
            shelf.in_use.extend(near.iter().flat_map(|keep| keep.in_use_by.iter().cloned()));
            shelf.price = shelf.price.or_else(|| near.iter().find_map(|keep| keep.price));
            let commits = retain.as_ref().and_then(|retain| retain.commits);
            let given = patterns.get(&(image.name.clone(), index)).map(Vec::as_slice).unwrap_or_default();
            shelf.patterns.extend(given.iter().map(|pattern| Pattern { commits, ..pattern.clone() }));
            shelf.retain.extend(retain);
        }
    }
    shelves.into_values().collect()
}

fn keep_of<'a>(project: &'a Project, registry: &RegistryName) -> &'a Keep {
    project.registries.get(registry).map_or(&project.keep, |registry| &registry.keep)
}

/// The patterns of the tags that name commits, by image and destination: the manifest is resolved as if at two commits that have nothing
/// in common, and what differs is what varies.
///
/// # Errors
/// What is wrong in the manifest.
pub fn patterns(settings: &Settings) -> Result<BTreeMap<(ImageName, usize), Vec<Pattern>>, Failure> {
    let at = |digit: char| {
        let change = move |facts: GitFacts| {
            let digits = |count: usize| digit.to_string().repeat(count);
            // The git tag stays: what it names is a release, which nothing takes away but a person.
            GitFacts { commit: digits(40), short: digits(7), ..facts }
        };
        load_at(settings, &change).map(|loaded| loaded.project)
    };
    let (one, two) = (at('0')?, at('9')?);
    let keys = (Key::from_bytes([0; 32]), Key::from_bytes([0; 32]));
    let mut patterns = BTreeMap::new();
    for image in one.images.values() {
        let Some(other) = two.images.get(&image.name) else { continue };
        for (index, (a, b)) in image.destinations.iter().zip(&other.destinations).enumerate() {
            let fixed = a.tags.iter().zip(&b.tags).filter(|(rule, _)| rule.fixed);
            let found = fixed.flat_map(|(a, b)| varying((a, &keys.0), (b, &keys.1))).collect();
            patterns.insert((image.name.clone(), index), found);
        }
    }
    Ok(patterns)
}

/// What one template gives at two commits.
fn varying((a, key_a): (&TagRule, &Key), (b, key_b): (&TagRule, &Key)) -> Vec<Pattern> {
    let (Ok(a), Ok(b)) = (render_tag(a, Some(key_a), None), render_tag(b, Some(key_b), None)) else {
        return Vec::new();
    };
    a.iter().zip(&b).filter_map(|(a, b)| pattern(a, b)).collect()
}

/// The common beginning and end of two tags; `None` if they are the same: then nothing varies.
fn pattern(a: &str, b: &str) -> Option<Pattern> {
    let prefix: String = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let (left, right) = (&a[prefix.len()..], &b[prefix.len()..]);
    let ends = left.chars().rev().zip(right.chars().rev()).take_while(|(a, b)| a == b);
    let suffix: String = ends.map(|(a, _)| a).collect::<Vec<_>>().into_iter().rev().collect();
    (a != b).then_some(Pattern { prefix, suffix, commits: None })
}

/// The manifest with every image selected: what one selects decides what is shown, never what is needed.
pub fn everything(settings: &Settings) -> Result<Settings, Failure> {
    let names = load(settings)?.project.images.keys().map(ToString::to_string).collect();
    Ok(Settings { only: names, with_dependents: false, quiet: true, ..settings.clone() })
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn what_varies_between_two_commits() {
        let of = |a: &str, b: &str| pattern(a, b).map(|pattern| (pattern.prefix, pattern.suffix));
        let is = |prefix: &str, suffix: &str| Some((prefix.to_owned(), suffix.to_owned()));
        assert_eq!(of("api-0000000", "api-9999999"), is("api-", ""));
        assert_eq!(of("0000000-api", "9999999-api"), is("", "-api"));
        assert_eq!(of("a-0000000-b", "a-9999999-b"), is("a-", "-b"));
        assert_eq!(of("latest", "latest"), None);
    }
}
