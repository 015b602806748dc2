//! What the images that a build takes are called there, and where they can be had.

use super::build::MadeImages;
use super::made::Made;
use super::work::{ImageWork, Work};
use crate::exec::assemble::{BaseSource, Place};
use crate::exec::buildkit::ContextSource;
use crate::name::ImageName;
use crate::platform::Platform;
use crate::registry::{ContentStore, Repository};

/// Finds what an image of the manifest is called for a build on it.
pub struct Parents<'a> {
    /// What is worked with.
    pub work: &'a Work,
    /// The images that are made.
    pub made: &'a MadeImages,
    /// The blobs of this run.
    pub store: &'a ContentStore,
}

impl Parents<'_> {
    /// `host/repository@digest` of a parent: in a registry that the dependent publishes to, else the parent's first; `None` if it is
    /// in no registry that a builder could pull from.
    pub fn pulled(&self, dependent: &ImageWork, parent: &ImageName) -> Option<String> {
        let made = self.made.get(parent)?;
        let image = &self.work.project.images.get(parent)?;
        let reference = |index: &usize| {
            let destination = image.destinations.get(*index)?;
            let registry = self.work.project.registries.get(&destination.registry)?;
            let prefix = registry.reference_prefix()?;
            Some((&destination.registry, format!("{prefix}/{}@{}", destination.repository, made.digest)))
        };
        let held: Vec<_> = made.held.iter().filter_map(reference).collect();
        let own = dependent.image.destinations.first().map(|destination| &destination.registry);
        held.iter()
            .find(|(registry, _)| Some(*registry) == own)
            .or(held.first())
            .map(|(_, reference)| reference.clone())
    }

    /// The parent as a context: pulled, or from a folder of blobs.
    pub fn context(&self, dependent: &ImageWork, parent: &ImageName, platform: &Platform) -> Option<ContextSource> {
        if let Some(reference) = self.pulled(dependent, parent) {
            return Some(ContextSource::Image(reference));
        }
        let made = self.made.get(parent)?;
        let digest = made.children.get(platform).copied().unwrap_or(made.digest);
        if made.stored {
            return Some(ContextSource::Store { store: self.store.clone(), digest });
        }
        let image = self.work.project.images.get(parent)?;
        let destination = image.destinations.get(*made.held.first()?)?;
        let repository = self.work.repositories.get(destination.registry.as_str(), &destination.repository);
        let store = ContentStore::new(repository.folder()?);
        Some(ContextSource::Store { store, digest })
    }

    /// The parent as a base that is read and mounted from: where it is published, in a repository of the dependent's own registry if it is
    /// in one, else in the folder of this run.
    pub fn base(&self, dependent: &ImageWork, parent: &ImageName, platform: &Platform) -> Option<BaseSource> {
        let made = self.made.get(parent)?;
        let digest = made.children.get(platform).copied().unwrap_or(made.digest);
        let place = match self.published(dependent, parent, made) {
            Some(repository) => Place::Repository(repository),
            None if made.stored => Place::Store(self.store.clone(), made.lent.clone()),
            None => return None,
        };
        Some(BaseSource { place, digest })
    }

    fn published(&self, dependent: &ImageWork, parent: &ImageName, made: &Made) -> Option<Repository> {
        let image = self.work.project.images.get(parent)?;
        let held: Vec<_> = made.held.iter().filter_map(|index| image.destinations.get(*index)).collect();
        let own = dependent.image.destinations.first().map(|destination| &destination.registry);
        let destination = held.iter().find(|held| Some(&held.registry) == own).or(held.first())?;
        let repository = self.work.repositories.get(destination.registry.as_str(), &destination.repository);
        Some((*repository).clone())
    }
}
