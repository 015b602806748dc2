//! `orchestrate plan`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::apply::Repositories;
use crate::cli::args::{Choose, PlanArguments};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{Loaded, load};
use crate::cli::prepare::{LOCK, Prepared, prepare};
use crate::cli::registries::{Registries, open};
use crate::cli::settings::Settings;
use crate::cli::{eprint, print, show_problems};
use crate::name::ImageName;
use crate::observe::{ObserveError, Observer};
use crate::plan::{self, Action, Choices, Commit, Facts, Observed, Plan, Wanted, decide, pinned_key, wanted};
use crate::registry::{Client, Repository};
use crate::report::plan_text;

/// A plan and what it was made from.
pub struct Planned {
    /// The manifest.
    pub loaded: Loaded,
    /// The keys.
    pub prepared: Prepared,
    /// The registries.
    pub registries: Registries,
    /// The repositories.
    pub repositories: Repositories,
    /// The plan.
    pub plan: Plan,
}

/// Says what `apply` would do, and why.
pub async fn plan(settings: &Settings, arguments: &PlanArguments) -> Result<Exit, Failure> {
    let outputs: Vec<String> = arguments.out.iter().map(|path| path.display().to_string()).collect();
    let planned = make_plan(settings, &arguments.choose, &outputs).await?;
    if let Some(path) = &arguments.out {
        write_whole(path, planned.plan.to_json().as_bytes())?;
    }
    if arguments.matrix {
        print(&format!("{}\n", matrix(&planned.plan)));
    } else if settings.json {
        print(&planned.plan.to_json());
    } else {
        say_pins(&planned, settings);
        print(&plan_text(&planned.plan, settings.out, settings.verbose));
    }
    let changes = arguments.exit_code && planned.plan.has_changes();
    Ok(if changes { Exit::Changes } else { Exit::Done })
}

/// A file that is written whole or not at all.
pub fn write_whole(path: &std::path::Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)
    });
    let failed = |error: std::io::Error| {
        Failure::wrong(format!("cannot write `{}`: {error}", path.display()), "choose another place")
    };
    written.map(|_| ()).map_err(failed)
}

fn say_pins(planned: &Planned, settings: &Settings) {
    if planned.prepared.added.is_empty() || settings.quiet {
        return;
    }
    for (reference, platform, digest) in &planned.prepared.added {
        eprint(&format!("{reference} for {platform} is not in {LOCK} yet: taken as {}\n", digest.short()));
    }
}

/// The matrix of a CI system: one entry for each image that is to be built.
fn matrix(plan: &Plan) -> serde_json::Value {
    let builds = plan.images.iter().filter(|step| step.action == Action::Build);
    let include: Vec<_> = builds
        .map(|step| json!({ "image": step.name, "platforms": step.platforms, "executor": step.executor, "needs": step.needs }))
        .collect();
    json!({ "include": include })
}

/// Loads, prepares, asks the registries, decides. `outputs` are files that this run will write: they are no inputs.
///
/// # Errors
/// What is wrong in the files, or a registry that cannot be asked.
pub async fn make_plan(settings: &Settings, choose: &Choose, outputs: &[String]) -> Result<Planned, Failure> {
    plan_loaded(settings, load(settings)?, choose, outputs).await
}

/// [`make_plan`] of a manifest that is loaded.
///
/// # Errors
/// As [`make_plan`].
pub async fn plan_loaded(
    settings: &Settings,
    mut loaded: Loaded,
    choose: &Choose,
    outputs: &[String],
) -> Result<Planned, Failure> {
    loaded.workspace.leave_out(outputs.iter().map(String::as_str));
    let registries = Registries::new(settings, &loaded.project)?;
    let prepared = prepare(&mut loaded, &registries, settings).await?;
    let mut warnings = loaded.warnings.clone();
    warnings.append(prepared.wired.warnings.clone());
    if !warnings.is_empty() && !settings.quiet {
        show_problems(&warnings, false);
    }
    let mut rebuild = std::collections::BTreeSet::new();
    for name in &choose.rebuild {
        rebuild.insert(loaded.image(name)?.name.clone());
    }
    let dirty = prepared.facts.values().any(|facts| !facts.uncommitted.is_empty());
    let commit = loaded.git.as_ref().map(|git| Commit { id: git.commit.clone(), time: git.time, dirty });
    let choices = Choices { commit, allow_dirty: choose.allow_dirty, rebuild, offline: settings.offline };
    let repositories = repositories(&loaded, &registries.client);
    let facts = Facts {
        project: &loaded.project,
        graph: &prepared.wired.graph,
        selection: &prepared.wired.selection,
        images: &prepared.facts,
        choices: &choices,
    };
    let wanted = wanted(&facts)?;
    let observed = observe(&facts, &wanted, &prepared, &repositories).await?;
    let plan = decide(&facts, &wanted, &observed);
    Ok(Planned { plan, prepared, registries, repositories, loaded })
}

fn repositories(loaded: &Loaded, client: &Client) -> Repositories {
    let (client, project, root) = (client.clone(), loaded.project.clone(), loaded.workspace.root().to_owned());
    Repositories::new(Box::new(move |registry, repository| open(&client, &project, &root, registry, repository)))
}

async fn observe(
    facts: &Facts<'_>,
    wanted: &[Wanted],
    prepared: &Prepared,
    repositories: &Repositories,
) -> Result<Observed, Failure> {
    if facts.choices.offline {
        return Ok(Observed::default());
    }
    let repository = |registry: &str, repository: &str| -> Arc<Repository> { repositories.get(registry, repository) };
    let observer = Observer { project: facts.project, repository: &repository };
    let mut observed = observer.ask(wanted).await.map_err(|error| cannot_ask(&error))?;
    pinned(&observer, &mut observed, prepared).await.map_err(|error| cannot_ask(&error))?;
    Ok(observed)
}

fn cannot_ask(error: &ObserveError) -> Failure {
    let help = error.error.help().or_else(|| Some("--offline plans without asking".to_owned()));
    Failure::surroundings(error.to_string(), help)
}

/// Images that are not published, though all that they build on is: they may be published under their pinned keys. Bases come first, so
/// that what is found for one serves its dependents.
async fn pinned(observer: &Observer<'_>, observed: &mut Observed, prepared: &Prepared) -> Result<(), ObserveError> {
    let mut digests: BTreeMap<ImageName, plan::Digests> = BTreeMap::new();
    for name in prepared.wired.graph.order() {
        let Some(destinations) = observed.destinations.get(name) else { continue };
        let Some(work) = prepared.images.get(name) else { continue };
        let mut published = destinations.iter().find_map(|destination| destination.published);
        if published.is_none() {
            let digest_of =
                |name: &ImageName, platform: &crate::platform::Platform| digests.get(name)?.get(platform).copied();
            let platforms = work.platforms.iter().map(|(platform, work)| (platform, &work.recipe, &work.fingerprint));
            if let Some(key) = pinned_key(platforms, &digest_of)
                && let Some(digest) = observer.pinned(name, key).await?
            {
                observed.pinned.insert(name.clone(), (key, digest));
                published = Some(digest);
            }
        }
        let has_dependents = prepared.wired.graph.edges().values().flatten().any(|edge| &edge.to == name);
        if let (Some(digest), true) = (published, has_dependents && needs_children(name, observed, prepared)) {
            digests.insert(name.clone(), observer.children(name, digest).await?);
        }
    }
    Ok(())
}

/// Whether an image that is not published builds on this one.
fn needs_children(name: &ImageName, observed: &Observed, prepared: &Prepared) -> bool {
    let graph = &prepared.wired.graph;
    graph.edges().iter().any(|(dependent, edges)| {
        edges.iter().any(|edge| &edge.to == name)
            && observed
                .destinations
                .get(dependent)
                .is_some_and(|destinations| destinations.iter().all(|destination| destination.published.is_none()))
    })
}
