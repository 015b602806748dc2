//! Instructions as text for hashing.
//!
//! What BuildKit's cache does not see is left out: case, comments, continuation, blanks between words, names of stages.
//! Variables stay unexpanded: their values are hashed as args and bases. An arg that the request gives shows its name alone.

use std::fmt::Write as _;

use super::analysis::Origin;
use super::mount;
use super::syntax::{ArgDeclaration, Command, Instruction, Kind, Pair, Transfer, Word};
use crate::platform::Platform;

/// Where the value of an arg without a default of its own comes from.
pub(super) enum ArgValue {
    /// The request: the value is hashed with the args.
    Given,
    /// The ARG before the first FROM, with its default as written.
    Global(Option<String>),
}

/// The first line of a stage.
pub(super) fn from(base: &Origin, platform: &Platform) -> String {
    match base {
        Origin::Image(_) => format!("FROM {} {platform}", origin(base)),
        _ => format!("FROM {}", origin(base)),
    }
}

/// A source by its place in the analysis, not by its name.
pub(super) fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Scratch => "scratch".to_owned(),
        Origin::Stage(ordinal) => format!("stage {ordinal}"),
        Origin::Context(name) => format!("context {name}"),
        Origin::Image(index) => format!("image {index}"),
    }
}

/// One instruction. `source` is what `--from` means, `arg` says where an arg's value comes from, `mount_from` what the
/// `from` of a mount means.
pub(super) fn instruction(
    instruction: &Instruction,
    source: Option<&str>,
    arg: &dyn Fn(&str) -> ArgValue,
    mount_from: &dyn Fn(&str) -> String,
) -> String {
    let mut out = String::from(keyword(&instruction.kind));
    for flag in &instruction.flags {
        let value = match (flag.name.as_str(), flag.value.as_deref()) {
            ("from", _) if source.is_some() => source.map(str::to_owned),
            ("mount", Some(value)) => {
                let from = mount::parse_mount(value, |text| Ok(text.to_owned())).ok().and_then(|mount| mount.from);
                Some(mount::canonical(value, from.map(|from| mount_from(&from)).as_deref()))
            }
            ("link" | "parents" | "keep-git-dir" | "unpack", value) => Some(value.unwrap_or("true").to_lowercase()),
            (_, value) => value.map(str::to_owned),
        };
        put(&mut out, format_args!(" --{}={:?}", flag.name, value.unwrap_or_default()));
    }
    words(&mut out, &instruction.kind, arg);
    if let Kind::Onbuild(inner) = &instruction.kind {
        out.push(' ');
        out.push_str(&self::instruction(inner, None, &|_| ArgValue::Global(None), &str::to_owned));
        return out;
    }
    for doc in &instruction.heredocs {
        put(&mut out, format_args!(" <<{}{:?} {} {:?}", doc.descriptor, doc.name, doc.expand, doc.content()));
    }
    out
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes whatever is written");
}

fn keyword(kind: &Kind) -> &'static str {
    match kind {
        Kind::Add(_) => "ADD",
        Kind::Arg(_) => "ARG",
        Kind::Cmd(_) => "CMD",
        Kind::Copy(_) => "COPY",
        Kind::Entrypoint(_) => "ENTRYPOINT",
        Kind::Env(_) => "ENV",
        Kind::Expose(_) => "EXPOSE",
        Kind::Healthcheck(_) => "HEALTHCHECK",
        Kind::Label(_) => "LABEL",
        Kind::Maintainer(_) => "MAINTAINER",
        Kind::Onbuild(_) => "ONBUILD",
        Kind::Run(_) => "RUN",
        Kind::Shell(_) => "SHELL",
        Kind::Stopsignal(_) => "STOPSIGNAL",
        Kind::User(_) => "USER",
        Kind::Volume(_) => "VOLUME",
        Kind::Workdir(_) => "WORKDIR",
    }
}

fn words(out: &mut String, kind: &Kind, arg: &dyn Fn(&str) -> ArgValue) {
    match kind {
        Kind::Add(Transfer { sources, destination }) | Kind::Copy(Transfer { sources, destination }) => {
            sources.iter().chain([destination]).for_each(|word| quoted(out, &word.text));
        }
        Kind::Arg(args) => args.iter().for_each(|declaration| declared(out, declaration, arg)),
        Kind::Cmd(command) | Kind::Entrypoint(command) | Kind::Run(command) => line(out, command),
        Kind::Healthcheck(Some(command)) => line(out, command),
        Kind::Healthcheck(None) => out.push_str(" NONE"),
        Kind::Env(pairs) | Kind::Label(pairs) => {
            for Pair { key, value } in pairs {
                put(out, format_args!(" {:?}={:?}", key.text, value.text));
            }
        }
        Kind::Expose(list) | Kind::Volume(list) => list.iter().for_each(|word| quoted(out, &word.text)),
        Kind::Shell(list) => list.iter().for_each(|text| quoted(out, text)),
        Kind::Maintainer(Word { text, .. })
        | Kind::Stopsignal(Word { text, .. })
        | Kind::User(Word { text, .. })
        | Kind::Workdir(Word { text, .. }) => quoted(out, text),
        Kind::Onbuild(_) => {}
    }
}

fn quoted(out: &mut String, text: &str) {
    put(out, format_args!(" {text:?}"));
}

fn declared(out: &mut String, declaration: &ArgDeclaration, arg: &dyn Fn(&str) -> ArgValue) {
    let name = &declaration.name.text;
    quoted(out, name);
    match (arg(name), &declaration.default) {
        (ArgValue::Given, _) | (ArgValue::Global(None), None) => {}
        (ArgValue::Global(_), Some(default)) => put(out, format_args!("={:?}", default.text)),
        (ArgValue::Global(Some(default)), None) => put(out, format_args!("=global {default:?}")),
    }
}

fn line(out: &mut String, command: &Command) {
    match command {
        Command::Shell(word) => put(out, format_args!(" shell {:?}", word.text)),
        Command::Exec(words) => {
            out.push_str(" exec");
            words.iter().for_each(|word| quoted(out, word));
        }
    }
}
