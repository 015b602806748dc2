//! Texts and places in them.

use std::fmt;
use std::sync::Arc;

/// A text that a person wrote, with the name to show for it. Cheap to clone.
#[derive(Clone)]
pub struct Source(Arc<Inner>);

struct Inner {
    name: String,
    text: String,
    /// Whether values in it may be secrets.
    secret: bool,
}

impl Source {
    /// A text and the name that messages show: a path relative to the root, or `--set` and the like.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self(Arc::new(Inner { name: name.into(), text: text.into(), secret: false }))
    }

    /// A text of lines `NAME=value` whose values may be secrets: messages show the names alone.
    pub fn of_secrets(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self(Arc::new(Inner { name: name.into(), text: text.into(), secret: true }))
    }

    /// The text as it may be shown; places in it stay where they are.
    pub fn shown(&self) -> String {
        if !self.0.secret {
            return self.text().to_owned();
        }
        let mask = |text: &str| text.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect::<String>();
        let line = |line: &str| match line.split_once('=') {
            Some((name, value)) => format!("{name}={}", mask(value)),
            None => mask(line),
        };
        self.text().split_inclusive('\n').map(line).collect()
    }

    /// The name that messages show.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// A place in this text.
    pub fn at(&self, start: usize, length: usize) -> Location {
        Location { source: self.clone(), span: Span { start, length } }
    }

    /// Line and column of a byte offset, both counted from 1; columns count characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let text = self.text();
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.bytes().filter(|b| *b == b'\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?})", self.0.name)
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.name == other.0.name && self.0.text == other.0.text)
    }
}

impl Eq for Source {}

/// A range of bytes in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Number of bytes.
    pub length: usize,
}

/// A range in a named text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The text.
    pub source: Source,
    /// The range.
    pub span: Span,
}

impl Location {
    /// Line and column of the first character, both from 1.
    pub fn line_column(&self) -> (usize, usize) {
        self.source.line_column(self.span.start)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name())
    }
}
