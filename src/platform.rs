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

    /// Those that images are usually built for, as written.
    pub const USUAL: [&str; 9] = [
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
        "linux/arm/v6",
        "linux/386",
        "linux/ppc64le",
        "linux/riscv64",
        "linux/s390x",
        "windows/amd64",
    ];

    /// Whether its operating system and its architecture are words of Go, from which images take them
    /// (source: OCI image specification, config.md, `os` and `architecture`; Go's `go tool dist list`).
    pub fn is_known(&self) -> bool {
        let systems =
            "aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris wasip1 windows";
        let architectures =
            "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x sparc64 wasm";
        let among = |words: &str, word: &str| words.split(' ').any(|known| known == word);
        among(systems, &self.os) && among(architectures, &self.architecture)
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
    fn typing_errors_are_not_known() {
        let known = |text: &str| text.parse::<Platform>().unwrap().is_known();
        assert!(Platform::USUAL.into_iter().all(known));
        assert!(known("linux/aarch64") && known("wasip1/wasm") && Platform::of_this_machine().is_known());
        assert!(!known("linux/arm65") && !known("linus/arm64"));
    }

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
