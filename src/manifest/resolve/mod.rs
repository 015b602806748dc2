//! A manifest and choices to a [`Project`]: overlays, vars, registries, then each image in its own scope.

mod args;
mod aws;
mod checks;
mod deploy;
mod image;
mod push;
mod read;
mod recipe;
mod registries;

pub use checks::looks_secret;
pub(crate) use registries::forget_old_kinds;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::choices::{Choices, Files};
use super::node::{Mapping, Node};
use super::parse::Manifest;
use super::render::{References, Renderer};
use super::taint::Taints;
use super::template::Scope;
use super::vars::{self, Set};
use crate::name::ImageName;
use crate::problem::{Code, Location, Problem, Problems, Source, did_you_mean};
use crate::project::{Image, Located, Project, Role};

/// What a manifest means.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The model that everything else works on.
    pub project: Project,
    /// What is odd but does not stop the run.
    pub warnings: Problems,
}

/// Resolves a manifest: overlays, vars, matrices, templates and defaults are gone afterwards.
///
/// # Errors
/// All that is wrong, each with its place.
pub fn resolve(manifest: &Manifest, choices: &Choices, files: &Files<'_>) -> Result<Resolved, Problems> {
    let resolved = resolve_all(manifest, choices, files);
    resolved.warnings.or(())?;
    Ok(resolved)
}

/// Resolves a manifest as far as it goes, with all that is wrong: images with mistakes are left out of the project, so that later stages
/// can add what they find in the others.
pub fn resolve_all(manifest: &Manifest, choices: &Choices, files: &Files<'_>) -> Resolved {
    let mut renderer = Renderer::default();
    renderer.report_all(&manifest.warnings);
    check_profile(manifest, choices, &mut renderer);
    let root = manifest.overlaid(choices.profile.as_deref());
    let mut taints = Taints::default();
    let mut global = surroundings(&root, choices);
    let declared = root.get("vars").cloned().unwrap_or_else(|| Node::empty(root.location.clone()));
    let set = vars::read_set(choices, &declared, &mut renderer);
    vars::resolve(&declared, (choices, &set, files), &mut global, &mut taints, &mut renderer);
    let name = root.get("project").and_then(|node| renderer.text(node, &Scope::new(&global))).unwrap_or_default();
    global.insert("project".to_owned(), name.clone().into());
    let registries = registries::resolve(&root, choices, &mut global, &mut renderer);
    let scope = Scope::new(&global);
    let outside = located_texts(root.get("outside"), &scope, &mut renderer);
    let keep = registries::keep(&root, &scope, &mut renderer);
    let world =
        World { root: &root, choices, files, set: &set, global: &global, taints: &taints, registries: &registries };
    let mut images = Images::default();
    for (part, role) in [("bases", Role::Base), ("images", Role::Image)] {
        let declared = root.get(part).and_then(Node::mapping);
        for (key, node) in declared.into_iter().flat_map(Mapping::iter) {
            world.declaration(role, key, node, &mut images, &mut renderer);
        }
    }
    checks::references(&images, &mut renderer);
    let project = Project {
        name,
        profile: choices.profile.clone(),
        source: manifest.source.clone(),
        registries: registries.declared,
        images: images.all,
        outside,
        keep,
    };
    checks::project(&project, &mut renderer);
    Resolved { project, warnings: renderer.problems }
}

/// The images so far, and what they refer to.
#[derive(Default)]
struct Images {
    all: IndexMap<ImageName, Image>,
    /// The names of all images, those with mistakes too, and where they are declared.
    named: BTreeMap<ImageName, Location>,
    /// Whether some image has no name because of a mistake.
    unnamed: bool,
    /// Names of images that are used, with the place of their use.
    used: Vec<(ImageName, Location)>,
}

/// Everything that an image is resolved from.
struct World<'a> {
    root: &'a Node,
    choices: &'a Choices,
    files: &'a Files<'a>,
    set: &'a Set,
    global: &'a Map<String, Value>,
    taints: &'a Taints,
    registries: &'a registries::Registries,
}

/// Notes a profile that is not there.
fn check_profile(manifest: &Manifest, choices: &Choices, renderer: &mut Renderer) {
    let Some(profile) = &choices.profile else { return };
    let known = manifest.profiles();
    if known.contains(&profile.as_str()) {
        return;
    }
    let help = did_you_mean(profile, known.iter().copied()).unwrap_or_else(|| match known[..] {
        [] => "the manifest declares no `profiles:`".to_owned(),
        _ => format!("the profiles are: {}", known.join(", ")),
    });
    let place = Source::new("--profile", profile.as_str()).at(0, profile.len());
    renderer.report(
        Problem::error(Code::UnknownProfile, format!("there is no profile `{profile}`")).at(&place, "").help(help),
    );
}

/// The names that come from outside: git, the listed environment variables, the AWS account.
fn surroundings(root: &Node, choices: &Choices) -> Map<String, Value> {
    let mut global = Map::new();
    if let Some(git) = &choices.git {
        let mut facts = Map::new();
        facts.insert("commit".to_owned(), git.commit.clone().into());
        facts.insert("short".to_owned(), git.short.clone().into());
        facts.extend(git.branch.as_ref().map(|branch| ("branch".to_owned(), branch.clone().into())));
        facts.extend(git.tag.as_ref().map(|tag| ("tag".to_owned(), tag.clone().into())));
        facts.insert("dirty".to_owned(), git.dirty.into());
        facts.insert("date".to_owned(), git.date.clone().into());
        global.insert("git".to_owned(), facts.into());
    }
    let listed: Vec<&str> =
        root.get("env").map(Node::items).unwrap_or_default().iter().filter_map(Node::text).collect();
    let values = listed.iter().filter_map(|name| Some(((*name).to_owned(), choices.env.get(*name)?.clone().into())));
    global.insert("env".to_owned(), Value::Object(values.collect()));
    global.insert(
        "@env".to_owned(),
        Value::Object(listed.iter().map(|name| ((*name).to_owned(), true.into())).collect()),
    );
    let declared = root.get("registries").and_then(Node::mapping).into_iter().flat_map(Mapping::iter);
    let own = declared.filter(|(_, node)| !read::flag(node.get("cross_account")));
    let mut accounts: Vec<&str> = own.filter_map(|(_, node)| node.get("account").and_then(Node::text)).collect();
    accounts.dedup();
    let only = match accounts[..] {
        [account] if !account.contains("{{") => Some(account.to_owned()),
        _ => None,
    };
    if let Some(account) = only.or_else(|| choices.aws_account.clone()) {
        global.insert("aws".to_owned(), Value::Object(Map::from_iter([("account".to_owned(), account.into())])));
    }
    global
}

/// The texts of a list (or of a lone value), rendered.
fn located_texts(node: Option<&Node>, scope: &Scope<'_>, renderer: &mut Renderer) -> Vec<Located<String>> {
    let Some(node) = node else { return Vec::new() };
    let rendered = renderer.node(node, scope, References::Refused);
    read::texts(Some(&rendered))
}
