//! From the files to a graph: everything that can be known without a registry and without reading contexts.

use std::collections::BTreeMap;

use super::exit::Failure;
use super::settings::Settings;
use crate::dockerfile::{self, BaseConfig, Dockerfile};
use crate::graph::{self, Edge, Graph, Known, Recipe, Selection};
use crate::manifest::{self, BuildsOn, Choices, Files, GitFacts};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::{Code, Problem, Problems, Source, did_you_mean};
use crate::project::{Image, Project, RegistryKind};
use crate::reference::Reference;
use crate::workspace::{self, GitState, Workspace};

/// What is known of outside bases: their configurations by reference and platform.
pub type BaseConfigs = BTreeMap<(Reference, Platform), BaseConfig>;

/// The resolved manifest.
pub struct Loaded {
    /// The folder of the manifest.
    pub workspace: Workspace,
    /// What it means.
    pub project: Project,
    /// What git says.
    pub git: Option<GitState>,
    /// What is odd and does not stop the run.
    pub warnings: Problems,
}

/// The images and what they build on.
pub struct Wired {
    /// What each image's build does.
    pub recipes: BTreeMap<ImageName, BTreeMap<Platform, Recipe>>,
    /// The Dockerfiles, by path.
    pub dockerfiles: BTreeMap<String, Source>,
    /// The edges.
    pub graph: Graph,
    /// The images that the run is about.
    pub selection: Selection,
    /// What is odd and does not stop the run.
    pub warnings: Problems,
}

/// Reads and resolves the manifest.
///
/// # Errors
/// What is wrong in it, all at once.
pub fn load(settings: &Settings) -> Result<Loaded, Failure> {
    let mut workspace = Workspace::open(&settings.root).map_err(|error| unreadable(&error))?;
    let source = workspace.read_source(&settings.file).map_err(|error| unreadable(&error))?;
    let source = source.ok_or_else(|| {
        Failure::wrong(
            format!("there is no `{}` in {}", settings.file, settings.root.display()),
            "write one (README.md shows a first one), or name it with -f",
        )
    })?;
    let manifest = manifest::parse(&source)?;
    let git = workspace::git_state(&settings.root, &settings.environment).map_err(|error| unreadable(&error))?;
    let choices = Choices {
        profile: settings.profile.clone(),
        set: settings.set.clone(),
        git: git.as_ref().map(facts),
        env: settings.environment.clone(),
        aws_account: None,
        host_platform: Platform::of_this_machine(),
    };
    let read = |path: &str| {
        workspace
            .read_source(path)
            .map(|source| source.map(|source| source.text().to_owned()))
            .map_err(|error| error.to_string())
    };
    let glob = |pattern: &str| workspace.glob(pattern).map_err(|error| error.to_string());
    let resolved = manifest::resolve(&manifest, &choices, &Files { read: &read, glob: &glob })?;
    let project = resolved.project;
    let layouts: Vec<String> = project
        .registries
        .values()
        .filter_map(|registry| match &registry.kind {
            RegistryKind::Layout { path } => Some(path.clone()),
            _ => None,
        })
        .collect();
    workspace.leave_out(layouts.iter().map(String::as_str));
    Ok(Loaded { workspace, project, git, warnings: resolved.warnings })
}

fn facts(git: &GitState) -> GitFacts {
    GitFacts {
        commit: git.commit.clone(),
        short: git.commit.chars().take(7).collect(),
        branch: git.branch.clone(),
        tag: git.tag.clone(),
        dirty: git.dirty,
        date: git.date.clone(),
    }
}

/// A file that cannot be read.
pub fn unreadable(error: &workspace::Error) -> Failure {
    Failure::wrong(error.to_string(), "check that it is there and that you may read it")
}

impl Loaded {
    /// Reads the Dockerfiles, follows what they build on, and selects.
    ///
    /// # Errors
    /// What is wrong in the Dockerfiles, in the edges or in the selection.
    pub fn wire(&self, settings: &Settings, configs: &BaseConfigs) -> Result<Wired, Failure> {
        let parsed = self.dockerfiles()?;
        let known = Known::new(&self.project);
        let build_platform = Platform::of_this_machine();
        let base_config =
            |reference: &Reference, platform: &Platform| configs.get(&(reference.clone(), platform.clone())).cloned();
        let sources = graph::Sources {
            project: &self.project,
            known: &known,
            build_platform: &build_platform,
            base_config: &base_config,
        };
        let mut problems = Problems::new();
        let mut recipes: BTreeMap<ImageName, BTreeMap<Platform, Recipe>> = BTreeMap::new();
        for image in self.project.images.values() {
            let Some((_, dockerfile)) = parsed.get(&image.dockerfile.value) else { continue };
            for platform in &image.platforms {
                match graph::recipe(image, platform, dockerfile, &sources) {
                    Ok((recipe, warnings)) => {
                        problems.append(warnings);
                        recipes.entry(image.name.clone()).or_default().insert(platform.clone(), recipe);
                    }
                    Err(found) => problems.append(found),
                }
            }
        }
        problems.or(())?;
        let edges = edges(&recipes);
        let names: Vec<ImageName> = self.project.images.keys().cloned().collect();
        let graph = Graph::new(&names, edges)?;
        let builds_on: Vec<BuildsOn> = graph
            .edges()
            .iter()
            .flat_map(|(image, edges)| {
                edges.iter().map(|edge| BuildsOn {
                    image: image.clone(),
                    base: edge.to.clone(),
                    location: edge.location.clone(),
                })
            })
            .collect();
        problems.append(manifest::check_leaks(&self.project, &builds_on));
        problems.or(())?;
        let selection = graph::select(&self.project, &graph, &settings.only, settings.with_dependents)?;
        let dockerfiles = parsed.into_iter().map(|(path, (source, _))| (path, source)).collect();
        Ok(Wired { recipes, dockerfiles, graph, selection, warnings: problems })
    }

    /// Every Dockerfile, read and parsed once.
    fn dockerfiles(&self) -> Result<BTreeMap<String, (Source, Dockerfile)>, Failure> {
        let mut parsed = BTreeMap::new();
        let mut problems = Problems::new();
        let mut seen = std::collections::BTreeSet::new();
        for image in self.project.images.values() {
            let path = &image.dockerfile.value;
            if !seen.insert(path.clone()) {
                continue;
            }
            match self.workspace.read_source(path) {
                Ok(Some(source)) => match dockerfile::parse(&source) {
                    Ok(dockerfile) => drop(parsed.insert(path.clone(), (source, dockerfile))),
                    Err(found) => problems.append(found),
                },
                Ok(None) => problems.push(
                    Problem::error(Code::MissingDockerfile, format!("there is no Dockerfile `{path}`"))
                        .at(&image.dockerfile.location, "")
                        .help("paths are relative to deploy.yaml; `dockerfile:` names the file"),
                ),
                Err(error) => problems.push(
                    Problem::error(Code::MissingDockerfile, error.to_string()).at(&image.dockerfile.location, ""),
                ),
            }
        }
        problems.or(parsed).map_err(Failure::from)
    }

    /// An image by its name on the command line.
    ///
    /// # Errors
    /// There is none.
    pub fn image(&self, name: &str) -> Result<&Image, Failure> {
        self.project.images.get(&ImageName::new(name)).ok_or_else(|| {
            let hint = did_you_mean(name, self.project.images.keys().map(ImageName::as_str));
            let source = Source::new("command line", name);
            let problem = Problem::error(Code::UnknownSelection, format!("no image is called `{name}`"));
            let problem = problem.at(&source.at(0, name.len()), "");
            Failure::Problems(
                problem.help(hint.unwrap_or_else(|| "`orchestrate graph` lists the images".to_owned())).into(),
            )
        })
    }
}

fn edges(recipes: &BTreeMap<ImageName, BTreeMap<Platform, Recipe>>) -> BTreeMap<ImageName, Vec<Edge>> {
    let mut edges: BTreeMap<ImageName, Vec<Edge>> = BTreeMap::new();
    for (name, platforms) in recipes {
        for used in platforms.values().flat_map(|recipe| &recipe.parents) {
            let edge = Edge { to: used.image.clone(), location: used.location.clone() };
            let list = edges.entry(name.clone()).or_default();
            if !list.iter().any(|other| other.to == edge.to) {
                list.push(edge);
            }
        }
    }
    edges
}
