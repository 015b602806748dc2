//! Exit codes and the failures that lead to them.

use std::process::ExitCode;

use crate::problem::Problems;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// A build, push or deploy failed; the receipt says what exists.
    Failed = 1,
    /// The command line or a file is wrong; nothing was touched.
    Wrong = 2,
    /// No daemon, no credentials, no network; nothing was touched.
    Surroundings = 3,
    /// The saved plan is stale; nothing was touched.
    Stale = 4,
    /// `--exit-code` or `--check`: there are changes.
    Changes = 5,
    /// A bug: it was said how to report it.
    Bug = 70,
    /// Interrupted; the receipt is written.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends early.
#[derive(Debug)]
pub enum Failure {
    /// Something that a person wrote is wrong.
    Problems(Problems),
    /// Something else, in words, with what to do.
    Message {
        /// The exit code.
        exit: Exit,
        /// What went wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
}

impl Failure {
    /// The surroundings do not allow it.
    pub fn surroundings(message: impl Into<String>, help: Option<String>) -> Self {
        Self::Message { exit: Exit::Surroundings, message: message.into(), help }
    }

    /// The command line or a file is wrong, and there is no place to underline.
    pub fn wrong(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Message { exit: Exit::Wrong, message: message.into(), help: Some(help.into()) }
    }

    /// The exit code.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Problems(_) => Exit::Wrong,
            Self::Message { exit, .. } => *exit,
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}
