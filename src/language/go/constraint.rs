//! Build constraints: `//go:build` and `// +build` lines, and endings of file names such as `_linux_arm64`.

use serde::{Deserialize, Serialize};

use crate::platform::Platform;

/// An expression over build tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Constraint {
    /// A tag must hold.
    Tag(String),
    /// The inner one must not hold.
    Not(Box<Self>),
    /// All must hold.
    All(Vec<Self>),
    /// One must hold.
    Any(Vec<Self>),
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    /// It depends on what nobody has told us: a tag of `go build -tags`, whether cgo is on, the version of Go.
    Maybe,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// What is known of the tags of a build.
#[derive(Clone, Debug)]
pub(super) struct Tags<'a> {
    pub platform: &'a Platform,
    /// Those of `-tags`; `None` if nobody said.
    pub custom: Option<&'a [String]>,
    pub cgo: Option<bool>,
    /// The minor version of Go that the module needs: 22 for `go 1.22.3`.
    pub go: Option<u32>,
}

/// Every GOOS that file names and tags may speak of.
///
/// Source: Go's `internal/syslist`; the list is only ever added to.
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

/// The systems for which the tag `unix` holds. Source: Go's `internal/syslist`.
const UNIX: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "linux",
    "netbsd",
    "openbsd",
    "solaris",
];

/// Every GOARCH. Source: Go's `internal/syslist`.
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl Tags<'_> {
    pub fn tag(&self, tag: &str) -> Truth {
        let os = self.platform.os.as_str();
        if SYSTEMS.contains(&tag) {
            let also = matches!((os, tag), ("android", "linux") | ("illumos", "solaris") | ("ios", "darwin"));
            return Truth::from(tag == os || also);
        }
        if ARCHITECTURES.contains(&tag) {
            return Truth::from(tag == self.platform.architecture);
        }
        let asked = self.custom.is_some_and(|custom| custom.iter().any(|one| one == tag));
        match tag {
            _ if asked => Truth::Yes,
            "unix" => Truth::from(UNIX.contains(&os)),
            "cgo" => self.cgo.map_or(Truth::Maybe, Truth::from),
            "gc" => Truth::Yes,
            // `ignore` is what programs carry that belong to no build.
            "gccgo" | "ignore" => Truth::No,
            _ => match release(tag) {
                Some(minor) if self.go.is_some_and(|go| minor <= go) => Truth::Yes,
                Some(_) => Truth::Maybe,
                None if is_set_elsewhere(tag) => Truth::Maybe,
                None => self.custom.map_or(Truth::Maybe, |_| Truth::No),
            },
        }
    }

    pub fn holds(&self, constraint: &Constraint) -> Truth {
        match constraint {
            Constraint::Tag(tag) => self.tag(tag),
            Constraint::Not(inner) => match self.holds(inner) {
                Truth::Yes => Truth::No,
                Truth::No => Truth::Yes,
                Truth::Maybe => Truth::Maybe,
            },
            Constraint::All(parts) => all(parts.iter().map(|part| self.holds(part))),
            Constraint::Any(parts) => {
                let mut sum = Truth::No;
                for part in parts {
                    match self.holds(part) {
                        Truth::Yes => return Truth::Yes,
                        Truth::Maybe => sum = Truth::Maybe,
                        Truth::No => {}
                    }
                }
                sum
            }
        }
    }

    /// Whether the name of a file lets it belong to the build.
    ///
    /// Source: documentation of `go/build`: `*_GOOS`, `*_GOARCH` and `*_GOOS_GOARCH`, up to the first dot; a name without
    /// anything before the `_` is no such name.
    pub fn file_name(&self, name: &str) -> Truth {
        let stem = name.split('.').next().unwrap_or_default();
        let Some(from) = stem.find('_') else { return Truth::Yes };
        let mut parts: Vec<&str> = stem[from..].split('_').collect();
        if parts.last() == Some(&"test") {
            parts.pop();
        }
        match parts[..] {
            [.., os, arch] if SYSTEMS.contains(&os) && ARCHITECTURES.contains(&arch) => {
                all([self.tag(os), self.tag(arch)])
            }
            [.., one] if SYSTEMS.contains(&one) || ARCHITECTURES.contains(&one) => self.tag(one),
            _ => Truth::Yes,
        }
    }
}

fn all(parts: impl IntoIterator<Item = Truth>) -> Truth {
    let mut sum = Truth::Yes;
    for part in parts {
        match part {
            Truth::No => return Truth::No,
            Truth::Maybe => sum = Truth::Maybe,
            Truth::Yes => {}
        }
    }
    sum
}

/// Features of architectures (`amd64.v3`) and experiments are set by other means than `-tags`.
fn is_set_elsewhere(tag: &str) -> bool {
    let family = tag.split_once('.').map(|(family, _)| family);
    tag == "boringcrypto" || family.is_some_and(|family| family == "goexperiment" || ARCHITECTURES.contains(&family))
}

/// `go1.22` is 22.
fn release(tag: &str) -> Option<u32> {
    tag.strip_prefix("go1.")?.parse().ok()
}

/// The constraint in the lines before the package clause; `None` if there is none.
///
/// One `//go:build` line wins over all `// +build` lines, which count only if a blank line follows them.
pub(super) fn of_header(text: &str) -> Result<Option<Constraint>, String> {
    let mut go_build = None;
    let (mut plus, mut counted) = (Vec::new(), 0);
    let (mut ended, mut in_block) = (false, false);
    'lines: for line in text.lines() {
        let mut line = line.trim();
        if line.is_empty() && !ended {
            counted = plus.len();
            continue;
        }
        if !line.starts_with("//") {
            ended = true;
        } else if !in_block {
            if let Some(expression) = directive(line, "//go:build")
                && go_build.replace(expression).is_some()
            {
                return Err("it has two //go:build lines".to_owned());
            }
            let comment = line.trim_start_matches('/').trim_start();
            if !ended && let Some(words) = directive(comment, "+build") {
                plus.push(words);
            }
        }
        while !line.is_empty() {
            if in_block {
                let Some(end) = line.find("*/") else { continue 'lines };
                in_block = false;
                line = line[end + 2..].trim();
            } else if line.starts_with("//") {
                continue 'lines;
            } else if let Some(rest) = line.strip_prefix("/*") {
                in_block = true;
                line = rest;
            } else {
                break 'lines;
            }
        }
    }
    if let Some(expression) = go_build {
        let mut parser = Parser { rest: expression };
        let constraint = parser.any()?;
        parser.skip();
        return if parser.rest.is_empty() { Ok(Some(constraint)) } else { Err(wrong(expression)) };
    }
    let lines: Vec<Constraint> = plus[..counted].iter().map(|words| plus_line(words)).collect();
    Ok(if lines.is_empty() { None } else { Some(Constraint::All(lines)) })
}

/// What follows a word at the start of a line, if it stands there as a word.
fn directive<'t>(line: &'t str, word: &str) -> Option<&'t str> {
    let rest = line.strip_prefix(word)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| rest.trim())
}

/// One `+build` line: a blank is `or`, a comma is `and`, `!` is `not`.
fn plus_line(words: &str) -> Constraint {
    let term = |term: &str| match term.strip_prefix('!') {
        Some(tag) => Constraint::Not(Box::new(Constraint::Tag(tag.to_owned()))),
        None => Constraint::Tag(term.to_owned()),
    };
    Constraint::Any(words.split_whitespace().map(|word| Constraint::All(word.split(',').map(term).collect())).collect())
}

fn wrong(expression: &str) -> String {
    format!("`//go:build {expression}` cannot be understood")
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, word: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self) -> Result<Constraint, String> {
        let mut parts = vec![self.all()?];
        while self.take("||") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Constraint::Any(parts) })
    }

    fn all(&mut self) -> Result<Constraint, String> {
        let mut parts = vec![self.not()?];
        while self.take("&&") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Constraint::All(parts) })
    }

    fn not(&mut self) -> Result<Constraint, String> {
        if self.take("!") {
            return Ok(Constraint::Not(Box::new(self.not()?)));
        }
        if self.take("(") {
            let inner = self.any()?;
            return if self.take(")") { Ok(inner) } else { Err(wrong(self.rest)) };
        }
        self.skip();
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(wrong(self.rest));
        }
        let tag = self.rest[..end].to_owned();
        self.rest = &self.rest[end..];
        Ok(Constraint::Tag(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(header: &str, custom: Option<&[&str]>) -> Truth {
        let platform: Platform = "linux/arm64".parse().unwrap();
        let custom: Option<Vec<String>> = custom.map(|tags| tags.iter().map(|tag| (*tag).to_owned()).collect());
        let tags = Tags { platform: &platform, custom: custom.as_deref(), cgo: Some(false), go: Some(22) };
        of_header(header).unwrap().map_or(Truth::Yes, |constraint| tags.holds(&constraint))
    }

    #[test]
    fn lines_of_the_header() {
        for (header, want) in [
            ("package x\n", Truth::Yes),
            ("//go:build linux\n\npackage x\n", Truth::Yes),
            ("//go:build linux\npackage x\n", Truth::Yes),
            ("//go:build !linux\n\npackage x\n", Truth::No),
            ("//go:build windows || (linux && arm64)\n\npackage x\n", Truth::Yes),
            ("//go:build linux && !(arm64 || cgo)\n\npackage x\n", Truth::No),
            ("//go:build ignore\n\npackage x\n", Truth::No),
            ("//go:build unix\n\npackage x\n", Truth::Yes),
            ("//go:build go1.22\n\npackage x\n", Truth::Yes),
            ("//go:build go1.23\n\npackage x\n", Truth::Maybe),
            ("//go:build integration\n\npackage x\n", Truth::Maybe),
            ("//go:build integration && windows\n\npackage x\n", Truth::No),
            ("//go:build arm64.v8.1\n\npackage x\n", Truth::Maybe),
            ("// +build windows darwin\n\npackage x\n", Truth::No),
            ("// +build windows linux,arm64\n// +build !cgo\n\npackage x\n", Truth::Yes),
            ("// +build windows\npackage x\n", Truth::Yes),
            ("//+build windows\n\npackage x\n", Truth::No),
            ("//go:build linux\n// +build windows\n\npackage x\n", Truth::Yes),
            ("/* a\n//go:build windows\n*/\n\npackage x\n", Truth::Yes),
            ("/* a */ package x\n\n//go:build windows\n", Truth::Yes),
            ("// text\n\n//go:build windows\n\n// doc\npackage x\n", Truth::No),
            ("package x\n//go:build windows\n", Truth::Yes),
        ] {
            assert_eq!(truth(header, None), want, "{header}");
        }
        assert_eq!(truth("//go:build integration\n\npackage x\n", Some(&[])), Truth::No);
        assert_eq!(truth("//go:build integration\n\npackage x\n", Some(&["integration"])), Truth::Yes);
        assert!(of_header("//go:build linux &&\n\npackage x\n").is_err());
        assert!(of_header("//go:build (linux\n\npackage x\n").is_err());
        assert!(of_header("//go:build linux darwin\n\npackage x\n").is_err());
        assert!(of_header("//go:build a\n//go:build b\n\npackage x\n").is_err());
    }

    #[test]
    fn endings_of_names() {
        let platform: Platform = "linux/arm64".parse().unwrap();
        let tags = Tags { platform: &platform, custom: None, cgo: None, go: None };
        for (name, want) in [
            ("a.go", Truth::Yes),
            ("a_linux.go", Truth::Yes),
            ("a_windows.go", Truth::No),
            ("a_arm64.go", Truth::Yes),
            ("a_linux_amd64.go", Truth::No),
            ("a_linux_arm64.go", Truth::Yes),
            ("linux.go", Truth::Yes),
            ("windows.go", Truth::Yes),
            ("a_windows.x.go", Truth::No),
            ("a_windows_x.go", Truth::Yes),
            ("a_unix.go", Truth::Yes),
            ("windows_amd64.go", Truth::No),
            ("amd64_linux.go", Truth::Yes),
        ] {
            assert_eq!(tags.file_name(name), want, "{name}");
        }
    }
}
