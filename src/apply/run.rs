//! The one loop: it owns the schedule, what is made, and the receipt.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::build::MadeImages;
use super::days::dated;
use super::error::ApplyError;
use super::establish::establish;
use super::events::Events;
use super::functions;
use super::made::Made;
use super::make::{Shared, make};
use super::schedule::Schedule;
use super::tags::move_tags;
use super::together::Together;
use super::verify::verify;
use super::work::Work;
use crate::digest::Digest;
use crate::event::{
    FORMAT, FunctionOutcome, FunctionReceipt, ImageReceipt, Kind, LeftReceipt, Outcome, Published, Receipt,
    RepositoryOutcome, RepositoryReceipt, RunOutcome, TagReceipt,
};
use crate::name::ImageName;
use crate::plan::{Action, Plan, Step};
use crate::registry::ContentStore;

/// What of a run is up to the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much weight is built at once.
    pub jobs: u32,
    /// Stop at the first failure.
    pub fail_fast: bool,
    /// Move no tag.
    pub build_only: bool,
    /// Move the tags of what succeeded though something else failed.
    pub publish_partial: bool,
    /// Images that cannot be published, with the reason; with `publish_partial` the others go on.
    pub blocked: BTreeMap<ImageName, String>,
    /// Images of which no tag may move, with the reason; likewise.
    pub untaggable: BTreeMap<ImageName, String>,
}

/// Images that need no build wait on a registry alone: this many at once.
const LIGHT_AT_ONCE: usize = 16;

/// Applies a plan. The receipt says what exists afterwards, whatever happened. `interrupt` ends what is under way.
pub async fn run(
    plan: Plan,
    work: Work,
    store: ContentStore,
    options: Options,
    events: Events,
    interrupt: CancellationToken,
) -> Receipt {
    // A failure ends the rest of the run with `--fail-fast`; that is no interrupt.
    let cancel = interrupt.child_token();
    let built = Mutex::new(HashMap::new());
    let together = Together::of(&work, &plan);
    let (leaves, left) = mpsc::unbounded_channel();
    let put = Mutex::default();
    let shared = Arc::new(Shared { work, plan, together, store, events, cancel, leaves, built, put });
    announce(&shared);
    let mut state = State::default();
    if !shared.work.rules.no_push {
        state.repositories = establish(&shared).await;
    }
    match state.lost_repository() {
        // Nothing is built that could not be published.
        Some(lost) => state.skip_all(&shared, &lost),
        None => steps(&shared, &options, left, &mut state).await,
    }
    let interrupted = interrupt.is_cancelled();
    if !options.build_only && !shared.work.rules.no_push && !interrupted {
        publish(&shared, &options, &mut state).await;
    }
    let receipt = state.receipt(&shared, interrupted);
    shared.events.send(Kind::RunFinished { receipt: receipt.clone() });
    receipt
}

/// What comes after all images: `verify:`, a rehearsal of the functions, the tags, the functions. What failed is left out with `--publish-partial`, else it stops all.
async fn publish(shared: &Shared, options: &Options, state: &mut State) {
    let may_go_on = |state: &State| options.publish_partial || !state.has_failed();
    if !may_go_on(state) {
        return;
    }
    for (name, why) in options.untaggable.iter().filter(|(name, _)| !options.blocked.contains_key(*name)) {
        if !state.is_lost(name) {
            state.fail(shared, name, &ApplyError::Gone(why.clone()));
        }
    }
    let chosen = shared.plan.images.iter().filter(|step| step.chosen);
    let mut steps: Vec<&Step> = chosen.filter(|step| !state.is_lost(&step.name)).collect();
    for (name, error) in verify(shared, &steps, &state.made, options.jobs).await {
        state.fail(shared, &name, &error);
    }
    if shared.cancel.is_cancelled() || !may_go_on(state) {
        return;
    }
    steps.retain(|step| !state.is_lost(&step.name));
    let mut functions = functions::due(shared, &steps, &state.made).await;
    let refused = functions::rehearse(shared, &functions.pending).await;
    let unfit = std::mem::take(&mut functions.unfit);
    for (name, error) in unfit.into_iter().chain(refused) {
        state.fail(shared, &name, &error);
    }
    if shared.cancel.is_cancelled() || !may_go_on(state) {
        return;
    }
    steps.retain(|step| !state.is_lost(&step.name));
    let mut ready = Vec::new();
    for step in dated(shared, &steps, &state.made).await {
        match step {
            Ok(step) => ready.push(step),
            Err((name, error)) => state.fail(shared, &name, &error),
        }
    }
    if !may_go_on(state) {
        return;
    }
    let phase = move_tags(shared, &ready.iter().collect::<Vec<_>>(), &state.made, options.publish_partial).await;
    state.dated = ready.into_iter().map(|step| (step.name.clone(), step)).collect();
    (state.right, state.moves, state.left) = (phase.right, phase.moved, phase.left);
    for (name, error) in phase.failures {
        state.fail(shared, &name, &error);
    }
    if !may_go_on(state) {
        return;
    }
    functions.pending.retain(|pending| !state.is_lost(&pending.function.image));
    functions.right.retain(|function| !state.is_lost(&function.image));
    state.functions = functions::deploy(shared, &functions.pending).await;
    state.functions.extend(functions::kept(&functions.right));
}

fn announce(shared: &Shared) {
    let count = |action| shared.plan.images.iter().filter(|step| step.action == action).count();
    shared.events.send(Kind::RunStarted {
        project: shared.plan.project.clone(),
        build: count(Action::Build),
        copy: count(Action::Copy),
        tag: count(Action::Tag),
        keep: count(Action::Keep),
    });
}

#[derive(Default)]
struct State {
    /// The repositories that had something to do.
    repositories: Vec<RepositoryReceipt>,
    made: MadeImages,
    ended: BTreeMap<ImageName, End>,
    /// The tags that stand where they must, by the destination's reference.
    right: BTreeSet<(String, String)>,
    /// The tags that this run moved.
    moves: Vec<TagReceipt>,
    /// The tags that it left to a newer commit.
    left: Vec<LeftReceipt>,
    /// The functions that had something to do, once they had their turn.
    functions: Vec<FunctionReceipt>,
    /// The steps whose tags were to move, as they were moved.
    dated: BTreeMap<ImageName, Step>,
}

struct End {
    outcome: Outcome,
    error: Option<String>,
}

type Finished = (ImageName, Result<Option<Made>, ApplyError>, Instant);

async fn steps(
    shared: &Arc<Shared>,
    options: &Options,
    mut left: mpsc::UnboundedReceiver<ImageName>,
    state: &mut State,
) {
    let mut schedule = Schedule::new(&shared.plan, options.jobs);
    let mut running: JoinSet<Finished> = JoinSet::new();
    loop {
        while running.len() < LIGHT_AT_ONCE + options.jobs as usize {
            let Some(name) = schedule.start() else { break };
            start(shared, &name, (state, options), &mut running);
        }
        let joined = tokio::select! {
            Some(name) = left.recv() => {
                schedule.built(&name);
                continue;
            }
            joined = running.join_next() => joined,
        };
        let Some(joined) = joined else { break };
        let (name, result, began) = match joined {
            Ok(finished) => finished,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        match result {
            Ok(made) => {
                state.succeed(shared, &name, made, began);
                schedule.succeeded(&name);
            }
            Err(error) => {
                state.fail(shared, &name, &error);
                for lost in schedule.failed(&name) {
                    state.skip(shared, &lost, &name);
                }
                if options.fail_fast {
                    shared.cancel.cancel();
                    for lost in schedule.stop() {
                        state.skip(shared, &lost, &name);
                    }
                }
            }
        }
        if shared.cancel.is_cancelled() {
            for lost in schedule.stop() {
                state.ended.insert(lost, End { outcome: Outcome::Skipped, error: Some("interrupted".to_owned()) });
            }
        }
    }
}

fn start(
    shared: &Arc<Shared>,
    name: &ImageName,
    (state, options): (&State, &Options),
    running: &mut JoinSet<Finished>,
) {
    let step = shared.plan.step(name).expect("a schedule's images are the plan's").clone();
    if step.action != Action::Keep {
        shared.events.send(Kind::StepStarted { image: name.clone(), action: step.action, executor: step.executor });
    }
    let needs: MadeImages =
        step.needs.iter().filter_map(|need| Some((need.clone(), state.made.get(need)?.clone()))).collect();
    let shared = Arc::clone(shared);
    let blocked = options.blocked.get(name).cloned();
    running.spawn(async move {
        let began = Instant::now();
        let result = if let Some(why) = blocked {
            Err(ApplyError::Gone(why))
        } else if shared.cancel.is_cancelled() {
            Err(ApplyError::Interrupted)
        } else {
            make(&shared, &step, &needs).await
        };
        (step.name, result, began)
    });
}

impl State {
    fn has_failed(&self) -> bool {
        self.ended.values().any(|end| matches!(end.outcome, Outcome::Failed | Outcome::Skipped))
    }

    fn is_lost(&self, name: &ImageName) -> bool {
        self.ended.get(name).is_some_and(|end| matches!(end.outcome, Outcome::Failed | Outcome::Skipped))
    }

    fn succeed(&mut self, shared: &Shared, name: &ImageName, made: Option<Made>, began: Instant) {
        let outcome = made.as_ref().map_or(Outcome::NotNeeded, |made| made.outcome);
        self.ended.insert(name.clone(), End { outcome, error: None });
        let Some(made) = made else { return };
        if !matches!(outcome, Outcome::Kept | Outcome::Tagged) {
            shared.events.send(Kind::StepFinished {
                image: name.clone(),
                outcome,
                digest: made.digest,
                milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
        self.made.insert(name.clone(), made);
    }

    fn fail(&mut self, shared: &Shared, name: &ImageName, error: &ApplyError) {
        let text = shared.work.masks.hide(&error.to_string());
        shared.events.send(Kind::StepFailed { image: name.clone(), error: text.clone() });
        self.ended.insert(name.clone(), End { outcome: Outcome::Failed, error: Some(text) });
    }

    fn skip(&mut self, shared: &Shared, name: &ImageName, because: &ImageName) {
        shared.events.send(Kind::StepSkipped { image: name.clone(), because: because.clone() });
        self.ended.insert(name.clone(), End { outcome: Outcome::Skipped, error: Some(because.to_string()) });
    }

    /// A repository that is not as it must be.
    fn lost_repository(&self) -> Option<String> {
        let lost =
            |done: &&RepositoryReceipt| matches!(done.outcome, RepositoryOutcome::Failed | RepositoryOutcome::Skipped);
        self.repositories.iter().find(lost).map(|done| done.reference.clone())
    }

    /// No image has its turn, because of a repository.
    fn skip_all(&mut self, shared: &Shared, because: &str) {
        for step in &shared.plan.images {
            let end = End { outcome: Outcome::Skipped, error: Some(format!("the repository {because}")) };
            self.ended.insert(step.name.clone(), end);
        }
    }

    fn receipt(&self, shared: &Shared, interrupted: bool) -> Receipt {
        let ended = |outcome| self.functions.iter().any(|function| function.outcome == outcome);
        let interrupted = interrupted || ended(FunctionOutcome::Skipped);
        let outcome = match (interrupted, self.has_failed() || ended(FunctionOutcome::Failed)) {
            (true, _) => RunOutcome::Interrupted,
            (false, true) => RunOutcome::Failed,
            (false, false) => RunOutcome::Succeeded,
        };
        let put = shared.put.lock().expect("nothing panics while it holds the lock");
        let images = shared.plan.images.iter().map(|step| {
            let step = self.dated.get(&step.name).unwrap_or(step);
            self.image_receipt(step, put.get(&step.name))
        });
        let images = images.collect();
        let counted = shared.work.client.counters().counts().requests;
        let counted = counted.into_iter().map(|(kind, count)| (kind.to_owned(), count));
        let requests = counted.chain((shared.work.calls)()).collect();
        let commit = shared.plan.commit.as_ref().map(|commit| commit.id.clone());
        let mut functions = self.functions.clone();
        functions.extend(functions::standing(shared, &self.functions));
        Receipt {
            format: FORMAT,
            project: shared.plan.project.clone(),
            commit,
            outcome,
            repositories: self.repositories.clone(),
            images,
            functions,
            moves: self.moves.clone(),
            left: self.left.clone(),
            requests,
        }
    }

    /// Whether the tag phase came to the tags of an image.
    fn is_tagged(&self, step: &Step) -> bool {
        let references = step.destinations.iter().map(|publication| publication.reference.as_str());
        references.into_iter().any(|reference| self.right.iter().any(|(right, _)| right == reference))
    }

    /// `put`: where the run put its key, which counts where the image failed after that.
    fn image_receipt(&self, step: &Step, put: Option<&(Digest, BTreeSet<usize>)>) -> ImageReceipt {
        let made = self.made.get(&step.name).map(|made| (made.digest, made.held.iter().copied().collect()));
        let made = made.as_ref().or(put);
        let published = made.map(|(digest, held)| {
            let held = held.iter().filter_map(|index| step.destinations.get(*index));
            held.map(|publication| {
                let stands = |tag: &str| self.right.contains(&(publication.reference.clone(), tag.to_owned()));
                let tags = publication.tags.iter().filter(|tag| tag.from == Some(*digest) || stands(&tag.tag));
                let mut tags: Vec<String> = tags.map(|tag| tag.tag.clone()).collect();
                tags.push(step.key.tag());
                Published { reference: publication.reference.clone(), tags }
            })
            .collect()
        });
        let end = self.ended.get(&step.name);
        let outcome = match end.map_or(Outcome::Skipped, |end| end.outcome) {
            // The run ended before the tags, or had none to move.
            Outcome::Tagged if !self.is_tagged(step) => Outcome::Kept,
            outcome => outcome,
        };
        ImageReceipt {
            name: step.name.clone(),
            key: step.key,
            outcome,
            digest: made.map(|(digest, _)| *digest),
            published: published.unwrap_or_default(),
            error: end.and_then(|end| end.error.clone()),
        }
    }
}
