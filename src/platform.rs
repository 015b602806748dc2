//! Platforms, normalized as containerd does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operating system, an architecture and sometimes a variant: `linux/arm64`, `linux/arm/v7`.
///
/// Normalized: `linux/aarch64` and `linux/arm64/v8` are `linux/arm64`, `linux/x86_64` is `linux/amd64`
/// (source: containerd's platforms package, `normalizeArch`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `linux`, `windows`, ...
    pub os: String,
    /// In Go's words: `amd64`, `arm64`, `arm`, ...
    pub architecture: String,
    /// Empty, or `v7` and the like.
    pub variant: String,
}

impl Platform {
    /// The platform of the machine that this program runs on, as a Linux container sees it.
    pub fn of_this_machine() -> Self {
        Self::normalized("linux", std::env::consts::ARCH, "")
    }

    fn normalized(os: &str, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) = match (architecture, variant) {
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", other) => ("amd64", other),
            ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", ""),
            ("aarch64", other) => ("arm64", other),
            ("armhf", _) | ("arm", "" | "7" | "v7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6" | "v6") => ("arm", "v6"),
            ("arm", "5" | "v5") => ("arm", "v5"),
            ("i386" | "x86", _) => ("386", ""),
            other => other,
        };
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

/// A text that is not `os/architecture[/variant]`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a platform such as linux/amd64 or linux/arm64")]
pub struct NotAPlatform(String);

impl FromStr for Platform {
    type Err = NotAPlatform;

    fn from_str(text: &str) -> Result<Self, NotAPlatform> {
        let wrong = || NotAPlatform(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        let legal =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(|part| legal(part)) {
            return Err(wrong());
        }
        Ok(Self::normalized(parts[0], parts[1], parts.get(2).unwrap_or(&"")))
    }
}

impl Serialize for Platform {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_platform_are_equal() {
        for (spelling, normal) in [
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm", "linux/arm/v7"),
            ("Linux/AMD64", "linux/amd64"),
        ] {
            assert_eq!(spelling.parse::<Platform>().unwrap().to_string(), normal);
        }
        for bad in ["linux", "", "linux/", "linux/arm/v7/x", "linux/ar m"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
