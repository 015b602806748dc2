//! What the BuildKit knows that judges a run: engines differ, and a test asks before it takes one to know a flag.
//!
//! A run has one judge, the engine that `docker` finds. `scripts/test` runs what BuildKit judges a second time with the newest
//! engine, and `scripts/with-servers --newest` any command; so nothing here names an engine or a version.
#![allow(dead_code, reason = "each test binary uses its own part")]

/// What not every engine knows, with the version that brought it. docs/keys.md has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// `--exclude` of COPY and ADD without a labs line: Dockerfile 1.19.
    Exclude,
    /// `COPY --parents` without a labs line: Dockerfile 1.20.
    Parents,
    /// Letters in `--chmod`: Dockerfile 1.14.
    SymbolicMode,
    /// Names of files in a context that are no UTF-8. BuildKit takes them; Debian's build of Docker 28.5 does not.
    AnyName,
}

/// A Dockerfile that tells engines apart. It reads nothing of a context, but for [`Feature::AnyName`]'s, whose context has such a name.
#[derive(Clone, Copy, Debug)]
pub enum Probe {
    /// Those that know the feature build it.
    Built(&'static str),
    /// Those that know the feature refuse it.
    Refused(&'static str),
}

impl Feature {
    /// How an engine shows that it knows the feature.
    ///
    /// A probe is about one flag, and all else in it is what every front end takes.
    pub const fn probe(self) -> Probe {
        match self {
            Self::Exclude => {
                Probe::Built("FROM scratch AS all\nWORKDIR /d\nFROM scratch\nCOPY --from=all --exclude=x /d /e/\n")
            }
            Self::Parents => {
                Probe::Built("FROM scratch AS all\nWORKDIR /d\nFROM scratch\nCOPY --from=all --parents /d /e/\n")
            }
            Self::AnyName => Probe::Built("FROM scratch\nCOPY . /\n"),
            // Those that do not know letters take what is no number for nothing.
            Self::SymbolicMode => {
                Probe::Refused("FROM scratch AS all\nWORKDIR /d\nFROM scratch\nCOPY --from=all --chmod=wrong /d /e/\n")
            }
        }
    }
}

/// What an engine says that does not know [`Feature::AnyName`].
pub const ONLY_UTF8: &str = "string field contains invalid UTF-8";

impl Probe {
    /// The Dockerfile.
    pub const fn dockerfile(self) -> &'static str {
        match self {
            Self::Built(text) | Self::Refused(text) => text,
        }
    }

    /// Whether the engine knows the feature, from whether it built the Dockerfile.
    pub const fn answer(self, built: bool) -> bool {
        match self {
            Self::Built(_) => built,
            Self::Refused(_) => !built,
        }
    }
}

/// The part of a fixed seed that this run has, as `ORCHESTRATE_TEST_SHARE=1/2` says it: the two engines share it in CI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    part: usize,
    of: usize,
}

impl Share {
    /// From the environment; all of it where nothing is said.
    ///
    /// # Panics
    ///
    /// If the variable is no share.
    pub fn of_environment() -> Self {
        let Ok(text) = std::env::var("ORCHESTRATE_TEST_SHARE") else { return Self { part: 1, of: 1 } };
        let share =
            text.split_once('/').and_then(|(part, of)| Some(Self { part: part.parse().ok()?, of: of.parse().ok()? }));
        share
            .filter(|share| share.part >= 1 && share.part <= share.of)
            .unwrap_or_else(|| panic!("ORCHESTRATE_TEST_SHARE is a part such as 1/2, not `{text}`"))
    }

    /// Whether the one with this number belongs to it.
    pub const fn has(self, number: usize) -> bool {
        number % self.of == self.part - 1
    }

    /// Into how many parts the whole is divided.
    pub const fn parts(self) -> usize {
        self.of
    }
}
