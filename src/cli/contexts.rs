//! What the builds of a run see of their contexts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::exit::Failure;
use super::load::{Loaded, Wired, unreadable};
use crate::name::ImageName;
use crate::plan::Narrowing;
use crate::platform::Platform;
use crate::problem::{Location, Problems, Source};
use crate::project::{Context, Image, Inputs, NamedContext, Project};
use crate::workspace::{ContextRequest, Explained, Glob, IgnoreFile, Snapshot};

/// What one build sees of its contexts.
#[derive(Default)]
pub struct ReadContexts {
    /// The snapshots, by name; "" is the default context.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// What `inputs:` left out.
    pub narrowing: Narrowing,
    /// What is odd and does not stop the run.
    pub warnings: Problems,
}

/// All contexts of all images at once, so that each is walked and each file hashed once.
///
/// # Errors
/// What is wrong with the contexts, or with what `inputs:` says of them.
pub fn read_contexts(
    loaded: &mut Loaded,
    wired: &Wired,
) -> Result<BTreeMap<(ImageName, Platform), ReadContexts>, Failure> {
    let mut problems = Problems::new();
    let chosen = |image: &&Image| wired.selection.all.contains(&image.name);
    for image in loaded.project.images.values().filter(chosen) {
        problems.append(loaded.workspace.missing_generated(&image.generated));
    }
    let asking = Asking::of(loaded, chosen)?;
    let (owners, requests): (Vec<Owner>, Vec<ContextRequest<'_>>) =
        asking.requests(&loaded.project, wired, chosen).into_iter().unzip();
    let answers = loaded.workspace.files(&requests);
    let mut contexts: BTreeMap<(ImageName, Platform), ReadContexts> = BTreeMap::new();
    for ((name, platform, context), answer) in owners.into_iter().zip(answers) {
        match answer {
            Ok(files) => {
                let read = contexts.entry((name, platform)).or_default();
                read.narrowing.merge(Narrowing {
                    dropped: files.dropped,
                    first: files.first_dropped,
                    reasons: files.reasons,
                });
                read.warnings.append(files.warnings);
                read.snapshots.insert(context, files.snapshot);
            }
            Err(found) => problems.append(found),
        }
    }
    problems.or(contexts).map_err(Failure::from)
}

/// The paths of each context of one image, and why each is or is not an input, by platform and context.
///
/// # Errors
/// As [`read_contexts`].
pub fn explain_contexts(
    loaded: &mut Loaded,
    wired: &Wired,
    name: &ImageName,
) -> Result<BTreeMap<(Platform, String), Vec<Explained>>, Failure> {
    let chosen = |image: &&Image| &image.name == name;
    let asking = Asking::of(loaded, chosen)?;
    let mut explained = BTreeMap::new();
    for ((_, platform, context), request) in asking.requests(&loaded.project, wired, chosen) {
        explained.insert((platform, context), loaded.workspace.because(&request)?);
    }
    Ok(explained)
}

/// Each `.git` that a build of the run would read and does not get, and where it would be read; each once.
///
/// # Errors
/// An ignore file cannot be read.
pub fn git_left_out(loaded: &mut Loaded, wired: &Wired) -> Result<Vec<(String, Location)>, Failure> {
    let chosen = |image: &&Image| wired.selection.all.contains(&image.name);
    let asking = Asking::of(loaded, chosen)?;
    let mut found: Vec<(String, Location)> = Vec::new();
    for (_, request) in asking.requests(&loaded.project, wired, chosen) {
        for (path, location) in loaded.workspace.git_left_out(&request) {
            if !found.iter().any(|(other, _)| *other == path) {
                found.push((path, location));
            }
        }
    }
    Ok(found)
}

/// The globs of the manifest that say what of a context counts, of all images.
///
/// # Errors
/// An ignore file cannot be read.
pub fn globs(loaded: &mut Loaded, wired: &Wired) -> Result<Vec<Glob>, Failure> {
    let chosen = |image: &&Image| wired.selection.all.contains(&image.name);
    let asking = Asking::of(loaded, chosen)?;
    let mut found: Vec<Glob> = Vec::new();
    for (_, request) in asking.requests(&loaded.project, wired, chosen) {
        found.extend(loaded.workspace.globs_of(&request));
    }
    for image in loaded.project.images.values().filter(chosen) {
        found.extend(loaded.workspace.extra_globs(&image.inputs.extra));
    }
    Ok(found)
}

/// The image, the platform and the name of the context that a request is about.
type Owner = (ImageName, Platform, String);

/// What requests borrow: folders and ignore files, each read once.
struct Asking {
    /// By Dockerfile and context.
    ignores: BTreeMap<(String, String), IgnoreFile>,
    folders: BTreeMap<String, (Context, Option<Source>)>,
    no_inputs: Inputs,
}

fn ignore_key(image: &Image) -> (String, String) {
    (image.dockerfile.value.clone(), format!("{:?}", image.context.value))
}

impl Asking {
    fn of(loaded: &Loaded, chosen: impl Fn(&&Image) -> bool) -> Result<Self, Failure> {
        let mut asking = Self { ignores: BTreeMap::new(), folders: BTreeMap::new(), no_inputs: Inputs::default() };
        for image in loaded.project.images.values().filter(chosen) {
            let key = ignore_key(image);
            if let Entry::Vacant(entry) = asking.ignores.entry(key) {
                let file = loaded.workspace.ignore_file(&image.dockerfile.value, &image.context.value);
                entry.insert(file.map_err(|error| unreadable(&error))?);
            }
            for context in image.contexts.values() {
                let NamedContext::Folder(folder) = &context.value else { continue };
                if !asking.folders.contains_key(folder) {
                    let ignore = loaded.workspace.folder_ignore(folder).map_err(|error| unreadable(&error))?;
                    asking.folders.insert(folder.clone(), (Context::Folder(folder.clone()), ignore));
                }
            }
        }
        Ok(asking)
    }

    fn requests<'a>(
        &'a self,
        project: &'a Project,
        wired: &'a Wired,
        chosen: impl Fn(&&Image) -> bool,
    ) -> Vec<(Owner, ContextRequest<'a>)> {
        let mut requests = Vec::new();
        for (name, recipes) in &wired.recipes {
            let Some(image) = project.images.get(name).filter(&chosen) else { continue };
            for (platform, recipe) in recipes {
                for (context, reads) in &recipe.analysis.reads {
                    let (context_of, ignore, inputs, location) = if context.is_empty() {
                        let ignore = self.ignores.get(&ignore_key(image)).and_then(|file| file.source.as_ref());
                        (&image.context.value, ignore, &image.inputs, &image.context.location)
                    } else {
                        let Some(named) = image.contexts.get(context) else { continue };
                        let NamedContext::Folder(folder) = &named.value else { continue };
                        let Some((folder, ignore)) = self.folders.get(folder) else { continue };
                        (folder, ignore.as_ref(), &self.no_inputs, &named.location)
                    };
                    let reads = recipe.analysis.frontend_known.then_some(&reads[..]);
                    let modes = image.modes;
                    let request =
                        ContextRequest { context: context_of, ignore, reads, inputs, platform, modes, location };
                    requests.push(((name.clone(), platform.clone(), context.clone()), request));
                }
            }
        }
        requests
    }
}
