//! From lines of the file to logical lines: continuation, comments inside it, and the way back to places in the file.

use std::ops::Range;

use crate::problem::{Location, Source};

/// A logical line: continuation lines joined, comments and blank lines between them left out.
pub(super) struct Line {
    pub(super) text: String,
    /// Where pieces of `text` stand in the source: offset here, offset there; ascending.
    pieces: Vec<(usize, usize)>,
    pub(super) source: Source,
    /// Whether an empty line stands inside it.
    pub(super) has_empty: bool,
}

impl Line {
    /// A line that is a whole text of its own (an ONBUILD trigger of a base image is parsed this way too).
    fn new(source: &Source) -> Self {
        Self { text: String::new(), pieces: Vec::new(), source: source.clone(), has_empty: false }
    }

    fn push(&mut self, text: &str, offset: usize) {
        self.pieces.push((self.text.len(), offset));
        self.text.push_str(text);
    }

    /// The place in the file of a byte of the line.
    fn offset(&self, at: usize) -> usize {
        let index = self.pieces.partition_point(|(here, _)| *here <= at).saturating_sub(1);
        self.pieces.get(index).map_or(0, |(here, there)| there + (at - here))
    }

    /// The place in the file of a part of the line.
    pub(super) fn at(&self, range: Range<usize>) -> Location {
        let start = self.offset(range.start);
        let end = if range.is_empty() { start } else { self.offset(range.end - 1) + 1 };
        self.source.at(start, end.saturating_sub(start))
    }
}

/// Reads a file by lines.
pub(super) struct Lines<'a> {
    source: &'a Source,
    at: usize,
    pub(super) escape: char,
}

impl<'a> Lines<'a> {
    /// Starts after `offset` bytes (the byte order mark, if there is one).
    pub(super) const fn new(source: &'a Source, offset: usize) -> Self {
        Self { source, at: offset, escape: '\\' }
    }

    /// The next line as it stands, with its end, and its offset.
    pub(super) fn raw(&mut self) -> Option<(&'a str, usize)> {
        let rest = &self.source.text()[self.at..];
        let line = rest.split_inclusive('\n').next()?;
        let offset = self.at;
        self.at += line.len();
        Some((line, offset))
    }

    /// The next line without moving.
    pub(super) fn peek(&self) -> Option<(&'a str, usize)> {
        let line = self.source.text()[self.at..].split_inclusive('\n').next()?;
        Some((line, self.at))
    }

    /// The next logical line; `None` at the end of the file.
    pub(super) fn logical(&mut self) -> Option<Line> {
        loop {
            let (raw, offset) = self.raw()?;
            let trimmed = raw.trim_end_matches(['\r', '\n']);
            let body = trimmed.trim_start();
            if body.starts_with('#') {
                continue;
            }
            let (body_text, mut open) = self.continued(body);
            if body_text.is_empty() && !open {
                continue;
            }
            let mut line = Line::new(self.source);
            line.push(body_text, offset + (trimmed.len() - body.len()));
            while open {
                let Some((raw, offset)) = self.raw() else { break };
                let trimmed = raw.trim_end_matches(['\r', '\n']);
                let body = trimmed.trim_start();
                if body.starts_with('#') {
                    continue;
                }
                if body.is_empty() {
                    line.has_empty = true;
                    continue;
                }
                let (text, more) = self.continued(trimmed);
                line.push(text, offset);
                open = more;
            }
            return Some(line);
        }
    }

    /// The line without a continuation character, and whether there was one: the last thing on the line but blanks, and
    /// not after another escape character.
    fn continued<'t>(&self, line: &'t str) -> (&'t str, bool) {
        let bare = line.trim_end_matches([' ', '\t']);
        match bare.strip_suffix(self.escape) {
            Some(head) if !head.ends_with(self.escape) => (head, true),
            _ => (line, false),
        }
    }
}
