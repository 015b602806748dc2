//! When an image was published first.

use super::ask::{ObserveError, Observer, cannot};
use crate::digest::Key;
use crate::fingerprint::Document;
use crate::name::ImageName;
use crate::plan::Since;
use crate::registry::By;

impl Observer<'_> {
    /// When what stands under `key` was published first, as the record says that vouches for it. `None` where nothing does. Public
    /// destinations are not asked: records there have no date.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn since(&self, image: &ImageName, key: Key) -> Result<Option<Since>, ObserveError> {
        let destinations = self.project.images.get(image).map_or(0, |image| image.destinations.len());
        for index in (0..destinations).filter(|index| !self.is_public(image, *index)) {
            let Some(repository) = self.open(image, index) else { continue };
            let (tag, failed) = (key.tag(), |error| cannot(image, &repository, error));
            let Some(found) = repository.head_manifest(By::Tag(&tag)).await.map_err(failed)? else { continue };
            let record = repository.read_record(found.digest, &tag).await.map_err(failed)?;
            let document = record.and_then(|bytes| Document::from_bytes(&bytes));
            if let Some(document) = document.filter(|document| document.vouches_for(key, found.digest)) {
                return Ok(Some(document.published.map_or(Since::Undated, Since::At)));
            }
        }
        Ok(None)
    }
}
