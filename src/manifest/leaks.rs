//! Layers leak: a public image shows every layer of what it builds on.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::ImageName;
use crate::problem::{Code, Location, Problem, Problems};
use crate::project::{Image, Project};

/// One image builds on another.
#[derive(Clone, Debug)]
pub struct BuildsOn {
    /// The image.
    pub image: ImageName,
    /// What it builds on.
    pub base: ImageName,
    /// Where this is written: a `FROM`, a `COPY --from`, a context.
    pub location: Location,
}

/// Public images that build on images whose destinations are all private, directly or through bases that are not published,
/// unless `discloses:` says that it is meant.
pub fn check_leaks(project: &Project, edges: &[BuildsOn]) -> Problems {
    let mut by_image: BTreeMap<&ImageName, Vec<&BuildsOn>> = BTreeMap::new();
    for edge in edges {
        by_image.entry(&edge.image).or_default().push(edge);
    }
    let mut problems = Problems::new();
    for image in project.images.values().filter(|image| visibility(project, image) == Some(true)) {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&BuildsOn> = by_image.get(&image.name).cloned().unwrap_or_default();
        while let Some(edge) = open.pop() {
            let disclosed = image.discloses.iter().any(|name| name.value == edge.base.as_str());
            let Some(base) = project.images.get(&edge.base).filter(|_| !disclosed && seen.insert(&edge.base)) else {
                continue;
            };
            match visibility(project, base) {
                Some(true) => {}
                Some(false) => problems.push(leak(image, base, edge)),
                None => open.extend(by_image.get(&base.name).into_iter().flatten()),
            }
        }
    }
    problems
}

/// Whether some destination is public; `None` if it has no destination.
fn visibility(project: &Project, image: &Image) -> Option<bool> {
    let public = |destination: &crate::project::Destination| {
        project.registries.get(&destination.registry).is_some_and(|registry| registry.public)
    };
    (!image.destinations.is_empty()).then(|| image.destinations.iter().any(public))
}

fn leak(image: &Image, base: &Image, edge: &BuildsOn) -> Problem {
    let (image_name, base_name) = (&image.name, &base.name);
    Problem::error(
        Code::Leak,
        format!("the public image `{image_name}` would show the layers of the private `{base_name}`"),
    )
    .at(&edge.location, format!("`{}` builds on `{base_name}`", edge.image))
    .at(&base.location, "published to private registries alone")
    .help(format!("publish `{image_name}` privately, or say `discloses: [{base_name}]` on it if this is meant"))
}
