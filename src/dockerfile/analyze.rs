//! What a build of a target would use: stages, args, images, paths, remotes, secrets.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::{
    Analysis, ArgUse, ImageUse, ImageUseKind, Origin, Read, ReadKind, Remote, Request, StageUse, Step, Undeclared,
    remote_kind,
};
use super::expand::{Expanded, Lexer, Used};
use super::mount::{Mount, MountKind, parse_mount};
use super::parse::is_known_frontend;
use super::reach::{Base, Stages, without_value};
use super::recipe;
use super::scope::{Env, Globals, expand, is_predefined, needs_no_declaration, substitution};
use super::syntax::{ArgDeclaration, Dockerfile, Flag, Instruction, Kind, Transfer, Word};
use crate::platform::Platform;
use crate::problem::{Code, Location, Problem, Problems, Severity};

/// What PATH is where the base does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds out what a build of the request's target would use.
///
/// # Errors
/// All that BuildKit would refuse for this target, and a FROM that uses an arg without a value.
pub fn analyze(file: &Dockerfile, request: &Request<'_>) -> Result<Analysis, Problems> {
    let mut problems = Problems::new();
    let mut analysis = Analysis { frontend_known: true, ..Analysis::default() };
    front_end(file, request, &mut analysis);
    if file.opaque {
        opaque(file, request, &mut analysis);
        return Ok(analysis);
    }
    let target_name = request.target.map_or_else(
        || file.stages.last().and_then(|stage| stage.name.as_ref()).map(|name| name.text.clone()).unwrap_or_default(),
        str::to_owned,
    );
    let globals = Globals::new(file, request, &target_name, &mut problems);
    let mut stages = Stages::new(file, &globals, request, &mut problems);
    let target = stages.target(file, request, &mut problems);
    stages.check(&mut problems);
    let (Some(target), false) = (target, problems.has_errors()) else { return Err(problems) };
    let needed = stages.needed(target, request, &mut problems);
    let mut walk = Walk {
        file,
        request,
        globals: &globals,
        stages: &stages,
        ordinals: needed.iter().enumerate().map(|(ordinal, index)| (*index, ordinal)).collect(),
        envs: BTreeMap::new(),
        declared: BTreeSet::new(),
        analysis,
        problems,
    };
    if !walk.problems.has_errors() {
        needed.iter().for_each(|index| walk.stage(*index));
        walk.source_date_epoch();
    }
    let Walk { mut analysis, problems, .. } = walk;
    analysis.undeclared = undeclared(file, request, &analysis);
    if !analysis.frontend_known {
        unknown_front_end(file, &mut analysis);
    }
    analysis.warnings = problems.sorted().into_iter().filter(|p| p.severity == Severity::Warning).cloned().collect();
    problems.or(analysis)
}

fn front_end(file: &Dockerfile, request: &Request<'_>, analysis: &mut Analysis) {
    let directive = file.syntax.as_ref().map(|word| (word.text.clone(), word.location.clone()));
    let arg = request.args.get("BUILDKIT_SYNTAX").map(|text| (text.clone(), file.source.at(0, 0)));
    analysis.syntax = arg.or(directive);
    analysis.frontend_known = analysis.syntax.as_ref().is_none_or(|(text, _)| is_known_frontend(text));
}

/// All that can be said of a text that only its own front end can read: it may read everything.
fn opaque(file: &Dockerfile, request: &Request<'_>, analysis: &mut Analysis) {
    let location = file.syntax.as_ref().map_or_else(|| file.source.at(0, 0), |word| word.location.clone());
    for (name, value) in request.args.iter().filter(|(name, _)| !needs_no_declaration(name)) {
        let arg = ArgUse {
            value: Some(value.clone()),
            from_only: false,
            predefined: false,
            made_from: [name.clone()].into(),
            location: location.clone(),
        };
        analysis.args.insert(name.clone(), arg);
    }
    analysis.stages.push(StageUse {
        index: 0,
        name: request.target.map(str::to_owned),
        base: Origin::Scratch,
        platform: request.platform.clone(),
        recipe: Vec::new(),
        steps: Vec::new(),
        location,
    });
    unknown_front_end(file, analysis);
}

/// The whole text and the whole context are input.
fn unknown_front_end(file: &Dockerfile, analysis: &mut Analysis) {
    let Some((_, location)) = analysis.syntax.clone() else { return };
    if let Some(last) = analysis.stages.last_mut() {
        last.recipe.push(format!("text {:?}", file.source.text()));
    }
    let read = Read {
        pattern: ".".to_owned(),
        kind: ReadKind::Whole,
        parents: false,
        exclude: Vec::new(),
        location: location.clone(),
        text: ".".to_owned(),
    };
    analysis.reads.insert(String::new(), vec![read]);
    analysis.first_run.get_or_insert_with(|| ("a front end of its own".to_owned(), location));
}

fn undeclared(file: &Dockerfile, request: &Request<'_>, analysis: &Analysis) -> BTreeMap<String, Undeclared> {
    let in_stages =
        file.stages.iter().flat_map(|stage| &stage.instructions).filter_map(|instruction| match &instruction.kind {
            Kind::Arg(args) => Some(args),
            _ => None,
        });
    let anywhere: BTreeSet<&str> =
        in_stages.flatten().chain(&file.globals).map(|declaration| declaration.name.text.as_str()).collect();
    let given = request.args.keys().filter(|name| !analysis.args.contains_key(*name) && !needs_no_declaration(name));
    given
        .map(|name| {
            let known = anywhere.contains(name.as_str()) || is_predefined(name);
            (name.clone(), if known { Undeclared::Unreachable } else { Undeclared::Nowhere })
        })
        .collect()
}

struct Walk<'a> {
    file: &'a Dockerfile,
    request: &'a Request<'a>,
    globals: &'a Globals,
    stages: &'a Stages<'a>,
    /// From a stage's number to its index in the analysis.
    ordinals: BTreeMap<usize, usize>,
    /// What each stage leaves to those that build on it.
    envs: BTreeMap<usize, (Env, BTreeMap<String, BTreeSet<String>>)>,
    /// Args that some needed stage declares.
    declared: BTreeSet<String>,
    analysis: Analysis,
    problems: Problems,
}

/// A stage while its instructions are gone through.
struct Current {
    index: usize,
    env: Env,
    /// From which args of the request each variable was made.
    made_from: BTreeMap<String, BTreeSet<String>>,
    recipe: Vec<String>,
    steps: Vec<Step>,
}

impl Walk<'_> {
    fn lexer(&self) -> Lexer {
        Lexer::new(self.file.escape)
    }

    fn stage(&mut self, index: usize) {
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
        let mut current = Current { index, env, made_from, recipe: Vec::new(), steps: Vec::new() };
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
    fn origin(
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
    fn source_date_epoch(&mut self) {
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
                args.iter().for_each(|arg| self.arg(current, arg));
                done = instruction.clone();
            }
            Kind::Env(pairs) => {
                self.words(current, pairs.iter_mut().flat_map(|pair| [&mut pair.key, &mut pair.value]));
                for pair in pairs.iter() {
                    current.env.values.insert(pair.key.text.clone(), pair.value.text.clone());
                    current.made_from.remove(&pair.key.text);
                }
            }
            Kind::Label(pairs) => {
                self.words(current, pairs.iter_mut().flat_map(|pair| [&mut pair.key, &mut pair.value]))
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
        let line = recipe::instruction(instruction, source_name.as_deref(), &|name| self.arg_recipe(name), &|from| {
            self.mount_source(current.index, from)
        });
        current.recipe.push(line);
        current.steps.push(Step { instruction: done, from });
    }

    fn first_run(&mut self, what: &str, instruction: &Instruction) {
        if self.analysis.first_run.is_none() {
            self.analysis.first_run = Some((what.to_owned(), instruction.location.clone()));
        }
    }

    /// Expands words in place.
    fn words<'w>(&mut self, current: &Current, words: impl IntoIterator<Item = &'w mut Word>) {
        for word in words {
            if let Some(expanded) = expand(self.lexer(), word, &current.env.values, &mut self.problems) {
                word.text = expanded.text;
            }
        }
    }

    fn flag_values(&mut self, current: &Current, flags: &mut [Flag]) {
        for flag in
            flags.iter_mut().filter(|flag| ["chown", "chmod", "checksum", "exclude"].contains(&flag.name.as_str()))
        {
            let word = Word { text: flag.value.clone().unwrap_or_default(), location: flag.location.clone() };
            if let Some(expanded) = expand(self.lexer(), &word, &current.env.values, &mut self.problems) {
                flag.value = Some(expanded.text);
            }
        }
    }

    /// The bodies of COPY's and ADD's heredocs: variables are replaced, quotes stay.
    fn heredocs(&mut self, current: &Current, instruction: &mut Instruction) {
        let lexer = Lexer { skip_quotes: true, ..Lexer::new('\\') };
        for doc in &mut instruction.heredocs {
            let text = doc.content();
            doc.chomp = false;
            let word = Word { text, location: doc.location.clone() };
            doc.body = if doc.expand {
                expand(lexer, &word, &current.env.values, &mut self.problems)
                    .map(|expanded| expanded.text)
                    .unwrap_or_default()
            } else {
                word.text
            };
        }
    }

    fn copy_source(&mut self, stage: usize, flag: &Flag) -> Origin {
        let from = flag.value.clone().unwrap_or_default();
        let platform = self.request.platform.clone();
        match self.stages.source(&from, true) {
            Ok(base) => self.origin(&base, stage, ImageUseKind::CopyFrom, &platform, &flag.location),
            Err(_) => Origin::Scratch,
        }
    }

    fn transfer(&mut self, current: &Current, instruction: &Instruction, transfer: &mut Transfer, from: &Origin) {
        let is_add = matches!(instruction.kind, Kind::Add(_));
        let kind = if is_add { ReadKind::Add } else { ReadKind::Copy };
        let mut exclude = Vec::new();
        for flag in instruction.flags("exclude") {
            let word = Word { text: flag.value.clone().unwrap_or_default(), location: flag.location.clone() };
            if let Some(expanded) = self.expand_certain(current, &word) {
                exclude.extend(expanded.map(|expanded| expanded.text));
            }
        }
        for source in &mut transfer.sources {
            let written = source.clone();
            let pattern = match self.expand_certain(current, source) {
                None => continue,
                Some(Some(expanded)) => expanded.text,
                Some(None) => ".".to_owned(),
            };
            source.text.clone_from(&pattern);
            if let Some(remote) = remote_kind(&pattern) {
                if is_add {
                    self.remote(current, instruction, &written, (pattern, remote));
                } else {
                    let problem = Problem::error(Code::DockerfileSyntax, format!("COPY cannot fetch `{pattern}`"));
                    self.problems.push(problem.at(&written.location, "").help("ADD fetches from addresses"));
                }
                continue;
            }
            if let Origin::Context(name) = from {
                let list = self.read(name, kind, &written, &pattern, &exclude);
                list.parents = instruction.is_on("parents");
            }
        }
    }

    /// Expands a word of which the outcome decides what is read. `Some(None)` if it cannot be known, which is a warning:
    /// a variable in it may come from a base image whose environment is unknown.
    fn expand_certain(&mut self, current: &Current, word: &Word) -> Option<Option<Expanded>> {
        let expanded = expand(self.lexer(), word, &current.env.values, &mut self.problems)?;
        let unsure: Option<&Used> = expanded.used.iter().find(|used| !used.set && current.env.unknown);
        let Some(used) = unsure else { return Some(Some(expanded)) };
        self.problems.push(
            Problem::warning(
                Code::UnknownEnvironment,
                format!(
                    "`{}` may come from the base image, whose environment is not known: all files of the context count",
                    used.name
                ),
            )
            .at(&word.location, "")
            .help(format!("declare `ARG {0}` or `ENV {0}=...` in this stage", used.name)),
        );
        Some(None)
    }

    fn remote(
        &mut self,
        current: &Current,
        instruction: &Instruction,
        source: &Word,
        (url, kind): (String, super::RemoteKind),
    ) {
        let checksum = instruction.flag("checksum").and_then(|flag| {
            let word = Word { text: flag.value.clone()?, location: flag.location.clone() };
            expand(self.lexer(), &word, &current.env.values, &mut self.problems).map(|expanded| expanded.text)
        });
        self.first_run("ADD from an address", instruction);
        self.analysis.remotes.push(Remote { url, checksum, kind, location: source.location.clone() });
    }

    /// Notes a read of a context.
    fn read(&mut self, context: &str, kind: ReadKind, source: &Word, pattern: &str, exclude: &[String]) -> &mut Read {
        let list = self.analysis.reads.entry(context.to_owned()).or_default();
        list.push(Read {
            pattern: pattern.to_owned(),
            kind,
            parents: false,
            exclude: exclude.to_vec(),
            location: source.location.clone(),
            text: source.text.clone(),
        });
        list.last_mut().expect("one was pushed just now")
    }

    fn run(&mut self, current: &Current, instruction: &Instruction) {
        for flag in instruction.flags("mount") {
            let word = Word { text: flag.value.clone().unwrap_or_default(), location: flag.location.clone() };
            let lexer = self.lexer();
            let mut unsure = false;
            let mount = parse_mount(&word.text, |value| {
                let expanded = lexer.expand(value, &current.env.values).map_err(|error| error.message)?;
                unsure |= current.env.unknown && expanded.used.iter().any(|used| !used.set);
                Ok(expanded.text)
            });
            match mount {
                Ok(mount) => self.mount(current, &word, &mount, unsure),
                Err(why) if why.contains("missing") => self.problems.push(substitution(&word, &why, 0)),
                Err(why) => self.problems.push(Problem::error(Code::DockerfileSyntax, why).at(&word.location, "")),
            }
        }
    }

    fn mount(&mut self, current: &Current, word: &Word, mount: &Mount, unsure: bool) {
        match mount.kind {
            MountKind::Tmpfs => {}
            MountKind::Secret => *self.analysis.secrets.entry(mount.identity()).or_default() |= mount.required,
            MountKind::Ssh => *self.analysis.ssh.entry(mount.identity()).or_default() |= mount.required,
            MountKind::Bind | MountKind::Cache => {
                let origin = match &mount.from {
                    None if mount.kind == MountKind::Cache => return,
                    None => Origin::Context(String::new()),
                    Some(from) => match self.stages.source(from, false) {
                        Ok(base) => {
                            let platform = self.request.platform.clone();
                            self.origin(&base, current.index, ImageUseKind::MountFrom, &platform, &word.location)
                        }
                        Err(_) => return,
                    },
                };
                if let Origin::Context(name) = origin {
                    let source = mount.source.clone().unwrap_or_default();
                    let pattern = if unsure { "." } else { source.as_str() };
                    self.read(&name, ReadKind::Bind, word, pattern, &[]);
                }
            }
        }
    }

    fn mount_source(&self, stage: usize, from: &str) -> String {
        match self.stages.source(from, false) {
            Ok(Base::Stage(index)) => format!("stage {}", self.ordinals.get(&index).copied().unwrap_or_default()),
            Ok(Base::Scratch) => "scratch".to_owned(),
            Ok(Base::Context(name)) => format!("context {name}"),
            Ok(Base::Image(text)) => {
                let stage = self.ordinals.get(&stage).copied().unwrap_or_default();
                let same =
                    |used: &ImageUse| used.kind == ImageUseKind::MountFrom && used.stage == stage && used.text == text;
                let index = self.analysis.references.iter().rposition(same).unwrap_or_default();
                format!("image {index}")
            }
            Err(_) => from.to_owned(),
        }
    }

    /// ARG in a stage.
    fn arg(&mut self, current: &mut Current, arg: &ArgDeclaration) {
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
        self.declared.insert(name.clone());
        if let Some(value) = value
            && !name.starts_with("BUILDKIT_SBOM_SCAN_")
        {
            current.env.values.insert(name.clone(), value);
            current.made_from.insert(name.clone(), made_from);
        }
    }

    /// What stands in the recipe for the value of an arg: nothing if the request gives it, else where its value comes from.
    fn arg_recipe(&self, name: &str) -> recipe::ArgValue {
        if self.request.args.contains_key(name) {
            return recipe::ArgValue::Given;
        }
        recipe::ArgValue::Global(self.globals.declared.get(name).and_then(|global| global.default.clone()))
    }
}
