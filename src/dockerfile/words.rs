//! The ways in which instructions split their line: keyword, flags, quoted words, plain words, JSON.

use std::ops::Range;

/// The blanks that separate plain words (a line end cannot occur).
pub(super) const BLANKS: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// `text[range]` without blanks at its ends.
pub(super) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    let end = start + part.trim().len();
    start..end
}

/// The keyword and what follows it.
pub(super) fn keyword(text: &str, range: Range<usize>) -> (Range<usize>, Range<usize>) {
    let range = trim(text, range);
    let part = &text[range.clone()];
    let Some(end) = part.find(BLANKS) else { return (range.clone(), range.end..range.end) };
    let rest = range.start + end + (part[end..].len() - part[end..].trim_start_matches(BLANKS).len());
    (range.start..range.start + end, rest..range.end)
}

/// The flags at the start of `range` (quotes and escapes resolved) with their places, and what follows them.
///
/// Only words that begin with `--` are flags; a lone `--` ends them. A backslash escapes, whatever `# escape=` says.
pub(super) fn flags(text: &str, range: Range<usize>) -> (Vec<(String, Range<usize>)>, Range<usize>) {
    let mut flags = Vec::new();
    let mut at = range.start;
    loop {
        let rest = &text[at..range.end];
        at += rest.len() - rest.trim_start().len();
        let rest = &text[at..range.end];
        if !rest.starts_with("--") {
            return (flags, trim(text, at..range.end));
        }
        let (word, length) = flag_word(rest);
        let place = at..at + length;
        at = place.end;
        if word == "--" {
            return (flags, trim(text, at..range.end));
        }
        flags.push((word, place));
    }
}

/// One word in which quotes group and a backslash escapes, and how long it is in the text.
fn flag_word(text: &str) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                if let Some((_, escaped)) = chars.next() {
                    word.push(escaped);
                }
            }
            c if quote == Some(c) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            c if quote.is_none() && c.is_whitespace() => return (word, at),
            c => word.push(c),
        }
    }
    (word, text.len())
}

/// Words at blanks; quotes group and stay, the escape character keeps the next character.
pub(super) fn quoted(text: &str, range: Range<usize>, escape: char) -> Vec<(String, Range<usize>)> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = text[range.clone()].char_indices();
    while let Some((at, c)) = chars.next() {
        let here = range.start + at;
        if quote.is_none() && c.is_whitespace() {
            if let Some(start) = start.take() {
                words.push((std::mem::take(&mut word), start..here));
            }
            continue;
        }
        start.get_or_insert(here);
        if c == escape && quote != Some('\'') {
            // An escape character at the very end of the line is dropped.
            if let Some((_, escaped)) = chars.next() {
                word.push(c);
                word.push(escaped);
            }
            continue;
        }
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        word.push(c);
    }
    match start {
        Some(start) if !word.is_empty() => words.push((word, start..range.end)),
        _ => {}
    }
    words
}

/// Words at blanks, nothing else.
pub(super) fn plain(text: &str, range: Range<usize>) -> Vec<(String, Range<usize>)> {
    let mut words = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let rest = &text[at..range.end];
        let length = rest.find(BLANKS).unwrap_or(rest.len());
        if length > 0 {
            words.push((rest[..length].to_owned(), at..at + length));
        }
        at += length;
        let rest = &text[at..range.end];
        at += rest.len() - rest.trim_start_matches(BLANKS).len();
    }
    words
}

/// What a JSON array in an instruction is.
pub(super) enum Json {
    /// An array of strings.
    Strings(Vec<String>),
    /// An array with something else in it, which Docker refuses.
    Mixed,
    /// No JSON array: the shell form.
    No,
}

/// Tries to read an array of strings.
pub(super) fn json(text: &str) -> Json {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Json::No;
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Err(_) => Json::No,
        Ok(values) => values
            .into_iter()
            .map(|value| match value {
                serde_json::Value::String(text) => Some(text),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map_or(Json::Mixed, Json::Strings),
    }
}
