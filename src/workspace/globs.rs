//! Globs of the manifest (`inputs:`, `only:`, matrix axes). Those of `.dockerignore` and COPY follow Docker's rules instead.
//!
//! `*` and `?` stay within a name, `**` crosses names, `[a-z]` and `{a,b}` work. A glob that matches a folder covers all below it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use super::error::Error;

/// Some globs, relative to one folder.
#[derive(Clone, Debug)]
pub(super) struct Globs {
    set: GlobSet,
}

impl Globs {
    /// Compiles the globs; a leading `./` or `/` and a trailing `/` mean nothing.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let tidy = tidy(pattern);
            if tidy.is_empty() {
                set.add(compile(pattern, "**")?);
            } else {
                set.add(compile(pattern, tidy)?);
                set.add(compile(pattern, &format!("{tidy}/**"))?);
            }
        }
        Ok(Self { set: set.build().map_err(|error| wrong("inputs", &error))? })
    }

    /// Whether one of them matches the path or a folder above it.
    pub fn covers(&self, path: &[u8]) -> bool {
        self.set.is_match(Path::new(OsStr::from_bytes(path)))
    }
}

/// One glob that must match a whole path.
pub(super) fn matcher(pattern: &str) -> Result<GlobMatcher, Error> {
    Ok(compile(pattern, pattern)?.compile_matcher())
}

/// The part of a glob before the first name that is not literal, without a `/` at its end, and the rest.
pub(super) fn literal_base(pattern: &str) -> (&str, &str) {
    let wild = pattern.find(['*', '?', '[', '{', '\\']).unwrap_or(pattern.len());
    if wild == pattern.len() {
        return (pattern, "");
    }
    match pattern[..wild].rfind('/') {
        Some(slash) => (&pattern[..slash], &pattern[slash + 1..]),
        None => ("", pattern),
    }
}

/// The glob without the decoration that means nothing.
pub(super) fn tidy(pattern: &str) -> &str {
    let mut tidy = pattern.trim_end_matches('/');
    while let Some(rest) = tidy.strip_prefix("./").or_else(|| tidy.strip_prefix('/')) {
        tidy = rest;
    }
    if tidy == "." { "" } else { tidy }
}

fn compile(written: &str, pattern: &str) -> Result<globset::Glob, Error> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| wrong(written, &error))
}

fn wrong(pattern: &str, error: &globset::Error) -> Error {
    Error::Glob { pattern: pattern.to_owned(), message: error.kind().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_covers_what_it_matches_and_all_below() {
        let covered = |pattern: &str, path: &str| Globs::new([pattern]).unwrap().covers(path.as_bytes());
        for (pattern, path) in [
            ("docs", "docs"),
            ("docs/", "docs/a/b"),
            ("./docs", "docs/a"),
            ("*.md", "a.md"),
            ("**/*.md", "a/b/c.md"),
            ("**/*.md", "a.md"),
            ("cmd/{api,thumb}", "cmd/thumb/main.go"),
            ("cmd/*", "cmd/x/y"),
            (".", "anything/at/all"),
            ("**/testdata", "a/testdata/b"),
        ] {
            assert!(covered(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("docs", "docs2"), ("*.md", "a/b.md"), ("docs", "a/docs"), ("a/*/c", "a/c"), ("?", "ab")]
        {
            assert!(!covered(pattern, path), "{pattern} {path}");
        }
        assert!(Globs::new(["a[", "b"]).unwrap_err().to_string().starts_with("`a[` is not a glob"));
        assert!(!Globs::new([]).unwrap().covers(b"a"));
    }

    #[test]
    fn the_base_of_a_glob_is_literal() {
        for (pattern, base, rest) in [
            ("a/b/*.go", "a/b", "*.go"),
            ("*/Dockerfile", "", "*/Dockerfile"),
            ("../x/**", "../x", "**"),
            ("a/b", "a/b", ""),
            ("a/{b,c}/d", "a", "{b,c}/d"),
        ] {
            assert_eq!(literal_base(pattern), (base, rest), "{pattern}");
        }
    }
}
