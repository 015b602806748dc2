//! A Dockerfile as parsed: stages, instructions, words, each with its place. Nothing is expanded yet.

use crate::problem::{Location, Problems, Source};

/// A parsed Dockerfile.
#[derive(Clone, Debug)]
pub struct Dockerfile {
    /// The text.
    pub source: Source,
    /// The escape character.
    pub escape: char,
    /// The reference of `# syntax=`, without what follows a blank.
    pub syntax: Option<Word>,
    /// ARGs before the first FROM.
    pub globals: Vec<ArgDeclaration>,
    /// The stages, in order; empty only if [`Dockerfile::opaque`].
    pub stages: Vec<Stage>,
    /// Whether the text is no Dockerfile that we can read, which is right only with a front end that we do not know.
    pub opaque: bool,
    /// What is odd and yet works.
    pub warnings: Problems,
}

/// A piece of text as written (continuation lines joined), and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The text, with quotes and variables.
    pub text: String,
    /// Where it stands.
    pub location: Location,
}

/// `FROM` and what follows up to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The name after AS, in lower case.
    pub name: Option<Word>,
    /// What it is built on.
    pub base: Word,
    /// `--platform`.
    pub platform: Option<Word>,
    /// The instructions after FROM.
    pub instructions: Vec<Instruction>,
    /// The FROM line.
    pub location: Location,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does, with its words.
    pub kind: Kind,
    /// Its flags, in order.
    pub flags: Vec<Flag>,
    /// Its heredocs, in order.
    pub heredocs: Vec<Heredoc>,
    /// The whole instruction, heredocs not included.
    pub location: Location,
}

impl Instruction {
    /// The value of a flag that can stand once.
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.name == name)
    }

    /// The values of a flag that can stand more than once.
    pub fn flags<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Flag> {
        self.flags.iter().filter(move |flag| flag.name == name)
    }

    /// Whether a flag without a value is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.flag(name).is_some_and(|flag| flag.value.as_deref().is_none_or(|value| value.eq_ignore_ascii_case("true")))
    }
}

/// `--name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The name without dashes.
    pub name: String,
    /// What follows `=`, quotes taken away.
    pub value: Option<String>,
    /// The whole flag.
    pub location: Location,
}

/// The instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the instruction of its name in Docker's reference")]
pub enum Kind {
    Add(Transfer),
    Arg(Vec<ArgDeclaration>),
    Cmd(Command),
    Copy(Transfer),
    Entrypoint(Command),
    Env(Vec<Pair>),
    Expose(Vec<Word>),
    /// `None` is `HEALTHCHECK NONE`.
    Healthcheck(Option<Command>),
    Label(Vec<Pair>),
    Maintainer(Word),
    Onbuild(Trigger),
    Run(Command),
    Shell(Vec<String>),
    Stopsignal(Word),
    User(Word),
    Volume(Vec<Word>),
    Workdir(Word),
}

/// What ONBUILD leaves to those who build on the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The instruction.
    pub instruction: Box<Instruction>,
    /// Its text, continuation lines joined: this is what stands in the image's configuration.
    pub text: String,
}

/// What COPY and ADD move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Paths, wildcards and URLs; heredocs are not among them.
    pub sources: Vec<Word>,
    /// Where to.
    pub destination: Word,
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Given to the shell as it stands.
    Shell(Word),
    /// A JSON array.
    Exec(Vec<String>),
}

/// `key=value` of ENV and LABEL, quotes kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Before `=`.
    pub key: Word,
    /// After `=`.
    pub value: Word,
}

/// `ARG name` or `ARG name=default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// Its name, and its place.
    pub name: Word,
    /// The default, quotes kept.
    pub default: Option<Word>,
}

/// A document inside the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes; for COPY the name of the file.
    pub name: String,
    /// Whether variables in it are replaced: the delimiter has no quotes.
    pub expand: bool,
    /// `<<-`: tabs in front of each line are taken away.
    pub chomp: bool,
    /// The file descriptor before `<<`.
    pub descriptor: u32,
    /// The lines, as written.
    pub body: String,
    /// Where the body stands.
    pub location: Location,
}

impl Heredoc {
    /// The body without leading tabs where `<<-` asks for that.
    pub fn content(&self) -> String {
        if !self.chomp {
            return self.body.clone();
        }
        self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}
