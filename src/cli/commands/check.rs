//! `orchestrate check`.

use std::collections::BTreeSet;

use super::inputs_checks::{own_files, unmatched_globs};
use super::narrowing::narrowing;
use crate::cli::args::CheckArguments;
use crate::cli::contexts::{git_left_out, read_contexts};
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::{BaseConfigs, Loaded, Wired, load, unreadable};
use crate::cli::settings::Settings;
use crate::cli::{eprint, print, show_problems};
use crate::ignore::Ignore;
use crate::problem::{Code, Problem, Problems, to_json};

/// Checks the manifest, the Dockerfiles that it names, what builds on what, and the files that the builds read.
pub async fn check(settings: &Settings, arguments: &CheckArguments) -> Result<Exit, Failure> {
    let mut loaded = load(settings)?;
    let (wired, found) = loaded.wire_all(settings, &BaseConfigs::new());
    let mut warnings = loaded.warnings.clone();
    warnings.append_new(found);
    warnings.append_new(ignore_files(&loaded)?);
    if let Some(wired) = &wired {
        warnings.append_new(contexts(&mut loaded, wired, &settings.file)?);
    }
    warnings.or(())?;
    let Some(wired) = wired else { return Err(warnings.into()) };
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

/// What `plan` would refuse or find odd in the contexts and in what `inputs:` says of them. What depends on the environment of an
/// image from outside counts as all files, so that nobody is asked.
fn contexts(loaded: &mut Loaded, wired: &Wired, manifest: &str) -> Result<Problems, Failure> {
    let mut problems = Problems::new();
    match read_contexts(loaded, wired) {
        Ok(read) => {
            problems.append_new(own_files(loaded, wired, &read, manifest));
            read.into_values().for_each(|read| problems.append_new(read.warnings));
        }
        Err(Failure::Problems(found)) => problems.append_new(found),
        Err(other) => return Err(other),
    }
    let chosen = loaded.project.images.values().filter(|image| wired.selection.all.contains(&image.name));
    for image in chosen {
        problems.append_new(loaded.workspace.extra(&image.inputs.extra, image.modes).err().unwrap_or_default());
    }
    problems.append_new(unmatched_globs(loaded, wired)?);
    if let Some((path, location)) = git_left_out(loaded, wired)?.into_iter().next() {
        let message = format!("`{path}` is left out, as every `.git` in a context is");
        problems.push(
            Problem::warning(Code::GitLeftOut, message)
                .at(&location, "would be read here")
                .help("name it in `inputs.include` if the build needs it, in the ignore file if not"),
        );
    }
    Ok(problems)
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
