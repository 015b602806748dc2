//! The disk and git: what is read, hashed and sent.
//!
//! ```text
//! Workspace::files   contexts ──walk──▶ names ──choose──▶ nodes ──hash──▶ FileSet, Snapshot
//! git_state          git status, git log ──▶ GitState
//! Snapshot::open     path ──▶ its bytes, checked against the record
//! ```
//!
//! Reads anything; writes the stat cache in the state folder and nothing else.

mod choose;
mod context;
mod entries;
mod error;
mod files;
mod git;
mod globs;
mod hash;
mod history;
mod open;
mod snapshot;
mod stat;
mod stat_cache;
mod submodules;
#[cfg(test)]
mod tests;
mod verify;
mod walk;

pub use error::Error;
pub use files::{Because, ContextFiles, ContextRequest};
pub use git::{GitState, git_state, is_ancestor};
pub use history::{Age, History, commit_times};
pub use open::{IgnoreFile, STATE_FOLDER, Workspace};
pub use snapshot::{Origin, Snapshot};
pub use stat::FileStat;
pub use verify::Verified;
