//! Go's `filepath.Match`.

use regex::Regex;

use super::BadPattern;
use super::translate::{Token, glob_regex, text, tokens};

/// A pattern of Go's `filepath.Match`: `*` and `?` stop at `/`, classes are `[a-z]` and `[^a-z]`, `\` escapes. `**` is `*`.
///
/// Source: Go's documentation of `path/filepath`, `Match`. The whole path must match.
#[derive(Clone, Debug)]
pub struct Glob {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Literal(String),
    Regex { head: String, regex: Regex },
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// If Go's matcher would refuse the pattern, or if it is too large.
    pub fn new(pattern: &[u8]) -> Result<Self, BadPattern> {
        let tokens = tokens(&text(pattern))?;
        let head: String = tokens.iter().map_while(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect();
        if head.chars().count() == tokens.len() {
            return Ok(Self { kind: Kind::Literal(head) });
        }
        let regex = Regex::new(&glob_regex(&tokens)).map_err(|_| BadPattern)?;
        Ok(Self { kind: Kind::Regex { head, regex } })
    }

    /// The one path that matches, if the pattern has no wildcard.
    pub fn literal(&self) -> Option<&str> {
        match &self.kind {
            Kind::Literal(literal) => Some(literal),
            Kind::Regex { .. } => None,
        }
    }

    /// Whether the whole of `path` matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        let path = text(path);
        match &self.kind {
            Kind::Literal(literal) => *literal == path,
            Kind::Regex { head, regex } => path.starts_with(head.as_str()) && regex.is_match(&path),
        }
    }

    /// Whether a part of a path has a wildcard in it (an escaped one does not count).
    ///
    /// Source: BuildKit takes `*`, `?` and `[` for wildcards unless a `\` stands before.
    pub fn is_wild(part: &[u8]) -> bool {
        let mut bytes = part.iter();
        while let Some(b) = bytes.next() {
            match b {
                b'*' | b'?' | b'[' => return true,
                b'\\' => {
                    bytes.next();
                }
                _ => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_own_table() {
        // Source: behaviour documented for path/filepath.Match; each line was chosen for one rule.
        for (pattern, path, want) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x\\-]", "z", false),
            ("*x", "xxx", true),
            ("**", "a/b", false),
            ("[!a]", "!", true),
            ("[!a]", "b", false),
            ("a[^b]c", "a/c", true),
        ] {
            assert_eq!(Glob::new(pattern.as_bytes()).unwrap().matches(path.as_bytes()), want, "{pattern} {path}");
        }
        for bad in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\"] {
            assert!(Glob::new(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Glob::new(b"?").unwrap().matches(b"\xff"));
        assert!(Glob::is_wild(b"a*") && !Glob::is_wild(b"a\\*") && Glob::is_wild(b"[") && !Glob::is_wild(b"a]"));
    }
}
