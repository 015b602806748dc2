//! `orchestrate why`.

use serde_json::json;

use super::plan::make_plan;
use crate::cli::args::{Choose, WhyArguments};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::load;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::digest::Digest;
use crate::fingerprint::{Document, difference};
use crate::plan::{Reason, path_in_repository};
use crate::registry::{By, Repository};
use crate::report::differences_text;

/// Says what changed since the image that a tag points at.
pub async fn why(settings: &Settings, arguments: &WhyArguments) -> Result<Exit, Failure> {
    if settings.offline {
        return Err(Failure::wrong("the records are in the registry", "leave --offline out"));
    }
    load(settings)?.image(&arguments.image)?;
    let only = Settings { only: vec![arguments.image.clone()], with_dependents: false, ..settings.clone() };
    let choose = Choose { allow_dirty: true, allow_older: true, ..Choose::default() };
    let planned = make_plan(&only, &choose, &[]).await?;
    let image = planned.loaded.image(&arguments.image)?;
    let work = planned.prepared.images.get(&image.name).ok_or_else(|| unpublished(&arguments.image))?;
    let Some(home) = image.destinations.first() else { return Err(unpublished(&arguments.image)) };
    let repository = planned.repositories.get(home.registry.as_str(), &home.repository);
    let (since, digest) = match &arguments.since {
        Some(since) => (since.clone(), find(&repository, since).await?),
        None => {
            let step = planned.plan.step(&image.name);
            let tags = step
                .and_then(|step| step.destinations.first())
                .map(|publication| &publication.tags[..])
                .unwrap_or_default();
            let moving =
                tags.iter().filter(|tag| !tag.fixed).chain(tags).find_map(|tag| Some((tag.tag.clone(), tag.from?)));
            moving.ok_or_else(|| unpublished(&arguments.image))?
        }
    };
    let record =
        repository.any_record(digest).await.map_err(|error| Failure::surroundings(error.to_string(), error.help()))?;
    let document = record.and_then(|bytes| Document::from_bytes(&bytes)).ok_or_else(|| {
        Failure::wrong(
            format!(
                "{repository}:{since} ({}) carries no record: nobody can say what it was made from",
                digest.short()
            ),
            "it was published by something else, or its record was deleted",
        )
    })?;
    let narrowing = planned.prepared.facts.get(&image.name).map(|facts| facts.narrowing.clone()).unwrap_or_default();
    let prefix = planned.loaded.prefix();
    let place = |context: Option<&str>, path: &str| path_in_repository(image, &prefix, context, path);
    let mut found: Vec<Reason> = Vec::new();
    for work in work.platforms.values() {
        let now = work.fingerprint.record();
        if let Some(old) = document.records.iter().find(|old| old.platform == now.platform) {
            for new in difference(old, &now).into_iter().map(|new| Reason::of(new, &narrowing, &place)) {
                if !found.contains(&new) {
                    found.push(new);
                }
            }
        }
    }
    let key = planned.prepared.facts.get(&image.name).map(|facts| facts.key);
    if settings.json {
        let chain: Vec<_> = planned
            .plan
            .images
            .iter()
            .map(|step| json!({ "image": step.name, "action": step.action, "reasons": step.reasons }))
            .collect();
        let value = json!({
            "format": 1, "image": image.name, "since": since, "digest": digest, "commit": document.commit,
            "key": { "old": document.key, "new": key }, "differences": found, "chain": chain,
            "volatile": document.records.first().map(|record| &record.volatile),
        });
        print(&format!("{value:#}\n"));
        return Ok(Exit::Done);
    }
    let commit =
        document.commit.map(|commit| format!(" at commit {}", &commit[..7.min(commit.len())])).unwrap_or_default();
    let mut text = format!("{} since {since} ({}, built{commit})\n", image.name, digest.short());
    if key == Some(document.key) {
        text.push_str("  nothing changed\n");
    } else if document.records.is_empty() {
        text.push_str("  something changed; only the key is stored here: the record is not for everybody\n");
    } else if found.is_empty() {
        text.push_str("  the key differs for a reason that was not found: please report this\n");
    }
    text.push_str(&differences_text(&found, settings.out));
    for step in planned.plan.images.iter().filter(|step| step.name != image.name && step.reasons.iter().any(says_more))
    {
        let reasons: Vec<String> = step.reasons.iter().map(crate::report::reason_text).collect();
        text.push_str(&format!("  it builds on {}: {}\n", step.name, reasons.join("; ")));
    }
    print(&text);
    Ok(Exit::Done)
}

/// Whether a reason of another image says something here: that nothing needs it is contradicted by what builds on it.
const fn says_more(reason: &Reason) -> bool {
    !matches!(reason, Reason::NotNeeded)
}

fn unpublished(image: &str) -> Failure {
    Failure::wrong(format!("`{image}` was never published"), "`orchestrate plan` says what would be built")
}

async fn find(repository: &Repository, since: &str) -> Result<Digest, Failure> {
    let by = since.parse().map_or(By::Tag(since), By::Digest);
    let found =
        repository.head_manifest(by).await.map_err(|error| Failure::surroundings(error.to_string(), error.help()))?;
    found.map(|found| found.digest).ok_or_else(|| {
        Failure::wrong(
            format!("there is no {repository}:{since}"),
            "name a tag or a digest of the image's first destination",
        )
    })
}
