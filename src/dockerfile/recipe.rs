//! Instructions as text for hashing.
//!
//! What BuildKit's cache does not see is left out: case, comments, continuation, blanks between words, names of stages.
//! Variables stay unexpanded: their values are hashed as args and bases.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::analysis::Origin;
use super::mount;
use super::syntax::{ArgDeclaration, Command, Instruction, Kind, Pair, Transfer, Word};
use crate::platform::Platform;

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

/// One instruction. `source` is what `--from` means, `global` gives the value of an ARG before the first FROM, and `mount_from` says
/// what the `from` of a mount means.
pub(super) fn instruction(
    instruction: &Instruction,
    source: Option<&str>,
    global: &dyn Fn(&str) -> Option<String>,
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
    words(&mut out, &instruction.kind, global);
    if let Kind::Onbuild(trigger) = &instruction.kind {
        // The text goes into the configuration of the image as it is.
        put(&mut out, format_args!(" {:?} ", trigger.text));
        out.push_str(&self::instruction(&trigger.instruction, None, &|_| None, &str::to_owned));
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

fn words(out: &mut String, kind: &Kind, global: &dyn Fn(&str) -> Option<String>) {
    match kind {
        Kind::Add(Transfer { sources, destination }) | Kind::Copy(Transfer { sources, destination }) => {
            sources.iter().chain([destination]).for_each(|source| word(out, &source.text));
        }
        Kind::Arg(args) => args.iter().for_each(|declaration| declared(out, declaration, global)),
        Kind::Cmd(command) | Kind::Entrypoint(command) | Kind::Run(command) => line(out, command),
        Kind::Healthcheck(Some(command)) => line(out, command),
        Kind::Healthcheck(None) => out.push_str(" NONE"),
        Kind::Env(pairs) | Kind::Label(pairs) => {
            for Pair { key, value } in pairs {
                put(out, format_args!(" {:?}={:?}", bare(&key.text), bare(&value.text)));
            }
        }
        Kind::Expose(list) | Kind::Volume(list) => list.iter().for_each(|entry| word(out, &entry.text)),
        Kind::Shell(list) => list.iter().for_each(|text| quoted(out, text)),
        Kind::Maintainer(Word { text, .. }) => quoted(out, text),
        Kind::Stopsignal(Word { text, .. }) | Kind::User(Word { text, .. }) | Kind::Workdir(Word { text, .. }) => {
            word(out, text);
        }
        Kind::Onbuild(_) => {}
    }
}

fn quoted(out: &mut String, text: &str) {
    put(out, format_args!(" {text:?}"));
}

/// A word that BuildKit expands: without its quotes, where taking them away is all that expanding does. A word with a variable or an
/// escape character stays as written.
fn word(out: &mut String, text: &str) {
    put(out, format_args!(" {:?}", bare(text)));
}

fn bare(text: &str) -> Cow<'_, str> {
    if text.contains(['$', '\\', '`']) || !text.contains(['"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut bare = String::with_capacity(text.len());
    let mut open = None;
    for character in text.chars() {
        match (open, character) {
            (None, '"' | '\'') => open = Some(character),
            (Some(quote), _) if quote == character => open = None,
            _ => bare.push(character),
        }
    }
    if open.is_some() { Cow::Borrowed(text) } else { Cow::Owned(bare) }
}

/// An ARG. Its default counts also where the request gives a value, because BuildKit writes it into the image's history. Without one
/// counts what the ARG before the first FROM is, whoever gives it: the same for each spelling of the same value.
fn declared(out: &mut String, declaration: &ArgDeclaration, global: &dyn Fn(&str) -> Option<String>) {
    let name = &declaration.name.text;
    quoted(out, name);
    if let Some(default) = &declaration.default {
        put(out, format_args!("={:?}", bare(&default.text)));
    } else if let Some(value) = global(name) {
        put(out, format_args!("=global {value:?}"));
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

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn quotes_count_only_where_they_do_something() {
        for (written, same) in [("\"/x y/\"", "/x y/"), ("'a'b\"c\"", "abc"), ("\"it's\"", "it's"), ("\"\"", "")] {
            assert_eq!(bare(written), same);
        }
        for written in ["\"$A\"", "'$A'", "\"a\\\"b\"", "\"open", "\"`x\"", "plain"] {
            assert_eq!(bare(written), written);
        }
    }
}
