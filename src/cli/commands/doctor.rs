//! `orchestrate doctor`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::function_checks::functions;
use super::plan::{Planned, make_plan};
use crate::apply::Builder;
use crate::cli::args::{Choose, DoctorArguments};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{BaseConfigs, Loaded, Wired, load};
use crate::cli::print;
use crate::cli::registries::open;
use crate::cli::settings::Settings;
use crate::plan::{RepositoryAction, RepositoryNote, RepositoryStep};
use crate::project::{ExecutorChoice, Project, RegistryKind};
use crate::registry::{Anonymous, By, Need};
use crate::report::{Check, Health, change_text, checks_json, checks_text, note_text};

/// A tag that need not be there: whether the registry answers at all is the question.
const ASKED: &str = "latest";

/// Looks at everything that an apply would need; changes nothing.
pub async fn doctor(settings: &Settings, arguments: &DoctorArguments) -> Result<Exit, Failure> {
    if settings.offline {
        return Err(Failure::wrong("a doctor has to look", "leave --offline out"));
    }
    let loaded = load(settings)?;
    let wired = loaded.wire(settings, &BaseConfigs::new())?;
    let mut checks = vec![builder(&loaded, &wired, arguments).await?];
    checks.extend(settings.cloud.checks(&loaded.project).await);
    if checks.iter().any(|check| check.kind == "credentials" && check.health == Health::Bad) {
        checks.push(Check::new("plan", "", Health::Skipped, "not without credentials"));
    } else {
        let quiet = Settings { quiet: true, ..settings.clone() };
        let choose = Choose { allow_dirty: true, allow_older: true, ..Choose::default() };
        match make_plan(&quiet, &choose, &[]).await {
            Ok(planned) => {
                registries(&planned, &mut checks).await;
                checks.extend(functions(&planned, &*settings.cloud.functions()).await);
            }
            Err(Failure::Message { message, help, .. }) => {
                checks.push(Check::new("plan", "", Health::Bad, message).help(help));
            }
            Err(problems) => return Err(problems),
        }
    }
    if settings.json {
        print(&format!("{:#}\n", checks_json(&checks)));
    } else {
        print(&checks_text(&checks, settings.out));
    }
    let bad = checks.iter().any(|check| check.health == Health::Bad);
    Ok(if bad { Exit::Surroundings } else { Exit::Done })
}

/// BuildKit, where an image needs it.
async fn builder(loaded: &Loaded, wired: &Wired, arguments: &DoctorArguments) -> Result<Check, Failure> {
    let needing = loaded.project.images.values().find(|image| {
        let mut recipes = wired.recipes.get(&image.name).into_iter().flat_map(BTreeMap::values);
        image.executor == ExecutorChoice::Buildkit || recipes.any(|recipe| recipe.needs_buildkit(image).is_some())
    });
    let Some(image) = needing else {
        return Ok(Check::new("builder", "", Health::Skipped, "no image needs BuildKit"));
    };
    let builder = Builder::new(arguments.builder.address()?, Arc::new(Anonymous));
    Ok(match builder.get().await {
        Ok(_) => Check::new("builder", "", Health::Good, format!("BuildKit answers; {} needs it", image.name)),
        Err(error) => Check::new("builder", "", Health::Bad, error.to_string()).help(error.help().map(str::to_owned)),
    })
}

/// The registries and their repositories, all of which the plan has asked.
async fn registries(planned: &Planned, checks: &mut Vec<Check>) {
    let project = &planned.loaded.project;
    for registry in project.registries.values() {
        let name = registry.name.as_str();
        let published = planned.plan.images.iter().filter_map(|step| planned.loaded.project.images.get(&step.name));
        let mut used = published.flat_map(|image| &image.destinations);
        let Some(destination) = used.find(|destination| destination.registry.as_str() == name) else {
            checks.push(Check::new("registry", name, Health::Skipped, "no image is published there"));
            continue;
        };
        let Some(host) = registry.host() else {
            checks.push(Check::new("registry", name, Health::Good, "it can be read"));
            continue;
        };
        // The plan may have asked the cloud's API alone.
        let (client, root) = (&planned.registries.client, planned.loaded.workspace.root());
        let repository = open(client, project, root, name, &destination.repository);
        if let Err(error) = repository.head_manifest(By::Tag(ASKED)).await {
            let said = format!("`{host}` cannot be asked: {error}");
            checks.push(Check::new("registry", name, Health::Bad, said).help(error.help()));
            continue;
        }
        checks.push(match planned.registries.credentials.for_host(&host, Need::Request).await {
            Ok(Some(_)) => {
                Check::new("registry", name, Health::Good, format!("`{host}` answers, and there is a login"))
            }
            Ok(None) if needs_login(project, name) => {
                let help = "log in to AWS (`aws sso login`, AWS_PROFILE), or at the registry (`docker login`)";
                let said = format!("`{host}` answers, but there is no login to publish with");
                Check::new("registry", name, Health::Bad, said).help(Some(help.to_owned()))
            }
            Ok(None) => Check::new("registry", name, Health::Good, format!("`{host}` answers; there is no login")),
            Err(error) => Check::new("registry", name, Health::Bad, error.to_string()).help(error.help()),
        });
    }
    checks.extend(planned.plan.repositories.iter().map(repository));
}

fn needs_login(project: &Project, name: &str) -> bool {
    let registry = project.registries.values().find(|registry| registry.name.as_str() == name);
    let kind = registry.map(|registry| &registry.kind);
    matches!(kind, Some(RegistryKind::Ecr { .. } | RegistryKind::EcrPublic { .. }))
}

fn repository(step: &RepositoryStep) -> Check {
    let check = |health, said: String| Check::new("repository", &step.reference, health, said);
    let changes: Vec<String> = step.changes.iter().map(change_text).collect();
    let notes: Vec<String> = step.notes.iter().map(note_text).collect();
    let odd = step.notes.iter().any(|note| !matches!(note, RepositoryNote::Differs { .. }));
    let said = changes.into_iter().chain(notes).collect::<Vec<_>>().join("; ");
    let blocks = |note: &&RepositoryNote| matches!(note, RepositoryNote::Immovable { .. });
    if let Some(blocker) = step.notes.iter().find(blocks) {
        let help =
            "leave the tag out of the repository's immutability, or publish under tags that name the commit alone";
        return check(Health::Bad, note_text(blocker)).help(Some(help.to_owned()));
    }
    match step.action {
        RepositoryAction::Missing => check(Health::Bad, "it does not exist".to_owned())
            .help(Some("`create: true` at the registry lets apply create it".to_owned())),
        RepositoryAction::Create => check(Health::Good, format!("apply will {said}")),
        RepositoryAction::Change => check(if odd { Health::Odd } else { Health::Good }, format!("apply will {said}")),
        RepositoryAction::Keep | RepositoryAction::Unknown if odd => check(Health::Odd, said),
        RepositoryAction::Keep | RepositoryAction::Unknown if said.is_empty() => {
            check(Health::Good, "it is as it should be".to_owned())
        }
        RepositoryAction::Keep | RepositoryAction::Unknown => check(Health::Good, said),
    }
}
