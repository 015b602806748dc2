//! What instructions read: contexts, stages, images, addresses, secrets.

use super::analysis::{ImageUse, ImageUseKind, Origin, Read, ReadKind, Remote, RemoteKind, remote_kind};
use super::expand::{Expanded, Lexer, Used};
use super::mount::{Mount, MountKind, parse_mount};
use super::reach::Base;
use super::scope::{expand, substitution};
use super::syntax::{Flag, Instruction, Kind, Transfer, Word};
use super::walk::{Current, Walk};
use crate::problem::{Code, Problem};

impl Walk<'_> {
    pub(super) fn first_run(&mut self, what: &str, instruction: &Instruction) {
        if self.analysis.first_run.is_none() {
            self.analysis.first_run = Some((what.to_owned(), instruction.location.clone()));
        }
    }

    /// Expands words in place.
    pub(super) fn words<'w>(&mut self, current: &Current, words: impl IntoIterator<Item = &'w mut Word>) {
        for word in words {
            if let Some(expanded) = expand(self.lexer(), word, &current.env.values, &mut self.problems) {
                word.text = expanded.text;
            }
        }
    }

    pub(super) fn flag_values(&mut self, current: &Current, flags: &mut [Flag]) {
        // Not `--exclude`: BuildKit takes its patterns as they are written.
        for flag in flags.iter_mut().filter(|flag| ["chown", "chmod", "checksum"].contains(&flag.name.as_str())) {
            let word = Word { text: flag.value.clone().unwrap_or_default(), location: flag.location.clone() };
            if let Some(expanded) = expand(self.lexer(), &word, &current.env.values, &mut self.problems) {
                flag.value = Some(expanded.text);
            }
        }
    }

    /// The bodies of COPY's and ADD's heredocs: variables are replaced, quotes stay.
    pub(super) fn heredocs(&mut self, current: &Current, instruction: &mut Instruction) {
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

    pub(super) fn copy_source(&mut self, stage: usize, flag: &Flag) -> Origin {
        let from = flag.value.clone().unwrap_or_default();
        let platform = self.request.platform.clone();
        match self.stages.source(&from, true) {
            Ok(base) => self.origin(&base, stage, ImageUseKind::CopyFrom, &platform, &flag.location),
            Err(_) => Origin::Scratch,
        }
    }

    pub(super) fn transfer(
        &mut self,
        current: &Current,
        instruction: &Instruction,
        transfer: &mut Transfer,
        from: &Origin,
    ) {
        let is_add = matches!(instruction.kind, Kind::Add(_));
        let kind = if is_add { ReadKind::Add } else { ReadKind::Copy };
        let exclude: Vec<String> = instruction.flags("exclude").filter_map(|flag| flag.value.clone()).collect();
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
    pub(super) fn expand_certain(&mut self, current: &Current, word: &Word) -> Option<Option<Expanded>> {
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

    pub(super) fn remote(
        &mut self,
        current: &Current,
        instruction: &Instruction,
        source: &Word,
        (url, kind): (String, RemoteKind),
    ) {
        let checksum = instruction.flag("checksum").and_then(|flag| {
            let word = Word { text: flag.value.clone()?, location: flag.location.clone() };
            expand(self.lexer(), &word, &current.env.values, &mut self.problems).map(|expanded| expanded.text)
        });
        self.first_run("ADD from an address", instruction);
        let alone =
            matches!(&instruction.kind, Kind::Add(add) if add.sources.len() == 1 && instruction.heredocs.is_empty());
        self.analysis.remotes.push(Remote {
            url,
            checksum,
            kind,
            location: source.location.clone(),
            instruction: instruction.location.clone(),
            alone,
        });
    }

    /// Notes a read of a context.
    pub(super) fn read(
        &mut self,
        context: &str,
        kind: ReadKind,
        source: &Word,
        pattern: &str,
        exclude: &[String],
    ) -> &mut Read {
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

    /// What `--network`, `--security` and `--device` need beyond what every build may do.
    fn entitlements(&mut self, instruction: &Instruction) {
        for flag in &instruction.flags {
            let value = flag.value.as_deref().unwrap_or_default();
            let needed = match (flag.name.as_str(), value) {
                ("network", "host") => "network.host".to_owned(),
                ("security", "insecure") => "security.insecure".to_owned(),
                ("device", _) => {
                    // `NAME[,required]`, or `name=NAME`.
                    let named = value.split(',').find_map(|field| field.strip_prefix("name="));
                    format!("device={}", named.or_else(|| value.split(',').next()).unwrap_or_default())
                }
                _ => continue,
            };
            self.analysis.entitlements.entry(needed).or_insert_with(|| flag.location.clone());
        }
    }

    pub(super) fn run(&mut self, current: &Current, instruction: &Instruction) {
        self.entitlements(instruction);
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
                Ok(mount) => {
                    if let Some(why) = mount.fault_in(current.env.workdir.as_deref()).filter(|_| !unsure) {
                        let problem = Problem::error(Code::DockerfileSyntax, why).at(&word.location, "");
                        self.problems.push(problem.help("give it a target below `/`, or set WORKDIR before"));
                    }
                    self.mount(current, &word, &mount, unsure);
                }
                Err(why) if why.contains("missing") => self.problems.push(substitution(&word, &why, 0)),
                Err(why) => self.problems.push(Problem::error(Code::DockerfileSyntax, why).at(&word.location, "")),
            }
        }
    }

    pub(super) fn mount(&mut self, current: &Current, word: &Word, mount: &Mount, unsure: bool) {
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

    pub(super) fn mount_source(&self, stage: usize, from: &str) -> String {
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
}
