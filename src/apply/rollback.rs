//! Puts back what a run moved: tags, then functions, as its receipt tells. What somebody else moved since is left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::ApplyError;
use super::events::Events;
use super::work::Repositories;
use crate::digest::Digest;
use crate::event::{FORMAT, FunctionOutcome, FunctionReceipt, Kind, Receipt, RunOutcome, TagReceipt};
use crate::functions::{Functions, Order};
use crate::name::ImageName;
use crate::oci::RawManifest;
use crate::plan::{FunctionAction, FunctionId, reference_of};
use crate::project::{Deployment, Functions as Named, Image, Project, Runner};
use crate::registry::{By, Repository};

/// What is put back with.
pub struct Rollback<'a> {
    /// The resolved manifest.
    pub project: &'a Project,
    /// The repositories.
    pub repositories: &'a Repositories,
    /// What runs images.
    pub functions: &'a dyn Functions,
    /// Where events go.
    pub events: &'a Events,
    /// Counts requests and calls so far.
    pub calls: &'a (dyn Fn() -> BTreeMap<String, u64> + Sync),
}

/// A tag that can be put back.
struct TagBack<'a> {
    moved: &'a TagReceipt,
    repository: Arc<Repository>,
    raw: RawManifest,
}

/// A function that can be put back.
struct FunctionBack<'a> {
    done: &'a FunctionReceipt,
    from: Digest,
    order: Order,
}

impl Rollback<'_> {
    /// Undoes what `receipt` says was done, and says what now exists. Nothing is touched unless all that is to be put back can be: the old
    /// images are still there, and every function would take its own.
    pub async fn run(&self, receipt: &Receipt) -> Receipt {
        let mut after = Receipt {
            format: FORMAT,
            project: receipt.project.clone(),
            commit: None,
            outcome: RunOutcome::Succeeded,
            repositories: Vec::new(),
            images: Vec::new(),
            functions: Vec::new(),
            moves: Vec::new(),
            left: Vec::new(),
            requests: BTreeMap::new(),
        };
        match self.ready(receipt).await {
            Err(failures) => {
                after.outcome = RunOutcome::Failed;
                for (image, error) in failures {
                    self.events.send(Kind::StepFailed { image, error });
                }
            }
            Ok((tags, functions)) => self.put_back(tags, functions, &mut after).await,
        }
        after.requests = (self.calls)();
        self.events.send(Kind::RunFinished { receipt: after.clone() });
        after
    }

    /// What is to be put back, if all of it can be.
    async fn ready<'r>(
        &self,
        receipt: &'r Receipt,
    ) -> Result<(Vec<TagBack<'r>>, Vec<FunctionBack<'r>>), Vec<(ImageName, String)>> {
        let (mut tags, mut functions, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for moved in &receipt.moves {
            match self.tag(moved).await {
                Ok(tag) => tags.extend(tag),
                Err(error) => failures.push((moved.image.clone(), error.to_string())),
            }
        }
        for done in &receipt.functions {
            match self.function(done).await {
                Ok(function) => functions.extend(function),
                Err(error) => failures.push((done.image.clone(), error.to_string())),
            }
        }
        if failures.is_empty() { Ok((tags, functions)) } else { Err(failures) }
    }

    /// A tag with the manifest that it goes back to; `None` where there is nothing to go back to, or somebody moved it since.
    async fn tag<'r>(&self, moved: &'r TagReceipt) -> Result<Option<TagBack<'r>>, ApplyError> {
        let Some(from) = moved.from else { return Ok(None) };
        let image = self.image(&moved.image)?;
        let mut destinations = image.destinations.iter();
        let destination = destinations.find(|destination| reference_of(self.project, destination) == moved.reference);
        let destination = destination.ok_or_else(|| {
            ApplyError::Gone(format!("{} is not published to {} any more", moved.image, moved.reference))
        })?;
        let repository = self.repositories.get(destination.registry.as_str(), &destination.repository);
        let failed = |what: &str| ApplyError::registry(format!("{what} {}:{}", moved.reference, moved.tag));
        let standing = repository.head_manifest(By::Tag(&moved.tag)).await.map_err(failed("reading"))?;
        if standing.map(|standing| standing.digest) != Some(moved.to) {
            return Ok(None);
        }
        let raw = repository.get_manifest(By::Digest(from)).await.map_err(failed("reading what stood under"))?;
        let raw = raw.ok_or_else(|| ApplyError::Gone(format!("{from} is not in {repository} any more")))?;
        Ok(Some(TagBack { moved, repository, raw }))
    }

    /// A function with what it ran before; `None` where nothing is to be undone, or somebody deployed to it since.
    async fn function<'r>(&self, done: &'r FunctionReceipt) -> Result<Option<FunctionBack<'r>>, ApplyError> {
        let tried = matches!(done.outcome, FunctionOutcome::Deployed | FunctionOutcome::Failed);
        let Some(from) =
            done.from.filter(|from| tried && done.runs != Some(*from) || done.outcome == FunctionOutcome::Failed)
        else {
            return Ok(None);
        };
        let image = self.image(&done.image)?;
        let deployment = deployment_of(image, done);
        let (login, publish) = match deployment {
            Some(deployment) => {
                let publish = matches!(&deployment.runner, Runner::Lambda(lambda) if lambda.publish);
                (self.project.login_of(image, deployment), publish)
            }
            None => Default::default(),
        };
        let order = Order {
            id: FunctionId {
                service: done.service,
                region: done.region.clone(),
                account: done.account.clone(),
                name: done.function.clone(),
            },
            login,
            repository: done.from_reference.clone().unwrap_or_else(|| done.reference.clone()),
            digest: from,
            publish: publish || done.alias.is_some(),
            alias: done.alias.clone(),
            create: None,
        };
        let failed = |error| ApplyError::Function { function: order.id.to_string(), error };
        let look = self.functions.look(&order).await.map_err(failed)?;
        let runs = look.facts().and_then(|facts| facts.digest);
        let ours = done.outcome == FunctionOutcome::Failed || runs == done.runs;
        if runs == Some(from) || !ours {
            return Ok(None);
        }
        self.functions.rehearse(&order).await.map_err(failed)?;
        Ok(Some(FunctionBack { done, from, order }))
    }

    fn image(&self, name: &ImageName) -> Result<&Image, ApplyError> {
        let gone = || ApplyError::Gone(format!("{name} is not in the manifest any more"));
        self.project.images.get(name).ok_or_else(gone)
    }

    async fn put_back(&self, tags: Vec<TagBack<'_>>, functions: Vec<FunctionBack<'_>>, after: &mut Receipt) {
        for TagBack { moved, repository, raw } in tags {
            let reference = format!("{}:{}", moved.reference, moved.tag);
            let (image, to) = (moved.image.clone(), raw.digest());
            match repository.put_manifest(By::Tag(&moved.tag), &raw).await {
                Ok(_) => {
                    self.events.send(Kind::TagMoved { image, reference, from: Some(moved.to), to });
                    after.moves.push(TagReceipt { from: Some(moved.to), to, ..moved.clone() });
                }
                Err(error) => {
                    let error = ApplyError::registry(format!("putting {reference}"))(error).to_string();
                    self.events.send(Kind::StepFailed { image, error });
                    after.outcome = RunOutcome::Failed;
                }
            }
        }
        for back in functions {
            let receipt = self.function_back(&back).await;
            if receipt.outcome == FunctionOutcome::Failed {
                after.outcome = RunOutcome::Failed;
            }
            after.functions.push(receipt);
        }
    }

    async fn function_back(&self, back: &FunctionBack<'_>) -> FunctionReceipt {
        let FunctionBack { done, from, order } = back;
        self.events.send(Kind::FunctionStarted {
            function: done.function.clone(),
            service: done.service,
            region: done.region.clone(),
            account: done.account.clone(),
            image: done.image.clone(),
            action: FunctionAction::Deploy,
        });
        let began = std::time::Instant::now();
        let deployed = async {
            let look = self.functions.look(order).await?;
            self.functions.deploy(order, &look).await
        };
        let mut receipt = FunctionReceipt {
            outcome: FunctionOutcome::Deployed,
            reference: order.repository.clone(),
            from: done.runs,
            from_reference: Some(done.reference.clone()).filter(|reference| *reference != order.repository),
            runs: Some(*from),
            version: None,
            url: None,
            error: None,
            ..(*done).clone()
        };
        match deployed.await {
            Ok(deployed) => (receipt.runs, receipt.version) = (deployed.digest, deployed.version),
            Err(error) => {
                let error = ApplyError::Function { function: order.id.to_string(), error }.to_string();
                (receipt.outcome, receipt.runs, receipt.error) = (FunctionOutcome::Failed, done.runs, Some(error));
            }
        }
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.events.send(Kind::FunctionFinished { function: receipt.clone(), milliseconds });
        receipt
    }
}

/// The entry of the manifest that a function of a receipt belongs to.
fn deployment_of<'a>(image: &'a Image, done: &FunctionReceipt) -> Option<&'a Deployment> {
    let account = |entry: &Deployment| entry.elsewhere.as_ref().map(|elsewhere| elsewhere.account.clone());
    let entries = image.deploy.iter().map(|entry| &entry.value);
    let entries = entries.filter(|entry| entry.region == done.region && account(entry) == done.account);
    let mut fitting = entries.filter(|entry| match (&entry.runner, done.service) {
        (Runner::Lambda(lambda), crate::plan::Service::Lambda) => match &lambda.functions {
            Named::Named(names) => names.contains(&done.function),
            Named::Output { .. } | Named::Logical { .. } => lambda.alias == done.alias,
        },
        (Runner::AgentCore(runtime), crate::plan::Service::Agentcore) => runtime == &done.function,
        _ => false,
    });
    fitting.next()
}
