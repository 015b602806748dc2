//! `orchestrate apply`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::plan::{Planned, make_sound_plan, write_whole};
use super::receipts::{keep, writable};
use super::rollback::roll_back;
use crate::apply::{Builder, Events, Options, Rules, Work, masks_of, run};
use crate::cli::args::{ApplyArguments, Choose};
use crate::cli::build_folder::BuildFolder;
use crate::cli::dates::now;
use crate::cli::event_log;
use crate::cli::exit::{Exit, Failure};
use crate::cli::pins::LOCK;
use crate::cli::set;
use crate::cli::settings::Settings;
use crate::cli::{eprint, print};
use crate::event::{Event, Kind, Receipt, RunOutcome};
use crate::exec::assemble::Cache;
use crate::fingerprint::day_of;
use crate::name::ImageName;
use crate::plan::{Action, Blocker, Executor, Part, Plan, Reason, TagMove, stale};
use crate::project::RegistryKind;
use crate::registry::{ContentStore, Need};
use crate::report::{Failures, Human, JsonLines, Reporter, blocker_text, plan_text};

/// Builds, publishes and tags what the plan says.
pub async fn apply(settings: &Settings, arguments: &ApplyArguments) -> Result<Exit, Failure> {
    if settings.offline {
        return Err(Failure::wrong("apply cannot do without registries", "leave --offline out"));
    }
    arguments.receipt.as_deref().map_or(Ok(()), writable)?;
    if let Some(receipt) = &arguments.rollback {
        return roll_back(settings, arguments, receipt.as_deref()).await;
    }
    let saved = arguments.plan.as_ref().map(|path| read_plan(path)).transpose()?;
    let outputs = arguments.plan.iter().chain(&arguments.receipt).map(|path| path.display().to_string());
    let outputs: Vec<String> = outputs.collect();
    let choose = chosen(&arguments.choose, saved.as_ref());
    let settings = &saved.as_ref().map_or_else(|| Ok(settings.clone()), |saved| as_saved(settings, saved))?;
    let planned = make_sound_plan(settings, &choose, &outputs).await?;
    let part = part_of(arguments);
    if let Some(saved) = &saved {
        refuse(saved, part, settings, arguments)?;
    }
    if let Some(why) = saved.as_ref().and_then(|saved| stale(saved, &planned.plan)) {
        return Err(Failure::Message {
            exit: Exit::Stale,
            message: format!("the plan is stale: {why}"),
            help: Some("make a new one with `orchestrate plan --out`; nothing was touched".to_owned()),
        });
    }
    refuse(&planned.plan, part, settings, arguments)?;
    if arguments.publish {
        all_published(&planned.plan)?;
    }
    if !arguments.no_push {
        logged_in(&planned).await?;
    }
    write_lock(&planned)?;
    let state = planned.loaded.workspace.state_folder();
    let receipt = conduct(planned, settings, arguments).await?;
    keep(&state, &receipt, arguments.receipt.as_deref())?;
    Ok(exit_of(&receipt))
}

/// What of a plan the command line asks for.
const fn part_of(arguments: &ApplyArguments) -> Part {
    match (arguments.no_push, arguments.build_only) {
        (true, _) => Part::Nothing,
        (false, true) => Part::Keys,
        (false, false) => Part::Everything,
    }
}

/// Refuses a plan that has blockers, in the form that the command line asks for. With `--publish-partial` those of some images do not
/// stop the others.
fn refuse(plan: &Plan, part: Part, settings: &Settings, arguments: &ApplyArguments) -> Result<(), Failure> {
    let blockers = plan.blockers_of(part);
    let goes_on = arguments.publish_partial && !blocks_all(plan, &blockers);
    if blockers.is_empty() || goes_on {
        return Ok(());
    }
    if settings.json {
        let mut out = JsonLines(Stdout);
        let version = Kind::Version { format: crate::event::FORMAT };
        let kinds = blockers
            .iter()
            .map(|blocker| Kind::Blocked { blocker: (*blocker).clone(), message: blocker_text(blocker) });
        for (seq, event) in (0..).zip(std::iter::once(version).chain(kinds)) {
            out.event(&Event { seq, at: 0, event });
        }
    } else {
        eprint(&plan_text(plan, settings.err, settings.verbose));
    }
    Err(Failure::wrong("the plan has blockers; nothing was touched", "see `apply would refuse` above"))
}

/// Whether blockers leave no image that a run could publish.
fn blocks_all(plan: &Plan, blockers: &[&Blocker]) -> bool {
    let blocked: BTreeSet<_> = blockers.iter().flat_map(|blocker| blocker.images(plan)).collect();
    let mut due = plan.images.iter().filter(|step| step.chosen && step.action != Action::Keep).peekable();
    due.peek().is_none() || due.all(|step| blocked.contains(&step.name))
}

/// What stops each image, as text.
fn blocked(plan: &Plan, part: Part) -> BTreeMap<ImageName, String> {
    let blockers = plan.blockers_of(part).into_iter();
    let of_images = blockers.flat_map(|blocker| blocker.images(plan).into_iter().map(move |image| (image, blocker)));
    of_images.map(|(image, blocker)| (image.clone(), blocker_text(blocker))).collect()
}

/// The exit code that a run's end means.
pub const fn exit_of(receipt: &Receipt) -> Exit {
    match receipt.outcome {
        RunOutcome::Succeeded => Exit::Done,
        RunOutcome::Failed => Exit::Failed,
        RunOutcome::Interrupted => Exit::Interrupted,
    }
}

/// Whether there is a login at each registry of AWS that something is published at: said before anything is built.
async fn logged_in(planned: &Planned) -> Result<(), Failure> {
    let steps = planned.plan.images.iter().filter(|step| step.action != Action::Keep);
    let registries: BTreeSet<&str> = steps
        .flat_map(|step| &step.destinations)
        .filter(|publication| publication.action != Action::Keep || publication.tags.iter().any(TagMove::moves))
        .map(|publication| publication.registry.as_str())
        .collect();
    for registry in planned.loaded.project.registries.values() {
        let of_aws = matches!(registry.kind, RegistryKind::Ecr { .. } | RegistryKind::EcrPublic { .. });
        let Some(host) = registry.host().filter(|_| of_aws && registries.contains(registry.name.as_str())) else {
            continue;
        };
        let found = planned.registries.credentials.for_host(&host, Need::Request).await;
        if found.map_err(|error| Failure::surroundings(error.to_string(), error.help()))?.is_none() {
            let help = "log in to AWS (`aws sso login`, AWS_PROFILE), or at the registry (`docker login`)";
            return Err(Failure::surroundings(format!("there is no login for `{host}`"), Some(help.to_owned())));
        }
    }
    Ok(())
}

fn read_plan(path: &std::path::Path) -> Result<Plan, Failure> {
    let help = "make one with `orchestrate plan --out FILE`";
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::wrong(format!("cannot read `{}`: {error}", path.display()), help))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::wrong(format!("`{}` is not a plan: {error}", path.display()), help))
}

/// The profile, the images and the values of `--set` are those of the saved plan, where the command line names none.
fn as_saved(settings: &Settings, saved: &Plan) -> Result<Settings, Failure> {
    let mut settings = settings.clone();
    settings.profile = settings.profile.or_else(|| saved.profile.clone());
    if settings.only.is_empty() {
        settings.only = saved.only.iter().map(ToString::to_string).collect();
    }
    settings.set = set::given_again(&saved.set, &settings.set)?;
    Ok(settings)
}

/// What the command line asks for, and what the saved plan was made with.
fn chosen(choose: &Choose, saved: Option<&Plan>) -> Choose {
    let mut choose = choose.clone();
    if let Some(saved) = saved {
        let forced = saved.images.iter().filter(|step| step.reasons.contains(&Reason::Forced));
        choose.rebuild.extend(forced.map(|step| step.name.to_string()));
        choose.from = choose.from.or_else(|| saved.from.clone());
    }
    choose
}

/// Whether there is nothing to build: `--publish` comes after those that build.
fn all_published(plan: &Plan) -> Result<(), Failure> {
    let missing: Vec<&str> =
        plan.images.iter().filter(|step| step.action == Action::Build).map(|step| step.name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let shown = missing.iter().take(6).copied().collect::<Vec<_>>().join(", ");
    let more = if missing.len() > 6 { format!(" and {} more", missing.len() - 6) } else { String::new() };
    Err(Failure::surroundings(
        format!("not published under their keys: {shown}{more}; nothing was touched"),
        Some("run `orchestrate apply --build-only` for them first, from the same commit".to_owned()),
    ))
}

/// Pins that the plan found are kept before anything is built on them.
fn write_lock(planned: &Planned) -> Result<(), Failure> {
    if planned.prepared.added.is_empty() {
        return Ok(());
    }
    write_whole(&planned.loaded.workspace.root().join(LOCK), planned.prepared.lock.render().as_bytes())
}

/// Does what is planned; the log of events is in the state folder afterwards.
///
/// # Errors
/// What is missing before the first effect: a builder, a folder that can be written.
pub async fn conduct(planned: Planned, settings: &Settings, arguments: &ApplyArguments) -> Result<Receipt, Failure> {
    let address = arguments.builder.address()?;
    let Planned { loaded, prepared, registries, repositories, sources, history, plan } = planned;
    let state = loaded.workspace.make_state_folder().map_err(|error| {
        Failure::surroundings(
            error.to_string(),
            Some("apply keeps blobs and its receipt in the folder of the manifest".to_owned()),
        )
    })?;
    let blobs = BuildFolder::new(&state)
        .map_err(|error| Failure::surroundings(format!("cannot write to `{}`: {error}", state.display()), None))?;
    let work = Work {
        masks: masks_of(&loaded.project),
        project: loaded.project.clone(),
        images: prepared.images,
        repositories,
        client: registries.client.clone(),
        buildkit: Builder::new(address, registries.credentials),
        cache: Arc::new(Cache::in_folder(state.join("cache").join("assemble"))),
        root: loaded.workspace.root().to_owned(),
        sources,
        change_repository: settings.cloud.change_repository(&loaded.project),
        functions: settings.cloud.functions(),
        history: Arc::new(history),
        calls: {
            let cloud = settings.cloud.clone();
            Box::new(move || cloud.calls())
        },
        rules: Rules {
            no_push: arguments.no_push,
            allow_older: arguments.choose.allow_older,
            strict: arguments.plan.is_some(),
        },
        day: day_of(now()),
    };
    let needs_builder = |step: &crate::plan::Step| step.action == Action::Build && step.executor == Executor::Buildkit;
    if plan.images.iter().any(needs_builder) {
        // Before the first effect: without a builder nothing is touched.
        if let Err(error) = work.buildkit.get().await {
            return Err(Failure::surroundings(error.to_string(), error.help().map(str::to_owned)));
        }
    }
    let part = part_of(arguments);
    let keys = if part == Part::Nothing { part } else { Part::Keys };
    let (unpublishable, untaggable) = (blocked(&plan, keys), blocked(&plan, part));
    let options = Options {
        jobs: settings.jobs,
        fail_fast: arguments.fail_fast,
        build_only: arguments.build_only,
        publish_partial: arguments.publish_partial,
        blocked: unpublishable,
        untaggable,
    };
    let (events, shown) = Events::start(reporters(settings, &state)?);
    let cancel = CancellationToken::new();
    let signal = tokio::spawn(interrupt(cancel.clone()));
    let receipt = run(plan, work, ContentStore::new(blobs.path()), options, events, cancel).await;
    let _ = shown.await;
    signal.abort();
    Ok(receipt)
}

/// The first Ctrl-C (or SIGTERM) ends builds and pushes and lets the tag phase finish; the second ends the program.
pub async fn interrupt(cancel: CancellationToken) {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    let mut next = async || match &mut terminated {
        Some(terminated) => {
            tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminated.recv() => {} }
        }
        None => drop(tokio::signal::ctrl_c().await),
    };
    next().await;
    eprint("interrupted: what is under way is ended; once more to stop at once\n");
    cancel.cancel();
    next().await;
    #[expect(clippy::exit, reason = "the second signal asks for just this")]
    std::process::exit(i32::from(Exit::Interrupted as u8));
}

pub fn reporters(settings: &Settings, state: &std::path::Path) -> Result<Vec<Box<dyn Reporter>>, Failure> {
    let file = event_log::create(state).map_err(|error| {
        Failure::surroundings(format!("cannot write the events of the run to `{}`: {error}", state.display()), None)
    })?;
    let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(JsonLines(file))];
    if settings.json {
        reporters.push(Box::new(JsonLines(Stdout)));
    }
    if !settings.json {
        let human = Human::new(std::io::stderr(), settings.err, settings.live, settings.verbose);
        reporters.push(if settings.quiet { Box::new(Failures(human)) } else { Box::new(human) });
    }
    Ok(reporters)
}

/// Locks stdout for each line only, so that it can be sent between threads.
struct Stdout;

impl std::io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        print(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
