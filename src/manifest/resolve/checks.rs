//! What must hold between the parts of a project.

use std::collections::BTreeMap;

use super::Images;
use crate::manifest::render::Renderer;
use crate::name::ImageName;
use crate::problem::{Code, Location, Problem, did_you_mean};
use crate::project::{Destination, Functions, Image, Project, Registry, RegistryKind, Runner, TagText};

/// Every image that is named exists.
pub(super) fn references(images: &Images, renderer: &mut Renderer) {
    // Where an image has no name because of a mistake, naming it would be a consequence, not a mistake.
    if images.unnamed {
        return;
    }
    for (name, location) in &images.used {
        if images.named.contains_key(name) {
            continue;
        }
        let known = images.named.keys().map(ImageName::as_str);
        renderer.report(
            Problem::error(Code::UnknownImage, format!("there is no image `{name}`"))
                .at(location, "")
                .maybe_help(did_you_mean(name.as_str(), known)),
        );
    }
}

/// Tags, secrets and functions.
pub(super) fn project(project: &Project, renderer: &mut Renderer) {
    tag_conflicts(project, renderer);
    function_conflicts(project, renderer);
    for image in project.images.values() {
        secret_args(project, image, renderer);
        dates(project, image, renderer);
    }
}

/// Records at public destinations have no date, so an image that has no other destination cannot depend on one.
fn dates(project: &Project, image: &Image, renderer: &mut Renderer) {
    if image.destinations.iter().any(|destination| !is_public(project, destination)) {
        return;
    }
    let rules = image.destinations.iter().flat_map(|destination| &destination.tags);
    for rule in rules.filter(|rule| rule.is_dated()) {
        let message = format!("the day on which `{}` is published cannot be known afterwards", image.name);
        let help = "add a destination that is not public, or leave `published` out of the tag";
        let problem = Problem::error(Code::UnknownDay, message);
        renderer.report(problem.at(&rule.location, "records at public destinations have no date").help(help));
    }
    if let Some(every) = &image.rebuild_every {
        let message = format!("`rebuild_every` has no effect: nothing will say when `{}` was published", image.name);
        let why = match image.destinations.is_empty() {
            true => "it is pushed nowhere",
            false => "records at public destinations have no date",
        };
        let help = "push the image to a destination that is not public";
        renderer.report(Problem::warning(Code::UnknownDay, message).at(&every.location, why).help(help));
    }
}

/// The address of a repository, the same for two registries that are one.
fn address(registry: &Registry, destination: &Destination) -> String {
    let place = registry.reference_prefix().unwrap_or_else(|| match &registry.kind {
        RegistryKind::Layout { path } => format!("layout:{path}"),
        RegistryKind::Docker => "docker:".to_owned(),
        _ => format!("registry:{}", registry.name),
    });
    format!("{place}/{}", destination.repository)
}

/// Two images on one tag: whichever came last would win.
fn tag_conflicts(project: &Project, renderer: &mut Renderer) {
    let mut claims: BTreeMap<(String, &str), (&ImageName, &Location)> = BTreeMap::new();
    for image in project.images.values() {
        for destination in &image.destinations {
            let Some(registry) = project.registries.get(&destination.registry) else { continue };
            let repository = address(registry, destination);
            for rule in &destination.tags {
                let TagText::Rendered(tags) = &rule.text else { continue };
                for tag in tags {
                    let claim = claims.entry((repository.clone(), tag)).or_insert((&image.name, &rule.location));
                    if *claim.0 == image.name {
                        continue;
                    }
                    let first = claim.0;
                    let message =
                        format!("`{first}` and `{}` both claim the tag `{tag}` of `{repository}`", image.name);
                    let mut problem =
                        Problem::error(Code::TagConflict, message).at(&rule.location, format!("`{}`", image.name));
                    if *claim.1 == rule.location {
                        problem = problem.at(&image.location, format!("`{}`", image.name));
                    }
                    let first_place = if *claim.1 == rule.location { &project.images[first].location } else { claim.1 };
                    let problem = problem.at(first_place, format!("`{first}`"));
                    renderer
                        .report(problem.help("let the tag or the repository differ: put `{{name}}` into one of them"));
                }
            }
        }
    }
}

/// Whether the name of an arg says that its value is a secret.
pub fn looks_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper.split(['_', '-', '.']).collect();
    let alone =
        ["SECRET", "SECRETS", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "APIKEY"];
    let pairs = [["API", "KEY"], ["PRIVATE", "KEY"], ["ACCESS", "KEY"], ["SIGNING", "KEY"]];
    words.iter().any(|word| alone.contains(word)) || words.windows(2).any(|two| pairs.iter().any(|pair| two == pair))
}

/// A build arg can be read out of an image: no secret goes where everybody can read.
fn secret_args(project: &Project, image: &Image, renderer: &mut Renderer) {
    let public = image.destinations.iter().find(|destination| is_public(project, destination));
    let Some(public) = public else { return };
    for (name, arg) in image.args.iter().filter(|(_, arg)| arg.sensitive) {
        renderer.report(
            Problem::error(
                Code::SecretArg,
                format!("the arg `{name}` would show a secret in the public image `{}`", image.name),
            )
            .at(&arg.location, if looks_secret(name) { "named like a secret" } else { "marked `sensitive`" })
            .at(&public.location, format!("`{}` is public", public.registry))
            .help("args stay readable in an image: pass the value under `secrets:` and mount it in RUN"),
        );
    }
}

/// Whether everybody can read what is published there.
pub(crate) fn is_public(project: &Project, destination: &Destination) -> bool {
    project.registries.get(&destination.registry).is_some_and(|registry| registry.public)
}

/// A function: what runs it, the region, the account where it is known, the name.
type Place<'a> = (&'static str, &'a str, Option<&'a str>, String);

/// Two images for one function: whichever came last would run.
fn function_conflicts(project: &Project, renderer: &mut Renderer) {
    let mut claims: BTreeMap<Place<'_>, (&ImageName, &Location)> = BTreeMap::new();
    for image in project.images.values() {
        for deployment in &image.deploy {
            for (kind, name) in names(&deployment.value.runner) {
                let account = project.account_of(image, &deployment.value);
                let claim = (kind, deployment.value.region.as_str(), account, name.clone());
                let first = claims.entry(claim).or_insert((&image.name, &deployment.location));
                if first.0 == &image.name {
                    continue;
                }
                let message = format!("`{}` and `{}` are both deployed to `{name}`", first.0, image.name);
                let (own, other) = if first.1 == &deployment.location {
                    (&image.location, &project.images[first.0].location)
                } else {
                    (&deployment.location, first.1)
                };
                renderer.report(
                    Problem::error(Code::FunctionConflict, message)
                        .at(own, format!("`{}`", image.name))
                        .at(other, format!("`{}`", first.0))
                        .help("a function runs one image: put `{{name}}` into its name, or deploy one of them"),
                );
            }
        }
    }
}

/// What a deployment is known to update: functions that a stack names are known later.
fn names(runner: &Runner) -> Vec<(&'static str, String)> {
    match runner {
        Runner::Lambda(lambda) => match &lambda.functions {
            Functions::Named(names) => names.iter().map(|name| ("lambda", name.clone())).collect(),
            Functions::Output { .. } | Functions::Logical { .. } => Vec::new(),
        },
        Runner::AgentCore(runtime) => vec![("agentcore", runtime.clone())],
    }
}

#[cfg(test)]
mod tests {
    use super::looks_secret;

    #[test]
    fn names_of_secrets() {
        for name in ["NPM_TOKEN", "db_password", "API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["TOKENIZER", "KEY_NAME", "CMD_TARGET", "PASSWORDLESS", "MONKEY"] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
