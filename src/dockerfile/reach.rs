//! Which stages build on and copy from which, and which of them the target needs.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::{BaseConfig, Request};
use super::expand::{Lexer, Used};
use super::mount::{Mount, MountKind, parse_mount};
use super::parse::parse_trigger;
use super::scope::{Globals, expand};
use super::syntax::{Dockerfile, Instruction, Kind, Stage, Word};
use crate::platform::Platform;
use crate::problem::{Code, Location, Problem, Problems, Source, did_you_mean};
use crate::reference::Reference;

/// Where a stage or a copy takes its files from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Scratch,
    Stage(usize),
    Context(String),
    Image(String),
}

/// A stage with its FROM resolved.
pub(super) struct Node<'a> {
    pub(super) stage: &'a Stage,
    pub(super) base: Base,
    pub(super) platform: Option<Platform>,
    /// Global args that FROM names.
    pub(super) used: Vec<Used>,
    /// The instructions: ONBUILD triggers first; none where a named context stands for the stage.
    pub(super) instructions: Vec<Instruction>,
    /// The configuration of its base, once it is known to be needed; of a base that is a stage it is known later.
    pub(super) config: Option<BaseConfig>,
    /// A named context stands for it, so that nothing that is written in it is carried out.
    replaced: bool,
}

/// All stages.
pub(super) struct Stages<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// The last stage of each name.
    by_name: BTreeMap<String, usize>,
    contexts: &'a BTreeSet<String>,
    build_platform: &'a Platform,
}

/// The named context that a name or reference stands for, if there is one.
///
/// Source: BuildKit compares names after normalization, without `:latest`; `scratch` and `context` never name one.
fn named_context(contexts: &BTreeSet<String>, name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
        return None;
    }
    if contexts.contains(name) {
        return Some(name.to_owned());
    }
    let wanted = name.parse::<Reference>().ok();
    let equal = |context: &&String| {
        context.eq_ignore_ascii_case(name) || (wanted.is_some() && context.parse::<Reference>().ok() == wanted)
    };
    contexts.iter().find(equal).cloned()
}

impl<'a> Stages<'a> {
    /// Resolves each FROM.
    pub(super) fn new(
        file: &'a Dockerfile,
        globals: &Globals,
        request: &'a Request<'_>,
        problems: &mut Problems,
    ) -> Self {
        let mut stages = Self {
            nodes: Vec::new(),
            by_name: BTreeMap::new(),
            contexts: request.contexts,
            build_platform: request.build_platform,
        };
        for (index, stage) in file.stages.iter().enumerate() {
            let node = stages.node(stage, Lexer::new(file.escape), globals, problems);
            stages.nodes.push(node);
            if let Some(name) = &stage.name
                && let Some(earlier) = stages.by_name.insert(name.text.clone(), index)
            {
                let first = file.stages[earlier].name.as_ref().map_or(&stage.location, |name| &name.location);
                problems.push(
                    Problem::warning(Code::DuplicateStage, format!("two stages are named `{}`", name.text))
                        .at(&name.location, "`--from` and the target mean this one")
                        .at(first, "the other"),
                );
            }
        }
        stages
    }

    fn node(&self, stage: &'a Stage, lexer: Lexer, globals: &Globals, problems: &mut Problems) -> Node<'a> {
        let mut node = Node {
            stage,
            base: Base::Scratch,
            platform: None,
            used: Vec::new(),
            instructions: stage.instructions.clone(),
            config: None,
            replaced: false,
        };
        if let Some(expanded) = expand(lexer, &stage.base, &globals.values, problems) {
            node.used = expanded.used;
            node.base = self.base(&stage.base, &expanded.text, &node.used, globals, problems);
        }
        if let Some(word) = &stage.platform
            && let Some(expanded) = expand(lexer, word, &globals.values, problems)
        {
            match platform(&expanded.text, self.build_platform) {
                Some(platform) => node.platform = Some(platform),
                None => {
                    let problem = without_value(word, &expanded.used, globals).unwrap_or_else(|| {
                        Problem::error(Code::DockerfileSyntax, format!("`{}` is not a platform", expanded.text))
                            .at(&word.location, "")
                            .help("for example `linux/amd64`, or `$BUILDPLATFORM`")
                    });
                    problems.push(problem);
                }
            }
            node.used.extend(expanded.used);
        }
        if let Some(context) = stage.name.as_ref().and_then(|name| named_context(self.contexts, &name.text)) {
            node.base = Base::Context(context);
            node.instructions.clear();
            node.replaced = true;
        }
        node
    }

    /// What the text of a FROM means.
    fn base(&self, word: &Word, text: &str, used: &[Used], globals: &Globals, problems: &mut Problems) -> Base {
        if let Some(index) = self.by_name.get(text) {
            return Base::Stage(*index);
        }
        if text == "scratch" {
            return Base::Scratch;
        }
        if let Some(context) = named_context(self.contexts, text) {
            return Base::Context(context);
        }
        if let Err(error) = text.parse::<Reference>() {
            let lower = text.to_lowercase();
            let problem = without_value(word, used, globals).unwrap_or_else(|| {
                let help = match self.by_name.contains_key(&lower) {
                    true => Some(format!("the stage is named `{lower}`: FROM takes lower case")),
                    false => lower.parse::<Reference>().is_ok().then(|| format!("did you mean `{lower}`?")),
                };
                Problem::error(Code::BadReference, error.to_string()).at(&word.location, "").maybe_help(help)
            });
            problems.push(problem);
        }
        Base::Image(text.to_owned())
    }

    /// The index of the stage to build.
    pub(super) fn target(&self, file: &Dockerfile, request: &Request<'_>, problems: &mut Problems) -> Option<usize> {
        let Some(target) = request.target else { return self.nodes.len().checked_sub(1) };
        let found = self.by_name.get(&target.to_lowercase()).copied();
        if found.is_none() {
            let place = request.target_location.cloned().unwrap_or_else(|| file.stages[0].location.clone());
            let names = self.by_name.keys().map(String::as_str);
            let list = || {
                let names: Vec<_> = self.by_name.keys().map(|name| format!("`{name}`")).collect();
                if names.is_empty() {
                    "no stage has a name".to_owned()
                } else {
                    format!("its stages are {}", names.join(", "))
                }
            };
            let message = format!("`{}` has no stage `{target}`", file.source.name());
            let help = did_you_mean(target, names).unwrap_or_else(list);
            problems.push(Problem::error(Code::UnknownStage, message).at(&place, "").help(help));
        }
        found
    }

    /// What `--from` of COPY (numbers count) or of a mount (they do not) means.
    pub(super) fn source(&self, from: &str, numbers: bool) -> Result<Base, Option<usize>> {
        if numbers && let Ok(number) = from.parse::<i64>() {
            let index = usize::try_from(number).ok().filter(|index| *index < self.nodes.len());
            return index.map(Base::Stage).ok_or(Some(self.nodes.len()));
        }
        if let Some(index) = self.by_name.get(&from.to_lowercase()) {
            return Ok(Base::Stage(*index));
        }
        if from == "scratch" {
            return Ok(Base::Scratch);
        }
        if let Some(context) = named_context(self.contexts, from) {
            return Ok(Base::Context(context));
        }
        if from.parse::<Reference>().is_ok() && self.near(from).is_none() {
            Ok(Base::Image(from.to_owned()))
        } else {
            Err(None)
        }
    }

    /// "Did you mean ...?" for a bare name that is like a stage's. An image is written with its tag where that is so.
    fn near(&self, from: &str) -> Option<String> {
        if from.contains(['/', ':', '@']) {
            return None;
        }
        did_you_mean(from, self.by_name.keys().map(String::as_str))
    }

    /// The stages that an instruction takes files from. Problems are added only where `problems` is given.
    fn instruction_needs(
        &self,
        instruction: &Instruction,
        mut problems: Option<&mut Problems>,
    ) -> Vec<(usize, Location)> {
        let mut froms: Vec<(String, Location, bool)> = Vec::new();
        match &instruction.kind {
            Kind::Copy(_) => {
                let flag = instruction.flag("from").and_then(|flag| Some((flag.value.clone()?, flag.location.clone())));
                froms.extend(flag.filter(|(from, _)| !from.is_empty()).map(|(from, location)| (from, location, true)));
            }
            Kind::Run(_) => {
                for flag in instruction.flags("mount") {
                    let mount = parse_mount(flag.value.as_deref().unwrap_or_default(), |text| Ok(text.to_owned()));
                    if let Ok(Mount { from: Some(from), kind, .. }) = mount
                        && kind != MountKind::Tmpfs
                    {
                        froms.push((from, flag.location.clone(), false));
                    }
                }
            }
            _ => {}
        }
        let mut needs = Vec::new();
        for (from, location, numbers) in froms {
            match self.source(&from, numbers) {
                Ok(Base::Stage(index)) => needs.push((index, location)),
                Ok(_) => {}
                Err(count) => {
                    if let Some(problems) = problems.as_deref_mut() {
                        problems.push(self.bad_source(&from, &location, count));
                    }
                }
            }
        }
        needs
    }

    fn bad_source(&self, from: &str, location: &Location, count: Option<usize>) -> Problem {
        if let Some(count) = count {
            let message = format!("there is no stage {from}");
            return Problem::error(Code::UnknownStage, message)
                .at(location, "")
                .help(format!("the stages are 0 to {}", count - 1));
        }
        let problem = Problem::error(
            Code::BadReference,
            match from.parse::<Reference>() {
                Ok(_) => format!("no stage is named `{from}`"),
                Err(_) => format!("`{from}` is neither a stage nor an image"),
            },
        )
        .at(location, "");
        if from.contains('$') {
            return problem.help("`--from` takes no variable: name a stage with `FROM $IMAGE AS name` and use that");
        }
        let image = from.parse::<Reference>().is_ok();
        let near = did_you_mean(from, self.by_name.keys().map(String::as_str));
        problem.maybe_help(near.map(|near| match image {
            true => format!("{near} The image of that name is written `{from}:latest`"),
            false => near,
        }))
    }

    /// Checks all stages, the ones that are not needed too, as BuildKit does: sources that do not exist, circles.
    pub(super) fn check(&self, problems: &mut Problems) {
        let mut edges: Vec<Vec<(usize, Location)>> = Vec::new();
        for node in &self.nodes {
            let mut needs: Vec<_> = node
                .instructions
                .iter()
                .flat_map(|instruction| self.instruction_needs(instruction, Some(problems)))
                .collect();
            if let Base::Stage(base) = node.base {
                needs.push((base, node.stage.base.location.clone()));
            }
            edges.push(needs);
        }
        for (start, needs) in edges.iter().enumerate() {
            for (next, location) in needs {
                // Every circle has an edge that does not go back, and closes over it.
                if *next >= start && reaches(&edges, *next, start) {
                    problems.push(
                        Problem::error(Code::StageOrder, format!("{} builds on itself", self.title(start)))
                            .at(location, "this closes the circle"),
                    );
                }
            }
        }
    }

    /// How messages call a stage.
    pub(super) fn title(&self, index: usize) -> String {
        match &self.nodes[index].stage.name {
            Some(name) => format!("the stage `{}`", name.text),
            None => format!("stage {index}"),
        }
    }

    /// The stages that `target` needs, ascending. Triggers of base images are put into their stages on the way.
    pub(super) fn needed(&mut self, target: usize, request: &Request<'_>, problems: &mut Problems) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open = vec![target];
        while let Some(index) = open.pop() {
            if !needed.insert(index) {
                continue;
            }
            self.add_triggers(index, request, problems);
            let node = &self.nodes[index];
            if let Base::Stage(base) = node.base {
                open.push(base);
            }
            for instruction in &node.instructions {
                for (source, location) in self.instruction_needs(instruction, Some(problems)) {
                    if source > index {
                        problems.push(
                            Problem::error(
                                Code::StageOrder,
                                format!("{} comes after the stage that copies from it", self.title(source)),
                            )
                            .at(&location, "")
                            .at(&self.nodes[source].stage.location, "it begins here")
                            .help("move it up"),
                        );
                    }
                    open.push(source);
                }
            }
        }
        needed
    }

    fn add_triggers(&mut self, index: usize, request: &Request<'_>, problems: &mut Problems) {
        let node = &self.nodes[index];
        let platform = node.platform.as_ref().unwrap_or(request.platform);
        let mut triggers = Vec::new();
        let mut config = None;
        match &node.base {
            Base::Stage(base) => {
                let inner = self.nodes[*base].instructions.iter().filter_map(|instruction| match &instruction.kind {
                    Kind::Onbuild(trigger) => Some((*trigger.instruction).clone()),
                    _ => None,
                });
                triggers.extend(inner);
            }
            Base::Image(text) | Base::Context(text) => {
                config = (request.base_env)(text, platform);
                let title = config.as_ref().map(|config| config.title.as_str()).filter(|title| !title.is_empty());
                let name = format!("ONBUILD of {}", title.unwrap_or(text));
                for trigger in config.iter().flat_map(|config| &config.onbuild) {
                    match parse_trigger(&Source::new(name.clone(), trigger.clone())) {
                        Ok(instruction) => triggers.push(instruction),
                        Err(found) => problems.append(found),
                    }
                }
            }
            Base::Scratch => {}
        }
        let node = &mut self.nodes[index];
        node.config = config;
        if node.replaced || triggers_are_off(request) {
            return;
        }
        triggers.append(&mut node.instructions);
        node.instructions = triggers;
    }
}

/// Whether the build arg that switches triggers off is given and true, as Go reads a boolean.
///
/// Source: Dockerfile frontend 1.29, `BUILDKIT_DISABLE_ONBUILD`. Older frontends do not know it and run the triggers.
fn triggers_are_off(request: &Request<'_>) -> bool {
    let value = request.args.get("BUILDKIT_DISABLE_ONBUILD");
    value.is_some_and(|value| ["1", "t", "T", "true", "TRUE", "True"].contains(&value.as_str()))
}

/// Whether `to` can be reached from `from` (or is it).
fn reaches(edges: &[Vec<(usize, Location)>], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(index) = open.pop() {
        if index == to {
            return true;
        }
        if seen.insert(index) {
            open.extend(edges[index].iter().map(|(next, _)| *next));
        }
    }
    false
}

/// The problem of a FROM in which a variable has no value, if that is so.
pub(super) fn without_value(word: &Word, used: &[Used], globals: &Globals) -> Option<Problem> {
    let missing = used.iter().find(|used| used.needed && !used.set)?;
    let name = &missing.name;
    let problem =
        Problem::error(Code::ArgWithoutValue, format!("FROM uses `{name}`, which has no value")).at(&word.location, "");
    Some(match globals.declared.get(name) {
        Some(global) => {
            problem.at(&global.location, "declared without a default").help(format!("pass `{name}` as a build arg"))
        }
        None => problem.help(
            did_you_mean(name, globals.values.keys().map(String::as_str))
                .unwrap_or_else(|| format!("declare `ARG {name}` before the first FROM")),
        ),
    })
}

/// A platform as BuildKit reads it: an operating system alone has the architecture of the builder, an architecture alone is for Linux.
fn platform(text: &str, build: &Platform) -> Option<Platform> {
    const SYSTEMS: [&str; 5] = ["linux", "windows", "darwin", "freebsd", "netbsd"];
    const ARCHITECTURES: [&str; 9] =
        ["386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x"];
    if text.contains('/') {
        return text.parse().ok();
    }
    let lower = text.to_ascii_lowercase();
    if SYSTEMS.contains(&lower.as_str()) {
        return Some(Platform { os: lower, ..build.clone() });
    }
    let platform: Platform = format!("linux/{lower}").parse().ok()?;
    ARCHITECTURES.contains(&platform.architecture.as_str()).then_some(platform)
}
