//! `orchestrate load` and `orchestrate run`: an image as it is here, into the daemon of this machine.

use std::process::{Command, Stdio};

use super::apply::conduct;
use super::plan::plan_loaded;
use crate::cli::args::{ApplyArguments, Choose, LoadArguments, RunArguments};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{Loaded, load};
use crate::cli::settings::Settings;
use crate::cli::{eprint, print};
use crate::digest::Digest;
use crate::event::RunOutcome;
use crate::name::{ImageName, RegistryName};
use crate::platform::Platform;
use crate::project::{Destination, Keep, Registry, RegistryKind};
use crate::reference::Reference;
use crate::registry::{ContentStore, write_archive};

/// The registry that stands for this machine, and its folder within the state folder: what was loaded before is not made again.
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
    let folder =
        loaded.workspace.make_state_folder().map_err(|error| Failure::surroundings(error.to_string(), None))?;
    let folder = folder.join(HERE);
    stay_here(&mut loaded, &folder.display().to_string(), &name, &platform);
    let settings = Settings { only: vec![name.to_string()], with_dependents: false, ..settings.clone() };
    let choose = Choose { allow_dirty: true, ..Choose::default() };
    let planned = plan_loaded(&settings, loaded, &choose).await?;
    // An image that is made anew takes the place of what it was.
    for step in planned.plan.images.iter().filter(|step| step.action == crate::plan::Action::Build) {
        let _ = std::fs::remove_dir_all(folder.join(step.name.as_str()));
    }
    let how = ApplyArguments {
        fail_fast: true,
        build_only: true,
        builder: arguments.builder.clone(),
        ..ApplyArguments::default()
    };
    let receipt = conduct(planned, &settings, &how).await?;
    let digest = receipt.images.iter().find(|image| image.name == name).and_then(|image| image.digest);
    let (RunOutcome::Succeeded, Some(digest)) = (receipt.outcome, digest) else {
        return Ok(Err(if receipt.outcome == RunOutcome::Interrupted { Exit::Interrupted } else { Exit::Failed }));
    };
    let store = ContentStore::new(folder.join(name.as_str()));
    let said = {
        let called = called.clone();
        tokio::task::spawn_blocking(move || docker_load(&store, &digest, &called)).await
    };
    said.map_err(|error| Failure::surroundings(error.to_string(), None))??;
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
    if reference.digest.is_some() { Err(wrong(&"a digest is not given, it comes about")) } else { Ok(reference) }
}

/// All images go to a folder of this machine, and nowhere else; the chosen one is made for one platform.
fn stay_here(loaded: &mut Loaded, folder: &str, name: &ImageName, platform: &Platform) {
    let project = &mut loaded.project;
    let registry = RegistryName::new(HERE);
    for image in project.images.values_mut() {
        let location = image.location.clone();
        let repository = image.name.to_string();
        image.destinations = vec![Destination {
            registry: registry.clone(),
            repository,
            tags: Vec::new(),
            keep: Keep::default(),
            location,
        }];
        image.deploy.clear();
        if image.name == *name {
            image.platforms = vec![platform.clone()];
        }
    }
    let location = project.source.at(0, 0);
    let kind = RegistryKind::Layout { path: folder.to_owned() };
    let declared = Registry { name: registry.clone(), kind, public: false, keep: Keep::default(), location };
    project.registries = [(registry, declared)].into();
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

fn docker_load(store: &ContentStore, digest: &Digest, name: &Reference) -> Result<(), Failure> {
    let mut docker = Command::new("docker");
    docker.args(["load", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = docker.spawn().map_err(|error| no_docker(&error.to_string()))?;
    let to = child.stdin.take().expect("stdin is a pipe");
    let written = write_archive(store, digest, name, std::io::BufWriter::new(to));
    let ended = child.wait_with_output().map_err(|error| no_docker(&error.to_string()))?;
    // What docker says is the reason why its end of the pipe was closed.
    if !ended.status.success() {
        return Err(no_docker(String::from_utf8_lossy(&ended.stderr).trim()));
    }
    written.map_err(|error| Failure::surroundings(format!("cannot hand {} to docker: {error}", name.familiar()), None))
}
