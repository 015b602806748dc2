//! Where another profile publishes the images of this one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::name::ImageName;
use crate::registry::Repository;

/// A place by its reference, and the repository there.
pub type Place = (String, Arc<Repository>);

/// The places of each image, in the order of that profile.
#[derive(Default)]
pub struct Sources(BTreeMap<ImageName, Vec<Place>>);

impl Sources {
    /// The places of an image.
    pub fn places(&self, image: &ImageName) -> &[Place] {
        self.0.get(image).map(Vec::as_slice).unwrap_or_default()
    }

    /// The place of an image with this reference.
    pub fn find(&self, image: &ImageName, reference: &str) -> Option<Arc<Repository>> {
        let place = self.places(image).iter().find(|(other, _)| other == reference)?;
        Some(Arc::clone(&place.1))
    }
}

impl FromIterator<(ImageName, Vec<Place>)> for Sources {
    fn from_iter<T: IntoIterator<Item = (ImageName, Vec<Place>)>>(places: T) -> Self {
        Self(places.into_iter().collect())
    }
}
