//! Dockerfiles: what is written ([`parse`]), what a build of it would use ([`analyze`]), and which names of a context
//! that is ([`select`]). Pure: nothing is read and nothing is run.
//!
//! The judge is BuildKit: what it refuses is refused here with a better message, what it takes is taken.
//! Source: the Dockerfile reference (docs.docker.com), and the behaviour of BuildKit's `frontend/dockerfile`.

mod analysis;
mod analyze;
pub mod expand;
mod instruction;
mod lines;
mod mount;
mod parse;
mod reach;
mod recipe;
mod scope;
mod select;
mod sources;
mod syntax;
mod values;
mod walk;
mod words;

pub use analysis::{
    Analysis, ArgUse, BaseConfig, ImageUse, ImageUseKind, Origin, Read, ReadKind, Remote, RemoteKind, Request,
    StageUse, Step, Undeclared, git_parts, remote_kind,
};
pub use analyze::analyze;
pub use mount::{Mount, MountKind, parse_mount};
pub use parse::{is_known_frontend, parse};
pub use select::{Missing, Run, Selection, select};
pub use syntax::{
    ArgDeclaration, Command, Dockerfile, Flag, Heredoc, Instruction, Kind, Pair, Stage, Transfer, Trigger, Word,
};
pub use values::{exposed_ports, is_signal};

#[cfg(test)]
mod tests;
