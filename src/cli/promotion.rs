//! `--from PROFILE`: what another profile has published under the same keys is copied instead of built.

use std::sync::Arc;

use super::exit::Failure;
use super::load::load;
use super::settings::Settings;
use crate::apply::Repositories;
use crate::name::ImageName;
use crate::plan::reference_of;
use crate::project::Project;
use crate::registry::{Client, Repository};

/// Where images may be copied from.
pub struct Promotion {
    /// The manifest as that profile has it.
    pub project: Project,
}

impl Promotion {
    /// Resolves the manifest once more, in the other profile.
    ///
    /// # Errors
    /// The profile is the one in force, or something is wrong in the manifest as it has it.
    pub fn load(settings: &Settings, profile: Option<&str>) -> Result<Option<Self>, Failure> {
        let Some(profile) = profile else { return Ok(None) };
        if settings.profile.as_deref() == Some(profile) {
            let message = format!("--from names the profile `{profile}`, which is the one in force");
            return Err(Failure::wrong(
                message,
                "name the profile that published the images with --from, yours with --profile",
            ));
        }
        let other = Settings { profile: Some(profile.to_owned()), ..settings.clone() };
        Ok(Some(Self { project: load(&other)?.project }))
    }

    /// The places where the other profile publishes an image, in order, by their references.
    pub fn places(&self, image: &ImageName, client: &Client, root: &std::path::Path) -> Vec<(String, Arc<Repository>)> {
        let destinations = self.project.images.get(image).map(|image| &image.destinations[..]).unwrap_or_default();
        let opened = destinations.iter().map(|destination| {
            let registry = destination.registry.as_str();
            let repository = super::registries::open(client, &self.project, root, registry, &destination.repository);
            (reference_of(&self.project, destination), Arc::new(repository))
        });
        opened.collect()
    }
}

/// The repositories of a project, each opened once.
pub fn repositories(project: &Project, client: &Client, root: &std::path::Path) -> Repositories {
    let (client, project, root) = (client.clone(), project.clone(), root.to_owned());
    Repositories::new(Box::new(move |registry, repository| {
        super::registries::open(&client, &project, &root, registry, repository)
    }))
}
