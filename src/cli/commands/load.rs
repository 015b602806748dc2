//! `orchestrate load` and `orchestrate run`: an image as it is here, into the daemon of this machine.

use std::process::Command;

use super::apply::conduct;
use super::plan::plan_loaded;
use crate::cli::args::{ApplyArguments, Choose, LoadArguments, RunArguments};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{Loaded, load};
use crate::cli::settings::Settings;
use crate::cli::{eprint, print};
use crate::event::RunOutcome;
use crate::name::{ImageName, RegistryName};
use crate::platform::Platform;
use crate::problem::Location;
use crate::project::{Destination, Keep, Registry, RegistryKind, TagRule, TagText};
use crate::reference::Reference;

/// The registry that stands for this machine, and its folder within the state folder: bases that were made before are not made again.
const HERE: &str = "local";

/// Builds an image and loads it; prints what it is called.
pub async fn load_image(settings: &Settings, arguments: &LoadArguments) -> Result<Exit, Failure> {
    match into_daemon(settings, arguments).await? {
        Ok(called) => {
            print(&format!("{}\n", called.name));
            Ok(Exit::Done)
        }
        Err(exit) => Ok(exit),
    }
}

/// Builds an image, loads it and runs it; the program ends as the container does.
pub async fn run_image(settings: &Settings, arguments: &RunArguments) -> Result<Exit, Failure> {
    let called = match into_daemon(settings, &arguments.load).await? {
        Ok(called) => called,
        Err(exit) => return Ok(exit),
    };
    let mut docker = Command::new("docker");
    docker.args(["run", "--rm", "--interactive", "--platform", &called.platform.to_string()]);
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        docker.arg("--tty");
    }
    let status = docker.args(&arguments.docker).arg(&called.name).args(&arguments.arguments).status();
    match status.map_err(|error| no_docker(&error.to_string()))?.code() {
        Some(0) => Ok(Exit::Done),
        #[expect(clippy::exit, reason = "the status is the container's, which is any number")]
        Some(code) => std::process::exit(code),
        None => Ok(Exit::Failed),
    }
}

/// What an image is called in the daemon.
struct Called {
    name: String,
    platform: Platform,
}

async fn into_daemon(settings: &Settings, arguments: &LoadArguments) -> Result<Result<Called, Exit>, Failure> {
    let called = called(arguments)?;
    let daemon = platform_of_daemon()?;
    let mut loaded = load(settings)?;
    let image = loaded.image(&arguments.image)?;
    let (name, platforms) = (image.name.clone(), image.platforms.clone());
    let platform = if platforms.contains(&daemon) { daemon } else { platforms[0].clone() };
    let folder = loaded.workspace.state_folder().join(HERE);
    let also_published = loaded.project.registries.values().any(|registry| registry.kind == RegistryKind::Docker);
    stay_here(&mut loaded, &folder.display().to_string());
    send_to_daemon(&mut loaded, &name, &platform, &called);
    let settings = Settings { only: vec![name.to_string()], with_dependents: false, ..settings.clone() };
    let choose = Choose { allow_dirty: true, allow_older: true, ..Choose::default() };
    let planned = plan_loaded(&settings, loaded, &choose).await?;
    // An image that is made anew takes the place of what it was.
    for step in planned.plan.images.iter().filter(|step| step.action == crate::plan::Action::Build) {
        let _ = std::fs::remove_dir_all(folder.join(step.name.as_str()));
        if step.name == name && !also_published {
            let kept = planned.loaded.workspace.state_folder().join("docker").join(repository_of(&called));
            let _ = std::fs::remove_dir_all(kept);
        }
    }
    let how = ApplyArguments { fail_fast: true, builder: arguments.builder.clone(), ..ApplyArguments::default() };
    let receipt = conduct(planned, &settings, &how).await?;
    match receipt.outcome {
        RunOutcome::Succeeded => {}
        RunOutcome::Interrupted => return Ok(Err(Exit::Interrupted)),
        RunOutcome::Failed => return Ok(Err(Exit::Failed)),
    }
    if !settings.quiet {
        eprint(&format!("{name} is loaded as {}\n", called.familiar()));
    }
    Ok(Ok(Called { name: called.familiar(), platform }))
}

/// What the image will be called.
fn called(arguments: &LoadArguments) -> Result<Reference, Failure> {
    let text = arguments.tag.clone().unwrap_or_else(|| format!("{}:latest", arguments.image.to_lowercase()));
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::wrong(
            format!("an image cannot be called `{text}`: {error}"),
            "give it another name with --tag NAME:TAG",
        )
    };
    let reference: Reference = text.parse().map_err(|error| wrong(&error))?;
    if reference.digest.is_some() {
        return Err(wrong(&"a digest is not given, it comes about"));
    }
    Ok(Reference { tag: reference.tag.or_else(|| Some("latest".to_owned())), ..reference })
}

/// The name without its tag.
fn repository_of(called: &Reference) -> String {
    Reference { tag: None, ..called.clone() }.familiar()
}

/// All images go to a folder of this machine, and nowhere else.
fn stay_here(loaded: &mut Loaded, folder: &str) {
    let project = &mut loaded.project;
    let registry = RegistryName::new(HERE);
    for image in project.images.values_mut() {
        image.destinations = vec![destination(&registry, image.name.to_string(), Vec::new(), &image.location)];
        image.deploy.clear();
        image.verify = None;
    }
    let kind = RegistryKind::Layout { path: folder.to_owned() };
    project.registries = [(registry.clone(), declared(registry, kind, &project.source.at(0, 0)))].into();
}

/// One image goes to the daemon, for one platform.
fn send_to_daemon(loaded: &mut Loaded, name: &ImageName, platform: &Platform, called: &Reference) {
    let project = &mut loaded.project;
    let registry = RegistryName::new("daemon");
    if let Some(image) = project.images.get_mut(name) {
        let location = image.location.clone();
        let tag = TagRule {
            text: TagText::Rendered(called.tag.clone().into_iter().collect()),
            fixed: false,
            uses_git: false,
            on_change: false,
            immutable: false,
            location: location.clone(),
        };
        image.destinations = vec![destination(&registry, repository_of(called), vec![tag], &location)];
        image.platforms = vec![platform.clone()];
    }
    let location = project.source.at(0, 0);
    project.registries.insert(registry.clone(), declared(registry, RegistryKind::Docker, &location));
}

fn destination(registry: &RegistryName, repository: String, tags: Vec<TagRule>, at: &Location) -> Destination {
    Destination {
        registry: registry.clone(),
        repository,
        tags,
        keep: Keep::default(),
        order: None,
        location: at.clone(),
    }
}

fn declared(name: RegistryName, kind: RegistryKind, at: &Location) -> Registry {
    Registry { name, kind, public: false, keep: Keep::default(), order: None, location: at.clone() }
}

fn no_docker(why: &str) -> Failure {
    let help = "start Docker, or build without it: `orchestrate apply` needs none for images without RUN";
    Failure::surroundings(format!("the docker daemon does not answer: {why}"), Some(help.to_owned()))
}

/// What the daemon runs.
fn platform_of_daemon() -> Result<Platform, Failure> {
    let asked = Command::new("docker").args(["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]).output();
    let answer = asked.map_err(|error| no_docker(&error.to_string()))?;
    let said = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    said.parse().map_err(|_| no_docker(String::from_utf8_lossy(&answer.stderr).trim()))
}
