//! `orchestrate tag`.

use std::sync::Arc;

use serde_json::json;

use super::plan::make_sound_plan;
use crate::cli::args::{Choose, TagArguments};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::load;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::digest::Digest;
use crate::oci::RawManifest;
use crate::plan::{Commit, Course, Publication};
use crate::project::{Image, Order, Project};
use crate::reference::tag_problem;
use crate::registry::{By, Error, MoveNote, Repository};
use crate::workspace::History;

/// The version of what `--json` prints.
const FORMAT: u32 = 1;

/// One destination of the image, with where each of the tags stands.
struct Place<'a> {
    publication: &'a Publication,
    repository: Arc<Repository>,
    raw: RawManifest,
    tags: Vec<Standing<'a>>,
}

/// A tag, and what it stands on.
struct Standing<'a> {
    tag: &'a str,
    from: Option<Digest>,
}

/// What a tag is judged by.
struct Rules<'a> {
    arguments: &'a TagArguments,
    history: Arc<History>,
    project: &'a Project,
    image: &'a Image,
}

/// Puts further tags on a published image, at each of its destinations. All are judged before the first is put.
pub async fn tag(settings: &Settings, arguments: &TagArguments) -> Result<Exit, Failure> {
    if settings.offline {
        return Err(Failure::wrong("a tag is put in a registry", "leave --offline out"));
    }
    arguments.tags.iter().try_for_each(|tag| may_be_given(tag))?;
    load(settings)?.image(&arguments.image)?;
    let only = Settings { only: vec![arguments.image.clone()], with_dependents: false, ..settings.clone() };
    let planned =
        make_sound_plan(&only, &Choose { allow_dirty: true, allow_older: true, ..Choose::default() }, &[]).await?;
    let image = planned.loaded.image(&arguments.image)?;
    let step = planned.plan.step(&image.name).filter(|step| !step.destinations.is_empty());
    let published = step.and_then(|step| Some((step, step.destinations.first()?.digest?)));
    let Some((step, digest)) = published else {
        return Err(Failure::wrong(
            format!("`{}` is not published as it is now", image.name),
            "run `orchestrate apply` first",
        ));
    };
    let (project, history) = (&planned.loaded.project, Arc::new(planned.history));
    let rules = Rules { arguments, history, project, image };
    let mut places = Vec::new();
    if let Some(command) = &image.verify {
        let home = &step.destinations[0];
        let repository = planned.repositories.get(&home.registry, &home.repository);
        let accepted = repository.has_verdict(digest, &MoveNote::accepted(&command.value)).await;
        if !accepted.map_err(|error| failed(&error))? {
            return Err(Failure::wrong(
                format!("`verify` has not accepted this image of `{}`", image.name),
                format!("`orchestrate apply --only {}` runs the command; then put the tag", image.name),
            ));
        }
    }
    for publication in &step.destinations {
        let repository = planned.repositories.get(&publication.registry, &publication.repository);
        places.push(judge(&rules, publication, repository, digest).await?);
    }
    for place in &places {
        put(place, digest, planned.plan.commit.as_ref()).await?;
    }
    print(&if settings.json { as_json(&image.name, digest, &places) } else { as_text(digest, &places) });
    Ok(Exit::Done)
}

/// Whether a person may give a tag of this name.
fn may_be_given(tag: &str) -> Result<(), Failure> {
    if let Some(why) = tag_problem(tag) {
        return Err(Failure::wrong(format!("`{tag}` cannot be a tag: {why}"), "choose another"));
    }
    if tag.starts_with("key-") || tag.starts_with("sha256-") {
        let message =
            format!("`{tag}` is a tag that only publication gives: it would say what the image was made from");
        return Err(Failure::wrong(message, "choose another"));
    }
    Ok(())
}

fn failed(error: &Error) -> Failure {
    Failure::Message { exit: Exit::Failed, message: error.to_string(), help: error.help() }
}

/// Reads what is to be tagged, and where each tag stands; refuses what may not move.
async fn judge<'a>(
    rules: &Rules<'a>,
    publication: &'a Publication,
    repository: Arc<Repository>,
    digest: Digest,
) -> Result<Place<'a>, Failure> {
    let raw = repository.get_manifest(By::Digest(digest)).await.map_err(|error| failed(&error))?;
    let raw =
        raw.ok_or_else(|| Failure::wrong(format!("{digest} is not in {repository}"), "run `orchestrate apply` first"))?;
    let mut tags = Vec::new();
    for tag in &rules.arguments.tags {
        let from = standing(&repository, tag).await?;
        if let Some(from) = from.filter(|from| *from != digest) {
            may_move(rules, (publication, &repository), tag, (from, digest)).await?;
        }
        tags.push(Standing { tag, from });
    }
    Ok(Place { publication, repository, raw, tags })
}

async fn standing(repository: &Repository, tag: &str) -> Result<Option<Digest>, Failure> {
    Ok(repository.head_manifest(By::Tag(tag)).await.map_err(|error| failed(&error))?.map(|found| found.digest))
}

/// Whether the manifest says of a tag that it moves, or that it does not.
fn declared_fixed(publication: &Publication, tag: &str) -> Option<bool> {
    publication.tags.iter().find(|declared| declared.tag == tag).map(|declared| declared.fixed)
}

/// Whether a tag that stands on another image may leave it: one that a note says who moved, if this commit is not older; any other one if
/// that is asked for.
async fn may_move(
    rules: &Rules<'_>,
    (publication, repository): (&Publication, &Repository),
    tag: &str,
    (from, to): (Digest, Digest),
) -> Result<(), Failure> {
    let reference = format!("{}:{tag}", publication.reference);
    let claims = match declared_fixed(publication, tag) {
        Some(true) => Vec::new(),
        _ => repository.claims_of(from, tag).await.map_err(|error| failed(&error))?,
    };
    if claims.is_empty() {
        return if rules.arguments.moves { Ok(()) } else { Err(conflict(&reference, from, to)) };
    }
    if rules.arguments.allow_older {
        return Ok(());
    }
    let (history, order, now) = (Arc::clone(&rules.history), publication_order(rules, publication), repository.now());
    let judged = tokio::task::spawn_blocking(move || history.judge(&claims, now, &order, true)).await;
    let standing = match judged.map_err(|error| Failure::surroundings(error.to_string(), None))? {
        Some(standing) if standing.course() != Course::Moves => standing,
        _ => return Ok(()),
    };
    let commit = standing.mover.commit.get(..7).unwrap_or(&standing.mover.commit);
    let message =
        format!("the tag `{reference}` was moved to {from} by commit {commit}, {standing}; {to} was not tagged");
    let help = match standing.course() {
        Course::Stays => "use --allow-older to move it back; nothing was touched".to_owned(),
        _ => format!("{}; nothing was touched", standing.help()),
    };
    Err(Failure::wrong(message, help))
}

/// How runs that move the tags of a publication are put in order.
fn publication_order(rules: &Rules<'_>, publication: &Publication) -> Order {
    let destinations = rules.image.destinations.iter();
    let index = destinations.into_iter().position(|destination| {
        destination.registry.as_str() == publication.registry && destination.repository == publication.repository
    });
    index.map(|index| rules.project.order_of(rules.image, index)).unwrap_or_default()
}

fn conflict(reference: &str, from: Digest, to: Digest) -> Failure {
    let message = format!("the tag `{reference}` stands on another image ({from}), not on {to}");
    Failure::wrong(message, "choose another tag, or use --move to take it away from there; nothing was touched")
}

/// Puts the tags of one destination, after who moves them is noted.
async fn put(place: &Place<'_>, digest: Digest, commit: Option<&Commit>) -> Result<(), Failure> {
    let due = || place.tags.iter().filter(|tag| tag.from != Some(digest));
    let is_moved = |tag: &&Standing<'_>| match declared_fixed(place.publication, tag.tag) {
        Some(fixed) => !fixed,
        None => tag.from.is_some(),
    };
    let moved: Vec<String> = due().filter(is_moved).map(|tag| tag.tag.to_owned()).collect();
    if let (Some(commit), false) = (commit, moved.is_empty()) {
        let (id, branch) = (commit.id.clone(), commit.branch.clone());
        let note = MoveNote { tags: moved, commit: id, time: Some(commit.time), branch, ..MoveNote::default() };
        place.repository.attach_move(&place.raw.descriptor(), &note).await.map_err(|error| failed(&error))?;
    }
    for Standing { tag, from } in due() {
        let found = standing(&place.repository, tag).await?;
        if found != *from {
            let reference = &place.publication.reference;
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            return Err(Failure::Message {
                exit: Exit::Failed,
                message: format!("the tag `{reference}:{tag}` was moved to {found} meanwhile; it was left alone"),
                help: Some("run the same command again".to_owned()),
            });
        }
        place.repository.put_manifest(By::Tag(tag), &place.raw).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn as_text(digest: Digest, places: &[Place<'_>]) -> String {
    let lines = places.iter().flat_map(|place| {
        place.tags.iter().map(move |Standing { tag, from }| {
            let reference = &place.publication.reference;
            match from {
                None => format!("{reference}:{tag} -> {digest}\n"),
                Some(from) if *from == digest => format!("{reference}:{tag} stands on {digest}\n"),
                Some(from) => format!("{reference}:{tag}: {from} -> {digest}\n"),
            }
        })
    });
    lines.collect()
}

fn as_json(image: &crate::name::ImageName, digest: Digest, places: &[Place<'_>]) -> String {
    let tags = places.iter().flat_map(|place| {
        place.tags.iter().map(move |Standing { tag, from }| {
            json!({
                "reference": place.publication.reference,
                "tag": tag,
                "from": from.map(|from| from.to_string()),
                "to": digest.to_string(),
            })
        })
    });
    let document = json!({ "format": FORMAT, "image": image.as_str(), "tags": tags.collect::<Vec<_>>() });
    format!("{document:#}\n")
}
