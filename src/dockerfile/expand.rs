//! Variables and quotes in one word, as BuildKit's shell lexer reads them.
//!
//! Source: the Dockerfile reference, "Environment replacement", and the behaviour of BuildKit's `frontend/dockerfile/shell`.

use std::collections::BTreeMap;

use regex::Regex;

/// How a text is read.
#[derive(Clone, Copy, Debug)]
pub struct Lexer {
    /// The escape character: `\`, or the backtick after `# escape=`.
    pub escape: char,
    /// Quotes stay in the result.
    pub raw_quotes: bool,
    /// Escape characters stay in the result.
    pub raw_escapes: bool,
    /// Quotes are ordinary characters (bodies of heredocs).
    pub skip_quotes: bool,
    /// A variable without a value stays as written.
    pub skip_unset: bool,
}

/// A variable that a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its name.
    pub name: String,
    /// Whether it had a value.
    pub set: bool,
    /// Whether its lack of a value left a hole in the result: no `-`, `+` or `?` says what to do then.
    pub needed: bool,
}

/// A text with its variables replaced.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The text as one word.
    pub text: String,
    /// The text split at blanks that are not quoted.
    pub words: Vec<String>,
    /// The variables, in order, each time that one is named.
    pub used: Vec<Used>,
}

/// A text that cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpandError {
    /// Why, as a phrase.
    pub message: String,
    /// Byte offset in the text.
    pub offset: usize,
}

impl Lexer {
    /// The lexer for words of instructions.
    pub const fn new(escape: char) -> Self {
        Self { escape, raw_quotes: false, raw_escapes: false, skip_quotes: false, skip_unset: false }
    }

    /// Replaces the variables of `text` by their values.
    ///
    /// # Errors
    /// If a quote or a brace is left open, if the form of a substitution is unknown, or if `${x:?}` finds no value.
    pub fn expand(&self, text: &str, values: &BTreeMap<String, String>) -> Result<Expanded, ExpandError> {
        let mut reader =
            Reader { lexer: *self, text, at: 0, raw_escapes: self.raw_escapes, values, used: Vec::new(), depth: 0 };
        let (text, words) = reader.until(None, self.raw_escapes)?;
        Ok(Expanded { text, words, used: reader.used })
    }
}

/// How deep `${a:-${b:-...}}` may go; no person writes more, and the stack is finite.
const DEEPEST: usize = 100;

struct Reader<'a> {
    lexer: Lexer,
    text: &'a str,
    at: usize,
    raw_escapes: bool,
    values: &'a BTreeMap<String, String>,
    used: Vec<Used>,
    depth: usize,
}

/// Collects the words of a text while it is read.
#[derive(Default)]
struct Words {
    word: String,
    done: Vec<String>,
    inside: bool,
}

impl Words {
    fn add(&mut self, c: char) {
        if !c.is_whitespace() {
            self.add_raw(c);
        } else if self.inside && !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
            self.inside = false;
        }
    }

    fn add_raw(&mut self, c: char) {
        self.word.push(c);
        self.inside = true;
    }

    fn add_raw_text(&mut self, text: &str) {
        self.word.push_str(text);
        self.inside = true;
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T, ExpandError> {
        Err(ExpandError { message: message.into(), offset: at })
    }

    /// Reads up to `stop` (and over it), or to the end if there is none.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<(String, Vec<String>), ExpandError> {
        let before = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let result = self.until_inner(stop);
        self.raw_escapes = before;
        result
    }

    fn until_inner(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), ExpandError> {
        let start = self.at;
        let mut result = String::new();
        let mut words = Words::default();
        while let Some(c) = self.peek() {
            if Some(c) == stop {
                self.next();
                return Ok((result, words.finish()));
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    value.chars().for_each(|c| words.add(c));
                    result.push_str(&value);
                }
                '\'' | '"' if !self.lexer.skip_quotes => {
                    let value = if c == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    words.add_raw_text(&value);
                    result.push_str(&value);
                }
                _ => {
                    self.next();
                    if c != self.lexer.escape {
                        words.add(c);
                        result.push(c);
                        continue;
                    }
                    if self.raw_escapes {
                        words.add_raw(c);
                        result.push(c);
                    }
                    let Some(escaped) = self.next() else { break };
                    words.add_raw(escaped);
                    result.push(escaped);
                }
            }
        }
        match stop {
            Some(stop) => self.error(start, format!("the closing `{stop}` is missing")),
            None => Ok((result, words.finish())),
        }
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        let start = self.at;
        let mut result = String::new();
        self.next();
        if self.lexer.raw_quotes {
            result.push('\'');
        }
        loop {
            match self.next() {
                None => return self.error(start, "the closing `'` is missing"),
                Some('\'') => {
                    if self.lexer.raw_quotes {
                        result.push('\'');
                    }
                    return Ok(result);
                }
                Some(c) => result.push(c),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, ExpandError> {
        let start = self.at;
        let mut result = String::new();
        self.next();
        if self.lexer.raw_quotes {
            result.push('"');
        }
        loop {
            match self.peek() {
                None => return self.error(start, "the closing `\"` is missing"),
                Some('"') => {
                    self.next();
                    if self.lexer.raw_quotes {
                        result.push('"');
                    }
                    return Ok(result);
                }
                Some('$') => {
                    let value = self.dollar()?;
                    result.push_str(&value);
                }
                Some(c) => {
                    self.next();
                    if c != self.lexer.escape {
                        result.push(c);
                        continue;
                    }
                    if self.raw_escapes {
                        result.push(c);
                    }
                    match self.peek() {
                        None => {}
                        Some(escaped) if escaped == '"' || escaped == '$' || escaped == self.lexer.escape => {
                            self.next();
                            result.push(escaped);
                        }
                        Some(_) => result.push(c),
                    }
                }
            }
        }
    }

    /// Reads `$x` or `${...}`.
    fn dollar(&mut self) -> Result<String, ExpandError> {
        let start = self.at;
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.value(&name, true) {
                None if self.lexer.skip_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.next();
        if self.depth == DEEPEST {
            return self.error(start, "substitutions are nested too deep");
        }
        self.depth += 1;
        let result = self.braced(start);
        self.depth -= 1;
        result
    }

    fn braced(&mut self, start: usize) -> Result<String, ExpandError> {
        match self.peek() {
            None => return self.error(start, "the closing `}` is missing"),
            Some('{' | '}' | ':') => return self.error(start, "a variable's name must follow `${`"),
            _ => {}
        }
        let name = self.name();
        match self.next() {
            None => self.error(start, "the closing `}` is missing"),
            Some('}') => Ok(match self.value(&name, true) {
                None if self.lexer.skip_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            Some(':') => match self.next() {
                Some(c @ ('+' | '-' | '?' | '#' | '%')) => self.modified(start, &name, c, true),
                None => self.error(start, "the closing `}` is missing"),
                Some(c) => self.error(start, format!("`:{c}` is not a substitution: `:-`, `:+` and `:?` are")),
            },
            Some(c @ ('+' | '-' | '?' | '#' | '%')) => self.modified(start, &name, c, false),
            Some('/') => self.replaced(start, &name),
            Some(c) => self.error(
                start,
                format!("`{c}` after the name is not a substitution: `:-`, `:+`, `:?`, `#`, `%` and `/` are"),
            ),
        }
    }

    /// `${name-word}` and its kin; `empty_too` is the colon.
    fn modified(&mut self, start: usize, name: &str, kind: char, empty_too: bool) -> Result<String, ExpandError> {
        let pattern = matches!(kind, '#' | '%');
        let nested = self.used.len();
        let (word, _) = self.until(Some('}'), pattern)?;
        let value = self.value(name, pattern);
        if value.is_none() && self.lexer.skip_unset {
            let colon = if empty_too { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{kind}{word}}}"));
        }
        let missing = value.as_ref().is_none_or(|value| empty_too && value.is_empty());
        let takes_word = match kind {
            '-' => missing,
            '+' => !missing,
            _ => pattern,
        };
        if !takes_word {
            self.used[nested..].iter_mut().filter(|used| used.name != name).for_each(|used| used.needed = false);
        }
        match kind {
            '-' | '+' if takes_word => Ok(word),
            '+' => Ok(String::new()),
            '?' if missing => {
                let state = if value.is_some() { "empty" } else { "unset" };
                let message = if word.is_empty() { format!("it must not be {state}") } else { word };
                self.error(start, format!("`{name}` has no value: {message}"))
            }
            '-' | '?' => Ok(value.unwrap_or_default()),
            _ => {
                let (greedy, word) = match word.strip_prefix(kind) {
                    Some(rest) => (true, rest),
                    None => (false, word.as_str()),
                };
                let value = value.unwrap_or_default();
                let cut = if kind == '#' { cut_start(word, &value, greedy) } else { cut_end(word, &value, greedy) };
                cut.or_else(|why| self.error(start, why))
            }
        }
    }

    /// `${name/pattern/replacement}` and `${name//pattern/replacement}`.
    fn replaced(&mut self, start: usize, name: &str) -> Result<String, ExpandError> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let (pattern, _) = self.until(Some('/'), true)?;
        let (replacement, _) = self.until(Some('}'), true)?;
        let value = self.value(name, true);
        if value.is_none() && self.lexer.skip_unset {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        let value = value.unwrap_or_default();
        let regex = match shell_pattern(&pattern, true, false) {
            Ok(regex) => regex,
            Err(why) => return self.error(start, why),
        };
        Ok(if all {
            regex.replace_all(&value, replacement.as_str()).into_owned()
        } else {
            match regex.find(&value) {
                Some(found) => [&value[..found.start()], &replacement, &value[found.end()..]].concat(),
                None => value,
            }
        })
    }

    /// Reads a name: letters, digits and `_`; digits alone; or one special parameter of the shell.
    fn name(&mut self) -> String {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return String::new() };
        let length = if first.is_numeric() {
            rest.find(|c: char| !c.is_numeric()).unwrap_or(rest.len())
        } else if matches!(first, '@' | '*' | '#' | '?' | '-' | '$' | '!') {
            first.len_utf8()
        } else {
            rest.find(|c: char| !c.is_alphabetic() && !c.is_numeric() && c != '_').unwrap_or(rest.len())
        };
        self.at += length;
        rest[..length].to_owned()
    }

    fn value(&mut self, name: &str, needed: bool) -> Option<String> {
        let value = self.values.get(name).cloned();
        self.used.push(Used { name: name.to_owned(), set: value.is_some(), needed });
        value
    }
}

/// The shell's `*` and `?` as a regular expression.
fn shell_pattern(pattern: &str, greedy: bool, anchored: bool) -> Result<Regex, String> {
    let mut out = String::from(if anchored { "^" } else { "" });
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(if greedy { ".*" } else { ".*?" }),
            '?' => out.push('.'),
            '\\' if matches!(chars.peek(), Some('}' | '/')) => {}
            '\\' => match chars.next() {
                Some(c @ ('*' | '?' | '\\')) => {
                    out.push('\\');
                    out.push(c);
                }
                Some(c) => return Err(format!("`\\{c}` is not an escape in a pattern: `\\*`, `\\?` and `\\\\` are")),
                None => return Err("the pattern ends with `\\`".to_owned()),
            },
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    Regex::new(&out).map_err(|_| "the pattern is too large".to_owned())
}

fn cut_start(pattern: &str, value: &str, greedy: bool) -> Result<String, String> {
    let regex = shell_pattern(pattern, greedy, true)?;
    Ok(regex.find(value).map_or(value, |found| &value[found.end()..]).to_owned())
}

/// A suffix is a prefix of the reversed text; escapes keep their order.
fn cut_end(pattern: &str, value: &str, greedy: bool) -> Result<String, String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match (c, if c == '\\' { chars.next() } else { None }) {
            (c, Some(escaped)) => format!("{c}{escaped}"),
            (c, None) => c.to_string(),
        });
    }
    pieces.reverse();
    let reversed: String = value.chars().rev().collect();
    Ok(cut_start(&pieces.concat(), &reversed, greedy)?.chars().rev().collect())
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
