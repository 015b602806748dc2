//! One image on one platform: what its Dockerfile does with the args that the manifest gives.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::allow;
use super::uses::{Leaves, OutsideUse, ParentUse, Sources, Uses, placeholder};
use crate::dockerfile::{self, Analysis, ArgUse, Dockerfile, Origin, StageUse};
use crate::platform::Platform;
use crate::problem::{Code, Location, Problem, Problems};
use crate::project::{ExecutorChoice, Image, NamedContext};
use crate::reference::Reference;

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
    /// What the image leaves to those of this manifest that build on it.
    pub leaves: Leaves,
    /// The time of layers and image, in seconds since 1970: what the arg `SOURCE_DATE_EPOCH` says, else 0.
    pub epoch: u32,
}

impl Recipe {
    /// Whether a stage begins on what an image from outside is used as, so that its configuration reaches into the build.
    pub fn begins_on(&self, used: &OutsideUse) -> bool {
        match &used.context {
            Some(name) => self.stages.iter().any(|stage| matches!(&stage.base, Origin::Context(base) if base == name)),
            None => used.place.ends_with("FROM"),
        }
    }

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
    // Whether a base leaves a value that must not count.
    let left_marked = Cell::new(false);
    let analyze = |args: &BTreeMap<String, String>, counting: bool| {
        let base_config = |text: &str, platform: &Platform| {
            let leaves = sources.config_of(image, text, platform)?;
            left_marked.set(left_marked.get() || leaves.real != leaves.counting);
            Some(if counting { leaves.counting } else { leaves.real })
        };
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
    let analysis = analyze(&args, false)?;
    // Volatile and sensitive values are kept out of what counts wherever an instruction carries them on.
    let marked = |arg: &crate::project::Arg| arg.volatile || arg.sensitive;
    let some =
        left_marked.get() || image.args.iter().any(|(name, arg)| marked(arg) && analysis.args.contains_key(name));
    let counting = match some {
        true => {
            let counting = |args: &BTreeMap<String, String>| analyze(args, true);
            counting(&args_of(image, platform, true)).map_err(|found| chooses(image, &args, found, counting))?
        }
        false => analysis.clone(),
    };
    let mut found = Uses::find(image, platform, sources, &analysis);
    allow::check(image, &analysis, &mut found.problems);
    let Uses { parents, outside, mut problems, .. } = found;
    let args_given = args;
    let Analysis { stages, args, leaves, .. } = counting;
    let leaves = Leaves { real: analysis.leaves.clone(), counting: leaves };
    let epoch = epoch(image, &args_given, &mut problems);
    let frontend = frontend(&analysis, &mut problems);
    let recipe = Recipe { analysis, stages, args, parents, outside, frontend, leaves, epoch };
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

/// The time that the build is told.
fn epoch(image: &Image, args: &BTreeMap<String, String>, problems: &mut Problems) -> u32 {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let Some(value) = args.get(NAME).filter(|value| !value.is_empty()) else { return 0 };
    value.parse().unwrap_or_else(|_| {
        let help = match value.as_str() {
            "context" => "contexts are sent without times, so there is none to take: give a number",
            _ => "give a number of seconds since 1970, below 2^32",
        };
        let location = image.args.get(NAME).map_or(&image.location, |arg| &arg.location);
        let problem = Problem::error(Code::InvalidValue, format!("`{NAME}` cannot be `{value}`"));
        problems.push(problem.at(location, "").help(help));
        0
    })
}
