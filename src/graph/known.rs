//! The references that images of the manifest are published under.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::ImageName;
use crate::problem::{Code, Problem, did_you_mean};
use crate::project::{Image, Located, Project, TagText};
use crate::reference::Reference;

/// What a reference in a Dockerfile means to the manifest.
pub enum Meaning {
    /// An image of the manifest.
    Image(ImageName),
    /// An image from elsewhere.
    Outside(Reference),
}

/// An index over all names and references of a project.
pub struct Known {
    names: BTreeSet<ImageName>,
    references: BTreeMap<Reference, ImageName>,
    /// For each repository (with its host): the images published there and their tags.
    repositories: BTreeMap<String, BTreeMap<String, ImageName>>,
    outside: BTreeSet<String>,
}

impl Known {
    /// The index of a project.
    pub fn new(project: &Project) -> Self {
        let mut known = Self {
            names: project.images.keys().cloned().collect(),
            references: BTreeMap::new(),
            repositories: BTreeMap::new(),
            outside: project.outside.iter().map(|reference| normal(&reference.value)).collect(),
        };
        for image in project.images.values() {
            known.add(project, image);
        }
        known
    }

    fn add(&mut self, project: &Project, image: &Image) {
        for destination in &image.destinations {
            let Some(prefix) = project
                .registries
                .get(&destination.registry)
                .and_then(super::super::project::Registry::reference_prefix)
            else {
                continue;
            };
            let Ok(repository) = format!("{prefix}/{}", destination.repository).parse::<Reference>() else { continue };
            let tags = self.repositories.entry(repository.name()).or_default();
            for rule in &destination.tags {
                let TagText::Rendered(rendered) = &rule.text else { continue };
                for tag in rendered {
                    tags.insert(tag.clone(), image.name.clone());
                    let reference = Reference { tag: Some(tag.clone()), digest: None, ..repository.clone() };
                    self.references.insert(reference, image.name.clone());
                }
            }
        }
    }

    /// What `text`, as it stands in a Dockerfile after expansion, means to an image that says of `outside` that it comes from elsewhere.
    ///
    /// # Errors
    /// It is not a reference, or a repository of ours with a tag that nothing publishes. The problem has no place yet.
    pub fn meaning(&self, text: &str, outside: &[Located<String>]) -> Result<Meaning, Problem> {
        let own = |reference: &str| outside.iter().any(|declared| normal(&declared.value) == reference);
        let name = ImageName::new(text);
        if self.names.contains(&name) && !own(&normal(text)) && !self.outside.contains(&normal(text)) {
            return Ok(Meaning::Image(name));
        }
        let reference: Reference =
            text.parse().map_err(|error| Problem::error(Code::BadReference, format!("{error}")))?;
        let shown = reference.to_string();
        let declared = self.outside.contains(&shown) || own(&shown);
        if let Some(image) = self.references.get(&reference).filter(|_| !declared) {
            return Ok(Meaning::Image(image.clone()));
        }
        let ours = self.repositories.get(&reference.name());
        match (ours, &reference.tag, declared) {
            (Some(tags), Some(tag), false) if reference.digest.is_none() => Err(unknown_tag(text, tag, tags)),
            _ => Ok(Meaning::Outside(reference)),
        }
    }
}

impl Known {
    /// The image of ours that `reference` pins by digest without its being declared as one from outside.
    pub fn pinned(&self, reference: &Reference, outside: &[Located<String>]) -> Option<&ImageName> {
        reference.digest?;
        let shown = reference.to_string();
        if self.outside.contains(&shown) || outside.iter().any(|declared| normal(&declared.value) == shown) {
            return None;
        }
        let tags = self.repositories.get(&reference.name())?;
        reference.tag.as_ref().and_then(|tag| tags.get(tag)).or_else(|| tags.values().next())
    }
}

fn normal(text: &str) -> String {
    text.parse::<Reference>().map_or_else(|_| text.to_owned(), |reference| reference.to_string())
}

fn unknown_tag(text: &str, tag: &str, tags: &BTreeMap<String, ImageName>) -> Problem {
    let message = format!("the repository of `{text}` is one of this manifest, but no image publishes the tag `{tag}`");
    let near =
        did_you_mean(tag, tags.keys().map(String::as_str)).map(|hint| format!("{hint} otherwise ")).unwrap_or_default();
    let image = tags.values().next().map_or("x", ImageName::as_str);
    Problem::error(Code::UnknownTag, message).help(format!(
        "{near}say what is meant: `contexts: {{ \"{text}\": {{ image: {image} }} }}` on the image to build on ours, \
         `outside: [\"{text}\"]` at the top to take it as it is in the registry, or `parents: published` on the image"
    ))
}
