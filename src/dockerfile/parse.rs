//! From text to [`Dockerfile`]: directives, logical lines, heredocs, stages.

use std::ops::Range;

use super::expand::Lexer;
use super::instruction::{self, Parsed};
use super::lines::{Line, Lines};
use super::syntax::{Dockerfile, Heredoc, Instruction, Kind, Word};
use crate::problem::{Code, Problem, Problems, Source};
use crate::reference::Reference;

/// The longest line that BuildKit reads.
const LONGEST_LINE: usize = 65_535;

/// Reads a Dockerfile.
///
/// With a front end that we do not know (`# syntax=`), a text that does not parse is not a problem: it is opaque.
///
/// # Errors
/// All that BuildKit would refuse without building, each with its place.
pub fn parse(source: &Source) -> Result<Dockerfile, Problems> {
    let mut parser = Parser::new(source);
    parser.directives();
    parser.body();
    let Parser { mut file, problems, .. } = parser;
    let unknown = file.syntax.as_ref().is_some_and(|syntax| !is_known_frontend(&syntax.text));
    if unknown && problems.has_errors() {
        file.stages.clear();
        file.globals.clear();
        file.opaque = true;
        return Ok(file);
    }
    file.warnings =
        problems.sorted().into_iter().filter(|p| p.severity == crate::problem::Severity::Warning).cloned().collect();
    problems.or(file)
}

/// Reads a trigger that a base image left for those who build on it.
///
/// # Errors
/// If it is not one instruction that may stand in ONBUILD.
pub(super) fn parse_trigger(source: &Source) -> Result<Instruction, Problems> {
    let mut parser = Parser::new(source);
    let instruction = parser.lines.logical().and_then(|line| match parser.instruction(&line) {
        Some(Parsed::Instruction(instruction)) => Some(instruction),
        _ => None,
    });
    match instruction {
        Some(instruction) if !parser.problems.has_errors() => Ok(instruction),
        _ if parser.problems.has_errors() => Err(parser.problems),
        _ => Err(Problem::error(Code::DockerfileSyntax, "the trigger is not an instruction")
            .at(&source.at(0, source.text().len()), "")
            .into()),
    }
}

/// Whether a `# syntax=` names Docker's own front end, in any version.
pub fn is_known_frontend(reference: &str) -> bool {
    reference.parse::<Reference>().is_ok_and(|reference| {
        reference.host == "docker.io"
            && matches!(reference.repository.as_str(), "docker/dockerfile" | "docker/dockerfile-upstream")
    })
}

struct Parser<'a> {
    lines: Lines<'a>,
    file: Dockerfile,
    problems: Problems,
}

impl<'a> Parser<'a> {
    fn new(source: &'a Source) -> Self {
        let mark = source.text().len() - source.text().trim_start_matches('\u{feff}').len();
        let file = Dockerfile {
            source: source.clone(),
            escape: '\\',
            syntax: None,
            globals: Vec::new(),
            stages: Vec::new(),
            opaque: false,
            warnings: Problems::new(),
        };
        Self { lines: Lines::new(source, mark.min('\u{feff}'.len_utf8())), file, problems: Problems::new() }
    }

    fn error(&mut self, place: &crate::problem::Location, message: impl Into<String>) {
        self.problems.push(Problem::error(Code::DockerfileSyntax, message).at(place, ""));
    }

    /// The directives in the first lines. What is not one ends them and is read again as a line.
    fn directives(&mut self) {
        let mut seen = Vec::new();
        let mut first = true;
        while let Some((line, offset)) = self.lines.peek() {
            // A shebang may stand before the directives.
            if std::mem::take(&mut first) && line.starts_with("#!") {
                self.lines.raw();
                continue;
            }
            let Some((name, value)) = directive(line) else { break };
            let key = line[name].to_ascii_lowercase();
            if !["syntax", "escape", "check"].contains(&key.as_str()) {
                break;
            }
            self.lines.raw();
            let place = self.file.source.at(offset + value.start, value.len());
            if seen.contains(&key) {
                self.error(&place, format!("`# {key}=` stands twice"));
                continue;
            }
            let value = &line[value];
            match (key.as_str(), value) {
                ("syntax", value) => {
                    let text = value.split(' ').next().unwrap_or_default();
                    let location = self.file.source.at(place.span.start, text.len());
                    self.file.syntax = Some(Word { text: text.to_owned(), location });
                }
                ("escape", "\\" | "`") => {
                    self.lines.escape = if value == "`" { '`' } else { '\\' };
                    self.file.escape = self.lines.escape;
                }
                ("escape", other) => {
                    self.error(&place, format!("`{other}` cannot be the escape character: `\\` and `` ` `` can"));
                }
                _ => {}
            }
            seen.push(key);
        }
    }

    fn body(&mut self) {
        let mut any = false;
        while let Some(line) = self.lines.logical() {
            any = true;
            if line.has_empty {
                let place = line.at(0..line.text.len());
                self.problems.push(
                    Problem::warning(Code::EmptyContinuation, "an empty line stands inside a continued instruction")
                        .at(&place, "")
                        .help("remove the empty line, or end the instruction before it"),
                );
            }
            if let Some(parsed) = self.instruction(&line) {
                self.add(parsed);
            }
        }
        let whole = self.file.source.at(0, self.file.source.text().len().min(1));
        self.check_line_lengths();
        if self.problems.has_errors() {
            return;
        }
        if !any {
            self.problems.push(
                Problem::error(Code::MissingFrom, "the Dockerfile has no instructions")
                    .at(&whole, "")
                    .help("begin with `FROM image` or `FROM scratch`"),
            );
        } else if self.file.stages.is_empty() {
            self.problems.push(
                Problem::error(Code::MissingFrom, "the Dockerfile has no FROM")
                    .at(&whole, "")
                    .help("begin with `FROM image` or `FROM scratch`"),
            );
        }
    }

    fn check_line_lengths(&mut self) {
        let mut offset = 0;
        for line in self.file.source.clone().text().split_inclusive('\n') {
            if line.len() > LONGEST_LINE {
                let place = self.file.source.at(offset, 1);
                self.error(
                    &place,
                    format!("the line has more than {LONGEST_LINE} bytes, which BuildKit does not read"),
                );
            }
            offset += line.len();
        }
    }

    fn add(&mut self, parsed: Parsed) {
        match parsed {
            Parsed::Stage(stage) => self.file.stages.push(stage),
            Parsed::Instruction(instruction) => match (self.file.stages.last_mut(), instruction) {
                (Some(stage), instruction) => stage.instructions.push(instruction),
                (None, Instruction { kind: Kind::Arg(names), .. }) => self.file.globals.extend(names),
                (None, instruction) => self.problems.push(
                    Problem::error(Code::MissingFrom, "an instruction stands before the first FROM")
                        .at(&instruction.location, "")
                        .help("only ARG may stand before FROM"),
                ),
            },
        }
    }

    /// One instruction with its heredocs.
    fn instruction(&mut self, line: &Line) -> Option<Parsed> {
        let mut parsed = instruction::parse(line, 0..line.text.len(), self.file.escape, &mut self.problems)?;
        if let Parsed::Instruction(instruction) = &mut parsed {
            if takes_heredocs(&instruction.kind) && line.text.contains("<<") {
                instruction.heredocs = self.heredocs(line);
            }
            attach(instruction);
        }
        Some(parsed)
    }

    /// Reads the bodies of the heredocs that a line begins.
    fn heredocs(&mut self, line: &Line) -> Vec<Heredoc> {
        let mut docs = heredocs_of(&line.text);
        for doc in &mut docs {
            let mut range: Option<Range<usize>> = None;
            let mut ended = false;
            while let Some((raw, offset)) = self.lines.raw() {
                let bare = raw.trim_end_matches(['\r', '\n']);
                let bare = if doc.chomp { bare.trim_start_matches('\t') } else { bare };
                if bare == doc.name {
                    ended = true;
                    break;
                }
                doc.body.push_str(raw);
                range = Some(range.map_or(offset, |range| range.start)..offset + raw.len());
            }
            let range = range.unwrap_or_default();
            doc.location = if range.is_empty() {
                line.at(0..line.text.len())
            } else {
                self.file.source.at(range.start, range.len())
            };
            if !ended {
                let place = line.at(0..line.text.len());
                self.problems.push(
                    Problem::error(Code::DockerfileSyntax, format!("the heredoc `{}` is not closed", doc.name))
                        .at(&place, "")
                        .help(format!("a line with `{}` alone must end it", doc.name)),
                );
                break;
            }
        }
        docs
    }
}

/// `# name = value` at the start of a line: the places of name and value in it.
fn directive(line: &str) -> Option<(Range<usize>, Range<usize>)> {
    let line = line.trim_end_matches(['\r', '\n']);
    let start = line.len() - line.trim_start().len();
    let rest = line[start..].strip_prefix('#')?;
    let rest = rest.trim_start();
    let name_start = line.len() - rest.len();
    let name_length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let value = rest[name_length..].trim_start().strip_prefix('=')?.trim_start();
    let value_start = line.len() - value.len();
    let value = value.trim_end();
    (!value.is_empty()).then(|| (name_start..name_start + name_length, value_start..value_start + value.len()))
}

/// Whether heredocs are looked for: RUN, COPY and ADD in their shell form, also behind ONBUILD.
fn takes_heredocs(kind: &Kind) -> bool {
    match kind {
        Kind::Run(super::syntax::Command::Shell(_)) | Kind::Copy(_) | Kind::Add(_) => true,
        Kind::Onbuild(trigger) => takes_heredocs(&trigger.instruction.kind),
        _ => false,
    }
}

/// Gives the heredocs of ONBUILD to the instruction behind it, and takes the names of heredocs out of the sources.
fn attach(instruction: &mut Instruction) {
    match &mut instruction.kind {
        Kind::Onbuild(trigger) => {
            trigger.instruction.heredocs.clone_from(&instruction.heredocs);
            attach(&mut trigger.instruction);
        }
        Kind::Copy(transfer) | Kind::Add(transfer) if !instruction.heredocs.is_empty() => {
            transfer.sources.retain(|source| heredoc(&source.text).is_none());
        }
        _ => {}
    }
}

/// The heredocs that a line begins, without their bodies. A line that the shell's lexer does not understand has none.
fn heredocs_of(line: &str) -> Vec<Heredoc> {
    let lexer = Lexer { raw_quotes: true, raw_escapes: true, skip_unset: true, ..Lexer::new('\\') };
    let words = lexer.expand(line, &Default::default()).map(|expanded| expanded.words).unwrap_or_default();
    words.iter().filter_map(|word| heredoc(word)).collect()
}

/// A word of the form `[n]<<[-]name`, the name quoted or not.
pub(super) fn heredoc(word: &str) -> Option<Heredoc> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = word[digits..].strip_prefix("<<")?;
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let lexer = Lexer { skip_unset: true, ..Lexer::new('\\') };
    let words = |lexer: Lexer| lexer.expand(rest, &Default::default()).map(|expanded| expanded.words).ok();
    let bare = words(lexer)?;
    let raw = words(Lexer { raw_quotes: true, ..lexer })?;
    let ([name], [raw]) = (bare.as_slice(), raw.as_slice()) else { return None };
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    Some(Heredoc {
        name: name.clone(),
        expand: quotes(name) == quotes(raw),
        chomp,
        descriptor: word[..digits].parse().unwrap_or(0),
        body: String::new(),
        location: Source::new("", "").at(0, 0),
    })
}
