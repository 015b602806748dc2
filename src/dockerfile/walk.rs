//! Going through the stages that a target needs: environment, args, images.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::{Analysis, ArgUse, ImageUse, ImageUseKind, Origin, ReadKind, Request, StageUse, Step};
use super::expand::Lexer;
use super::reach::{Base, Stages, without_value};
use super::recipe;
use super::scope::{Env, Globals, expand, is_predefined};
use super::syntax::{ArgDeclaration, Dockerfile, Instruction, Kind, Word};
use crate::platform::Platform;
use crate::problem::{Location, Problems};

/// What PATH is where the base does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) struct Walk<'a> {
    pub(super) file: &'a Dockerfile,
    pub(super) request: &'a Request<'a>,
    pub(super) globals: &'a Globals,
    pub(super) stages: &'a Stages<'a>,
    /// From a stage's number to its index in the analysis.
    pub(super) ordinals: BTreeMap<usize, usize>,
    /// What each stage leaves to those that build on it.
    pub(super) envs: BTreeMap<usize, (Env, BTreeMap<String, BTreeSet<String>>)>,
    pub(super) analysis: Analysis,
    pub(super) problems: Problems,
}

/// A stage while its instructions are gone through.
pub(super) struct Current {
    pub(super) index: usize,
    pub(super) env: Env,
    /// From which args of the request each variable was made.
    pub(super) made_from: BTreeMap<String, BTreeSet<String>>,
    pub(super) recipe: Vec<String>,
    pub(super) steps: Vec<Step>,
    /// Whether it builds on a folder.
    on_folder: bool,
}

impl Walk<'_> {
    pub(super) fn lexer(&self) -> Lexer {
        Lexer::new(self.file.escape)
    }

    pub(super) fn stage(&mut self, index: usize) {
        let node = &self.stages.nodes[index];
        if let Some(problem) = without_value(&node.stage.base, &node.used, self.globals) {
            self.problems.push(problem);
        }
        for used in &node.used {
            for name in self.globals.closure(&used.name) {
                self.use_global(&name, true);
            }
        }
        let platform = node.platform.clone().unwrap_or_else(|| self.request.platform.clone());
        let base = self.origin(&node.base, index, ImageUseKind::From, &platform, &node.stage.base.location);
        let (env, made_from) = self.inherited(index);
        let on_folder = self.is_on_folder(&node.base);
        let mut current = Current { index, env, made_from, recipe: Vec::new(), steps: Vec::new(), on_folder };
        current.recipe.push(recipe::from(&base, &platform));
        if self.file.escape != '\\' {
            current.recipe.push(format!("escape {}", self.file.escape));
        }
        if let Origin::Context(name) = &base {
            self.read(name, ReadKind::Whole, &node.stage.base, "", &[]);
        }
        for instruction in &node.instructions {
            self.instruction(&mut current, instruction);
        }
        self.analysis.stages.push(StageUse {
            index,
            name: node.stage.name.as_ref().map(|name| name.text.clone()),
            base,
            platform,
            recipe: current.recipe,
            steps: current.steps,
            location: node.stage.location.clone(),
        });
        self.envs.insert(index, (current.env, current.made_from));
    }

    /// Whether a chain of bases begins with a named context that is a folder.
    fn is_on_folder(&self, base: &Base) -> bool {
        match base {
            Base::Context(_) => true,
            Base::Stage(index) => self.is_on_folder(&self.stages.nodes[*index].base),
            Base::Image(_) | Base::Scratch => false,
        }
    }

    /// The environment that a stage begins with.
    fn inherited(&self, index: usize) -> (Env, BTreeMap<String, BTreeSet<String>>) {
        let node = &self.stages.nodes[index];
        let mut env = Env::default();
        match &node.base {
            Base::Stage(base) => return self.envs.get(base).cloned().unwrap_or_default(),
            Base::Scratch => {}
            Base::Context(_) | Base::Image(_) => match &node.config {
                Some(config) => env.values.clone_from(&config.env),
                None => env.unknown = true,
            },
        }
        if !env.unknown {
            env.values.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
        }
        (env, BTreeMap::new())
    }

    /// Turns a resolved source into what the analysis says of it, and notes its use.
    pub(super) fn origin(
        &mut self,
        base: &Base,
        stage: usize,
        kind: ImageUseKind,
        platform: &Platform,
        location: &Location,
    ) -> Origin {
        match base {
            Base::Scratch => Origin::Scratch,
            Base::Stage(index) => Origin::Stage(self.ordinals.get(index).copied().unwrap_or_default()),
            Base::Context(name) => {
                self.analysis.contexts_used.insert(name.clone());
                Origin::Context(name.clone())
            }
            Base::Image(text) => {
                let stage = self.ordinals.get(&stage).copied().unwrap_or_default();
                let (text, platform, location) = (text.clone(), platform.clone(), location.clone());
                self.analysis.references.push(ImageUse { text, kind, platform, stage, location });
                Origin::Image(self.analysis.references.len() - 1)
            }
        }
    }

    /// Notes that a global arg is used.
    fn use_global(&mut self, name: &str, from_only: bool) {
        let location = match self.globals.declared.get(name) {
            Some(global) => &global.location,
            // FROM may name what Docker sets without an ARG.
            None if is_predefined(name) && from_only => &self.file.stages[0].location,
            None => return,
        };
        let arg = ArgUse {
            value: self.globals.values.get(name).cloned(),
            from_only,
            predefined: is_predefined(name) && !self.request.args.contains_key(name),
            made_from: self.global_made_from(name),
            location: location.clone(),
        };
        self.note_arg(name, arg);
    }

    fn global_made_from(&self, name: &str) -> BTreeSet<String> {
        self.globals.closure(name).into_iter().filter(|name| self.request.args.contains_key(name)).collect()
    }

    fn note_arg(&mut self, name: &str, arg: ArgUse) {
        if name.starts_with("BUILDKIT_") {
            return;
        }
        match self.analysis.args.get_mut(name) {
            Some(known) if known.from_only || !arg.from_only => {
                let from_only = known.from_only && arg.from_only;
                *known = ArgUse { from_only, ..arg };
            }
            Some(_) => {}
            None => {
                self.analysis.args.insert(name.to_owned(), arg);
            }
        }
    }

    /// The creation time of layers comes from this arg, declared or not.
    pub(super) fn source_date_epoch(&mut self) {
        const NAME: &str = "SOURCE_DATE_EPOCH";
        let (Some(value), Some(stage)) = (self.request.args.get(NAME), self.analysis.stages.last()) else { return };
        let arg = ArgUse {
            value: Some(value.clone()),
            from_only: false,
            predefined: false,
            made_from: [NAME.to_owned()].into(),
            location: stage.location.clone(),
        };
        self.note_arg(NAME, arg);
    }

    fn instruction(&mut self, current: &mut Current, instruction: &Instruction) {
        let mut done = instruction.clone();
        let mut from = Origin::Context(String::new());
        let mut source_name = None;
        match &mut done.kind {
            Kind::Copy(transfer) | Kind::Add(transfer) => {
                if let Some(flag) =
                    instruction.flag("from").filter(|flag| flag.value.as_ref().is_some_and(|from| !from.is_empty()))
                {
                    from = self.copy_source(current.index, flag);
                    source_name = Some(recipe::origin(&from));
                }
                self.transfer(current, instruction, transfer, &from);
                self.words(current, [&mut transfer.destination]);
                self.flag_values(current, &mut done.flags);
                self.heredocs(current, &mut done);
            }
            Kind::Run(_) => {
                self.run(current, instruction);
                self.first_run("RUN", instruction);
            }
            Kind::Arg(args) => {
                for arg in args {
                    let value = self.arg(current, arg);
                    arg.default = value.map(|text| Word { text, location: arg.name.location.clone() });
                }
            }
            Kind::Env(pairs) => {
                self.words(current, pairs.iter_mut().flat_map(|pair| [&mut pair.key, &mut pair.value]));
                for pair in pairs.iter() {
                    current.env.values.insert(pair.key.text.clone(), pair.value.text.clone());
                    current.made_from.remove(&pair.key.text);
                }
            }
            Kind::Label(pairs) => {
                self.words(current, pairs.iter_mut().flat_map(|pair| [&mut pair.key, &mut pair.value]));
            }
            Kind::Expose(list) | Kind::Volume(list) => self.words(current, list.iter_mut()),
            Kind::Workdir(word) | Kind::User(word) | Kind::Stopsignal(word) => self.words(current, [word]),
            Kind::Maintainer(_)
            | Kind::Cmd(_)
            | Kind::Entrypoint(_)
            | Kind::Healthcheck(_)
            | Kind::Shell(_)
            | Kind::Onbuild(_) => {}
        }
        self.judge(instruction);
        let global = |name: &str| self.globals.declared.get(name).and_then(|_| self.globals.values.get(name).cloned());
        let line = recipe::instruction(instruction, source_name.as_deref(), &global, &|from| {
            self.mount_source(current.index, from)
        });
        current.recipe.push(line);
        if current.on_folder {
            // A folder has no history, so BuildKit writes the steps into that of the image, as they are written in the file.
            // Source: behaviour of BuildKit 0.13, seen by the differential test.
            let span = instruction.location.span;
            let text = instruction.location.source.text().get(span.start..span.start + span.length).unwrap_or_default();
            current.recipe.push(format!("as written {text:?}"));
        }
        current.steps.push(Step { instruction: done, from });
    }

    /// ARG in a stage; the effective value.
    fn arg(&mut self, current: &mut Current, arg: &ArgDeclaration) -> Option<String> {
        let name = &arg.name.text;
        let given = self.request.args.get(name);
        let mut made_from: BTreeSet<String> = given.map(|_| name.clone()).into_iter().collect();
        let value = match (given, &arg.default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(word)) => expand(self.lexer(), word, &current.env.values, &mut self.problems).map(|expanded| {
                for used in &expanded.used {
                    made_from.extend(current.made_from.get(&used.name).into_iter().flatten().cloned());
                }
                expanded.text
            }),
            (None, None) => {
                if self.globals.declared.contains_key(name) {
                    made_from = self.global_made_from(name);
                    for other in self.globals.closure(name) {
                        self.use_global(&other, false);
                    }
                }
                self.globals.values.get(name).cloned()
            }
        };
        let predefined = is_predefined(name) && given.is_none() && arg.default.is_none();
        let noted = ArgUse {
            value: value.clone(),
            from_only: false,
            predefined,
            made_from: made_from.clone(),
            location: arg.name.location.clone(),
        };
        self.note_arg(name, noted);
        if let Some(value) = &value
            && !name.starts_with("BUILDKIT_SBOM_SCAN_")
        {
            current.env.values.insert(name.clone(), value.clone());
            current.made_from.insert(name.clone(), made_from);
        }
        value
    }
}
