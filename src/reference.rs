//! Image references, with Docker's normalization.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A reference with all that Docker leaves unsaid filled in: `alpine` is `docker.io/library/alpine:latest`.
///
/// Source: distribution/reference, `ParseNormalizedNamed` and `TagNameOnly`. A reference with a digest gets no tag of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The host with its port: `docker.io`, `127.0.0.1:5000`.
    pub host: String,
    /// The repository below the host: `library/alpine`.
    pub repository: String,
    /// The tag; absent only if there is a digest.
    pub tag: Option<String>,
    /// The digest, where the reference is pinned.
    pub digest: Option<Digest>,
}

impl Reference {
    /// `host/repository` without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The reference as people write it and as BuildKit looks for named contexts: without `docker.io/library/` and `:latest`.
    ///
    /// Source: BuildKit's Dockerfile frontend, named contexts (`reference.FamiliarString` without the suffix `:latest`).
    pub fn familiar(&self) -> String {
        let text = self.to_string();
        let text = text.strip_prefix("docker.io/").unwrap_or(&text);
        let text = text.strip_prefix("library/").unwrap_or(text);
        text.strip_suffix(":latest").unwrap_or(text).to_owned()
    }

    /// The same repository, pinned by digest and without a tag.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an image reference: {why}")]
pub struct NotAReference {
    text: String,
    why: &'static str,
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let wrong = |why| NotAReference { text: text.to_owned(), why };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|_| wrong("the part after `@` is not a sha256 digest"))?))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (host, repository) = match name.split_once('/') {
            Some((first, tail)) if is_host(first) => (first, tail.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        if name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(wrong("64 hexadecimal digits are the id of an image, not a name"));
        }
        host_problem(host).map_or(Ok(()), |why| Err(wrong(why)))?;
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        let repository =
            if host == "docker.io" && !repository.contains('/') { format!("library/{repository}") } else { repository };
        repository_problem(&repository).map_or(Ok(()), |why| Err(wrong(why)))?;
        if let Some(tag) = tag {
            tag_problem(tag).map_or(Ok(()), |why| Err(wrong(why)))?;
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some("latest".to_owned()),
        };
        Ok(Self { host: host.to_owned(), repository, tag, digest })
    }
}

/// Whether the first part of a name is a host: it has a dot or a port, is `localhost`, or has an upper-case letter.
fn is_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|b| b.is_ascii_uppercase())
}

/// Why `host` cannot be the host of a registry, or `None`.
///
/// Source: distribution/reference, `DomainRegexp`: components of letters, digits and inner dashes joined by dots, or an IPv6 address in
/// brackets; then a port of digits.
fn host_problem(host: &str) -> Option<&'static str> {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
                return Some("the address in brackets is not one of IPv6");
            }
            if !port.is_empty() && !port.starts_with(':') {
                return Some("only a port may follow the address in brackets");
            }
            (None, port.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((name, port)) => (Some(name), Some(port)),
            None => (Some(host), None),
        },
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return Some("the port of its host is not a number");
    }
    let component = |part: &str| {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = part.as_bytes();
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    if name.is_some_and(|name| !name.split('.').all(component)) {
        return Some("a host is made of letters, digits and inner `-`, joined by single dots");
    }
    None
}

/// Why `repository` cannot be the name of a repository, or `None`.
///
/// Source: OCI distribution specification, "Pulling manifests": components of `[a-z0-9]+` joined by `.`, `_`, `__` or dashes.
pub fn repository_problem(repository: &str) -> Option<&'static str> {
    if repository.is_empty() {
        return Some("the repository is empty");
    }
    if repository.len() > 255 {
        return Some("a repository has 255 characters at most");
    }
    for part in repository.split('/') {
        let bytes = part.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        if part.bytes().any(|b| b.is_ascii_uppercase()) {
            return Some("a repository is written in lower case");
        }
        if !edge(bytes.first()) || !edge(bytes.last()) {
            return Some("each part of a repository begins and ends with a letter or a digit");
        }
        if !part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b)) {
            return Some("a repository holds lower-case letters, digits, `.`, `_`, `-` and `/`");
        }
        if part.contains("..")
            || part.contains("___")
            || part.contains("._")
            || part.contains("_.")
            || part.contains("-.")
            || part.contains(".-")
            || part.contains("_-")
            || part.contains("-_")
        {
            return Some("separators in a repository are one `.`, one or two `_`, or dashes");
        }
    }
    None
}

/// Why `tag` cannot be a tag, or `None`.
///
/// Source: OCI distribution specification: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub fn tag_problem(tag: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match tag.as_bytes() {
        [] => Some("the tag is empty"),
        bytes if bytes.len() > 128 => Some("a tag has 128 characters at most"),
        [first, ..] if !legal(*first) => Some("a tag begins with a letter, a digit or `_`"),
        bytes if !bytes.iter().all(|b| legal(*b) || b".-".contains(b)) => {
            Some("a tag holds letters, digits, `_`, `.` and `-`")
        }
        _ => None,
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_leaves_unsaid_is_filled_in() {
        let digest = Digest::of(b"");
        for (text, full) in [
            ("alpine", "docker.io/library/alpine:latest".to_owned()),
            ("library/alpine:3", "docker.io/library/alpine:3".to_owned()),
            ("index.docker.io/alpine", "docker.io/library/alpine:latest".to_owned()),
            ("localhost/x", "localhost/x:latest".to_owned()),
            ("127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c".to_owned()),
            (&format!("a/b@{digest}"), format!("docker.io/a/b@{digest}")),
            (&format!("a/b:t@{digest}"), format!("docker.io/a/b:t@{digest}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), full);
        }
        for bad in ["", "A b", "x:", "x@sha256:1", "a//b", "foo/Bar", "x:-a", "a..b"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_follows_the_grammar_of_references() {
        let hex = "a".repeat(64);
        for bad in [
            "a..b.com/x",
            "-a.com/x",
            "a-.com/x",
            "a.com:port/x",
            "a.com:/x",
            "a+b.com/x",
            "a.-b/c",
            "a_b.com/x",
            ".com/x",
            "a./x",
            ":5000/x",
            "a.com:1:2/x",
            "[::1/x",
            "[]:5/x",
            "[::g]/x",
            "[::1]5/x",
            "${ACC}.dkr.ecr.example.com/x",
            &hex,
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
        for good in
            ["[::1]/x", "[fe80::1]:5000/x", "A/x", "a-b.c:5/x", "1.2.3.4:80/x", &format!("x/{hex}"), &format!("{hex}b")]
        {
            assert!(good.parse::<Reference>().is_ok(), "{good}");
        }
    }

    proptest::proptest! {
        /// The oracle is the grammar of distribution/reference as one regular expression.
        #[test]
        fn what_is_a_reference_says_the_grammar(text in "[a-bA0._+:/@$\\-\\[\\]]{1,12}") {
            let component = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
            let host = format!("(?:{component}(?:\\.{component})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?");
            let part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
            let whole = format!("^(?:{host}/)?{part}(?:/{part})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?$");
            let fits = regex::Regex::new(&whole).unwrap().is_match(&text);
            let ours = text.parse::<Reference>().is_ok();
            // A first part without a dot, a port and an upper-case letter is no host to Docker, whatever the grammar could take it for.
            let splits = text.split_once('/').is_none_or(|(first, _)| is_host(first) || !first.contains(['-']));
            proptest::prop_assert!(!ours || fits, "{} is taken", text);
            if splits {
                proptest::prop_assert_eq!(ours, fits, "{}", text);
            }
        }
    }
}
