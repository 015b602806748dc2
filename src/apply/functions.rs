//! The functions: rehearsed before any tag moves, given their images after all tags have. One that fails stops no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt as _;

use super::build::MadeImages;
use super::error::ApplyError;
use super::make::Shared;
use super::tags::{noted as note_of, ordered};
use crate::digest::Digest;
use crate::event::{FunctionOutcome, FunctionReceipt, Kind};
use crate::functions::{Deployed, FunctionError, Look, Order};
use crate::name::ImageName;
use crate::oci::{Contents, DescriptorPlatform, RawManifest};
use crate::plan::{
    Course, Function, FunctionAction, FunctionReason, Mover, Observation, Step, Why, misfit, platform_for, unfit_parts,
};
use crate::project::Runner;
use crate::registry::{By, Repository};

/// How many functions are worked on at once: each asks its service about once a second while it waits.
const AT_ONCE: usize = 8;
/// How often a function is looked at again because somebody else changed it at the same time.
const LOOKS: u32 = 4;

/// A function that is to run what this run made.
pub struct Pending<'a> {
    /// As planned.
    pub function: &'a Function,
    /// What it is to run.
    pub order: Order,
    /// The repository of the image.
    repository: Arc<Repository>,
    /// The manifest that it is to run.
    raw: RawManifest,
}

/// What a function's turn came to.
struct Turn {
    outcome: FunctionOutcome,
    /// What it ran before, and from which repository.
    from: Option<Digest>,
    repository: Option<String>,
    result: Result<Deployed, ApplyError>,
}

impl Turn {
    /// A function that stays as it is.
    fn stays(outcome: FunctionOutcome, from: Option<Digest>) -> Self {
        let result = Ok(Deployed { digest: from, ..Deployed::default() });
        Self { outcome, from, repository: None, result }
    }
}

/// The functions that were to be given an image, once the images are made.
#[derive(Default)]
pub struct Due<'a> {
    /// Those that have something to do, with what each is to run.
    pub pending: Vec<Pending<'a>>,
    /// Those that run already what was made: a build need not give another digest.
    pub right: Vec<&'a Function>,
    /// Those that cannot run it.
    pub unfit: Vec<(ImageName, ApplyError)>,
}

/// Sorts the functions of `steps` by what is to be done for each.
pub async fn due<'a>(shared: &'a Shared, steps: &[&Step], made: &MadeImages) -> Due<'a> {
    let planned = shared.plan.functions.iter().filter(|function| {
        function.changes() && function.newer.is_none() && steps.iter().any(|step| step.name == function.image)
    });
    let found = futures::stream::iter(planned.map(|function| one(shared, function, made))).buffered(AT_ONCE);
    let mut due = Due::default();
    for (function, found) in found.collect::<Vec<_>>().await {
        match found {
            Ok(Some(pending)) => due.pending.push(pending),
            Ok(None) => due.right.push(function),
            Err(error) => due.unfit.push((function.image.clone(), error)),
        }
    }
    due
}

/// The receipts of functions that run already what was made.
pub fn kept(right: &[&Function]) -> Vec<FunctionReceipt> {
    right.iter().map(|function| receipt(function, Turn::stays(FunctionOutcome::Kept, function.from))).collect()
}

async fn one<'a>(
    shared: &'a Shared,
    function: &'a Function,
    made: &MadeImages,
) -> (&'a Function, Result<Option<Pending<'a>>, ApplyError>) {
    (function, prepared(shared, function, made).await)
}

/// Finds the manifest that a function is to run, and judges it. `None` where the function runs it already.
async fn prepared<'a>(
    shared: &'a Shared,
    function: &'a Function,
    made: &MadeImages,
) -> Result<Option<Pending<'a>>, ApplyError> {
    let project = &shared.work.project;
    let gone = || ApplyError::Gone(format!("{} is not deployed to {} any more", function.image, function.id()));
    let image = project.images.get(&function.image).ok_or_else(gone)?;
    let deployment = &image.deploy.get(function.entry).ok_or_else(gone)?.value;
    let made = made.get(&function.image).filter(|made| made.held.contains(&deployment.source));
    let made = made.ok_or_else(|| ApplyError::Gone(format!("{} is not in {}", function.image, function.reference)))?;
    let destination = &image.destinations[deployment.source];
    let repository = shared.work.repositories.get(destination.registry.as_str(), &destination.repository);
    let (publish, alias, create) = match &deployment.runner {
        Runner::Lambda(lambda) => (lambda.publish, lambda.alias.clone(), lambda.create.clone()),
        Runner::AgentCore(_) => (false, None, None),
    };
    let mut order = Order {
        id: function.id(),
        login: project.login_of(image, deployment),
        repository: function.reference.clone(),
        digest: made.digest,
        publish,
        alias,
        create,
    };
    let architecture = match function.action {
        FunctionAction::Create => order.create.as_ref().map(|create| create.architecture),
        _ => function.architecture,
    };
    let mut raw = read(&repository, made.digest).await?;
    if let Ok(Contents::Index(index)) = raw.contents() {
        let wanted = platform_for(architecture, &image.platforms);
        let children = index.manifests.iter();
        let child = children.into_iter().find(|child| {
            child.platform.as_ref().and_then(DescriptorPlatform::normalized).as_ref() == wanted && wanted.is_some()
        });
        let child = child.ok_or_else(|| unfit(function, &"the image has no manifest for its architecture"))?;
        raw = read(&repository, child.digest).await?;
    }
    order.digest = raw.digest();
    let other_work =
        |reason: &FunctionReason| matches!(reason, FunctionReason::Unfinished | FunctionReason::Unhealthy { .. });
    let runs_it = function.action == FunctionAction::Deploy && function.from == Some(order.digest);
    if runs_it && !function.reasons.iter().any(other_work) {
        return Ok(None);
    }
    let contents = raw.contents().map_err(|error| unfit(function, &error))?;
    if let Some(why) = unfit_parts(&contents).first() {
        return Err(unfit(function, why));
    }
    Ok(Some(Pending { function, order, repository, raw }))
}

async fn read(repository: &Repository, digest: Digest) -> Result<RawManifest, ApplyError> {
    let what = format!("reading {digest} from {repository}");
    let raw = repository.get_manifest(By::Digest(digest)).await.map_err(ApplyError::registry(what))?;
    raw.ok_or_else(|| ApplyError::Gone(format!("{digest} is not in {repository} any more")))
}

fn unfit(function: &Function, why: &dyn std::fmt::Display) -> ApplyError {
    ApplyError::Unfit { function: function.id().to_string(), image: function.image.clone(), why: why.to_string() }
}

fn failed(pending: &Pending<'_>) -> impl FnOnce(FunctionError) -> ApplyError {
    let function = pending.function.id().to_string();
    move |error| ApplyError::Function { function, error }
}

/// Asks for every function whether it would be done, and does nothing.
pub async fn rehearse(shared: &Shared, pending: &[Pending<'_>]) -> Vec<(ImageName, ApplyError)> {
    let asked = futures::stream::iter(pending.iter().map(|pending| async move {
        let answer = shared.work.functions.rehearse(&pending.order).await;
        answer.err().map(|error| (pending.function.image.clone(), failed(pending)(error)))
    }));
    asked.buffered(AT_ONCE).filter_map(|found| async { found }).collect().await
}

/// Gives each function its image. What is not begun when the run is interrupted stays as it is; what is begun is waited for.
pub async fn deploy(shared: &Shared, pending: &[Pending<'_>]) -> Vec<FunctionReceipt> {
    let unnoted = announce(shared, pending).await;
    let done = futures::stream::iter(pending.iter().map(|pending| {
        let unnoted = unnoted.get(&(pending.order.repository.as_str(), pending.order.digest));
        turn(shared, pending, unnoted.cloned())
    }));
    done.buffered(AT_ONCE).collect().await
}

/// Writes beside each image who is about to deploy it, before any function is touched: one note for all functions of a digest, since two
/// that are written at once may lose one where the registry keeps no lists. Gives those that could not be written.
async fn announce<'a>(shared: &Shared, pending: &'a [Pending<'_>]) -> BTreeMap<(&'a str, Digest), String> {
    let Some(commit) = &shared.plan.commit else { return BTreeMap::new() };
    let mut noted: BTreeMap<(&str, Digest), (&Pending<'_>, Vec<String>)> = BTreeMap::new();
    for one in pending {
        let key = (one.order.repository.as_str(), one.order.digest);
        noted.entry(key).or_insert_with(|| (one, Vec::new())).1.push(one.function.id().note());
    }
    let written = futures::stream::iter(noted.into_iter().map(|(key, (one, tags))| async move {
        let mut note = note_of(commit, tags);
        note.over.clone_from(&one.function.over);
        let attached = one.repository.attach_move(&one.raw.descriptor(), &note).await;
        let what = format!("noting who deploys from {}", one.order.repository);
        attached.err().map(|error| (key, ApplyError::registry(what)(error).to_string()))
    }));
    written.buffer_unordered(AT_ONCE).filter_map(|failed| async { failed }).collect().await
}

/// The receipts of functions that have nothing to do.
pub fn standing(shared: &Shared, done: &[FunctionReceipt]) -> Vec<FunctionReceipt> {
    let others = shared.plan.functions.iter().filter(|function| {
        !done.iter().any(|receipt| {
            let (one, other) = (&receipt.function, &function.function);
            one == other && receipt.region == function.region && receipt.account == function.account
        })
    });
    others
        .map(|function| {
            let outcome = match (function.action, &function.newer) {
                (_, Some(_)) => FunctionOutcome::Left,
                (FunctionAction::Keep, None) => FunctionOutcome::Kept,
                (_, None) => FunctionOutcome::Skipped,
            };
            receipt(function, Turn::stays(outcome, function.from))
        })
        .collect()
}

fn receipt(function: &Function, turn: Turn) -> FunctionReceipt {
    let Turn { outcome, from, repository, result } = turn;
    let (deployed, error) = match result {
        Ok(deployed) => (deployed, None),
        Err(error) => (Deployed { digest: from, ..Deployed::default() }, Some(error.to_string())),
    };
    FunctionReceipt {
        function: function.function.clone(),
        service: function.service,
        region: function.region.clone(),
        account: function.account.clone(),
        image: function.image.clone(),
        outcome,
        reference: function.reference.clone(),
        from,
        from_reference: repository.filter(|repository| repository != &function.reference),
        runs: deployed.digest,
        alias: function.alias.clone(),
        version: deployed.version,
        url: deployed.url,
        error,
    }
}

async fn turn(shared: &Shared, pending: &Pending<'_>, unnoted: Option<String>) -> FunctionReceipt {
    let function = pending.function;
    let began = Instant::now();
    if shared.cancel.is_cancelled() {
        return receipt(function, Turn::stays(FunctionOutcome::Skipped, function.from));
    }
    shared.events.send(Kind::FunctionStarted {
        function: function.function.clone(),
        service: function.service,
        region: function.region.clone(),
        account: function.account.clone(),
        image: function.image.clone(),
        action: function.action,
    });
    let done = match unnoted {
        Some(why) => Err(ApplyError::Gone(why)),
        None => deploy_one(shared, pending).await,
    };
    let done =
        done.unwrap_or_else(|error| Turn { result: Err(error), ..Turn::stays(FunctionOutcome::Failed, function.from) });
    let receipt = receipt(function, done);
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    shared.events.send(Kind::FunctionFinished { function: receipt.clone(), milliseconds });
    receipt
}

async fn deploy_one(shared: &Shared, pending: &Pending<'_>) -> Result<Turn, ApplyError> {
    let services = &shared.work.functions;
    let mut looks = 0;
    loop {
        let look = services.look(&pending.order).await.map_err(failed(pending))?;
        looks += 1;
        let from = look.facts().and_then(|facts| facts.digest);
        match judge(shared, pending, &look).await? {
            Verdict::Right => return Ok(Turn::stays(FunctionOutcome::Kept, from)),
            Verdict::Left(mover, because) => {
                shared.events.send(Kind::FunctionLeft {
                    function: pending.function.function.clone(),
                    region: pending.function.region.clone(),
                    account: pending.function.account.clone(),
                    commit: mover.commit,
                    because,
                });
                return Ok(Turn::stays(FunctionOutcome::Left, from));
            }
            Verdict::Deploy => {}
        }
        match services.deploy(&pending.order, &look).await {
            // Somebody changed it between our look and our update: what it is now decides.
            Err(error) if error.overtaken && looks < LOOKS => {}
            Err(error) => return Err(failed(pending)(error)),
            Ok(deployed) if deployed.digest != Some(pending.order.digest) => {
                let found =
                    deployed.digest.map_or_else(|| "no image by digest".to_owned(), |digest| digest.to_string());
                let function = pending.function.id().to_string();
                return Err(ApplyError::RunsOther { function, wanted: pending.order.digest.to_string(), found });
            }
            Ok(deployed) => {
                let outcome = match look.observation {
                    Observation::Missing => FunctionOutcome::Created,
                    Observation::Found(_) => FunctionOutcome::Deployed,
                };
                let repository = look.facts().and_then(|facts| facts.repository.clone());
                return Ok(Turn { outcome, from, repository, result: Ok(deployed) });
            }
        }
    }
}

/// What is to happen to a function, as it is just before its update.
enum Verdict {
    /// It runs what it should.
    Right,
    /// A newer commit deployed to it.
    Left(Mover, Option<Why>),
    /// It is given its image.
    Deploy,
}

/// The same rules as for a tag: what a newer commit deployed stays, and what nobody of ours deployed since the plan was made is nobody's to
/// undo.
async fn judge(shared: &Shared, pending: &Pending<'_>, look: &Look) -> Result<Verdict, ApplyError> {
    let (function, rules) = (pending.function, shared.work.rules);
    let found = look.facts().and_then(|facts| facts.digest);
    let changed = || {
        let found = found.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
        ApplyError::FunctionChanged { function: function.id().to_string(), found }
    };
    let Some(facts) = look.facts() else {
        return if pending.order.create.is_some() && (function.from.is_none() || !rules.strict) {
            Ok(Verdict::Deploy)
        } else {
            Err(changed())
        };
    };
    let platforms = shared.work.project.images.get(&function.image).map(|image| image.platforms.clone());
    if let Some(why) = misfit(facts, &platforms.unwrap_or_default()) {
        return Err(unfit(function, &why));
    }
    if found == Some(pending.order.digest) {
        let unfinished = (facts.unfinished && pending.order.create.is_some()) || facts.ailment.is_some();
        return Ok(if unfinished { Verdict::Deploy } else { Verdict::Right });
    }
    let as_planned = found == function.from;
    let Some(standing) = found.filter(|_| !rules.allow_older) else {
        return if as_planned { Ok(Verdict::Deploy) } else { Err(changed()) };
    };
    let what = format!("asking who deployed to {}", function.id());
    let claims = pending.repository.claims_of(standing, &function.id().note()).await;
    let claims = claims.map_err(ApplyError::registry(what))?;
    let image = shared.work.project.images.get(&function.image);
    let deployment = image.and_then(|image| Some((image, &image.deploy.get(function.entry)?.value)));
    let order = deployment.map(|(image, deployment)| shared.work.project.order_of_function(image, deployment));
    let now = pending.repository.now();
    if let Some(standing) = ordered(shared, &claims, now, &order.unwrap_or_default()).await {
        match standing.course() {
            Course::Moves => {}
            Course::Refused => {
                let function = function.id().to_string();
                return Err(ApplyError::FunctionUnordered { function, standing: Box::new(standing) });
            }
            Course::Stays => {
                let why = Some(standing.why).filter(|why| *why != Why::Ancestor);
                return Ok(Verdict::Left(standing.mover, why));
            }
        }
    }
    if as_planned || (!rules.strict && !claims.is_empty()) { Ok(Verdict::Deploy) } else { Err(changed()) }
}
