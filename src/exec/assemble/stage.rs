//! One stage: its instructions one after the other, each with what it leaves in the file system, configuration and history.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::base::{Base, Layers};
use super::config::Image;
use super::copy::{self, Options};
use super::error::{AssembleError, Fault};
use super::files::Files;
use super::layer::Layer;
use super::mode::Mode;
use super::node::{Meta, Node};
use super::owner::Owner;
use super::settings;
use crate::dockerfile::{Instruction, Kind, Pair, Step, Transfer};
use crate::path::RelPath;
use crate::pattern::{Excludes, Pattern};
use crate::problem::{Code, Problem};

/// A layer of a stage.
#[derive(Clone, Debug)]
pub(super) enum StageLayer {
    /// One of the base's, the how-manieth; never touched.
    Base(Arc<Base>, usize),
    /// Made by an instruction; written only if the target needs it.
    Own(Arc<Layer>),
}

/// The file system of a stage.
#[derive(Clone)]
enum Ground {
    /// A base of which nobody had to know anything yet.
    Unread(Arc<Base>),
    Read(Arc<Files>),
    /// What `--link` put together without a look at what is below.
    Linked(Arc<Ground>, Arc<Files>),
}

impl Ground {
    fn files(&self, layers: &Layers<'_>) -> Result<Arc<Files>, Fault> {
        Ok(match self {
            Self::Read(files) => Arc::clone(files),
            Self::Unread(base) => layers.files(base)?,
            Self::Linked(below, upper) => Arc::new(lay_on(&below.files(layers)?, upper)),
        })
    }
}

/// A stage while it is built, and then what others build on and copy from.
#[derive(Clone)]
pub(super) struct Stage {
    pub image: Image,
    pub layers: Vec<StageLayer>,
    ground: Ground,
    /// Whether CMD was given in this stage: ENTRYPOINT then leaves it alone.
    has_cmd: bool,
}

/// What instructions need from outside their stage.
pub(super) struct Surroundings<'a> {
    pub layers: &'a Layers<'a>,
    /// The time of all that is made, RFC 3339.
    pub created: &'a str,
    /// Whether a value is not shown in the history.
    pub is_hidden: &'a dyn Fn(&str) -> bool,
}

impl Stage {
    /// `FROM scratch`.
    pub(super) fn scratch(image: Image) -> Self {
        Self { image, layers: Vec::new(), ground: Ground::Read(Arc::default()), has_cmd: false }
    }

    /// `FROM` an image from outside.
    pub(super) fn from_base(base: &Base) -> Self {
        let base = Arc::new(base.clone());
        Self {
            image: base.known.image.clone(),
            layers: (0..base.known.layers.len()).map(|index| StageLayer::Base(Arc::clone(&base), index)).collect(),
            ground: Ground::Unread(base),
            has_cmd: false,
        }
    }

    /// The stage as one that another is built on: ONBUILD has been done, CMD is inherited.
    #[must_use]
    pub(super) fn begin(mut self) -> Self {
        self.image = self.image.with_path();
        self.image.config.on_build.clear();
        self.has_cmd = false;
        self
    }

    /// The file system; a base is read now if it was not before.
    pub(super) fn files(&mut self, layers: &Layers<'_>) -> Result<Arc<Files>, Fault> {
        let files = self.ground.files(layers)?;
        self.ground = Ground::Read(Arc::clone(&files));
        Ok(files)
    }

    /// Carries out one instruction. `from` is what COPY and ADD take their files from.
    pub(super) fn step(
        &mut self,
        step: &Step,
        from: Option<&Arc<Files>>,
        around: &Surroundings<'_>,
    ) -> Result<(), AssembleError> {
        let instruction = &step.instruction;
        let done = match &instruction.kind {
            Kind::Copy(transfer) => self.transfer(instruction, transfer, from, around),
            Kind::Add(transfer) => self.transfer(instruction, transfer, from, around),
            Kind::Workdir(word) => self.workdir(&word.text, around),
            Kind::Run(_) => return Err(needs_buildkit(instruction, "RUN needs a builder that can start programs")),
            Kind::Onbuild(trigger) => {
                self.image.config.on_build.push(trigger.text.clone());
                Ok(())
            }
            _ => self.setting(instruction, around).map(|what| self.image.note(around.created, what, true)),
        };
        done.map_err(|fault| fault.at(&instruction.location))
    }

    /// An instruction that changes the configuration alone: what the history says of it.
    fn setting(&mut self, instruction: &Instruction, around: &Surroundings<'_>) -> Result<String, Fault> {
        Ok(match &instruction.kind {
            Kind::Arg(args) => {
                // As since BuildKit 0.14: effective values. Sensitive ones are nobody's business who reads the history.
                let texts = args.iter().map(|arg| match arg.default.as_ref().map(|value| value.text.as_str()) {
                    Some(value) if !(around.is_hidden)(value) => format!("{}={value}", arg.name.text),
                    _ => arg.name.text.clone(),
                });
                format!("ARG {}", texts.collect::<Vec<_>>().join(" "))
            }
            Kind::Env(pairs) => {
                pairs.iter().for_each(|Pair { key, value }| self.image.set_env(&key.text, &value.text));
                format!("ENV {}", settings::pairs(pairs))
            }
            Kind::Label(pairs) => {
                let labels = pairs.iter().map(|Pair { key, value }| (key.text.clone(), value.text.clone()));
                self.image.config.labels.extend(labels);
                format!("LABEL {}", settings::pairs(pairs))
            }
            Kind::Cmd(command) => {
                self.image.config.cmd = settings::command(&self.image, command);
                self.image.config.args_escaped = true;
                self.has_cmd = true;
                format!("CMD {}", settings::quoted(self.image.config.cmd.as_deref()))
            }
            Kind::Entrypoint(command) => {
                self.image.config.entrypoint = settings::command(&self.image, command);
                if !self.has_cmd {
                    self.image.config.cmd = None;
                }
                format!("ENTRYPOINT {}", settings::quoted(self.image.config.entrypoint.as_deref()))
            }
            Kind::Expose(words) => {
                let mut ports = BTreeMap::new();
                for word in words.iter().flat_map(|word| word.text.split_whitespace()) {
                    ports.extend(settings::ports(word)?);
                }
                let texts: Vec<String> = ports.keys().cloned().collect();
                self.image.config.exposed_ports.extend(ports);
                format!("EXPOSE [{}]", texts.join(" "))
            }
            Kind::Volume(words) => {
                let volumes: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
                self.image
                    .config
                    .volumes
                    .extend(volumes.iter().map(|volume| ((*volume).to_owned(), super::config::Nothing {})));
                format!("VOLUME [{}]", volumes.join(" "))
            }
            Kind::Healthcheck(check) => {
                let check = settings::healthcheck(instruction, check.as_ref())?;
                let what = format!("HEALTHCHECK {}", settings::quoted(Some(&check.test)));
                self.image.config.healthcheck = Some(check);
                what
            }
            Kind::Shell(words) => {
                self.image.config.shell.clone_from(words);
                format!("SHELL [{}]", words.join(" "))
            }
            Kind::Stopsignal(word) => {
                settings::check_signal(&word.text)?;
                self.image.config.stop_signal.clone_from(&word.text);
                format!("STOPSIGNAL {}", word.text)
            }
            Kind::User(word) => {
                self.image.config.user.clone_from(&word.text);
                format!("USER {}", word.text)
            }
            Kind::Maintainer(word) => {
                self.image.author = Some(word.text.clone());
                format!("MAINTAINER {}", word.text)
            }
            Kind::Add(_) | Kind::Copy(_) | Kind::Workdir(_) | Kind::Run(_) | Kind::Onbuild(_) => {
                unreachable!("instructions that do more than change the configuration are carried out before")
            }
        })
    }

    /// Puts a layer on the stage; an instruction that changed nothing leaves one without entries, as with BuildKit.
    fn commit(&mut self, ground: Ground, layer: Layer, what: String, around: &Surroundings<'_>) {
        self.layers.push(StageLayer::Own(Arc::new(layer)));
        self.ground = ground;
        self.image.note(around.created, what, false);
    }

    fn workdir(&mut self, text: &str, around: &Surroundings<'_>) -> Result<(), Fault> {
        let folder = absolute(&self.image.config.working_dir, text);
        // An absolute path stays as it is written; a relative one is joined, which cleans it.
        let keeps_slash = text.starts_with('/') && text.ends_with('/');
        let folder = if keeps_slash { folder } else { crate::pattern::clean(&folder) };
        self.image.config.working_dir = String::from_utf8_lossy(&folder).into_owned();
        let what = if text.starts_with('/') { text } else { &self.image.config.working_dir };
        let what = format!("WORKDIR {what}");
        if folder == b"/" {
            self.image.note(around.created, what, true);
            return Ok(());
        }
        let below = self.files(around.layers)?;
        let mut files = Files::on(&below);
        let owner = match self.image.config.user.as_str() {
            "" => None,
            user => Some(self.owner(user, Some(&below), around)?),
        };
        let place = files.resolve(&RelPath::root(), &folder)?;
        files.make_folders(&place, (owner, None))?;
        let layer = Layer::of(&files);
        self.commit(Ground::Read(Arc::new(files)), layer, what, around);
        Ok(())
    }

    /// Who `text` means. Names are looked up in `below`, which must be something: BuildKit refuses names on the empty image and
    /// with `--link`.
    fn owner(&self, text: &str, below: Option<&Files>, around: &Surroundings<'_>) -> Result<Owner, Fault> {
        let below = below.filter(|_| !self.layers.is_empty());
        match (Owner::of_numbers(text), below) {
            (Some(owner), _) => Ok(owner),
            (None, Some(files)) => Owner::look_up(text, files, &mut |file| around.layers.read(file)),
            (None, None) => Err(Fault::new(
                Code::DockerfileSyntax,
                format!("`{text}` cannot be looked up: there is no image below"),
            )
            .help("write numbers, such as `1000:1000`")),
        }
    }

    fn transfer(
        &mut self,
        instruction: &Instruction,
        transfer: &Transfer,
        from: Option<&Arc<Files>>,
        around: &Surroundings<'_>,
    ) -> Result<(), Fault> {
        let is_add = matches!(instruction.kind, Kind::Add(_));
        if instruction.flag("checksum").is_some() {
            let message = "`--checksum` is for what comes from an address";
            return Err(Fault::new(Code::DockerfileSyntax, message).help("leave it out"));
        }
        // As with BuildKit, `--chmod` switches `--link` off.
        let link = instruction.is_on("link") && instruction.flag("chmod").is_none();
        // With `--link` the files are put together without looking at what is below, which is then laid under them.
        let below = if link { Arc::default() } else { self.files(around.layers)? };
        let mut files = Files::on(&below);
        let mut options = self.options(instruction, (!link).then_some(&*below), around)?;
        options.unpack = is_add && unpacks(instruction);
        let destination = absolute(&self.image.config.working_dir, &transfer.destination.text);
        for source in &transfer.sources {
            let from =
                from.ok_or_else(|| Fault::new(Code::SourceMissing, format!("`{}` is not there", source.text)))?;
            copy_source(&mut files, from, (&source.text, &destination), instruction.is_on("parents"), &options)?;
        }
        options.unpack = false;
        for doc in &instruction.heredocs {
            let mut held = Files::default();
            let name = RelPath::root().join(doc.name.as_bytes());
            let meta = Meta { mode: 0o644, uid: 0, gid: 0 };
            held.put(name.clone(), Node::bytes(doc.content().as_bytes(), meta));
            let plain = Options { excludes: Excludes::default(), includes: None, ..options.clone() };
            copy::copy(&mut files, &held, (name.as_bytes(), &destination), &plain)?;
        }
        let layer = Layer::of(&files);
        let files = Arc::new(files);
        let ground = if link { Ground::Linked(Arc::new(self.ground.clone()), files) } else { Ground::Read(files) };
        let words = transfer.sources.iter().map(|word| word.text.clone());
        let words = words.chain(instruction.heredocs.iter().map(|doc| format!("<<{}", doc.name)));
        let parents = instruction.is_on("parents").then(|| "--parents".to_owned());
        let flags = ["chown", "chmod"].map(|name| {
            instruction.flag(name).map(|flag| format!("--{name}={}", flag.value.as_deref().unwrap_or_default()))
        });
        let words: Vec<String> = parents
            .into_iter()
            .chain(flags.into_iter().flatten())
            .chain(words)
            .chain([transfer.destination.text.clone()])
            .collect();
        let what = format!("{} {} # buildkit", if is_add { "ADD" } else { "COPY" }, words.join(" "));
        self.commit(ground, layer, what, around);
        Ok(())
    }

    fn options(
        &self,
        instruction: &Instruction,
        below: Option<&Files>,
        around: &Surroundings<'_>,
    ) -> Result<Options, Fault> {
        let value =
            |name: &str| instruction.flag(name).and_then(|flag| flag.value.as_deref()).filter(|text| !text.is_empty());
        let owner = match value("chown") {
            Some(text) => Some(self.owner(text, below, around)?),
            None => None,
        };
        let mode = match value("chmod") {
            Some(text) => Some(Mode::parse(text).ok_or_else(|| {
                Fault::new(Code::DockerfileSyntax, format!("`{text}` is not a mode"))
                    .help("an octal number such as `755`, or changes such as `u=rwX,go=rX`")
            })?),
            None => None,
        };
        let mut patterns = Vec::new();
        for flag in instruction.flags("exclude") {
            let text = flag.value.as_deref().unwrap_or_default();
            patterns.push(pattern(text)?);
        }
        Ok(Options { owner, mode, excludes: Excludes::new(patterns), includes: None, unpack: false })
    }
}

/// `--unpack=false` leaves archives as they are.
fn unpacks(instruction: &Instruction) -> bool {
    instruction.flag("unpack").is_none() || instruction.is_on("unpack")
}

fn pattern(text: &str) -> Result<Pattern, Fault> {
    let bad = |error: crate::pattern::BadPattern| {
        Fault::new(Code::DockerfileSyntax, format!("`{text}` is not a pattern: {error}"))
    };
    Pattern::new(text.as_bytes()).map_err(bad)
}

/// `path` below the working directory unless it is absolute; a `/` at its end stays, and `.` gets one: it is a folder.
fn absolute(workdir: &str, path: &str) -> Vec<u8> {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{workdir}/{path}") };
    let mut clean = crate::pattern::clean(format!("/{whole}").as_bytes());
    if (path.is_empty() || path == "." || path.ends_with('/')) && !clean.ends_with(b"/") {
        clean.push(b'/');
    }
    clean
}

/// One source of COPY or ADD with all that its wildcards mean.
fn copy_source(
    files: &mut Files,
    from: &Files,
    (source, destination): (&str, &[u8]),
    parents: bool,
    options: &Options,
) -> Result<(), Fault> {
    if !parents {
        for path in copy::sources(from, source)? {
            copy::copy(files, from, (&path, destination), options)?;
        }
        return Ok(());
    }
    let (root, rest) = source.split_once("/./").unwrap_or(("", source));
    let wanted = crate::pattern::clean(format!("/{rest}").as_bytes());
    let wanted = String::from_utf8_lossy(&wanted[1..]).into_owned();
    // All of the root is wanted where nothing is left of the pattern.
    let includes = if wanted.is_empty() { None } else { Some(Excludes::new(vec![pattern(&wanted)?])) };
    let options = Options { includes, ..options.clone() };
    let roots = copy::sources(from, root)?;
    let wild = wanted.split('/').any(|part| crate::pattern::Glob::is_wild(part.as_bytes()));
    for path in roots {
        let inner = from.resolve(&RelPath::root(), &[path.as_slice(), b"/", wanted.as_bytes()].concat())?;
        if !wild && from.get(&inner).is_none() {
            return Err(Fault::new(Code::SourceMissing, format!("`{source}` is not there")));
        }
        copy::copy(files, from, (&path, destination), &options)?;
    }
    Ok(())
}

/// `upper`, a file system of its own, on `lower`.
fn lay_on(lower: &Arc<Files>, upper: &Files) -> Files {
    let mut files = Files::on(lower);
    for (path, node) in upper.subtree(&RelPath::root()) {
        files.put(path, node);
    }
    files
}

/// The error for what only BuildKit can do.
pub(super) fn needs_buildkit(instruction: &Instruction, why: &str) -> AssembleError {
    AssembleError::NeedsBuildkit(Box::new(
        Problem::error(Code::NeedsBuildkit, why).at(&instruction.location, "").help("leave `executor` out"),
    ))
}
