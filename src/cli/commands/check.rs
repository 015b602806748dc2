//! `orchestrate check`.

use std::collections::BTreeSet;

use super::narrowing::narrowing;
use crate::cli::args::CheckArguments;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{BaseConfigs, Loaded, load, unreadable};
use crate::cli::settings::Settings;
use crate::cli::{eprint, print, show_problems};
use crate::ignore::Ignore;
use crate::problem::{Code, Problem, Problems, to_json};

/// Checks the manifest, the Dockerfiles that it names, and what builds on what.
pub async fn check(settings: &Settings, arguments: &CheckArguments) -> Result<Exit, Failure> {
    let loaded = load(settings)?;
    let wired = loaded.wire(settings, &BaseConfigs::new())?;
    let mut warnings = loaded.warnings.clone();
    warnings.append(wired.warnings);
    warnings.append(ignore_files(&loaded)?);
    warnings.or(())?;
    if !arguments.narrowing.is_empty() {
        show_problems(&warnings, false);
        return narrowing(settings, arguments).await;
    }
    if settings.json {
        print(&format!("{:#}\n", serde_json::json!({ "problems": to_json(&warnings) })));
        return Ok(Exit::Done);
    }
    show_problems(&warnings, false);
    if !settings.quiet {
        let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        let edges = wired.graph.edges().values().map(Vec::len).sum();
        let (images, edges) = (count(loaded.project.images.len(), "image"), count(edges, "edge"));
        eprint(&format!("{}: {images}, {edges}, no errors\n", settings.file));
    }
    Ok(Exit::Done)
}

/// Ignore files that Docker would refuse, and those that nobody obeys.
fn ignore_files(loaded: &Loaded) -> Result<Problems, Failure> {
    let mut problems = Problems::new();
    let mut seen = BTreeSet::new();
    for image in loaded.project.images.values() {
        let file = loaded.workspace.ignore_file(&image.dockerfile.value, &image.context.value);
        let file = file.map_err(|error| unreadable(&error))?;
        if let Some(source) = file.source.filter(|source| seen.insert(source.name().to_owned())) {
            problems.append(Ignore::parse(&source).err().unwrap_or_default());
        }
        let Some(path) = file.without_effect.filter(|path| seen.insert(path.clone())) else { continue };
        problems.push(
            Problem::warning(Code::IgnoreWithoutEffect, format!("`{path}` has no effect: Docker does not read it"))
                .at(&image.dockerfile.location, "the Dockerfile beside it")
                .help(format!(
                    "move it to the root of the context, or rename it to `{}.dockerignore`",
                    image.dockerfile.value
                )),
        );
    }
    Ok(problems)
}
