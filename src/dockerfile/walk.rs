//! Going through the stages that a target needs: environment, args, images.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::{
    Analysis, ArgUse, BaseConfig, ImageUse, ImageUseKind, Origin, ReadKind, Request, StageUse, Step,
};
use super::expand::Lexer;
use super::reach::{Base, Stages, without_value};
use super::recipe;
use super::scope::{Env, Globals, expand, hidden_platform, is_obeyed, is_predefined};
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
    pub(super) envs: BTreeMap<usize, Inherited>,
    pub(super) analysis: Analysis,
    pub(super) problems: Problems,
}

/// What a stage begins with.
#[derive(Clone, Default)]
pub(super) struct Inherited {
    env: Env,
    /// From which args of the request each variable was made.
    made_from: BTreeMap<String, BTreeSet<String>>,
    config: BaseConfig,
}

/// A stage while its instructions are gone through.
pub(super) struct Current {
    pub(super) index: usize,
    pub(super) env: Env,
    /// From which args of the request each variable was made.
    pub(super) made_from: BTreeMap<String, BTreeSet<String>>,
    pub(super) recipe: Vec<String>,
    pub(super) steps: Vec<Step>,
    /// The configuration as it is so far. Its environment is that of ENV alone, without args.
    config: BaseConfig,
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
        let Inherited { env, made_from, config } = self.inherited(index);
        let on_folder = self.is_on_folder(&node.base);
        let (recipe, steps) = (Vec::new(), Vec::new());
        let mut current = Current { index, env, made_from, recipe, steps, config, on_folder };
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
        let Current { env, made_from, config, .. } = current;
        let config = BaseConfig { workdir: env.workdir.clone().unwrap_or_default(), ..config };
        self.analysis.leaves.clone_from(&config);
        // Triggers are for those who build on the image, not for those who build on them.
        let config = BaseConfig { onbuild: Vec::new(), ..config };
        self.envs.insert(index, Inherited { env, made_from, config });
    }

    /// Whether a chain of bases begins with a named context that is a folder.
    fn is_on_folder(&self, base: &Base) -> bool {
        match base {
            Base::Context(_) => true,
            Base::Stage(index) => self.is_on_folder(&self.stages.nodes[*index].base),
            Base::Image(_) | Base::Scratch => false,
        }
    }

    /// What a stage begins with.
    fn inherited(&self, index: usize) -> Inherited {
        let node = &self.stages.nodes[index];
        let mut config = match &node.base {
            Base::Stage(base) => return self.envs.get(base).cloned().unwrap_or_default(),
            Base::Scratch => BaseConfig::default(),
            Base::Context(_) | Base::Image(_) => {
                node.config.clone().unwrap_or_else(|| BaseConfig { unknown: true, ..BaseConfig::default() })
            }
        };
        if !config.unknown {
            config.env.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
        }
        // Scratch has `/`; nobody knows that of an image that is not known.
        let workdir = (!config.unknown).then(|| format!("/{}", config.workdir.trim_start_matches('/')));
        let env = Env { values: config.env.clone(), unknown: config.unknown, workdir };
        (config.onbuild, config.title) = (Vec::new(), String::new());
        Inherited { env, made_from: BTreeMap::new(), config }
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

    /// The args of the request that change the result without being declared.
    pub(super) fn obeyed(&mut self) {
        let Some(location) = self.analysis.stages.last().map(|stage| stage.location.clone()) else { return };
        for (name, value) in self.request.args.iter().filter(|(name, _)| is_obeyed(name)) {
            self.note_arg(name, ArgUse::given(name, value, &location));
        }
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
                    current.config.env.insert(pair.key.text.clone(), pair.value.text.clone());
                    current.made_from.remove(&pair.key.text);
                }
            }
            Kind::Label(pairs) => {
                self.words(current, pairs.iter_mut().flat_map(|pair| [&mut pair.key, &mut pair.value]));
            }
            Kind::Expose(list) | Kind::Volume(list) => self.words(current, list.iter_mut()),
            Kind::Workdir(word) => {
                self.words(current, [&mut *word]);
                let before = current.env.workdir.take();
                current.env.workdir = match word.text.starts_with('/') {
                    true => Some(word.text.clone()),
                    false => before.map(|before| format!("{}/{}", before.trim_end_matches('/'), word.text)),
                };
            }
            Kind::User(word) | Kind::Stopsignal(word) => self.words(current, [word]),
            Kind::Onbuild(trigger) => current.config.onbuild.push(trigger.text.clone()),
            Kind::Maintainer(_) | Kind::Cmd(_) | Kind::Entrypoint(_) | Kind::Healthcheck(_) | Kind::Shell(_) => {}
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
        if given.is_none()
            && let (Some(default), Some(value), Some(own)) = (&arg.default, &value, self.globals.platform.get(name))
            && value != own
        {
            self.problems.push(hidden_platform(name, value, own, &default.location));
        }
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
