//! From Dockerfiles to images, bases and variants.

use std::collections::BTreeSet;

use super::find::{Found, Repository};
use super::guess::{self, Handlers, Taken};

/// What a first manifest says.
pub struct Sketch {
    /// The name of the project.
    pub project: String,
    /// One for each Dockerfile, each after what it builds on.
    pub recipes: Vec<Recipe>,
    /// Groups of images that share a folder of handlers.
    pub groups: Vec<Group>,
}

/// What one Dockerfile makes.
pub struct Recipe {
    /// The name: of an image, a base or a variant.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// The Dockerfile.
    pub dockerfile: String,
    /// The context; "" is the root.
    pub context: String,
    /// The names of its stages but the last.
    pub stages: Vec<String>,
    /// The images of the manifest that it takes.
    pub needs: Vec<Need>,
    /// The images from outside.
    pub outside: Vec<String>,
    /// Args with a default, which may be set.
    pub settable: Vec<(String, String)>,
}

/// What a Dockerfile makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An image.
    Image,
    /// An image that others build on.
    Base,
    /// Several images: the recipe of a group.
    Variant,
}

/// An image of the manifest that a Dockerfile takes.
pub enum Need {
    /// FROM names it as the manifest does: the edge needs no word.
    Named(String),
    /// FROM has another reference: it, and the image that is meant.
    Reference(String, String),
    /// An arg carries it; the image, if there is one that it could be, and the others that it could be.
    Arg {
        /// The arg.
        arg: String,
        /// The image that is meant.
        image: Option<String>,
        /// Whether more than the name of the arg had to be guessed.
        unsure: bool,
    },
}

impl Need {
    /// The image of the manifest that is taken.
    pub fn image(&self) -> Option<&str> {
        match self {
            Self::Named(image) | Self::Reference(_, image) => Some(image),
            Self::Arg { image, .. } => image.as_deref(),
        }
    }
}

/// Images that are made by the same recipes.
pub struct Group {
    /// Its name.
    pub name: String,
    /// The variants that may make them; the first does, unless a person says otherwise.
    pub variants: Vec<String>,
    /// The handlers.
    pub handlers: Handlers,
    /// The names of the images, in the order of the handlers.
    pub names: Vec<String>,
}

/// Makes sense of the Dockerfiles.
pub fn sketch(found: &[Found], repository: &Repository) -> Sketch {
    let project = slug(&repository.name()).unwrap_or_else(|| "project".to_owned());
    let names = names(found, &project);
    let contexts: Vec<String> = found.iter().map(|one| guess::context(one, repository)).collect();
    let handlers: Vec<Option<Handlers>> =
        found.iter().zip(&contexts).map(|(one, context)| guess::handlers(one, context, repository)).collect();
    let taken: Vec<Vec<Taken>> = found.iter().map(|one| guess::taken(&one.dockerfile)).collect();
    let decided: Vec<bool> = taken.iter().map(|all| all.iter().all(|one| matches!(one, Taken::Text(_)))).collect();
    let mut recipes: Vec<Recipe> = Vec::new();
    for (at, one) in found.iter().enumerate() {
        // Only one that makes a single image can be built on.
        let others: Vec<Other<'_>> = (0..found.len())
            .filter(|other| *other != at && handlers[*other].is_none())
            .map(|other| Other { name: &names[other], decided: decided[other] })
            .collect();
        let (mut needs, mut outside) = (Vec::new(), Vec::new());
        for one in &taken[at] {
            match need(one, &others) {
                Some(need) => needs.push(need),
                None => outside.extend(text_of(one)),
            }
        }
        let stages = &one.dockerfile.stages;
        let but_last = stages.split_last().map(|(_, before)| before).unwrap_or_default();
        recipes.push(Recipe {
            name: names[at].clone(),
            role: if handlers[at].is_some() { Role::Variant } else { Role::Image },
            dockerfile: one.path.clone(),
            context: contexts[at].clone(),
            stages: but_last.iter().filter_map(|stage| Some(stage.name.as_ref()?.text.clone())).collect(),
            needs,
            outside,
            settable: guess::settable(&one.dockerfile),
        });
    }
    let used: BTreeSet<String> = recipes
        .iter()
        .flat_map(|recipe| recipe.needs.iter().filter_map(|need| Some(need.image()?.to_owned())))
        .collect();
    for recipe in recipes.iter_mut().filter(|recipe| used.contains(&recipe.name)) {
        recipe.role = Role::Base;
    }
    let groups = groups(&recipes, handlers);
    Sketch { project, recipes, groups }
}

/// Another Dockerfile's image, which may be meant.
struct Other<'a> {
    name: &'a str,
    /// Whether all that it builds on is written in its Dockerfile.
    decided: bool,
}

fn text_of(taken: &Taken) -> Option<String> {
    match taken {
        Taken::Text(text) => Some(text.clone()),
        Taken::Arg(_) => None,
    }
}

/// The image of the manifest that is taken; `None` if it comes from outside.
fn need(taken: &Taken, others: &[Other<'_>]) -> Option<Need> {
    let same = |a: &str, b: &str| a.replace('_', "-") == b.replace('_', "-");
    match taken {
        Taken::Text(text) => {
            let last = guess::last_part(text)?;
            let known = |other: &&Other<'_>| {
                same(&last, other.name)
                    || same(&last, &format!("base-{}", other.name))
                    || same(&last, &format!("{}-base", other.name))
            };
            let image = others.iter().find(known)?.name.to_owned();
            Some(if *text == image { Need::Named(image) } else { Need::Reference(text.clone(), image) })
        }
        Taken::Arg(arg) => {
            let stem = stem(arg);
            if let Some(other) = others.iter().find(|other| same(&stem, other.name)) {
                return Some(Need::Arg { arg: arg.clone(), image: Some(other.name.to_owned()), unsure: false });
            }
            let image = others.iter().find(|other| other.decided).map(|other| other.name.to_owned());
            Some(Need::Arg { arg: arg.clone(), image, unsure: true })
        }
    }
}

/// The name that an arg for an image may mean: `media-tools` of `MEDIA_TOOLS_IMAGE_URI`.
fn stem(arg: &str) -> String {
    let kebab = arg.to_lowercase().replace('_', "-");
    let mut stem = kebab.as_str();
    for suffix in ["-uri", "-url", "-ref", "-tag", "-image", "-base"] {
        stem = stem.strip_suffix(suffix).unwrap_or(stem);
    }
    stem.strip_prefix("base-").unwrap_or(stem).to_owned()
}

/// A name for each Dockerfile, all different.
fn names(found: &[Found], project: &str) -> Vec<String> {
    let short: Vec<String> = found.iter().map(|one| short_name(one, project)).collect();
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for (one, name) in found.iter().zip(&short) {
        let clash = short.iter().filter(|other| *other == name).count() > 1;
        let folder = slug(one.folder()).filter(|folder| clash && folder != name);
        let mut wanted = folder.map_or_else(|| name.clone(), |folder| format!("{folder}-{name}"));
        while !taken.insert(wanted.clone()) {
            wanted.push_str("-2");
        }
        names.push(wanted);
    }
    names
}

/// `light` of `Dockerfile.light`, `api` of `api.Dockerfile`, the folder's name of `Dockerfile`, the project's at the root.
fn short_name(found: &Found, project: &str) -> String {
    let file = found.file();
    let lower = file.to_lowercase();
    let marked = ["dockerfile", "containerfile"].iter().find_map(|word| {
        let part = match lower.strip_prefix(word) {
            Some(rest) => rest.strip_prefix('.')?,
            None => lower.strip_suffix(word)?.strip_suffix('.')?,
        };
        slug(part)
    });
    let folder = found.folder().rsplit('/').next().unwrap_or_default();
    marked.or_else(|| slug(folder)).unwrap_or_else(|| project.to_owned())
}

/// The text as a name; `None` if nothing is left of it.
fn slug(text: &str) -> Option<String> {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let text: String = text.chars().map(legal).collect();
    let parts: Vec<&str> = text.split('-').filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("-").trim_start_matches('_').to_owned()).filter(|text| !text.is_empty())
}

/// Variants that choose from the same handlers make one group.
fn groups(recipes: &[Recipe], handlers: Vec<Option<Handlers>>) -> Vec<Group> {
    let mut taken: BTreeSet<String> = recipes.iter().map(|recipe| recipe.name.clone()).collect();
    let mut groups: Vec<Group> = Vec::new();
    for (recipe, handlers) in recipes.iter().zip(handlers) {
        let Some(handlers) = handlers else { continue };
        if let Some(group) = groups.iter_mut().find(|group| group.handlers == handlers) {
            group.variants.push(recipe.name.clone());
            continue;
        }
        let last = handlers.folder.rsplit('/').next().unwrap_or_default();
        let mut name = slug(last).unwrap_or_else(|| "handlers".to_owned());
        while !taken.insert(name.clone()) {
            name.push_str("-handlers");
        }
        let mut image = |handler: &String| {
            let mut image = slug(handler).unwrap_or_else(|| name.clone());
            while !taken.insert(image.clone()) {
                image = format!("{name}-{image}");
            }
            image
        };
        let names = handlers.names.iter().map(&mut image).collect();
        groups.push(Group { name, variants: vec![recipe.name.clone()], handlers, names });
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_args_and_folders() {
        assert_eq!(
            ["RUNTIME", "MEDIA_TOOLS_IMAGE_URI", "BASE_IMAGE", "BASE_PYTHON"].map(stem),
            ["runtime", "media-tools", "base", "python"]
        );
        assert_eq!(slug("My Service/v2"), Some("my-service-v2".to_owned()));
        assert_eq!(slug("--"), None);
    }
}
