//! What `check` finds odd in what the manifest says of contexts: globs that match nothing, and files of the manifest in an image.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::contexts::{ReadContexts, globs};
use crate::cli::exit::Failure;
use crate::cli::load::{Loaded, Wired};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::{Code, Location, Problem, Problems};
use crate::project::Image;
use crate::workspace::Glob;

/// The globs that match nothing in any image that has them: one of `defaults:` may be meant for some.
///
/// # Errors
/// An ignore file cannot be read.
pub fn unmatched_globs(loaded: &mut Loaded, wired: &Wired) -> Result<Problems, Failure> {
    let mut found: Vec<Glob> = Vec::new();
    for glob in globs(loaded, wired)? {
        let same = |other: &&mut Glob| {
            (other.key, &other.pattern, &other.location) == (glob.key, &glob.pattern, &glob.location)
        };
        match found.iter_mut().find(same) {
            Some(known) => known.matches |= glob.matches,
            None => found.push(glob),
        }
    }
    let unmatched = found.into_iter().filter(|glob| !glob.matches).map(|glob| {
        let message = format!("`{}` in `{}` matches nothing", glob.pattern, glob.key);
        let help = glob.hint.unwrap_or_else(|| "take it out, or name what is there".to_owned());
        Problem::warning(Code::MatchesNothing, message).at(&glob.location, "").help(help)
    });
    Ok(unmatched.collect())
}

/// What an image's builds read, by name and platform.
type Read = BTreeMap<(ImageName, Platform), ReadContexts>;

/// The files that this program reads for the manifest and that also get into images although nobody asked for them by name: each change
/// to them, of a comment too, builds the images again.
pub fn own_files(loaded: &Loaded, wired: &Wired, read: &Read, manifest: &str) -> Problems {
    let mut problems = Problems::new();
    let files = loaded.files.iter().map(String::as_str).filter(|file| *file != manifest);
    for file in std::iter::once(manifest).chain(files) {
        let place = loaded.workspace.root().join(file);
        let mut images: BTreeSet<&str> = BTreeSet::new();
        let mut first: Option<(Location, String)> = None;
        for ((name, platform), contexts) in read {
            let Some(image) = loaded.project.images.get(name) else { continue };
            for (context, snapshot) in &contexts.snapshots {
                let Some(path) = snapshot.holds(&place) else { continue };
                let analysis = &wired.recipes[name][platform].analysis;
                let reads = analysis.reads.get(context).map(Vec::as_slice).unwrap_or_default();
                let named = |pattern: &str| crate::pattern::inside(pattern.as_bytes()).is_some_and(|read| read == path);
                if reads.iter().any(|read| named(&read.pattern)) {
                    continue;
                }
                images.insert(name.as_str());
                first.get_or_insert_with(|| (location(image, context), path.to_string()));
            }
        }
        let Some((location, path)) = first else { continue };
        let names: Vec<String> = images.iter().take(3).map(|name| format!("`{name}`")).collect();
        let more = images.len().checked_sub(3).filter(|more| *more > 0);
        let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
        let message = format!(
            "`{file}` is part of what {}{more} copy: each change to it, of a comment too, builds them again",
            names.join(", ")
        );
        let message = if images.len() == 1 {
            format!(
                "`{file}` is part of what {} copies: each change to it, of a comment too, builds it again",
                names.join(", ")
            )
        } else {
            message
        };
        problems.push(
            Problem::warning(Code::ManifestInContext, message).at(&location, "the context that holds it").help(
                format!("put the line `/{path}` into the ignore file, or write `inputs: {{ exclude: [\"{path}\"] }}`"),
            ),
        );
    }
    problems
}

fn location(image: &Image, context: &str) -> Location {
    image.contexts.get(context).map_or_else(|| image.context.location.clone(), |named| named.location.clone())
}
