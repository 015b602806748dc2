//! Keys as `plan` computes them, in this process: manifest, Dockerfile, graph, contexts, record.
//!
//! `plan_and_this_agree` in `main.rs` holds this against the program itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use orchestrate::digest::{Digest, Key};
use orchestrate::dockerfile::{self, BaseConfig};
use orchestrate::fingerprint::{FileEntry, FileKind, FileSet, Fingerprint, Parent};
use orchestrate::graph::{self, Known, Recipe};
use orchestrate::manifest::{self, Choices, Files};
use orchestrate::name::ImageName;
use orchestrate::plan::{self, Ingredients};
use orchestrate::platform::Platform;
use orchestrate::problem::{Problems, Source};
use orchestrate::project::{Context, Image, NamedContext, Project};
use orchestrate::reference::Reference;
use orchestrate::workspace::{ContextRequest, Snapshot, Workspace};

use crate::case::Case;

/// A bug that the harness puts into the keys to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// None.
    None,
    /// The x bit does not enter the record.
    NoExecutableBit,
    /// Ignore files are not read.
    NoIgnoreFile,
    /// The first arg that counts does not enter the record.
    NoArg,
}

/// What is known of the images from outside.
pub type Outside = BTreeMap<Reference, (Digest, BaseConfig)>;

/// The answer of a plan.
pub struct Planned {
    /// The key, or why there is none.
    pub key: Result<Key, String>,
    /// What a build would be given of each context.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// What the key was made of, for a report.
    pub fingerprint: Option<Fingerprint>,
}

/// Plans the image of a case.
pub fn planned(case: &Case, outside: &Outside, bug: Bug) -> Planned {
    match Planner::open(&case.root, &case.spec.manifest(), outside, bug).and_then(Planner::run) {
        Ok((fingerprint, snapshots)) => {
            Planned { key: Ok(fingerprint.key()), snapshots, fingerprint: Some(fingerprint) }
        }
        Err(problems) => {
            let texts: Vec<String> = problems.sorted().iter().map(|problem| problem.message.clone()).collect();
            Planned { key: Err(texts.join("; ")), snapshots: BTreeMap::new(), fingerprint: None }
        }
    }
}

struct Planner<'a> {
    workspace: Workspace,
    project: Project,
    outside: &'a Outside,
    bug: Bug,
    /// What the images before leave to those that build on them.
    left: BTreeMap<ImageName, graph::Leaves>,
}

type Made = (Fingerprint, BTreeMap<String, Snapshot>);

impl<'a> Planner<'a> {
    fn open(root: &Path, text: &str, outside: &'a Outside, bug: Bug) -> Result<Self, Problems> {
        let workspace = Workspace::open(root).expect("the case lies on disk");
        let source = Source::new("deploy.yaml", text);
        let (parsed, mut problems) = manifest::parse_all(&source)?;
        let nothing = |_: &str| Ok(None);
        let no_paths = |_: &str| Ok(Vec::new());
        let files = Files { read: &nothing, glob: &no_paths };
        let resolved = manifest::resolve_all(&parsed, &Choices::default(), &files);
        problems.append(resolved.warnings);
        problems.or(Self { workspace, project: resolved.project, outside, bug, left: BTreeMap::new() })
    }

    /// The record of the image that the manifest names last; those that it builds on stand before it.
    fn run(mut self) -> Result<Made, Problems> {
        let project = self.project.clone();
        let mut keys: BTreeMap<ImageName, Key> = BTreeMap::new();
        let mut last = None;
        for image in project.images.values() {
            let made = self.image(image, &keys)?;
            keys.insert(image.name.clone(), made.0.key());
            last = Some(made);
        }
        Ok(last.expect("a manifest of the harness has an image"))
    }

    fn image(&mut self, image: &Image, keys: &BTreeMap<ImageName, Key>) -> Result<Made, Problems> {
        let platform = image.platforms[0].clone();
        let path = &image.dockerfile.value;
        let source = self.workspace.read_source(path).ok().flatten().ok_or_else(|| missing(path))?;
        let dockerfile = dockerfile::parse(&source)?;
        let known = Known::new(&self.project);
        let build_platform = Platform::of_this_machine();
        let base_config = |reference: &Reference, _: &Platform| Some(self.outside.get(reference)?.1.clone());
        let leaves = |name: &ImageName, _: &Platform| self.left.get(name).cloned();
        let sources = graph::Sources {
            project: &self.project,
            known: &known,
            build_platform: &build_platform,
            base_config: &base_config,
            leaves: &leaves,
        };
        let (recipe, _) = graph::recipe(image, &platform, &dockerfile, &sources)?;
        self.left.insert(image.name.clone(), recipe.leaves.clone());
        let snapshots = self.contexts(image, &platform, &recipe)?;
        let pin = |reference: &Reference, _: &Platform| Some(self.outside.get(reference)?.0);
        let parent = |name: &ImageName, _: &Platform| keys.get(name).map(|key| Parent::Key(*key));
        let files = snapshots.iter().map(|(name, snapshot)| (name.clone(), snapshot.shared_files()));
        let ingredients = Ingredients {
            contexts: files.collect(),
            extra: Arc::new(FileSet::new(Vec::new())),
            pin: &pin,
            remote: &|_| None,
            parent: &parent,
            generation: 0,
            frontend: &|_| None,
        };
        let fingerprint = plan::fingerprint(image, &platform, &recipe, &ingredients).expect("every image is known");
        Ok((with_bug(fingerprint, self.bug), snapshots))
    }

    fn contexts(
        &mut self,
        image: &Image,
        platform: &Platform,
        recipe: &Recipe,
    ) -> Result<BTreeMap<String, Snapshot>, Problems> {
        let unreadable = |error: orchestrate::workspace::Error| -> Problems { problem(&error.to_string()) };
        let no_inputs = orchestrate::project::Inputs::default();
        let mut snapshots = BTreeMap::new();
        for (name, reads) in &recipe.analysis.reads {
            let (context, ignore) = if name.is_empty() {
                let ignore = self.workspace.ignore_file(&image.dockerfile.value, &image.context.value);
                (image.context.value.clone(), ignore.map_err(unreadable)?.source)
            } else {
                let Some(NamedContext::Folder(folder)) = image.contexts.get(name).map(|named| &named.value) else {
                    continue;
                };
                let ignore = self.workspace.folder_ignore(folder).map_err(unreadable)?;
                (Context::Folder(folder.clone()), ignore)
            };
            let request = ContextRequest {
                context: &context,
                ignore: ignore.as_ref().filter(|_| self.bug != Bug::NoIgnoreFile),
                reads: recipe.analysis.frontend_known.then_some(&reads[..]),
                inputs: if name.is_empty() { &image.inputs } else { &no_inputs },
                modes: image.modes,
                platform,
                location: &image.context.location,
            };
            let files = self.workspace.files(&[request]).remove(0)?;
            snapshots.insert(name.clone(), files.snapshot);
        }
        Ok(snapshots)
    }
}

fn missing(path: &str) -> Problems {
    problem(&format!("there is no Dockerfile `{path}`"))
}

fn problem(text: &str) -> Problems {
    orchestrate::problem::Problem::error(orchestrate::problem::Code::MissingDockerfile, text).into()
}

/// The record as a program with this bug would make it.
fn with_bug(mut print: Fingerprint, bug: Bug) -> Fingerprint {
    match bug {
        Bug::None | Bug::NoIgnoreFile => {}
        Bug::NoExecutableBit => {
            let plain = |entry: &FileEntry| FileEntry {
                mode: if matches!(entry.kind, FileKind::File { .. }) { 0o644 } else { entry.mode },
                ..entry.clone()
            };
            let set = |files: &Arc<FileSet>| Arc::new(FileSet::new(files.entries().iter().map(plain).collect()));
            print.contexts = print.contexts.iter().map(|(name, files)| (name.clone(), set(files))).collect();
        }
        Bug::NoArg => drop(print.args.pop_first()),
    }
    print
}
