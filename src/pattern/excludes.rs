//! An ordered list of moby's patterns, where later ones overrule earlier ones and `!` takes back.

use regex::Regex;

use super::translate::{Form, moby_form, text, tokens};
use super::{BadPattern, clean};

/// One pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    clean: Vec<u8>,
    takes_back: bool,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    /// The bytes after `**`.
    Suffix(Vec<u8>),
    Regex {
        head: String,
        regex: Regex,
    },
}

impl Pattern {
    /// Reads one pattern, `!` in front included.
    ///
    /// # Errors
    /// If moby's matcher would refuse it: a lone `!`, or something that `filepath.Match` refuses.
    pub fn new(pattern: &[u8]) -> Result<Self, BadPattern> {
        let cleaned = clean(pattern.trim_ascii());
        let (takes_back, cleaned) = match cleaned.strip_prefix(b"!") {
            Some([]) => return Err(BadPattern),
            Some(rest) => (true, rest.to_vec()),
            None => (false, cleaned),
        };
        let as_text = text(&cleaned);
        tokens(&as_text)?;
        let matcher = match moby_form(&as_text) {
            Form::Exact => Matcher::Exact(cleaned.clone()),
            Form::Prefix => Matcher::Prefix(cleaned[..cleaned.len() - 2].to_vec()),
            Form::Suffix => Matcher::Suffix(cleaned[2..].to_vec()),
            Form::Regex(source) => Matcher::Regex {
                head: literal_head(&as_text).to_owned(),
                regex: Regex::new(&source).map_err(|_| BadPattern)?,
            },
        };
        Ok(Self { clean: cleaned, takes_back, matcher })
    }

    /// Whether it begins with `!`.
    pub const fn takes_back(&self) -> bool {
        self.takes_back
    }

    /// The pattern without `!`, as `filepath.Clean` leaves it.
    pub fn cleaned(&self) -> &[u8] {
        &self.clean
    }

    /// Whether this pattern alone matches this path alone (not its parents).
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Exact(exact) => path == exact.as_slice(),
            Matcher::Prefix(prefix) => path.starts_with(prefix),
            Matcher::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix(b"/").is_some_and(|whole| whole == path)
            }
            Matcher::Regex { head, regex } => path.starts_with(head.as_bytes()) && regex.is_match(&text(path)),
        }
    }

    /// Whether something strictly below `folder` could match; says yes when in doubt.
    fn may_match_below(&self, folder: &[u8]) -> bool {
        let pattern = text(&self.clean);
        let head = literal_head(&pattern).as_bytes();
        let mut below = folder.to_vec();
        below.push(b'/');
        if head.len() == self.clean.len() {
            return head.len() > below.len() && head.starts_with(&below);
        }
        if head.starts_with(&below) {
            return true;
        }
        if !below.starts_with(head) {
            return false;
        }
        // With nothing but `*` and `?`, a pattern matches only paths of its own depth.
        let wild = |b: u8| b"[]{}|^\\".contains(&b);
        if self.clean.iter().any(|b| wild(*b)) || self.clean.windows(2).any(|two| two == b"**") {
            return true;
        }
        let slashes = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'/').count();
        slashes(&self.clean) >= slashes(&below)
    }
}

/// The part of a pattern before anything that is not literal in moby's or in Go's sense.
fn literal_head(pattern: &str) -> &str {
    // A character before `{2}` belongs to the repetition, so the head ends one earlier; an alternative has no head at all.
    if pattern.contains('|') {
        return "";
    }
    let end = pattern.find(['*', '?', '[', ']', '\\', '{', '}', '^']).unwrap_or(pattern.len());
    let head = &pattern[..end];
    if pattern[end..].starts_with('{') {
        let last = head.chars().next_back().map_or(0, char::len_utf8);
        return &head[..head.len() - last];
    }
    head
}

/// What a folder's patterns did, for its children: moby's `MatchInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched(Box<[u64]>);

impl Matched {
    fn get(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// What the list says of a path: the index of the pattern that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No pattern matched.
    Unmatched,
    /// Left out.
    Excluded(usize),
    /// Left out by one pattern and taken back by this one.
    Kept(usize),
}

impl Verdict {
    /// Whether the path is left out.
    pub const fn is_excluded(self) -> bool {
        matches!(self, Self::Excluded(_))
    }
}

/// An ordered list of patterns.
///
/// Source: moby/patternmatcher, `MatchesUsingParentResults`: a folder's matches hold for all below it, later patterns
/// overrule, a pattern is asked only if it would change the outcome.
#[derive(Clone, Debug, Default)]
pub struct Excludes {
    patterns: Vec<Pattern>,
}

impl Excludes {
    /// A list.
    pub const fn new(patterns: Vec<Pattern>) -> Self {
        Self { patterns }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns, in order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// The verdict on `path`, given what its parent folder matched (`Matched::default()` at the top).
    pub fn verdict(&self, path: &[u8], parent: &Matched) -> Verdict {
        self.run(path, parent, |_| {})
    }

    /// The verdict on a folder, and what to pass on to its children.
    pub fn folder(&self, path: &[u8], parent: &Matched) -> (Verdict, Matched) {
        let mut words = vec![0u64; self.patterns.len().div_ceil(64)];
        let verdict = self.run(path, parent, |index| words[index / 64] |= 1 << (index % 64));
        (verdict, Matched(words.into()))
    }

    fn run(&self, path: &[u8], parent: &Matched, mut note: impl FnMut(usize)) -> Verdict {
        let mut verdict = Verdict::Unmatched;
        for (index, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.get(index);
            if !inherited && (pattern.takes_back != verdict.is_excluded() || !pattern.matches(path)) {
                continue;
            }
            note(index);
            verdict = match (pattern.takes_back, verdict) {
                (false, Verdict::Excluded(first)) => Verdict::Excluded(first),
                (false, _) => Verdict::Excluded(index),
                (true, Verdict::Excluded(_)) => Verdict::Kept(index),
                (true, other) => other,
            };
        }
        verdict
    }

    /// The verdict on a path whose parents were not asked yet: from the top down.
    pub fn verdict_from_top(&self, path: &[u8]) -> Verdict {
        let mut state = Matched::default();
        for (at, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            state = self.folder(&path[..at], &state).1;
        }
        self.verdict(path, &state)
    }

    /// Whether a `!` pattern could take back something strictly below an excluded folder; yes when in doubt.
    pub fn may_keep_below(&self, folder: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| pattern.takes_back && pattern.may_match_below(folder))
    }
}
