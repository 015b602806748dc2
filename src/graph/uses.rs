//! What a build takes from other images: of this manifest, or from outside.

use std::collections::BTreeSet;

use super::known::{Known, Meaning};
use crate::dockerfile::{Analysis, BaseConfig, ImageUse, ImageUseKind, Origin, Undeclared};
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::{Code, Location, Problem, Problems, did_you_mean};
use crate::project::{Image, Located, NamedContext, Project, TagText};
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

/// The configuration that an image leaves to those who build on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaves {
    /// As it is.
    pub real: BaseConfig,
    /// As it counts: volatile and sensitive values replaced by marks.
    pub counting: BaseConfig,
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

impl Leaves {
    /// A configuration in which everything counts.
    fn plain(config: BaseConfig) -> Self {
        Self { real: config.clone(), counting: config }
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
    /// What images of the manifest leave, where it is known: it follows from their Dockerfiles.
    pub leaves: &'a dyn Fn(&ImageName, &Platform) -> Option<Leaves>,
}

impl Sources<'_> {
    /// The configuration of what stands under `text` as a base of `image`: a named context, an image of the manifest, one from outside.
    pub(super) fn config_of(&self, image: &Image, text: &str, platform: &Platform) -> Option<Leaves> {
        let outside = |reference: &Reference| (self.base_config)(reference, platform).map(Leaves::plain);
        let own = |name: &ImageName| {
            if image.parents_published {
                return outside(&published_reference(self.project, self.project.images.get(name)?)?);
            }
            let titled = |config| BaseConfig { title: name.to_string(), ..config };
            let Leaves { real, counting } = (self.leaves)(name, platform)?;
            Some(Leaves { real: titled(real), counting: titled(counting) })
        };
        if let Some(context) = image.contexts.get(text) {
            return match &context.value {
                NamedContext::Image(name) => own(name),
                NamedContext::Outside(text) => outside(&text.parse().ok()?),
                // A folder has no configuration.
                NamedContext::Folder(_) => Some(Leaves::default()),
            };
        }
        if let Some(name) = placeholder_image(text) {
            return own(&name);
        }
        match self.known.meaning(text, &image.outside) {
            Ok(Meaning::Image(name)) => own(&name),
            Ok(Meaning::Outside(reference)) => outside(&reference),
            Err(_) => None,
        }
    }
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

/// What the build of an image on a platform takes from other images, and what is odd about it.
pub(super) struct Uses<'a> {
    image: &'a Image,
    platform: &'a Platform,
    sources: &'a Sources<'a>,
    pub(super) parents: Vec<ParentUse>,
    pub(super) outside: Vec<OutsideUse>,
    pub(super) problems: Problems,
}

impl<'a> Uses<'a> {
    /// Follows all that an analysis says of images.
    pub(super) fn find(
        image: &'a Image,
        platform: &'a Platform,
        sources: &'a Sources<'a>,
        analysis: &Analysis,
    ) -> Self {
        let (parents, outside, problems) = (Vec::new(), Vec::new(), analysis.warnings.clone());
        let mut uses = Self { image, platform, sources, parents, outside, problems };
        for (index, used) in analysis.references.iter().enumerate() {
            uses.reference(index, used);
        }
        uses.args(analysis);
        uses.contexts(analysis);
        uses.pinned_platform(analysis);
        undeclared(image, analysis, &mut uses.problems);
        uses
    }

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
            Ok(Meaning::Outside(reference)) => {
                self.pinned(&used.text, &reference, &used.location);
                self.outside(place, reference, used);
            }
            Err(problem) => {
                self.problems.push(problem.at(&used.location, "").at(&self.image.location, "for this image"));
            }
        }
    }

    fn outside(&mut self, place: String, reference: Reference, used: &ImageUse) {
        let (platform, location) = (used.platform.clone(), used.location.clone());
        self.outside.push(OutsideUse { place, reference, context: None, platform, location });
    }

    /// The files come from another platform than the one that the configuration will name: right for `FROM --platform=$BUILDPLATFORM` in a
    /// stage that is copied from, hardly ever in the one that becomes the image.
    fn pinned_platform(&mut self, analysis: &Analysis) {
        let Some(mut stage) = analysis.stages.last() else { return };
        let location = stage.location.clone();
        while let Origin::Stage(index) = stage.base {
            stage = &analysis.stages[index];
        }
        if stage.base == Origin::Scratch || stage.platform == *self.platform {
            return;
        }
        let (name, theirs, ours) = (&self.image.name, &stage.platform, self.platform);
        self.problems.push(
            Problem::warning(
                Code::PinnedPlatform,
                format!("`{name}` for {ours} has the files of a base for {theirs}, but its configuration says {ours}"),
            )
            .at(&stage.location, format!("always {theirs}"))
            .at(&location, "becomes the image")
            .help("leave `--platform` out of the stages that the image is built on"),
        );
    }

    /// Says that an image of ours is taken as it was published once, if a digest pins it.
    fn pinned(&mut self, text: &str, reference: &Reference, location: &Location) {
        let Some(name) = self.sources.known.pinned(reference, &self.image.outside) else { return };
        let message =
            format!("`{name}` is pinned by digest here: changes of it do not arrive in `{}`", self.image.name);
        self.problems.push(Problem::warning(Code::PinnedOwnImage, message).at(location, "").help(format!(
            "take the digest away to build on what this manifest builds, or say `outside: [\"{text}\"]` to keep the pin"
        )));
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
            let read = analysis.args.contains_key(name) || analysis.read_by_other_from.contains(name);
            if names_images && !read {
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

    /// Says that a context is a folder or an image from outside, where an image of the manifest has the same name. `./name` is a folder
    /// and meant to be one.
    fn folder_or_image(&mut self, key: &str, context: &Located<NamedContext>) {
        let span = context.location.span;
        let written = context.location.source.text().get(span.start..span.start + span.length).unwrap_or_default();
        let (what, name, otherwise) = match &context.value {
            NamedContext::Folder(_) if written.contains("./") => return,
            NamedContext::Folder(folder) => {
                ("a folder, whose sources it has", folder.as_str(), format!("for the folder `./{folder}`"))
            }
            NamedContext::Outside(text) => {
                let outside = self.image.outside.iter().any(|declared| declared.value == *text);
                if outside {
                    return;
                }
                let name = text.strip_suffix(":latest").unwrap_or(text);
                ("an image from outside", name, format!("for the other one say `outside: [\"{text}\"]` on the image"))
            }
            NamedContext::Image(_) => return,
        };
        if !self.sources.project.images.contains_key(&ImageName::new(name)) {
            return;
        }
        let message = format!("the context `{key}` is {what}, and not the image `{name}` of this manifest");
        self.problems.push(
            Problem::warning(Code::FolderOrImage, message)
                .at(&context.location, "")
                .help(format!("for the image write `{key}: {{ image: {name} }}`, {otherwise}")),
        );
    }

    fn contexts(&mut self, analysis: &Analysis) {
        for (name, context) in &self.image.contexts {
            if !analysis.contexts_used.contains(name) {
                continue;
            }
            self.folder_or_image(name, context);
            let place = format!("context {name}");
            match &context.value {
                NamedContext::Image(image) => {
                    self.parent(place, image.clone(), None, self.platform, &context.location);
                }
                NamedContext::Outside(text) => match text.parse::<Reference>() {
                    Ok(reference) => {
                        self.pinned(text, &reference, &context.location);
                        self.outside.push(OutsideUse {
                            place,
                            reference,
                            context: Some(name.clone()),
                            platform: self.platform.clone(),
                            location: context.location.clone(),
                        });
                    }
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
    for (name, why) in &analysis.undeclared {
        let Some(arg) = image.args.get(name) else { continue };
        let names_images = arg.value.iter().chain(arg.per_platform.values()).any(|text| text.images().next().is_some());
        if arg.inherited || names_images || name.starts_with("BUILDKIT_") {
            continue;
        }
        // A FROM that the target does not need reads it.
        if analysis.read_by_other_from.contains(name) {
            continue;
        }
        let file = &image.dockerfile.value;
        let (message, help) = match why {
            Undeclared::Nowhere => (
                format!("no stage of {file} declares the arg `{name}`: it has no effect"),
                did_you_mean(name, analysis.declared.iter().map(String::as_str))
                    .unwrap_or_else(|| format!("add `ARG {name}` to the Dockerfile, or remove the arg")),
            ),
            Undeclared::BeforeFrom => (
                format!(
                    "the arg `{name}` is declared before the first FROM of {file} alone, and no FROM uses it: it has no effect"
                ),
                format!("declare `ARG {name}` once more in the stage that uses it, or remove the arg"),
            ),
            Undeclared::Unreachable => (
                format!(
                    "only stages of {file} that `{}` does not need declare the arg `{name}`: it has no effect",
                    image.name
                ),
                "remove the arg, or give it to the image that builds that stage".to_owned(),
            ),
        };
        problems.push(Problem::warning(Code::UndeclaredArg, message).at(&arg.location, "").help(help));
    }
}
