//! One image on one platform: what its Dockerfile does with the args that the manifest gives.

use std::collections::{BTreeMap, BTreeSet};

use super::allow;
use super::known::{Known, Meaning};
use crate::dockerfile::{self, Analysis, ArgUse, BaseConfig, Dockerfile, ImageUse, ImageUseKind, Origin, StageUse};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::{Code, Location, Problem, Problems};
use crate::project::{ExecutorChoice, Image, NamedContext, Project, TagText};
use crate::reference::Reference;

/// An image of the manifest that the build takes at a place.
#[derive(Clone, Debug)]
pub struct ParentUse {
    /// Where: `FROM in stage 0`, `--from=x`, `context x`, `arg X`.
    pub place: String,
    /// The image.
    pub image: ImageName,
    /// The reference as BuildKit will look for it, if it is written out in the Dockerfile; absent where an arg or a context
    /// carries the image.
    pub written: Option<Reference>,
    /// The platform that is taken of it.
    pub platform: Platform,
    /// The place in the manifest or the Dockerfile.
    pub location: Location,
}

/// An image from outside that the build takes at a place.
#[derive(Clone, Debug)]
pub struct OutsideUse {
    /// Where, as in [`ParentUse`].
    pub place: String,
    /// The reference, normalized.
    pub reference: Reference,
    /// The named context that carries it, if it is not written in the Dockerfile.
    pub context: Option<String>,
    /// The platform that is taken of it.
    pub platform: Platform,
    /// The place in the manifest or the Dockerfile.
    pub location: Location,
}

/// The front end that reads the Dockerfile in the builder.
#[derive(Clone, Debug)]
pub struct FrontendUse {
    /// Its image.
    pub reference: Reference,
    /// The word in the Dockerfile; the beginning of the file if an arg names it.
    pub location: Location,
}

/// The place of the front end in a record.
pub const FRONTEND: &str = "# syntax";

/// What stands for a volatile value where it must not count.
const VOLATILE: &str = "{volatile}";

/// What stands for a sensitive value where it counts: another value gives another mark, and the mark does not show the value.
fn sensitive_mark(value: &str) -> String {
    let hash = blake3::derive_key("orchestrate 2026-11 a sensitive arg in a record", value.as_bytes());
    format!("{{sensitive {}}}", hex::encode(&hash[..8]))
}

/// What one image's build does on one platform.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What its Dockerfile reads and runs.
    pub analysis: Analysis,
    /// The stages as they count: volatile and sensitive values replaced by marks.
    pub stages: Vec<StageUse>,
    /// The args as they count: volatile and sensitive values replaced by marks.
    pub args: BTreeMap<String, ArgUse>,
    /// Images of the manifest.
    pub parents: Vec<ParentUse>,
    /// Images from outside.
    pub outside: Vec<OutsideUse>,
    /// The front end that `# syntax=` names. None where the image is assembled: then nobody asks for it.
    pub frontend: Option<FrontendUse>,
}

impl Recipe {
    /// What of the build needs BuildKit, the first instruction that does; `None` if the embedded builder can do all of it. A function
    /// of what is written alone, never of what is installed.
    pub fn needs_buildkit(&self, image: &Image) -> Option<(String, Location)> {
        if let Some(first) = &self.analysis.first_run {
            return Some(first.clone());
        }
        let on_folder = self.stages.iter().find(|stage| match &stage.base {
            Origin::Context(name) => {
                image.contexts.get(name).is_some_and(|context| matches!(context.value, NamedContext::Folder(_)))
            }
            _ => false,
        });
        if let Some(stage) = on_folder {
            return Some(("FROM a folder".to_owned(), stage.location.clone()));
        }
        let attested = [(image.output.sbom, "output.sbom"), (image.output.provenance, "output.provenance")];
        let (_, what) = attested.into_iter().find(|(on, _)| *on)?;
        Some((what.to_owned(), image.location.clone()))
    }
}

/// The place in a recipe of the image that [`Analysis::references`] has at `index`: recipes name images by their index, so the index is
/// part of the place.
pub fn place(index: usize, kind: ImageUseKind) -> String {
    match kind {
        ImageUseKind::From => format!("{index}: FROM"),
        ImageUseKind::CopyFrom => format!("{index}: COPY --from"),
        ImageUseKind::MountFrom => format!("{index}: RUN --mount from"),
    }
}

/// Where a recipe looks things up.
pub struct Sources<'a> {
    /// The resolved manifest.
    pub project: &'a Project,
    /// Its references.
    pub known: &'a Known,
    /// The platform of the builder.
    pub build_platform: &'a Platform,
    /// The configuration of outside images, where it is known.
    pub base_config: &'a dyn Fn(&Reference, &Platform) -> Option<BaseConfig>,
}

/// What stands in an arg for an image whose digest is not known yet: a reference that nobody can own (RFC 2606, `.invalid`).
pub fn placeholder(image: &ImageName) -> String {
    format!("image.invalid/{}:ref", hex::encode(image.as_str()))
}

fn placeholder_image(text: &str) -> Option<ImageName> {
    let name = text.strip_prefix("image.invalid/")?.strip_suffix(":ref")?;
    String::from_utf8(hex::decode(name).ok()?).ok().map(ImageName::new)
}

/// The images whose placeholders stand anywhere in a text.
fn placeholders(text: &str) -> BTreeSet<ImageName> {
    let starts = text.match_indices("image.invalid/").map(|(start, _)| &text[start..]);
    starts.filter_map(|rest| placeholder_image(&rest[..rest.find(":ref")? + ":ref".len()])).collect()
}

/// Brings an image and its Dockerfile together.
///
/// # Errors
/// What is wrong in the Dockerfile for this image, and references that cannot be understood.
pub fn recipe(
    image: &Image,
    platform: &Platform,
    dockerfile: &Dockerfile,
    sources: &Sources<'_>,
) -> Result<(Recipe, Problems), Problems> {
    let contexts: BTreeSet<String> = image.contexts.keys().cloned().collect();
    let base_config = |text: &str, platform: &Platform| match sources.known.meaning(text, &image.outside) {
        Ok(Meaning::Outside(reference)) if placeholder_image(text).is_none() => {
            (sources.base_config)(&reference, platform)
        }
        _ => None,
    };
    let analyze = |args: &BTreeMap<String, String>| {
        dockerfile::analyze(
            dockerfile,
            &dockerfile::Request {
                target: image.target.as_ref().map(|target| target.value.as_str()),
                target_location: image.target.as_ref().map(|target| &target.location),
                platform,
                build_platform: sources.build_platform,
                args,
                contexts: &contexts,
                base_env: &base_config,
            },
        )
    };
    let args = args_of(image, platform, false);
    let analysis = analyze(&args)?;
    // Volatile and sensitive values are kept out of what counts wherever an instruction carries them on.
    let marked = |arg: &crate::project::Arg| arg.volatile || arg.sensitive;
    let some = image.args.iter().any(|(name, arg)| marked(arg) && analysis.args.contains_key(name));
    let counting = match some {
        true => analyze(&args_of(image, platform, true)).map_err(|found| chooses(image, &args, found, analyze))?,
        false => analysis.clone(),
    };
    let mut found = Found {
        image,
        platform,
        sources,
        parents: Vec::new(),
        outside: Vec::new(),
        problems: analysis.warnings.clone(),
    };
    for (index, used) in analysis.references.iter().enumerate() {
        found.reference(index, used);
    }
    found.args(&analysis);
    found.contexts(&analysis);
    undeclared(image, &analysis, &mut found.problems);
    allow::check(image, &analysis, &mut found.problems);
    let Found { parents, outside, mut problems, .. } = found;
    let Analysis { stages, args, .. } = counting;
    let frontend = frontend(&analysis, &mut problems);
    let recipe = Recipe { analysis, stages, args, parents, outside, frontend };
    if image.executor == ExecutorChoice::Assemble
        && let Some((what, location)) = recipe.needs_buildkit(image)
    {
        problems.push(
            Problem::error(Code::NeedsBuildkit, format!("`{}` cannot be assembled: {what} needs BuildKit", image.name))
                .at(&location, "")
                .at(&image.location, "for this image")
                .help("leave `executor` out"),
        );
    }
    problems.or(())?;
    Ok((recipe, problems))
}

/// The args that are passed, images of ours as placeholders; volatile and sensitive values as they are, or as marks.
fn args_of(image: &Image, platform: &Platform, mark: bool) -> BTreeMap<String, String> {
    let value = |arg: &crate::project::Arg| {
        let text = arg.on(platform)?.render(placeholder);
        Some(match (mark, arg.volatile, arg.sensitive) {
            (true, true, _) => VOLATILE.to_owned(),
            (true, false, true) => sensitive_mark(&text),
            _ => text,
        })
    };
    image.args.iter().filter_map(|(name, arg)| Some((name.clone(), value(arg)?))).collect()
}

/// The args whose values may not count and yet choose what is built; `found` where it is none of them alone.
fn chooses(
    image: &Image,
    args: &BTreeMap<String, String>,
    found: Problems,
    analyze: impl Fn(&BTreeMap<String, String>) -> Result<Analysis, Problems>,
) -> Problems {
    let marked = image.args.iter().filter(|(_, arg)| arg.volatile || arg.sensitive);
    let to_blame = marked.filter(|(name, arg)| {
        let Some(value) = args.get(*name) else { return false };
        let mark = if arg.volatile { VOLATILE.to_owned() } else { sensitive_mark(value) };
        let mut args = args.clone();
        args.insert((*name).clone(), mark);
        analyze(&args).is_err()
    });
    let problems: Problems = to_blame
        .map(|(name, arg)| {
            let word = if arg.volatile { "volatile" } else { "sensitive" };
            Problem::error(
                Code::BadReference,
                format!("the arg `{name}` is {word}, but chooses an image or a stage, so its value has to count"),
            )
            .at(&arg.location, "")
            .help(format!("take `{word}` away"))
        })
        .collect();
    if problems.is_empty() { found } else { problems }
}

struct Found<'a> {
    image: &'a Image,
    platform: &'a Platform,
    sources: &'a Sources<'a>,
    parents: Vec<ParentUse>,
    outside: Vec<OutsideUse>,
    problems: Problems,
}

impl Found<'_> {
    fn reference(&mut self, index: usize, used: &ImageUse) {
        let place = place(index, used.kind);
        if let Some(name) = placeholder_image(&used.text) {
            self.parent(place, name, None, &used.platform, &used.location);
            return;
        }
        match self.sources.known.meaning(&used.text, &self.image.outside) {
            Ok(Meaning::Image(name)) => {
                let written = used.text.parse().ok();
                self.parent(place, name, written, &used.platform, &used.location);
            }
            Ok(Meaning::Outside(reference)) => self.outside.push(OutsideUse {
                place,
                reference,
                context: None,
                platform: used.platform.clone(),
                location: used.location.clone(),
            }),
            Err(problem) => {
                self.problems.push(problem.at(&used.location, "").at(&self.image.location, "for this image"));
            }
        }
    }

    fn parent(
        &mut self,
        place: String,
        name: ImageName,
        written: Option<Reference>,
        platform: &Platform,
        location: &Location,
    ) {
        let Some(parent) = self.sources.project.images.get(&name) else { return };
        let (location, platform) = (location.clone(), platform.clone());
        if self.image.parents_published {
            match published_reference(self.sources.project, parent) {
                Some(reference) => {
                    self.outside.push(OutsideUse { place, reference, context: None, platform, location });
                }
                None => self.problems.push(
                    Problem::error(Code::UnknownTag, format!("`{name}` is published under no tag that could be taken"))
                        .at(&location, "")
                        .help("give it a moving tag such as `stable`, or drop `parents: published`"),
                ),
            }
            return;
        }
        if !parent.platforms.contains(&platform) {
            let has: Vec<String> = parent.platforms.iter().map(ToString::to_string).collect();
            self.problems.push(
                Problem::error(
                    Code::MissingPlatform,
                    format!(
                        "`{}` is built for {platform}, but `{name}` is made for {} alone",
                        self.image.name,
                        has.join(", ")
                    ),
                )
                .at(&location, "")
                .at(&parent.location, "made for other platforms")
                .help(format!("add {platform} to the platforms of `{name}`")),
            );
            return;
        }
        self.parents.push(ParentUse { place, image: name, written, platform, location });
    }

    /// Images named in args: each must be read by something, and those read elsewhere than in FROM count under the arg's name.
    fn args(&mut self, analysis: &Analysis) {
        for (name, used) in analysis.args.iter().filter(|(_, used)| !used.from_only) {
            for image in used.value.as_deref().map(placeholders).unwrap_or_default() {
                let location = self.image.args.get(name).map_or(&used.location, |arg| &arg.location).clone();
                self.parent(format!("arg {name}"), image, None, self.platform, &location);
            }
        }
        for (name, arg) in &self.image.args {
            let names_images = arg.on(self.platform).is_some_and(|text| text.images().next().is_some());
            if names_images && !analysis.args.contains_key(name) {
                self.problems.push(
                    Problem::error(
                        Code::UnusedRef,
                        format!(
                            "the arg `{name}` names an image, but nothing that `{}` builds reads it",
                            self.image.name
                        ),
                    )
                    .at(&arg.location, "")
                    .help(format!(
                        "declare `ARG {name}` in {} and use it, or remove the arg",
                        self.image.dockerfile.value
                    )),
                );
            }
        }
    }

    fn contexts(&mut self, analysis: &Analysis) {
        for (name, context) in &self.image.contexts {
            if !analysis.contexts_used.contains(name) {
                continue;
            }
            let place = format!("context {name}");
            match &context.value {
                NamedContext::Image(image) => {
                    self.parent(place, image.clone(), None, self.platform, &context.location);
                }
                NamedContext::Outside(text) => match text.parse::<Reference>() {
                    Ok(reference) => self.outside.push(OutsideUse {
                        place,
                        reference,
                        context: Some(name.clone()),
                        platform: self.platform.clone(),
                        location: context.location.clone(),
                    }),
                    Err(error) => {
                        self.problems
                            .push(Problem::error(Code::BadReference, error.to_string()).at(&context.location, ""));
                    }
                },
                NamedContext::Folder(_) => {}
            }
        }
    }
}

/// The front end as a reference.
fn frontend(analysis: &Analysis, problems: &mut Problems) -> Option<FrontendUse> {
    let (text, location) = analysis.syntax.as_ref()?;
    match text.parse() {
        Ok(reference) => Some(FrontendUse { reference, location: location.clone() }),
        Err(error) => {
            let problem = Problem::error(Code::BadReference, format!("`{text}` cannot be a front end: {error}"));
            problems.push(problem.at(location, ""));
            None
        }
    }
}

/// A moving tag of the image's home, for `parents: published`.
fn published_reference(project: &Project, parent: &Image) -> Option<Reference> {
    parent.destinations.iter().find_map(|destination| {
        let prefix = project.registries.get(&destination.registry)?.reference_prefix()?;
        let tag = destination.tags.iter().filter(|rule| !rule.fixed).find_map(|rule| match &rule.text {
            TagText::Rendered(tags) => tags.first().cloned(),
            TagText::Late { .. } => None,
        })?;
        format!("{prefix}/{}:{tag}", destination.repository).parse().ok()
    })
}

/// An arg that no stage declares: silent if inherited, a warning on the image itself.
fn undeclared(image: &Image, analysis: &Analysis, problems: &mut Problems) {
    for name in analysis.undeclared.keys() {
        let Some(arg) = image.args.get(name) else { continue };
        let names_images = arg.value.iter().chain(arg.per_platform.values()).any(|text| text.images().next().is_some());
        if arg.inherited || names_images || name.starts_with("BUILDKIT_") {
            continue;
        }
        problems.push(
            Problem::warning(
                Code::UndeclaredArg,
                format!("no stage of {} declares the arg `{name}`: it has no effect", image.dockerfile.value),
            )
            .at(&arg.location, "")
            .help(format!("add `ARG {name}` to the Dockerfile, or remove the arg")),
        );
    }
}
