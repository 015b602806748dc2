//! The ignore file and what it says of a path.

use crate::path::RelPath;
use crate::pattern::{Excludes, Matched, Pattern, Verdict, clean};
use crate::problem::{Code, Location, Problem, Problems, Source};

/// One pattern of an ignore file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The pattern as written, without blanks around it.
    pub text: String,
    /// Where it stands.
    pub location: Location,
}

/// What an ignore file says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// No line matches: the path is sent.
    None,
    /// This line leaves it out.
    Ignored(&'a Line),
    /// A line left it out and this one, with `!`, takes it back: the path is sent.
    Kept(&'a Line),
}

impl Match<'_> {
    /// Whether the path is left out.
    pub const fn is_ignored(&self) -> bool {
        matches!(self, Self::Ignored(_))
    }
}

/// What the folders above a path matched. The default is that of the context's root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State(Matched);

/// An ignore file.
///
/// Source: the Docker documentation, ".dockerignore files", and the behaviour of moby/patternmatcher.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    lines: Vec<Line>,
    excludes: Excludes,
}

impl Ignore {
    /// One that ignores nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads an ignore file.
    ///
    /// # Errors
    /// Patterns that Docker refuses, with their places.
    pub fn parse(source: &Source) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let (mut lines, mut patterns) = (Vec::new(), Vec::new());
        let mut offset = 0;
        for (index, raw) in source.text().split_inclusive('\n').enumerate() {
            let start = offset;
            offset += raw.len();
            let (start, raw) = match raw.strip_prefix('\u{feff}') {
                Some(rest) if index == 0 => (start + raw.len() - rest.len(), rest),
                _ => (start, raw),
            };
            // A `#` behind blanks does not begin a comment.
            let text = raw.trim();
            if raw.starts_with('#') || text.is_empty() {
                continue;
            }
            let location = source.at(start + (raw.len() - raw.trim_start().len()), text.len());
            match Pattern::new(&normal(text)) {
                Ok(pattern) => {
                    patterns.push(pattern);
                    lines.push(Line { text: text.to_owned(), location });
                }
                Err(_) => problems.push(
                    Problem::error(Code::IgnorePattern, format!("`{text}` is not a pattern"))
                        .at(&location, "")
                        .help("close each `[`, put something behind `!`, and do not end with a backslash"),
                ),
            }
        }
        problems.or(Self { lines, excludes: Excludes::new(patterns) })
    }

    /// The patterns, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What is said of `path`, its parents taken into account. A walker does better with [`Ignore::child`].
    pub fn matched(&self, path: &RelPath) -> Match<'_> {
        if path.is_root() {
            return Match::None;
        }
        self.named(self.excludes.verdict_from_top(path.as_bytes()))
    }

    /// What is said of a folder, given the state of the folder that holds it, and the state for what lies in it.
    pub fn folder(&self, path: &RelPath, parent: &State) -> (Match<'_>, State) {
        let (verdict, matched) = self.excludes.folder(path.as_bytes(), &parent.0);
        (self.named(verdict), State(matched))
    }

    /// What is said of something that is no folder, given the state of the folder that holds it.
    pub fn child(&self, path: &RelPath, parent: &State) -> Match<'_> {
        self.named(self.excludes.verdict(path.as_bytes(), &parent.0))
    }

    /// Whether something below an ignored folder could be kept by a `!` line; if not, a walker may skip the folder.
    pub fn may_keep_below(&self, folder: &RelPath) -> bool {
        self.excludes.may_keep_below(folder.as_bytes())
    }

    fn named(&self, verdict: Verdict) -> Match<'_> {
        match verdict {
            Verdict::Unmatched => Match::None,
            Verdict::Excluded(index) => Match::Ignored(&self.lines[index]),
            Verdict::Kept(index) => Match::Kept(&self.lines[index]),
        }
    }
}

/// A line as Docker hands it to the matcher: cleaned, without the slash in front.
fn normal(text: &str) -> Vec<u8> {
    let (back, pattern) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, text),
    };
    let mut pattern = if pattern.is_empty() { Vec::new() } else { clean(pattern.as_bytes()) };
    if pattern.len() > 1 && pattern[0] == b'/' {
        pattern.remove(0);
    }
    if back {
        pattern.insert(0, b'!');
    }
    pattern
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
