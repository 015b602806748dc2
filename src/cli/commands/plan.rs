//! `orchestrate plan`.

use serde_json::json;

use crate::apply::{Repositories, Sources};
use crate::cli::args::{Choose, PlanArguments};
use crate::cli::asking::Asking;
use crate::cli::dates;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{Loaded, load};
use crate::cli::prepare::{Prepared, Unknown, prepare};
use crate::cli::promotion::{Promotion, repositories};
use crate::cli::registries::Registries;
use crate::cli::set;
use crate::cli::settings::Settings;
use crate::cli::{eprint, print, show_problems};
use crate::name::ImageName;
use crate::plan::{Action, Choices, Commit, Facts, Plan, Warning, decide_repositories, repositories_to_ask, wanted};
use crate::report::{blockers_text, plan_text, unseen_text};
use crate::workspace::{GitState, History};

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
    /// Where another profile publishes the images.
    pub sources: Sources,
    /// What git knows of commits.
    pub history: History,
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
        eprint(&unseen_text(&planned.plan, settings.err));
        print(&format!("{}\n", matrix(&planned.plan)));
    } else if settings.json {
        print(&planned.plan.to_json());
    } else {
        say_pins(&planned, settings);
        print(&plan_text(&planned.plan, settings.out, settings.verbose));
    }
    if !planned.plan.blockers.is_empty() {
        // The table names them; other forms do not reach people.
        if arguments.matrix || settings.json {
            eprint(&blockers_text(&planned.plan, settings.err));
        }
        return Ok(Exit::Wrong);
    }
    let changes = arguments.exit_code && planned.plan.has_changes();
    Ok(if changes { Exit::Changes } else { Exit::Done })
}

/// A file that is written whole or not at all. One that is there keeps its mode, since it may belong to the repository; a new one follows the
/// umask, as if it were made by the shell.
pub fn write_whole(path: &std::path::Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let written = builder.tempfile_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        if let Ok(there) = std::fs::metadata(path) {
            file.as_file().set_permissions(there.permissions())?;
        }
        file.persist(path).map_err(|error| error.error)
    });
    let failed = |error: std::io::Error| {
        Failure::wrong(format!("cannot write `{}`: {}", path.display(), error.kind()), "choose another place")
    };
    written.map(|_| ()).map_err(failed)
}

fn say_pins(planned: &Planned, settings: &Settings) {
    if planned.prepared.added.is_empty() || settings.quiet {
        return;
    }
    for added in &planned.prepared.added {
        eprint(&format!("{added}\n"));
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
    planned(settings, load(settings)?, choose, outputs, false).await
}

/// As [`make_plan`], of a manifest that is loaded.
///
/// # Errors
/// As [`make_plan`].
pub async fn plan_loaded(settings: &Settings, loaded: Loaded, choose: &Choose) -> Result<Planned, Failure> {
    planned(settings, loaded, choose, &[], false).await
}

/// As [`make_plan`], with the records read of all that is taken for published: a key tag alone is no proof for what is done next.
///
/// # Errors
/// As [`make_plan`].
pub async fn make_sound_plan(settings: &Settings, choose: &Choose, outputs: &[String]) -> Result<Planned, Failure> {
    planned(settings, load(settings)?, choose, outputs, true).await
}

async fn planned(
    settings: &Settings,
    mut loaded: Loaded,
    choose: &Choose,
    outputs: &[String],
    verify: bool,
) -> Result<Planned, Failure> {
    let promotion = Promotion::load(settings, choose.from.as_deref())?;
    loaded.workspace.leave_out(outputs.iter().map(String::as_str));
    let registries =
        Registries::with(settings, &loaded.project, promotion.as_ref().map(|other| &other.project)).await?;
    let mut prepared = prepare(&mut loaded, &registries, settings, Unknown::LeftOut).await?;
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
    let history = History::new(loaded.git.clone());
    let branch = || history.branch();
    let commit = |git: &GitState| Commit { id: git.commit.clone(), time: git.time, branch: branch(), dirty };
    let commit = loaded.git.as_ref().map(commit);
    let from = choose.from.clone();
    let choices = Choices {
        prefix: loaded.prefix(),
        set: set::kept(&settings.set, &loaded.project),
        commit,
        allow_dirty: choose.allow_dirty,
        rebuild,
        offline: settings.offline,
        may_deepen: !verify && !settings.offline && history.may_deepen(),
        from,
        now: dates::now(),
    };
    let root = loaded.workspace.root().to_owned();
    let repositories = repositories(&loaded.project, &registries.client, &root);
    let places = |image: &ImageName| match &promotion {
        Some(promotion) => promotion.places(image, &registries.client, &root),
        None => Vec::new(),
    };
    let sources: Sources = loaded.project.images.keys().map(|image| (image.clone(), places(image))).collect();
    if !settings.offline {
        dates::ask(&loaded.project, &mut prepared.facts, &repositories).await?;
    }
    let facts = Facts {
        project: &loaded.project,
        graph: &prepared.wired.graph,
        selection: &prepared.wired.selection,
        images: &prepared.facts,
        choices: &choices,
    };
    let wanted = wanted(&facts)?;
    let functions = settings.cloud.functions();
    let asking = Asking {
        facts: &facts,
        wanted: &wanted,
        prepared: &prepared,
        repositories: &repositories,
        sources: &sources,
        history: &history,
        functions: &*functions,
        allow_older: choose.allow_older,
        deepens: verify && !settings.offline,
        verify,
    };
    let plan = asking.plan().await?;
    let asks = if settings.offline { Vec::new() } else { repositories_to_ask(&loaded.project, &plan.images) };
    let seen = settings.cloud.look(&loaded.project, &asks).await?;
    let found = decide_repositories(&loaded.project, &plan.images, &seen);
    let unseen = prepared.unseen.clone();
    let plan = Plan { unseen, warnings: Warning::of(&warnings), ..plan.with_repositories(found) };
    Ok(Planned { plan, prepared, registries, repositories, sources, history, loaded })
}
