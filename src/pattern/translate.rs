//! From Go's patterns to regular expressions, and the text that they run on.

use std::borrow::Cow;

use super::BadPattern;

/// One element of a pattern as `filepath.Match` reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `*`.
    Star,
    /// `?`.
    Question,
    /// `[...]`: whether it is negated, and its ranges.
    Class(bool, Vec<(char, char)>),
    /// Any other character, an escaped one too.
    Char(char),
}

/// Bytes as text: each byte that is no part of a UTF-8 character becomes U+FFFD of its own, which is how Go decodes it.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(out)
}

/// Reads a pattern as Go's `filepath.Match` does.
pub(super) fn tokens(pattern: &str) -> Result<Vec<Token>, BadPattern> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Question,
            '\\' => Token::Char(chars.next().ok_or(BadPattern)?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
                    let low = class_char(&mut chars)?;
                    let high = if chars.next_if_eq(&'-').is_some() { class_char(&mut chars)? } else { low };
                    ranges.push((low, high));
                }
                Token::Class(negated, ranges)
            }
            c => Token::Char(c),
        });
    }
    Ok(tokens)
}

/// One end of a range inside brackets.
fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, BadPattern> {
    let c = match chars.next().ok_or(BadPattern)? {
        '-' | ']' => return Err(BadPattern),
        '\\' => chars.next().ok_or(BadPattern)?,
        c => c,
    };
    // Go wants something after each end of a range: at least the closing bracket.
    chars.peek().map(|_| c).ok_or(BadPattern)
}

/// The regular expression of a pattern of `filepath.Match`.
pub(super) fn glob_regex(tokens: &[Token]) -> String {
    let mut out = String::from("(?s)^");
    for token in tokens {
        match token {
            Token::Star => out.push_str("[^/]*"),
            Token::Question => out.push_str("[^/]"),
            Token::Char(c) => push_literal(&mut out, *c),
            Token::Class(negated, ranges) => {
                let ranges: Vec<_> = ranges.iter().filter(|(low, high)| low <= high).collect();
                match (ranges.is_empty(), negated) {
                    (true, true) => out.push('.'),
                    (true, false) => out.push_str("[^\\x00-\\x{10FFFF}]"),
                    (false, negated) => {
                        out.push_str(if *negated { "[^" } else { "[" });
                        for (low, high) in ranges {
                            push_class_char(&mut out, *low);
                            out.push('-');
                            push_class_char(&mut out, *high);
                        }
                        out.push(']');
                    }
                }
            }
        }
    }
    out.push('$');
    out
}

/// What moby's matcher makes of a pattern: a kind of comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The path is the pattern.
    Exact,
    /// The path begins with the pattern without its `**`.
    Prefix,
    /// The path ends with the pattern without its `**`.
    Suffix,
    /// The path matches a regular expression.
    Regex(String),
}

/// Decides how a clean pattern is compared, with all peculiarities of the original.
///
/// Source: moby/patternmatcher, behaviour of `Pattern.compile`: `**/` may be nothing; `{`, `|`, `}` and `^` keep the
/// meaning that they have in a regular expression; so do brackets, where `!` is an ordinary character.
pub(super) fn moby_form(pattern: &str) -> Form {
    let mut out = String::from("^");
    let mut form = Form::Exact;
    let mut rest = pattern;
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let mut is_regex = true;
        match c {
            '*' if rest.starts_with('*') => {
                rest = &rest[1..];
                rest = rest.strip_prefix('/').unwrap_or(rest);
                if rest.is_empty() && form == Form::Exact {
                    form = Form::Prefix;
                    is_regex = false;
                } else {
                    out.push_str(if rest.is_empty() { ".*" } else { "(.*/)?" });
                }
                if first {
                    form = Form::Suffix;
                    is_regex = false;
                }
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '\\' => match rest.chars().next() {
                Some(next) => {
                    out.push('\\');
                    out.push(next);
                    rest = &rest[next.len_utf8()..];
                }
                None => {
                    out.push_str("\\\\");
                    is_regex = false;
                }
            },
            '[' => rest = push_class(&mut out, rest),
            ']' => out.push_str("\\]"),
            '{' | '}' if !is_repetition(&out, rest, c) => {
                out.push('\\');
                out.push(c);
                is_regex = false;
            }
            '.' | '+' | '(' | ')' | '$' => {
                out.push('\\');
                out.push(c);
                is_regex = false;
            }
            c => {
                out.push(c);
                is_regex = false;
            }
        }
        if is_regex {
            form = Form::Regex(String::new());
        }
        first = false;
    }
    match form {
        Form::Regex(_) => Form::Regex(out + "$"),
        form => form,
    }
}

/// Copies a bracket expression; what only Rust's expressions treat specially is escaped. Gives what follows it.
fn push_class<'a>(out: &mut String, rest: &'a str) -> &'a str {
    out.push('[');
    let mut chars = rest.char_indices().peekable();
    if chars.next_if(|(_, c)| *c == '^').is_some() {
        out.push('^');
    }
    let mut empty = true;
    while let Some((at, c)) = chars.next() {
        match c {
            ']' if !empty => {
                out.push(']');
                return &rest[at + 1..];
            }
            '[' if rest[at + 1..].starts_with(':') => match rest[at + 2..].find(":]") {
                Some(end) => {
                    out.push_str(&rest[at..at + 2 + end + 2]);
                    while chars.next_if(|(next, _)| *next < at + 2 + end + 2).is_some() {}
                }
                None => out.push_str("\\["),
            },
            '\\' => {
                out.push('\\');
                if let Some((_, next)) = chars.next() {
                    out.push(next);
                }
            }
            '[' | '&' | '~' | ']' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        empty = false;
    }
    ""
}

/// Whether braces at this place are a repetition (`{2}`, `{2,}`, `{2,3}`), which Go's expressions take literally otherwise.
fn is_repetition(before: &str, rest: &str, c: char) -> bool {
    let counts = |text: &str| {
        let (low, high) = text.split_once(',').unwrap_or((text, ""));
        !low.is_empty() && low.bytes().chain(high.bytes()).all(|b| b.is_ascii_digit())
    };
    match c {
        '{' => rest.split_once('}').is_some_and(|(text, _)| counts(text)),
        _ => before.rsplit_once('{').is_some_and(|(head, text)| !head.ends_with('\\') && counts(text)),
    }
}

fn push_literal(out: &mut String, c: char) {
    if regex_syntax_char(c) {
        out.push('\\');
    }
    out.push(c);
}

fn push_class_char(out: &mut String, c: char) {
    use std::fmt::Write as _;
    let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
}

fn regex_syntax_char(c: char) -> bool {
    matches!(
        c,
        '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' | '#' | '&' | '-' | '~'
    )
}
