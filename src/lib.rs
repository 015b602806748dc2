//! `orchestrate` builds, publishes and deploys the many container images of one repository, doing only what their contents demand.
//!
//! The layers, lowest first; a module imports strictly lower rows only (`tests/architecture.rs` holds this table):
//!
//! ```text
//! 0  digest name path pattern platform problem reference tree
//! 1  dockerfile ignore lock oci project
//! 2  fingerprint graph manifest
//! 3  plan
//! 4  event
//! 5  registry report workspace
//! 6  cloud
//! 7  exec observe
//! 8  apply
//! 9  cli
//! ```

pub mod digest;
pub mod dockerfile;
pub mod fingerprint;
pub mod ignore;
pub mod name;
pub mod path;
pub mod pattern;
pub mod platform;
pub mod problem;
pub mod project;
pub mod reference;
pub mod tree;
pub mod workspace;

/// The whole program.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
