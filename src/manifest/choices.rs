//! Everything from outside that resolving a manifest may use.

use std::collections::BTreeMap;

use crate::platform::Platform;

/// What the command line and the surroundings decide.
#[derive(Clone, Debug)]
pub struct Choices {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--set NAME=VALUE` and `--set args.NAME=VALUE`, in their order; the last one wins.
    pub set: Vec<(String, String)>,
    /// What git says, if there is a commit.
    pub git: Option<GitFacts>,
    /// Environment variables; [`super::Manifest::environment`] says which may be read.
    pub env: BTreeMap<String, String>,
    /// The number of the AWS account, if it was asked for.
    pub aws_account: Option<String>,
    /// The platform of images that name none.
    pub host_platform: Platform,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            profile: None,
            set: Vec::new(),
            git: None,
            env: BTreeMap::new(),
            aws_account: None,
            host_platform: Platform::of_this_machine(),
        }
    }
}

/// What git says about the checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitFacts {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// Its first 7 digits, always.
    pub short: String,
    /// The branch; from CI's variables when HEAD is detached.
    pub branch: Option<String>,
    /// The tag that points at the commit.
    pub tag: Option<String>,
    /// Whether anything differs from the commit.
    pub dirty: bool,
    /// The day of the commit, `2026-01-31`.
    pub date: String,
}

/// How to read a file: its text, `None` if it is not there, or why it cannot be read.
pub type ReadFile<'a> = dyn Fn(&str) -> Result<Option<String>, String> + 'a;

/// How to find the paths that match a pattern, sorted.
pub type FindPaths<'a> = dyn Fn(&str) -> Result<Vec<String>, String> + 'a;

/// The files that a manifest refers to; all paths are relative to the root.
pub struct Files<'a> {
    /// Reads a file (`args_file`, `matrix.file`, `vars.*.file`).
    pub read: &'a ReadFile<'a>,
    /// Finds paths (axes of a matrix).
    pub glob: &'a FindPaths<'a>,
}
