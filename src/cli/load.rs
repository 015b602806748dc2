//! From the files to a graph: everything that can be known without a registry and without reading contexts.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::exit::Failure;
use super::settings::Settings;
use crate::dockerfile::{self, BaseConfig, Dockerfile};
use crate::graph::{self, Edge, Graph, Known, Leaves, Recipe, Selection};
use crate::manifest::{self, BuildsOn, Choices, Files, GitFacts};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::{Code, Problem, Problems, Source, did_you_mean};
use crate::project::{Context, ExecutorChoice, Image, Project, RegistryKind};
use crate::reference::Reference;
use crate::workspace::{self, Changes, GitState, Workspace};

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
    /// The files that were read for the manifest (`file:`, `args_file`), relative to the root.
    pub files: BTreeSet<String>,
    /// What differs from the commit, once somebody asked.
    changes: OnceCell<Changes>,
}

/// The Dockerfiles by path, as text and parsed.
type Dockerfiles = BTreeMap<String, (Source, Dockerfile)>;

/// What each image's build does, by platform.
type Recipes = BTreeMap<ImageName, BTreeMap<Platform, Recipe>>;

/// An image on a platform, and what its build does or what is wrong with it.
type Judged = (ImageName, Platform, Result<(Recipe, Problems), Problems>);

/// The images and what they build on.
pub struct Wired {
    /// What each image's build does.
    pub recipes: Recipes,
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
    load_at(settings, &|facts| facts)
}

/// As [`load`], as if git said what `change` makes of it.
///
/// # Errors
/// As [`load`].
pub fn load_at(settings: &Settings, change: &dyn Fn(GitFacts) -> GitFacts) -> Result<Loaded, Failure> {
    let mut workspace = Workspace::open(&settings.root).map_err(|error| unreadable(&error))?;
    workspace.check_state_folder().map_err(|error| unreadable(&error))?;
    settings.allow_outside.iter().for_each(|path| workspace.allow_outside(path));
    let source = workspace.read_anywhere(&settings.file).map_err(|error| unreadable(&error))?;
    let source = source.ok_or_else(|| {
        Failure::wrong(
            format!("there is no `{}` in {}", settings.file, settings.root.display()),
            "`orchestrate init` writes a first one from the Dockerfiles of this folder; -f names another file",
        )
    })?;
    let (manifest, mut problems) = manifest::parse_all(&source)?;
    let git = workspace::git_state(&settings.root, &settings.environment).map_err(|error| unreadable(&error))?;
    let mut choices = Choices {
        profile: settings.profile.clone(),
        set: settings.set.clone(),
        git: git.as_ref().map(facts).map(change),
        env: settings.environment.clone(),
        aws_account: settings.account.clone(),
        host_platform: Platform::of_this_machine(),
    };
    let asks = Cell::new(mentions_dirty(source.text()));
    let named = RefCell::new(BTreeSet::new());
    let read = |path: &str| {
        named.borrow_mut().insert(path.to_owned());
        let source = workspace.read_source(path).map_err(|error| error.to_string())?;
        let text = source.map(|source| source.text().to_owned());
        asks.set(asks.get() || text.as_deref().is_some_and(mentions_dirty));
        Ok(text)
    };
    let glob = |pattern: &str| workspace.glob(pattern).map_err(|error| error.to_string());
    let files = Files { read: &read, glob: &glob };
    let mut resolved = manifest::resolve_all(&manifest, &choices, &files);
    let changes = OnceCell::new();
    // `git status` costs as much as all else together, so it runs only where its answer could be seen.
    if let (true, Some(state), Some(facts)) = (asks.get(), &git, &mut choices.git) {
        let found = workspace::changes(state).map_err(|error| unreadable(&error))?;
        facts.dirty = found.any();
        resolved = manifest::resolve_all(&manifest, &choices, &files);
        let _ = changes.set(found);
    }
    problems.append_new(resolved.warnings);
    let project = resolved.project;
    let layouts: Vec<String> = project.registries.values().filter_map(layout_path).collect();
    workspace.leave_out(layouts.iter().map(String::as_str));
    // A run writes there, so a manifest of a stranger must not choose a place outside, nor a link that leads there.
    layouts.iter().try_for_each(|path| workspace.hold(path)).map_err(|error| unreadable(&error))?;
    let wrong = problems.has_errors();
    let loaded = Loaded { workspace, project, git, warnings: problems, files: named.into_inner(), changes };
    if wrong {
        // What can be judged of the rest is said in the same run.
        let (_, later) = loaded.wire_all(settings, &BaseConfigs::new());
        let mut problems = loaded.warnings;
        problems.append_new(later);
        return Err(problems.into());
    }
    Ok(loaded)
}

fn layout_path(registry: &crate::project::Registry) -> Option<String> {
    match &registry.kind {
        RegistryKind::Layout { path } => Some(path.clone()),
        _ => None,
    }
}

/// Whether a text may use `git.dirty`.
fn mentions_dirty(text: &str) -> bool {
    text.contains("dirty")
}

/// What git says, but whether anything differs from the commit: that is asked where it could be seen.
fn facts(git: &GitState) -> GitFacts {
    GitFacts {
        commit: git.commit.clone(),
        short: git.commit.chars().take(7).collect(),
        branch: git.branch.clone(),
        tag: git.tag.clone(),
        dirty: false,
        date: git.date.clone(),
    }
}

/// A file that cannot be read.
pub fn unreadable(error: &workspace::Error) -> Failure {
    Failure::wrong(error.to_string(), error.help())
}

impl Loaded {
    /// The folder of the manifest in the repository; empty where it is its top, or where there is no repository.
    pub fn prefix(&self) -> String {
        let (Some(git), Ok(root)) = (&self.git, self.workspace.root().canonicalize()) else { return String::new() };
        let top = git.top.canonicalize().unwrap_or_else(|_| git.top.clone());
        root.strip_prefix(top).map(|prefix| prefix.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// What differs from the commit; `None` where there is none.
    ///
    /// # Errors
    /// Where git refuses.
    pub fn changes(&self) -> Result<Option<&Changes>, Failure> {
        let Some(git) = &self.git else { return Ok(None) };
        if self.changes.get().is_none() {
            let found = workspace::changes(git).map_err(|error| unreadable(&error))?;
            let _ = self.changes.set(found);
        }
        Ok(self.changes.get())
    }

    /// Reads the Dockerfiles, follows what they build on, and selects.
    ///
    /// # Errors
    /// What is wrong in the Dockerfiles, in the edges or in the selection.
    pub fn wire(&self, settings: &Settings, configs: &BaseConfigs) -> Result<Wired, Failure> {
        match self.wire_all(settings, configs) {
            (Some(wired), problems) if !problems.has_errors() => Ok(Wired { warnings: problems, ..wired }),
            (_, problems) => Err(problems.into()),
        }
    }

    /// As [`Self::wire`], as far as it goes, with all that is wrong.
    pub fn wire_all(&self, settings: &Settings, configs: &BaseConfigs) -> (Option<Wired>, Problems) {
        let mut problems = Problems::new();
        let parsed = self.dockerfiles(&mut problems);
        let recipes = self.recipes(&parsed, configs, &mut problems);
        let edges = edges(&recipes);
        let builds_on: Vec<BuildsOn> = edges
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
        let names: Vec<ImageName> = self.project.images.keys().cloned().collect();
        let graph = match Graph::new(&names, edges) {
            Ok(graph) => graph,
            Err(found) => {
                problems.append(found);
                return (None, problems);
            }
        };
        let selection = match graph::select(&self.project, &graph, &settings.only, settings.with_dependents) {
            Ok(selection) => selection,
            Err(found) => {
                problems.append(found);
                return (None, problems);
            }
        };
        let dockerfiles = parsed.into_iter().map(|(path, (source, _))| (path, source)).collect();
        (Some(Wired { recipes, dockerfiles, graph, selection, warnings: Problems::new() }), problems)
    }

    /// What each image's build does, as far as its Dockerfile can be read.
    fn recipes(&self, parsed: &Dockerfiles, configs: &BaseConfigs, problems: &mut Problems) -> Recipes {
        let known = Known::new(&self.project);
        let build_platform = Platform::of_this_machine();
        let base_config =
            |reference: &Reference, platform: &Platform| configs.get(&(reference.clone(), platform.clone())).cloned();
        let sources = graph::Sources {
            project: &self.project,
            known: &known,
            build_platform: &build_platform,
            base_config: &base_config,
            leaves: &|_, _| None,
        };
        let mut recipes = Recipes::new();
        for (name, platform, recipe) in self.bases_first(parsed, &sources) {
            match recipe {
                Ok((recipe, warnings)) => {
                    problems.append(warnings);
                    recipes.entry(name).or_default().insert(platform, recipe);
                }
                Err(found) => problems.append(found),
            }
        }
        for image in self.project.images.values() {
            // All platforms have the same builder, and the embedded one asks for no front end.
            if let Some(platforms) = recipes.get_mut(&image.name)
                && image.executor != ExecutorChoice::Buildkit
                && platforms.values().all(|recipe| recipe.needs_buildkit(image).is_none())
            {
                platforms.values_mut().for_each(|recipe| recipe.frontend = None);
            }
        }
        recipes
    }

    /// What each build does, each image after those of which it reads the configuration: triggers, variables and folders of a base
    /// are part of what its dependents do. In a circle the configuration counts as unknown; the graph says that it is one.
    fn bases_first(&self, parsed: &Dockerfiles, sources: &graph::Sources<'_>) -> Vec<Judged> {
        let mut done: BTreeMap<(ImageName, Platform), Option<Leaves>> = BTreeMap::new();
        let mut all = Vec::new();
        let wanted = self
            .project
            .images
            .values()
            .flat_map(|image| image.platforms.iter().map(|platform| (image.name.clone(), platform.clone())));
        for one in wanted {
            // A stack of its own: chains of a thousand images must not end the program.
            let mut open = vec![one];
            while let Some((name, platform)) = open.last().cloned() {
                let image = &self.project.images[&name];
                let dockerfile = parsed.get(&image.dockerfile.value);
                let (false, Some((_, dockerfile))) = (done.contains_key(&(name.clone(), platform.clone())), dockerfile)
                else {
                    open.pop();
                    continue;
                };
                let missing: RefCell<Vec<(ImageName, Platform)>> = RefCell::default();
                let leaves = |name: &ImageName, platform: &Platform| {
                    let base = (name.clone(), platform.clone());
                    if let Some(known) = done.get(&base) {
                        return known.clone();
                    }
                    let image = self.project.images.get(name)?;
                    let can_be = image.platforms.contains(platform) && parsed.contains_key(&image.dockerfile.value);
                    if can_be && !open.contains(&base) {
                        missing.borrow_mut().push(base);
                    }
                    None
                };
                let recipe =
                    graph::recipe(image, &platform, dockerfile, &graph::Sources { leaves: &leaves, ..*sources });
                let missing = missing.into_inner();
                if missing.is_empty() {
                    let leaves = recipe.as_ref().ok().map(|(recipe, _)| recipe.leaves.clone());
                    done.insert((name.clone(), platform.clone()), leaves);
                    all.push((name, platform, recipe));
                    open.pop();
                } else {
                    open.extend(missing);
                }
            }
        }
        all
    }

    /// Every Dockerfile, read and parsed once.
    fn dockerfiles(&self, problems: &mut Problems) -> Dockerfiles {
        let mut parsed = Dockerfiles::new();
        let mut seen = std::collections::BTreeSet::new();
        for image in self.project.images.values() {
            let path = &image.dockerfile.value;
            if !seen.insert(path.clone()) {
                continue;
            }
            match self.workspace.read_source(path) {
                Ok(Some(source)) => match dockerfile::parse(&source) {
                    Ok(dockerfile) => {
                        problems.append(dockerfile.warnings.clone());
                        parsed.insert(path.clone(), (source, dockerfile));
                    }
                    Err(found) => problems.append(found),
                },
                Ok(None) if self.lacks_context_of(image) => problems.push(
                    Problem::error(Code::MissingContext, format!("the context `{}` does not exist", folder_of(image)))
                        .at(&image.context.location, "")
                        .help("contexts are folders, relative to the file that names them"),
                ),
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
        parsed
    }

    /// Whether the Dockerfile of an image would lie in its context, and that is missing.
    fn lacks_context_of(&self, image: &Image) -> bool {
        let folder = std::path::Path::new(folder_of(image));
        let inside = std::path::Path::new(&image.dockerfile.value).starts_with(folder);
        inside && !folder.as_os_str().is_empty() && !self.workspace.root().join(folder).exists()
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

/// The folder that is the context of an image; empty where it is put together from parts.
fn folder_of(image: &Image) -> &str {
    match &image.context.value {
        Context::Folder(folder) => folder,
        Context::Assembled(_) => "",
    }
}

fn edges(recipes: &Recipes) -> BTreeMap<ImageName, Vec<Edge>> {
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
