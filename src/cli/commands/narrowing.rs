//! `orchestrate check --narrowing IMAGE`: the image from all files, and from those that `inputs:` leaves; the same must come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::apply::interrupt;
use crate::apply::{ApplyError, Builder, Events, FileDifference, Rules, Sources, Trial, Work, compare, masks_of};
use crate::cli::args::{BuilderArguments, CheckArguments};
use crate::cli::dates::now;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{Loaded, load};
use crate::cli::prepare::{Prepared, Unknown, prepare};
use crate::cli::print;
use crate::cli::promotion::repositories;
use crate::cli::registries::Registries;
use crate::cli::settings::Settings;
use crate::exec::assemble::Cache;
use crate::fingerprint::day_of;
use crate::name::ImageName;
use crate::plan::Executor;
use crate::project::Inputs;
use crate::registry::ContentStore;
use crate::report::{Human, Reporter};

/// So many paths are shown.
const SHOWN: usize = 20;

const HELP: &str = "name what the build needs: further packages, or globs instead of `go:` and its like";

/// What came out of one comparison.
struct Compared {
    image: ImageName,
    left_out: usize,
    /// By platform: the first is the whole, the other the narrowed image.
    differences: Vec<(String, FileDifference)>,
}

/// Builds each image twice and compares; nothing is published.
pub async fn narrowing(settings: &Settings, arguments: &CheckArguments) -> Result<Exit, Failure> {
    let mut all = Vec::new();
    for image in &arguments.narrowing {
        all.push(compared(settings, &arguments.builder, image).await?);
    }
    if settings.json {
        let value = all.iter().map(|one| {
            let differences = one.differences.iter().map(|(platform, found)| {
                json!({ "platform": platform, "path": found.path, "whole": found.one, "narrowed": found.other })
            });
            json!({
                "image": one.image, "left_out": one.left_out, "equal": one.differences.is_empty(),
                "differences": differences.collect::<Vec<_>>(),
            })
        });
        print(&format!("{:#}\n", json!({ "narrowing": value.collect::<Vec<_>>() })));
    } else {
        all.iter().for_each(|one| print(&text(one)));
    }
    Ok(if all.iter().all(|one| one.differences.is_empty()) { Exit::Done } else { Exit::Wrong })
}

fn text(compared: &Compared) -> String {
    let Compared { image, left_out, differences } = compared;
    if *left_out == 0 {
        return format!("{image}: `inputs` leaves nothing out\n");
    }
    if differences.is_empty() {
        return format!("{image}: equal, though {left_out} files are left out\n");
    }
    let mut text = format!("{image}: {} paths differ where {left_out} files are left out\n", differences.len());
    for (platform, found) in differences.iter().take(SHOWN) {
        let said = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        text.push_str(&format!("  /{} ({platform})\n", found.path));
        text.push_str(&format!(
            "    with all files: {}\n    narrowed:       {}\n",
            said(&found.one),
            said(&found.other)
        ));
    }
    if differences.len() > SHOWN {
        text.push_str(&format!("  and {} more (--json lists them)\n", differences.len() - SHOWN));
    }
    text.push_str(&format!("help: {HELP}\n"));
    text
}

async fn compared(settings: &Settings, builder: &BuilderArguments, image: &str) -> Result<Compared, Failure> {
    let only = Settings { only: vec![image.to_owned()], with_dependents: false, ..settings.clone() };
    let (loaded, narrowed, registries) = prepared(&only, |_| {}).await?;
    let name = loaded.image(image)?.name.clone();
    let left_out = narrowed.facts[&name].narrowing.dropped;
    if left_out == 0 {
        return Ok(Compared { image: name, left_out, differences: Vec::new() });
    }
    let (_, whole, _) = prepared(&only, |loaded| {
        if let Some(image) = loaded.project.images.get_mut(&name) {
            image.inputs = Inputs { extra: image.inputs.extra.clone(), ..Inputs::default() };
        }
    })
    .await?;
    let state = loaded.workspace.make_state_folder();
    let state = state.map_err(|error| Failure::surroundings(error.to_string(), None))?;
    let blobs = tempfile::Builder::new()
        .prefix("build-")
        .tempdir_in(&state)
        .map_err(|error| Failure::surroundings(format!("cannot write to `{}`: {error}", state.display()), None))?;
    let order = narrowed.wired.graph.order().iter().filter(|image| narrowed.images.contains_key(*image));
    let order: Vec<(ImageName, Executor)> =
        order.map(|image| (image.clone(), narrowed.facts[image].executor)).collect();
    let root = loaded.workspace.root().to_owned();
    let work = Work {
        repositories: repositories(&loaded.project, &registries.client, &root),
        masks: masks_of(&loaded.project),
        project: loaded.project,
        images: narrowed.images,
        client: registries.client.clone(),
        buildkit: Builder::new(builder.address()?, registries.credentials),
        cache: Arc::new(Cache::in_folder(state.join("cache").join("assemble"))),
        root,
        sources: Sources::default(),
        // Nothing is published, so none has to be there.
        change_repository: Box::new(|_, _| Box::pin(std::future::ready(Ok(())))),
        functions: settings.cloud.functions(),
        history: Arc::default(),
        calls: Box::new(BTreeMap::new),
        rules: Rules { no_push: true, ..Rules::default() },
        day: day_of(now()),
    };
    let reporters: Vec<Box<dyn Reporter>> = if settings.quiet || settings.json {
        Vec::new()
    } else {
        vec![Box::new(Human::new(std::io::stderr(), settings.err, settings.live, settings.verbose))]
    };
    let (events, shown) = Events::start(reporters);
    let cancel = CancellationToken::new();
    let signal = tokio::spawn(interrupt(cancel.clone()));
    let mut trial = Trial::new(work, ContentStore::new(blobs.path()), events, cancel);
    let differences = differences(&mut trial, &order, &name, &whole).await;
    drop(trial);
    let _ = shown.await;
    signal.abort();
    Ok(Compared { image: name, left_out, differences: differences? })
}

async fn prepared(
    settings: &Settings,
    change: impl FnOnce(&mut Loaded),
) -> Result<(Loaded, Prepared, Registries), Failure> {
    let mut loaded = load(settings)?;
    change(&mut loaded);
    let registries = Registries::new(settings, &loaded.project).await?;
    let prepared = prepare(&mut loaded, &registries, settings, Unknown::Refused).await?;
    Ok((loaded, prepared, registries))
}

/// Builds what the image builds on, then the image twice. Images come in the order in which they can be built.
async fn differences(
    trial: &mut Trial,
    order: &[(ImageName, Executor)],
    name: &ImageName,
    whole: &Prepared,
) -> Result<Vec<(String, FileDifference)>, Failure> {
    let mut found = Vec::new();
    for (image, executor) in order {
        if image != name {
            trial.base(image, *executor).await.map_err(|error| failed(&error))?;
            continue;
        }
        let with_all = trial.build(&whole.images[name], *executor).await.map_err(|error| failed(&error))?;
        let narrowed = trial.build(&trial.work.images[name], *executor).await;
        let narrowed = narrowed.map_err(|error| Failure::Message {
            exit: Exit::Wrong,
            message: format!("{name} builds from all files, and does not from those that `inputs` leaves: {error}"),
            help: Some(HELP.to_owned()),
        })?;
        for (platform, whole) in &with_all {
            let Some(narrowed) = narrowed.get(platform) else { continue };
            let differences = compare(&trial.store, whole, narrowed);
            let differences = differences
                .map_err(|error| Failure::surroundings(format!("cannot compare what was built: {error}"), None))?;
            found.extend(differences.into_iter().map(|difference| (platform.to_string(), difference)));
        }
    }
    Ok(found)
}

fn failed(error: &ApplyError) -> Failure {
    Failure::Message { exit: Exit::Failed, message: error.to_string(), help: None }
}
