//! `orchestrate tag`.

use super::plan::make_sound_plan;
use crate::cli::args::{Choose, TagArguments};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::load;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::reference::tag_problem;
use crate::registry::By;

/// Puts further tags on a published image, at each of its destinations.
pub async fn tag(settings: &Settings, arguments: &TagArguments) -> Result<Exit, Failure> {
    if settings.offline {
        return Err(Failure::wrong("a tag is put in a registry", "leave --offline out"));
    }
    for tag in &arguments.tags {
        if let Some(why) = tag_problem(tag) {
            return Err(Failure::wrong(format!("`{tag}` cannot be a tag: {why}"), "choose another"));
        }
        if tag.starts_with("key-") || tag.starts_with("sha256-") {
            let message =
                format!("`{tag}` is a tag that only publication gives: it would say what the image was made from");
            return Err(Failure::wrong(message, "choose another"));
        }
    }
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
    for publication in &step.destinations {
        let repository = planned.repositories.get(&publication.registry, &publication.repository);
        let failed = |error: crate::registry::Error| Failure::Message {
            exit: Exit::Failed,
            message: error.to_string(),
            help: error.help(),
        };
        let raw = repository.get_manifest(By::Digest(digest)).await.map_err(failed)?;
        let raw = raw.ok_or_else(|| {
            Failure::wrong(format!("{digest} is not in {repository}"), "run `orchestrate apply` first")
        })?;
        for tag in &arguments.tags {
            repository.put_manifest(By::Tag(tag), &raw).await.map_err(failed)?;
            print(&format!("{}:{tag} -> {digest}\n", publication.reference));
        }
    }
    Ok(Exit::Done)
}
