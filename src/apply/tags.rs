//! The only place that moves tags: after everything else of the run succeeded, each just after it was read again.
//!
//! First all are judged, then all are moved: what stands in the way of one stands in the way of all, unless a part is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;

use super::build::MadeImages;
use super::error::ApplyError;
use super::make::Shared;
use crate::digest::Digest;
use crate::event::{Kind, LeftReceipt, Outcome, Phase, TagReceipt};
use crate::name::ImageName;
use crate::oci::RawManifest;
use crate::plan::{Claim, Commit, Course, Function, FunctionAction, Mover, Publication, Standing, Step, TagMove, Why};
use crate::project::Order;
use crate::registry::{By, MoveNote, Repository};

/// How many repositories are worked on at once.
const AT_ONCE: usize = 8;

/// What the tag phase did.
#[derive(Debug, Default)]
pub struct TagPhase {
    /// The tags that stand where the plan moves them, by the destination's reference.
    pub right: BTreeSet<(String, String)>,
    /// The tags that this run moved.
    pub moved: Vec<TagReceipt>,
    /// The tags that a newer commit moved, left as they are.
    pub left: Vec<LeftReceipt>,
    /// What could not be moved stands where it stood.
    pub failures: Vec<(ImageName, ApplyError)>,
}

/// One destination with tags that are to move.
struct Pending<'a> {
    step: &'a Step,
    publication: &'a Publication,
    repository: Arc<Repository>,
    digest: Digest,
    order: Order,
}

/// What is to happen to a tag.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It stands where it must.
    Right,
    /// A newer commit moved it.
    Left(Mover, Option<Why>),
    /// It moves, from where it stands.
    Move(Option<Digest>),
}

/// Moves the tags of `steps`, each image's to what was made of it. With `partial`, one that cannot move stops no other.
pub async fn move_tags(shared: &Shared, steps: &[&Step], made: &MadeImages, partial: bool) -> TagPhase {
    let mut phase = TagPhase::default();
    let mut pending: Vec<Pending<'_>> = Vec::new();
    for (step, made) in steps.iter().filter_map(|step| Some((*step, made.get(&step.name)?))) {
        for publication in made.held.iter().filter_map(|index| step.destinations.get(*index)) {
            let standing = publication.tags.iter().filter(|tag| tag.from == Some(made.digest));
            phase.right.extend(standing.map(|tag| (publication.reference.clone(), tag.tag.clone())));
            for tag in &publication.tags {
                if let (Some(newer), true) = (&tag.newer, tag.from != Some(made.digest)) {
                    let why = tag.order.as_ref().map(|standing| standing.why);
                    phase.left.push(left(shared, step, publication, tag, (newer, why)));
                }
            }
            // What the user forces forward holds for all images of the run: those too whose tags are right, but noted by the other commit.
            let heals = shared.work.rules.allow_older && publication.tags.iter().any(|tag| !tag.fixed);
            if heals || publication.tags.iter().any(|tag| may_move(tag, made.digest)) {
                let repository = shared.work.repositories.get(&publication.registry, &publication.repository);
                let order = order_of(shared, step, publication);
                pending.push(Pending { step, publication, repository, digest: made.digest, order });
            }
        }
    }
    let mut homes: Vec<(&Step, Digest)> = Vec::new();
    for Pending { step, digest, .. } in &pending {
        let ours = made.get(&step.name).is_some_and(|made| made.outcome == Outcome::Built);
        if ours && homes.iter().all(|(other, _)| other.name != step.name) {
            homes.push((step, *digest));
        }
    }
    let judged = futures::stream::iter(homes.into_iter().map(|(step, digest)| still_ours(shared, step, digest)));
    let overtaken: Vec<_> = judged.buffer_unordered(AT_ONCE).filter_map(|found| async { found }).collect().await;
    // Where nothing was built or sent the plan has just read every tag.
    let quick = made.values().all(|made| matches!(made.outcome, Outcome::Kept | Outcome::Tagged));
    let judged = futures::stream::iter(pending.iter().map(|pending| async move {
        for tag in pending.publication.tags.iter().filter(|tag| !quick && may_move(tag, pending.digest)) {
            judge(shared, pending, tag).await?;
        }
        Ok::<(), ApplyError>(())
    }));
    let judged: Vec<Result<(), ApplyError>> = judged.buffered(AT_ONCE).collect().await;
    let mut ready = Vec::new();
    for (pending, judged) in pending.into_iter().zip(judged) {
        match judged {
            Err(error) => phase.failures.push((pending.step.name.clone(), error)),
            Ok(()) if overtaken.iter().any(|(name, _)| name == &pending.step.name) => {}
            Ok(()) => ready.push(pending),
        }
    }
    phase.failures.extend(overtaken);
    if !phase.failures.is_empty() && !partial {
        return phase;
    }
    let moved = futures::stream::iter(ready.iter().map(|pending| destination(shared, pending)));
    let moved: Vec<Done> = moved.buffered(AT_ONCE).collect().await;
    for (pending, done) in ready.iter().zip(moved) {
        phase.moved.extend(done.moves);
        phase.left.extend(done.left);
        phase.right.extend(done.right.into_iter().map(|tag| (pending.publication.reference.clone(), tag)));
        phase.failures.extend(done.error.map(|error| (pending.step.name.clone(), error)));
    }
    phase
}

fn may_move(tag: &TagMove, digest: Digest) -> bool {
    tag.newer.is_none() && tag.from != Some(digest)
}

/// Whether the image that this run built is still the one under its key. Another run may have written at the very same time and not have
/// seen ours; then ours is tagged nowhere.
async fn still_ours(shared: &Shared, step: &Step, digest: Digest) -> Option<(ImageName, ApplyError)> {
    let home = step.destinations.first()?;
    let repository = shared.work.repositories.get(&home.registry, &home.repository);
    let reference = format!("{repository}:{}", step.key.tag());
    let found = match repository.head_manifest(By::Tag(&step.key.tag())).await {
        Ok(found) => found.map(|found| found.digest),
        Err(error) => return Some((step.name.clone(), ApplyError::registry(format!("reading {reference}"))(error))),
    };
    if found == Some(digest) {
        return None;
    }
    let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
    Some((step.name.clone(), ApplyError::Overtaken { reference, found }))
}

/// Reads where a tag stands, and who moved it there.
async fn judge(shared: &Shared, pending: &Pending<'_>, tag: &TagMove) -> Result<Verdict, ApplyError> {
    let rules = shared.work.rules;
    let repository = &pending.repository;
    let reference = format!("{}:{}", pending.publication.reference, tag.tag);
    let failed = |what: &str| ApplyError::registry(format!("{what} {reference}"));
    let found = repository.head_manifest(By::Tag(&tag.tag)).await.map_err(failed("reading"))?;
    let found = found.map(|found| found.digest);
    if found == Some(pending.digest) {
        return Ok(Verdict::Right);
    }
    let moved = || {
        let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
        ApplyError::TagMoved { reference: reference.clone(), found }
    };
    let Some(standing) = found else {
        return if tag.from.is_some() && rules.strict { Err(moved()) } else { Ok(Verdict::Move(None)) };
    };
    if tag.fixed {
        return Err(ApplyError::TagConflict { reference, found: standing.to_string() });
    }
    let as_planned = found == tag.from;
    if rules.allow_older {
        return if as_planned { Ok(Verdict::Move(found)) } else { Err(moved()) };
    }
    let claims = repository.claims_of(standing, &tag.tag).await.map_err(failed("asking who moved"))?;
    if let Some(standing) = ordered(shared, &claims, repository.now(), &pending.order).await {
        match standing.course() {
            Course::Moves => {}
            Course::Refused => return Err(ApplyError::Unordered { reference, standing: Box::new(standing) }),
            Course::Stays => {
                let why = Some(standing.why).filter(|why| *why != Why::Ancestor);
                return Ok(Verdict::Left(standing.mover, why));
            }
        }
    }
    // An older run moved it while this one was under way: that is in order, unless the plan says exactly what to expect.
    if as_planned || (!rules.strict && !claims.is_empty()) { Ok(Verdict::Move(found)) } else { Err(moved()) }
}

/// What the claims say of this run's moving a tag or deploying, by the clock `now`. Where times say too little, git is asked for more
/// history first, once in a run.
pub async fn ordered(shared: &Shared, claims: &[Claim], now: i64, order: &Order) -> Option<Standing> {
    let (history, claims, order) = (Arc::clone(&shared.work.history), claims.to_vec(), order.clone());
    let asked = tokio::task::spawn_blocking(move || history.judge(&claims, now, &order, true));
    asked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// How runs that move the tags of a publication are put in order.
fn order_of(shared: &Shared, step: &Step, publication: &Publication) -> Order {
    let index = step.destinations.iter().position(|other| other.reference == publication.reference);
    let image = shared.work.project.images.get(&step.name);
    image.zip(index).map(|(image, index)| shared.work.project.order_of(image, index)).unwrap_or_default()
}

/// What became of the tags of one destination.
#[derive(Default)]
struct Done {
    /// Those that point at the image.
    right: Vec<String>,
    /// Those of them that this run moved.
    moves: Vec<TagReceipt>,
    /// Those that were left to a newer commit.
    left: Vec<LeftReceipt>,
    /// What stopped it.
    error: Option<ApplyError>,
}

/// Moves the tags of one destination.
async fn destination(shared: &Shared, pending: &Pending<'_>) -> Done {
    let mut done = Done::default();
    let Pending { step, publication, digest, .. } = pending;
    let at = publication.reference.clone();
    shared.events.send(Kind::PhaseStarted { image: step.name.clone(), phase: Phase::Tags, at });
    let moved = async {
        let raw = announced(shared, pending).await?;
        for tag in publication.tags.iter().filter(|tag| may_move(tag, *digest)) {
            match move_tag(shared, pending, tag, &raw).await? {
                Moved::No(left) => done.left.push(left),
                Moved::Stood => done.right.push(tag.tag.clone()),
                Moved::From(from) => {
                    done.right.push(tag.tag.clone());
                    let (image, reference) = (step.name.clone(), publication.reference.clone());
                    done.moves.push(TagReceipt { image, reference, tag: tag.tag.clone(), from, to: *digest });
                }
            }
        }
        Ok(())
    };
    let error = moved.await.err();
    Done { error, ..done }
}

/// Writes beside the image who is about to move tags to it, before any of them moves. What stands right already is written too: a newer
/// commit that wants it there is as good as one that moved it there, should an older one come late. (The same for functions that run it.)
async fn announced(shared: &Shared, pending: &Pending<'_>) -> Result<RawManifest, ApplyError> {
    let (repository, digest) = (&pending.repository, pending.digest);
    let what = || format!("reading {} from {repository}", pending.step.name);
    let raw = repository.manifest_bytes(digest).await.map_err(ApplyError::registry(what()))?;
    let raw = raw.ok_or_else(|| ApplyError::Gone(format!("{digest} is not in {repository} any more")))?;
    let moving: Vec<&TagMove> =
        pending.publication.tags.iter().filter(|tag| !tag.fixed && tag.newer.is_none()).collect();
    let right = moving.iter().filter(|tag| tag.from == Some(digest)).map(|tag| tag.tag.clone());
    let run =
        shared.plan.functions.iter().filter(|function| runs(function, pending)).map(|function| function.id().note());
    let run: Vec<String> = run.collect();
    let confirms: Vec<String> = right.chain(run.iter().cloned()).collect();
    let over = moving.iter().filter(|tag| tag.from != Some(digest)).filter_map(|tag| tag.over.as_ref());
    let over = over.max_by_key(|over| over.time).cloned();
    let tags: Vec<String> = moving.iter().map(|tag| tag.tag.clone()).chain(run).collect();
    if let (Some(commit), false) = (&shared.plan.commit, tags.is_empty()) {
        let mut note = noted(commit, tags);
        (note.confirms, note.over) = (confirms, over);
        if shared.work.rules.allow_older {
            let notes = repository.attached(digest).await.map_err(ApplyError::registry(what()))?.moves;
            let others = notes.into_iter().map(|note| note.commit).filter(|other| *other != commit.id);
            note.overrules = others.collect::<BTreeSet<_>>().into_iter().collect();
            // What is forced stands as if it were moved.
            note.confirms.clear();
        }
        let attached = repository.attach_move(&raw.descriptor(), &note).await;
        attached.map_err(ApplyError::registry(format!("noting who moves tags in {repository}")))?;
    }
    Ok(raw)
}

/// A note of this run.
pub fn noted(commit: &Commit, tags: Vec<String>) -> MoveNote {
    let (id, branch) = (commit.id.clone(), commit.branch.clone());
    MoveNote { tags, commit: id, time: Some(commit.time), branch, ..MoveNote::default() }
}

/// Whether a function runs the image already, and is to.
fn runs(function: &Function, pending: &Pending<'_>) -> bool {
    function.image == pending.step.name
        && function.action == FunctionAction::Keep
        && function.newer.is_none()
        && function.from == Some(pending.digest)
        && function.reference == pending.publication.reference
}

/// What became of a tag.
enum Moved {
    /// It was left to a newer commit.
    No(LeftReceipt),
    /// It stood right already.
    Stood,
    /// It was moved, from what it pointed at.
    From(Option<Digest>),
}

/// Moves one tag.
async fn move_tag(
    shared: &Shared,
    pending: &Pending<'_>,
    tag: &TagMove,
    raw: &RawManifest,
) -> Result<Moved, ApplyError> {
    let Pending { step, publication, repository, digest, .. } = pending;
    let reference = format!("{}:{}", publication.reference, tag.tag);
    let from = match judge(shared, pending, tag).await? {
        Verdict::Right => return Ok(Moved::Stood),
        Verdict::Left(newer, why) => return Ok(Moved::No(left(shared, step, publication, tag, (&newer, why)))),
        Verdict::Move(from) => from,
    };
    let put = repository.put_manifest(By::Tag(&tag.tag), raw).await;
    put.map_err(ApplyError::registry(format!("putting {reference}")))?;
    shared.events.send(Kind::TagMoved { image: step.name.clone(), reference, from, to: *digest });
    Ok(Moved::From(from))
}

fn left(
    shared: &Shared,
    step: &Step,
    publication: &Publication,
    tag: &TagMove,
    (newer, because): (&Mover, Option<Why>),
) -> LeftReceipt {
    let (image, commit, reference) = (step.name.clone(), newer.commit.clone(), publication.reference.clone());
    shared.events.send(Kind::TagLeft {
        image: image.clone(),
        reference: format!("{reference}:{}", tag.tag),
        commit: commit.clone(),
        because,
    });
    LeftReceipt { image, reference, tag: tag.tag.clone(), commit, because }
}
