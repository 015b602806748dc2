//! One logical line to one instruction: the rules of each keyword.

use std::ops::Range;

use super::lines::Line;
use super::parse::heredoc;
use super::syntax::{ArgDeclaration, Command, Flag, Instruction, Kind, Pair, Stage, Transfer, Trigger, Word};
use super::{mount, words};
use crate::problem::{Code, Location, Problem, Problems, did_you_mean};

/// What a line is.
pub(super) enum Parsed {
    Stage(Stage),
    Instruction(Instruction),
}

const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// How a flag is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `--x` or `--x=true`.
    Switch,
    /// `--x=value`, once.
    Value,
    /// `--x=value`, any number of times.
    Values,
}

/// The flags of each instruction, as the newest front end knows them.
fn known_flags(keyword: &str) -> &'static [(&'static str, Form)] {
    match keyword {
        "FROM" => &[("platform", Form::Value)],
        "RUN" => {
            &[("mount", Form::Values), ("network", Form::Value), ("security", Form::Value), ("device", Form::Values)]
        }
        "COPY" => &[
            ("from", Form::Value),
            ("chown", Form::Value),
            ("chmod", Form::Value),
            ("link", Form::Switch),
            ("parents", Form::Switch),
            ("exclude", Form::Values),
        ],
        "ADD" => &[
            ("chown", Form::Value),
            ("chmod", Form::Value),
            ("link", Form::Switch),
            ("keep-git-dir", Form::Switch),
            ("checksum", Form::Value),
            ("unpack", Form::Switch),
            ("exclude", Form::Values),
        ],
        "HEALTHCHECK" => &[
            ("interval", Form::Value),
            ("timeout", Form::Value),
            ("start-period", Form::Value),
            ("start-interval", Form::Value),
            ("retries", Form::Value),
        ],
        _ => &[],
    }
}

/// Reads the instruction in `range` of `line`. `None` if there is a problem, which is added to `problems`.
pub(super) fn parse(line: &Line, range: Range<usize>, escape: char, problems: &mut Problems) -> Option<Parsed> {
    let (keyword, rest) = words::keyword(&line.text, range.clone());
    let place = line.at(keyword.clone());
    let name = line.text[keyword].to_ascii_uppercase();
    if !KEYWORDS.contains(&name.as_str()) {
        problems.push(
            Problem::error(Code::UnknownInstruction, format!("`{name}` is not an instruction of a Dockerfile"))
                .at(&place, "")
                .maybe_help(did_you_mean(&name, KEYWORDS)),
        );
        return None;
    }
    let (flags, rest) = words::flags(&line.text, rest);
    let whole = line.at(words::trim(&line.text, range));
    let mut reader = Reader { line, name: &name, place: &place, rest, escape, problems };
    // HEALTHCHECK NONE takes any flag, and has no use for it.
    let none = name == "HEALTHCHECK" && reader.text().eq_ignore_ascii_case("none");
    let flags = if none { Vec::new() } else { reader.flags(flags)? };
    if name == "FROM" {
        return reader.from(&flags, whole).map(Parsed::Stage);
    }
    let kind = reader.kind(&flags)?;
    Some(Parsed::Instruction(Instruction { kind, flags, heredocs: Vec::new(), location: whole }))
}

struct Reader<'a> {
    line: &'a Line,
    name: &'a str,
    place: &'a Location,
    rest: Range<usize>,
    escape: char,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn fail<T>(&mut self, message: impl Into<String>, help: Option<&str>) -> Option<T> {
        let place = if self.rest.is_empty() { self.place.clone() } else { self.line.at(self.rest.clone()) };
        self.fail_at(&place, message, help)
    }

    fn fail_at<T>(&mut self, place: &Location, message: impl Into<String>, help: Option<&str>) -> Option<T> {
        let problem = Problem::error(Code::DockerfileSyntax, message).at(place, "");
        self.problems.push(problem.maybe_help(help.map(str::to_owned)));
        None
    }

    fn text(&self) -> &str {
        &self.line.text[self.rest.clone()]
    }

    fn word(&self, (text, range): (String, Range<usize>)) -> Word {
        Word { text, location: self.line.at(range) }
    }

    /// The rest of the line as one word.
    fn rest_word(&self) -> Word {
        self.word((self.text().to_owned(), self.rest.clone()))
    }

    fn flags(&mut self, raw: Vec<(String, Range<usize>)>) -> Option<Vec<Flag>> {
        // These two do not look at their flags, so anything is taken.
        if matches!(self.name, "STOPSIGNAL" | "ARG") {
            return Some(Vec::new());
        }
        let known = known_flags(self.name);
        let mut flags: Vec<Flag> = Vec::new();
        let mut good = true;
        for (text, range) in raw {
            let location = self.line.at(range);
            let (name, value) = match text[2..].split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (&text[2..], None),
            };
            let message = match known.iter().find(|(known, _)| *known == name) {
                None => {
                    let problem = Problem::error(Code::UnknownFlag, format!("{} has no flag `--{name}`", self.name));
                    let help = did_you_mean(name, known.iter().map(|(known, _)| *known));
                    self.problems.push(problem.at(&location, "").maybe_help(help));
                    good = false;
                    continue;
                }
                Some((_, Form::Value | Form::Values)) if value.is_none() => {
                    Some(format!("`--{name}` needs `=` and a value"))
                }
                Some((_, Form::Switch)) if !is_switch(value.as_deref()) => {
                    Some(format!("`--{name}` is on or off: `--{name}`, `--{name}=true` or `--{name}=false`"))
                }
                Some((_, form)) if *form != Form::Values && flags.iter().any(|flag| flag.name == name) => {
                    Some(format!("`--{name}` stands twice"))
                }
                Some(_) => None,
            };
            if let Some(message) = message {
                self.problems.push(Problem::error(Code::DockerfileSyntax, message).at(&location, ""));
                good = false;
            }
            flags.push(Flag { name: name.to_owned(), value, location });
        }
        good.then_some(flags)
    }

    fn from(&mut self, flags: &[Flag], location: Location) -> Option<Stage> {
        let mut words = words::plain(&self.line.text, self.rest.clone());
        let name = match words.len() {
            1 => None,
            3 if words[1].0.eq_ignore_ascii_case("as") => {
                let mut name = words.pop().map(|word| self.word(word))?;
                name.text = name.text.to_lowercase();
                let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
                if !name.text.starts_with(|c: char| c.is_ascii_lowercase()) || !name.text.chars().all(legal) {
                    return self.fail_at(
                        &name.location,
                        format!("`{}` cannot be the name of a stage", name.text),
                        Some("a name begins with a letter and goes on with letters, digits, `-`, `_` and `.`"),
                    );
                }
                Some(name)
            }
            _ => return self.fail("FROM takes one image, or `image AS name`", None),
        };
        let base = words.swap_remove(0);
        let platform = flags
            .iter()
            .find(|flag| flag.name == "platform")
            .and_then(|flag| Some(Word { text: flag.value.clone()?, location: flag.location.clone() }));
        Some(Stage { name, base: self.word(base), platform, instructions: Vec::new(), location })
    }

    fn kind(&mut self, flags: &[Flag]) -> Option<Kind> {
        Some(match self.name {
            "ADD" => Kind::Add(self.transfer()?),
            "COPY" => Kind::Copy(self.transfer()?),
            "ARG" => Kind::Arg(self.args()?),
            "ENV" => Kind::Env(self.pairs()?),
            "LABEL" => Kind::Label(self.pairs()?),
            "CMD" => Kind::Cmd(self.command()?),
            "ENTRYPOINT" => Kind::Entrypoint(self.command()?),
            "RUN" => self.run(flags)?,
            "SHELL" => match self.command()? {
                Command::Exec(words) if !words.is_empty() => Kind::Shell(words),
                _ => return self.fail("SHELL takes a JSON array", Some("for example `SHELL [\"/bin/bash\", \"-c\"]`")),
            },
            "EXPOSE" => Kind::Expose(self.at_least_one()?),
            "VOLUME" => {
                let volumes = self.list()?;
                if volumes.is_empty() || volumes.iter().any(|volume| volume.text.trim().is_empty()) {
                    return self.fail("VOLUME needs a path", None);
                }
                Kind::Volume(volumes)
            }
            "MAINTAINER" => Kind::Maintainer(self.one()?),
            "STOPSIGNAL" => Kind::Stopsignal(self.one()?),
            "USER" => Kind::User(self.one()?),
            "WORKDIR" => Kind::Workdir(self.one()?),
            "HEALTHCHECK" => Kind::Healthcheck(self.healthcheck(flags)?),
            "ONBUILD" => Kind::Onbuild(self.onbuild()?),
            other => unreachable!("{other} is in the list of keywords and not handled"),
        })
    }

    fn one(&mut self) -> Option<Word> {
        if self.rest.is_empty() {
            return self.fail(format!("{} needs an argument", self.name), None);
        }
        Some(self.rest_word())
    }

    fn at_least_one(&mut self) -> Option<Vec<Word>> {
        let found: Vec<Word> =
            words::plain(&self.line.text, self.rest.clone()).into_iter().map(|word| self.word(word)).collect();
        if found.is_empty() { self.fail(format!("{} needs an argument", self.name), None) } else { Some(found) }
    }

    /// A JSON array, or words at blanks.
    fn list(&mut self) -> Option<Vec<Word>> {
        match words::json(self.text()) {
            words::Json::Strings(texts) => {
                let location = self.line.at(self.rest.clone());
                Some(texts.into_iter().map(|text| Word { text, location: location.clone() }).collect())
            }
            words::Json::Mixed => self.fail("the array must hold nothing but strings", None),
            words::Json::No => {
                Some(words::plain(&self.line.text, self.rest.clone()).into_iter().map(|word| self.word(word)).collect())
            }
        }
    }

    fn command(&mut self) -> Option<Command> {
        match words::json(self.text()) {
            words::Json::Strings(words) => Some(Command::Exec(words)),
            words::Json::Mixed => self.fail("the array must hold nothing but strings", None),
            words::Json::No => Some(Command::Shell(self.rest_word())),
        }
    }

    fn transfer(&mut self) -> Option<Transfer> {
        let mut sources = self.list()?;
        if sources.len() < 2 {
            return self.fail(
                format!("{} needs a source and a destination", self.name),
                Some("the last word is the destination"),
            );
        }
        let destination = sources.pop()?;
        if heredoc(&destination.text).is_some() {
            return self.fail_at(&destination.location, "a heredoc cannot be the destination", None);
        }
        Some(Transfer { sources, destination })
    }

    fn args(&mut self) -> Option<Vec<ArgDeclaration>> {
        let found = words::quoted(&self.line.text, self.rest.clone(), self.escape);
        if found.is_empty() {
            return self.fail("ARG needs a name", None);
        }
        let mut args = Vec::new();
        for (text, range) in found {
            let (name, default) = match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (text, None),
            };
            if name.is_empty() {
                return self.fail("ARG needs a name before `=`", None);
            }
            let name_range = range.start..(range.start + name.len()).min(range.end);
            let value_start = (name_range.end + 1).min(range.end);
            let default = default.map(|value| self.word((value, value_start..range.end)));
            args.push(ArgDeclaration { name: self.word((name, name_range)), default });
        }
        Some(args)
    }

    /// `key=value ...`, or `key the whole rest`.
    fn pairs(&mut self) -> Option<Vec<Pair>> {
        let found = words::quoted(&self.line.text, self.rest.clone(), self.escape);
        let Some((first, _)) = found.first() else {
            return self.fail(format!("{} needs a name and a value", self.name), None);
        };
        if !first.contains('=') {
            let (key, value) = words::keyword(&self.line.text, self.rest.clone());
            if value.is_empty() {
                let help = format!("write `{} {first}=value`", self.name);
                return self.fail(format!("{} needs a value for `{first}`", self.name), Some(&help));
            }
            let part = |range: Range<usize>| self.word((self.line.text[range.clone()].to_owned(), range));
            return Some(vec![Pair { key: part(key), value: part(value) }]);
        }
        let mut pairs = Vec::new();
        for (text, range) in found {
            let Some((key, value)) = text.split_once('=') else {
                let place = self.line.at(range);
                return self.fail_at(&place, format!("`{text}` has no `=`"), Some("quote a value that has blanks"));
            };
            if key.is_empty() {
                return self.fail(format!("{} needs a name before `=`", self.name), None);
            }
            let middle = (range.start + key.len()).min(range.end);
            let key = self.word((key.to_owned(), range.start..middle));
            let value = self.word((value.to_owned(), (middle + 1).min(range.end)..range.end));
            pairs.push(Pair { key, value });
        }
        Some(pairs)
    }

    fn run(&mut self, flags: &[Flag]) -> Option<Kind> {
        let command = self.command()?;
        for flag in flags {
            let value = flag.value.as_deref().unwrap_or_default();
            let fault = match flag.name.as_str() {
                "mount" => mount::early_fault(value),
                "network" if !["default", "none", "host"].contains(&value) => {
                    Some(format!("`{value}` is not a network: `default`, `none` and `host` are"))
                }
                "security" if !["sandbox", "insecure"].contains(&value) => {
                    Some(format!("`{value}` is not a security mode: `sandbox` and `insecure` are"))
                }
                _ => None,
            };
            if let Some(message) = fault {
                return self.fail_at(&flag.location, message, None);
            }
        }
        Some(Kind::Run(command))
    }

    fn healthcheck(&mut self, flags: &[Flag]) -> Option<Option<Command>> {
        if self.rest.is_empty() {
            return self.fail("HEALTHCHECK needs `CMD command` or `NONE`", None);
        }
        let text = self.text();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let kind = text[..end].to_ascii_uppercase();
        self.rest = words::trim(&self.line.text, self.rest.start + end..self.rest.end);
        match kind.as_str() {
            "NONE" if self.rest.is_empty() => return Some(None),
            "NONE" => return self.fail("HEALTHCHECK NONE takes no arguments", None),
            "CMD" => {}
            other => return self.fail(format!("`{other}` is not a health check: `CMD` and `NONE` are"), None),
        }
        for flag in flags {
            let value = flag.value.as_deref().unwrap_or_default();
            let good = if flag.name == "retries" {
                value.parse::<u32>().is_ok_and(|retries| i32::try_from(retries).is_ok())
            } else {
                value.is_empty() || is_duration(value)
            };
            if !good {
                let message = format!("`{value}` is not a value for `--{}`", flag.name);
                let help = if flag.name == "retries" { "a whole number" } else { "for example `30s` or `1m30s`" };
                return self.fail_at(&flag.location, message, Some(help));
            }
        }
        match self.command()? {
            Command::Shell(word) if word.text.is_empty() => self.fail("HEALTHCHECK CMD needs a command", None),
            Command::Exec(words) if words.is_empty() => self.fail("HEALTHCHECK CMD needs a command", None),
            command => Some(Some(command)),
        }
    }

    fn onbuild(&mut self) -> Option<Trigger> {
        if self.rest.is_empty() {
            return self.fail("ONBUILD needs an instruction", None);
        }
        let (keyword, _) = words::keyword(&self.line.text, self.rest.clone());
        let name = self.line.text[keyword].to_ascii_uppercase();
        if ["ONBUILD", "FROM", "MAINTAINER"].contains(&name.as_str()) {
            return self.fail(format!("{name} cannot stand behind ONBUILD"), None);
        }
        let text = self.text().to_owned();
        match parse(self.line, self.rest.clone(), self.escape, self.problems)? {
            Parsed::Instruction(instruction) => Some(Trigger { instruction: Box::new(instruction), text }),
            Parsed::Stage(_) => None,
        }
    }
}

fn is_switch(value: Option<&str>) -> bool {
    value.is_none_or(|value| value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"))
}

/// Whether Go's `time.ParseDuration` takes it and it is 0 or at least a millisecond.
fn is_duration(text: &str) -> bool {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return true;
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<f64>() else { return false };
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| digits + end);
        seconds += number
            * match &rest[digits..unit] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return false,
            };
        rest = &rest[unit..];
    }
    !text.is_empty() && (seconds == 0.0 || seconds >= 0.000_999_999)
}
