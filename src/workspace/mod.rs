//! The disk and git: what is read, hashed and sent.
//!
//! ```text
//! Workspace::files   contexts ──walk──▶ names ──choose──▶ nodes ──hash──▶ FileSet, Snapshot
//! git_state          git log ──▶ GitState
//! changes            git status ──▶ Changes; CommittedKeys remembers what need not be asked again
//! Snapshot::open     path ──▶ its bytes, checked against the record
//! ```
//!
//! Reads anything; writes its caches in the state folder and nothing else.

mod bounds;
mod changes;
mod choose;
mod committed;
mod context;
mod digests;
mod entries;
mod error;
mod explain;
mod files;
mod git;
mod git_left_out;
mod globs;
mod hash;
mod history;
mod narrow;
mod open;
mod snapshot;
mod sparse;
mod stat;
mod stat_cache;
mod submodules;
#[cfg(test)]
mod tests;
mod unmatched;
mod unseen;
mod verify;
mod view;
mod walk;

pub use changes::{Changes, changes};
pub use committed::CommittedKeys;
pub use error::Error;
pub use explain::{Because, Explained};
pub use files::{ContextFiles, ContextRequest};
pub use git::{GitState, git_state, is_ancestor};
pub use history::{History, commit_times};
pub use open::{IgnoreFile, STATE_FOLDER, Workspace};
pub use snapshot::{Origin, Snapshot};
pub use stat::FileStat;
pub use unmatched::Glob;
pub use verify::Verified;
