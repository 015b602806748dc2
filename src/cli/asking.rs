//! Asks the registries and decides, as often as what is found calls for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::exit::Failure;
use super::prepare::Prepared;
use crate::apply::{Repositories, Sources};
use crate::functions::Functions;
use crate::name::ImageName;
use crate::observe::{Notes, ObserveError, Observer, ask_functions};
use crate::plan::{self, Facts, Observed, Plan, Promoted, Wanted, decide, functions_to_ask, pinned_key, tags_to_ask};
use crate::platform::Platform;
use crate::registry::Repository;
use crate::workspace::History;

/// How many questions about promotion are asked at once.
const AT_ONCE: usize = 16;

/// What is asked with, and how thoroughly.
pub struct Asking<'a> {
    /// What is decided from.
    pub facts: &'a Facts<'a>,
    /// What to ask.
    pub wanted: &'a [Wanted],
    /// The keys.
    pub prepared: &'a Prepared,
    /// The repositories.
    pub repositories: &'a Repositories,
    /// Where another profile publishes the images (`--from`).
    pub sources: &'a Sources,
    /// What git knows of commits.
    pub history: &'a History,
    /// What runs images.
    pub functions: &'a dyn Functions,
    /// Tags and functions may go backward.
    pub allow_older: bool,
    /// Whether git is asked for more history where commit times say too little.
    pub deepens: bool,
    /// Whether records are read of what is taken for published.
    pub verify: bool,
}

impl Asking<'_> {
    /// The plan.
    ///
    /// # Errors
    /// The first registry or service that cannot be asked.
    pub async fn plan(&self) -> Result<Plan, Failure> {
        if self.facts.choices.offline {
            return Ok(decide(self.facts, self.wanted, &Observed::default()));
        }
        let of_registry = |error: ObserveError| {
            let help = error.error.help().or_else(|| Some("--offline plans without asking".to_owned()));
            Failure::surroundings(error.to_string(), help)
        };
        let repository =
            |registry: &str, repository: &str| -> Arc<Repository> { self.repositories.get(registry, repository) };
        let observer = Observer { project: self.facts.project, repository: &repository, notes: Notes::default() };
        // Different servers, asked at the same time.
        let functions = ask_functions(self.facts, self.functions);
        let (asked, functions) = futures::future::join(observer.ask(self.wanted), functions).await;
        let functions = functions.map_err(|error| Failure::surroundings(error.message, error.help))?;
        let observed = Observed { functions, ..asked.map_err(of_registry)? };
        self.decided(&observer, observed).await.map_err(of_registry)
    }

    async fn decided(&self, observer: &Observer<'_>, mut observed: Observed) -> Result<Plan, ObserveError> {
        observed.promoted = self.promoted(&observed).await?;
        self.pinned(observer, &mut observed).await?;
        observed.children = observer.deployed_children(self.facts, &observed).await?;
        let mut plan = match self.verify {
            true => self.vouched(observer, &mut observed).await?,
            false => decide(self.facts, self.wanted, &observed),
        };
        let (tags, functions) = (tags_to_ask(self.facts.project, &plan), functions_to_ask(self.facts, &plan));
        let any = !tags.is_empty() || !functions.is_empty();
        if any && !self.allow_older {
            observed.movers = observer.movers(&tags, self.history, self.deepens).await?;
            observed.movers.extend(observer.deployers(&functions, self.history, self.deepens).await?);
            plan = decide(self.facts, self.wanted, &observed);
        }
        Ok(plan)
    }

    /// The plan once all that it takes for published is vouched for; what is not counts as absent.
    async fn vouched(&self, observer: &Observer<'_>, observed: &mut Observed) -> Result<Plan, ObserveError> {
        loop {
            let plan = decide(self.facts, self.wanted, observed);
            let elsewhere = |image: &ImageName, reference: &str| self.sources.find(image, reference);
            let unsound = observer.unsound(&plan, &elsewhere).await?;
            if unsound.is_empty() {
                return Ok(plan);
            }
            for found in unsound {
                if observed.promoted.remove(&found.image).is_none()
                    && let Some(destinations) = observed.destinations.get_mut(&found.image)
                    && let Some(holder) = destinations.iter_mut().find(|destination| destination.published.is_some())
                {
                    holder.published = None;
                }
                observed.unsound.insert(found.image, found.reference);
            }
        }
    }

    /// Images that are not published here and are where the other profile publishes them.
    async fn promoted(&self, observed: &Observed) -> Result<BTreeMap<ImageName, Promoted>, ObserveError> {
        let missing = self.wanted.iter().filter(|wanted| {
            let seen = observed.destinations.get(&wanted.image).map(Vec::as_slice).unwrap_or_default();
            seen.iter().all(|destination| destination.published.is_none())
        });
        let found: Vec<_> = stream::iter(missing.map(|wanted| async move {
            let key_tag = wanted.destinations.first().map(|destination| destination.key_tag.as_str());
            let (Some(tag), places) = (key_tag, self.sources.places(&wanted.image)) else { return Ok(None) };
            for (reference, repository) in places {
                let failed = |error| ObserveError {
                    image: wanted.image.clone(),
                    repository: repository.to_string(),
                    error: Box::new(error),
                };
                if let Some(found) = repository.head_manifest(crate::registry::By::Tag(tag)).await.map_err(failed)? {
                    let promoted = Promoted { digest: found.digest, reference: reference.clone() };
                    return Ok::<_, ObserveError>(Some((wanted.image.clone(), promoted)));
                }
            }
            Ok(None)
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Images that are not published, though all that they build on is: they may be published under their pinned keys. Bases come first,
    /// so that what is found for one serves its dependents.
    async fn pinned(&self, observer: &Observer<'_>, observed: &mut Observed) -> Result<(), ObserveError> {
        let mut digests: BTreeMap<ImageName, plan::Digests> = BTreeMap::new();
        let graph = &self.prepared.wired.graph;
        for name in graph.order() {
            let Some(destinations) = observed.destinations.get(name) else { continue };
            let Some(work) = self.prepared.images.get(name) else { continue };
            let promoted = observed.promoted.get(name).map(|promoted| promoted.digest);
            let mut published = destinations.iter().find_map(|destination| destination.published).or(promoted);
            if published.is_none() {
                let digest_of = |name: &ImageName, platform: &Platform| digests.get(name)?.get(platform).copied();
                let platforms =
                    work.platforms.iter().map(|(platform, work)| (platform, &work.recipe, &work.fingerprint));
                if let Some(key) = pinned_key(platforms, &digest_of)
                    && let Some(digest) = observer.pinned(name, key).await?
                {
                    observed.pinned.insert(name.clone(), (key, digest));
                    published = Some(digest);
                }
            }
            let has_dependents = graph.edges().values().flatten().any(|edge| &edge.to == name);
            if let (Some(digest), true) = (published, has_dependents && self.needs_children(name, observed)) {
                digests.insert(name.clone(), observer.children(name, digest).await?);
            }
        }
        Ok(())
    }

    /// Whether an image that is not published builds on this one.
    fn needs_children(&self, name: &ImageName, observed: &Observed) -> bool {
        self.prepared.wired.graph.edges().iter().any(|(dependent, edges)| {
            edges.iter().any(|edge| &edge.to == name)
                && observed
                    .destinations
                    .get(dependent)
                    .is_some_and(|destinations| destinations.iter().all(|destination| destination.published.is_none()))
        })
    }
}
