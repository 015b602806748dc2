//! `orchestrate init`.

use std::io::Write as _;

use serde_json::json;

use super::plan::write_whole;
use crate::cli::exit::{Exit, Failure};
use crate::cli::init::{Repository, find, sketch, write};
use crate::cli::settings::Settings;
use crate::cli::{eprint, print};
use crate::manifest;
use crate::workspace::Workspace;

/// Where the manifest's first line says that its schema is.
const SCHEMA: &str = ".orchestrate/deploy.schema.json";

/// Writes a first manifest; nothing that is there is overwritten.
pub async fn init(settings: &Settings) -> Result<Exit, Failure> {
    let path = settings.root.join(&settings.file);
    if path.symlink_metadata().is_ok() {
        return Err(Failure::wrong(
            format!("`{}` is there already", settings.file),
            "`orchestrate check` says what is wrong with it; -f names another file",
        ));
    }
    let repository = Repository::new(&settings.root);
    let (found, unreadable) = find(&repository);
    for path in &unreadable {
        eprint(&format!("warning: {path} cannot be read as a Dockerfile and is left out\n"));
    }
    if found.is_empty() {
        return Err(Failure::wrong(
            format!("there is no Dockerfile in {}", settings.root.display()),
            "README.md shows a first manifest; -C names another folder",
        ));
    }
    let sketch = sketch(&found, &repository);
    let text = write(&sketch, &settings.file, SCHEMA);
    write_new(&path, &settings.file, text.as_bytes())?;
    write_schema(settings)?;
    let names: Vec<&str> = sketch.recipes.iter().map(|recipe| recipe.name.as_str()).collect();
    if settings.json {
        print(&format!("{:#}\n", json!({ "file": settings.file, "dockerfiles": found.len(), "recipes": names })));
    } else if !settings.quiet {
        let dockerfiles =
            if found.len() == 1 { "1 Dockerfile".to_owned() } else { format!("{} Dockerfiles", found.len()) };
        eprint(&format!(
            "{} was made from {dockerfiles}; look at its notes, then: orchestrate check, orchestrate plan\n",
            settings.file
        ));
    }
    Ok(Exit::Done)
}

/// Writes a file that is not there yet.
fn write_new(path: &std::path::Path, shown: &str, bytes: &[u8]) -> Result<(), Failure> {
    let created = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    created.and_then(|mut file| file.write_all(bytes)).map_err(|error| {
        Failure::wrong(format!("cannot write `{shown}`: {error}"), "choose another place with -C or -f")
    })
}

/// The schema for editors, in the state folder, which no build sees.
fn write_schema(settings: &Settings) -> Result<(), Failure> {
    let failed = |error: crate::workspace::Error| Failure::wrong(error.to_string(), "make the folder writable");
    let state = Workspace::open(&settings.root)
        .and_then(|workspace| {
            workspace.check_state_folder()?;
            workspace.make_state_folder()
        })
        .map_err(failed)?;
    write_whole(&state.join("deploy.schema.json"), format!("{:#}\n", manifest::schema()).as_bytes())
}
