//! Builds that publish nothing: into a folder of blobs, to be looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::build::{BuildRun, MadeImages, build};
use super::error::ApplyError;
use super::events::Events;
use super::made::Made;
use super::together::Together;
use super::work::{ImageWork, Work};
use crate::digest::Digest;
use crate::event::Outcome;
use crate::plan::Executor;
use crate::platform::Platform;
use crate::registry::{ContentStore, Lent};

/// What the builds of a trial share.
pub struct Trial {
    /// What is worked with.
    pub work: Work,
    /// The folder for blobs.
    pub store: ContentStore,
    /// Where events go.
    pub events: Events,
    /// Ends the builds.
    pub cancel: CancellationToken,
    made: MadeImages,
}

impl Trial {
    /// Nothing is built yet.
    pub fn new(work: Work, store: ContentStore, events: Events, cancel: CancellationToken) -> Self {
        Self { work, store, events, cancel, made: MadeImages::new() }
    }

    /// Builds an image of the work that others build on. Bases must be built before their dependents.
    ///
    /// # Errors
    /// A build that failed.
    pub async fn base(&mut self, image: &crate::name::ImageName, executor: Executor) -> Result<(), ApplyError> {
        let Some(work) = self.work.images.get(image) else { return Ok(()) };
        let (children, lent) = self.platforms(work, executor).await?;
        let Some(digest) = children.values().next().copied() else { return Ok(()) };
        let made =
            Made { digest, children, held: Vec::new(), stored: true, lent: Arc::new(lent), outcome: Outcome::Built };
        self.made.insert(image.clone(), made);
        Ok(())
    }

    /// Builds an image, all blobs of it in the store: the manifest of each platform.
    ///
    /// # Errors
    /// A build that failed, or a base that cannot be read.
    pub async fn build(&self, image: &ImageWork, executor: Executor) -> Result<BTreeMap<Platform, Digest>, ApplyError> {
        let (children, lent) = self.platforms(image, executor).await?;
        let what = || format!("reading the bases of {}", image.image.name);
        lent.fetch_into(&self.store).await.map_err(ApplyError::registry(what()))?;
        Ok(children)
    }

    async fn platforms(
        &self,
        image: &ImageWork,
        executor: Executor,
    ) -> Result<(BTreeMap<Platform, Digest>, Lent), ApplyError> {
        let run = BuildRun {
            executor,
            store: &self.store,
            events: &self.events,
            cancel: &self.cancel,
            no_cache: false,
            publishes: false,
            together: &Together::default(),
        };
        let (mut children, mut lent) = (BTreeMap::new(), Lent::default());
        for platform in image.platforms.keys() {
            let built = build(&self.work, image, platform, &self.made, &run).await?;
            children.insert(platform.clone(), built.digest);
            lent.extend(&built.lent);
        }
        Ok((children, lent))
    }
}
