//! `orchestrate` builds, publishes and deploys the many container images of one repository, doing only what their contents demand.
//!
//! # From deploy.yaml to a pushed image
//!
//! ```text
//! cli          Arguments ──▶ Settings
//! workspace    deploy.yaml, git ──▶ Source, GitState                     effect: disk
//! manifest     parse, resolve ──▶ Project                                pure
//! dockerfile   parse, analyze ──▶ Analysis      (image and platform)     pure
//! graph        recipe, Graph, select ──▶ Recipe, Graph, Selection        pure
//! workspace    walk, select, hash ──▶ FileSet   (one for many images)    effect: disk
//! plan         fingerprint ──▶ Fingerprint, Key (bases first)            pure
//! observe      ask ──▶ Observed                                          effect: registries, read-only
//! plan         decide ──▶ Plan                                           pure     `orchestrate plan` ends here
//! exec         build ──▶ Digest, blobs on disk                           effect: a builder
//! apply        publish: blobs, manifest, record, key; then tags         effect: registries
//! apply        functions: rehearsed before the tags, deployed after      effect: AWS
//! event        Event, Receipt ──▶ report                                 one-way data
//! ```
//!
//! # Layers
//!
//! Lowest first; a module imports strictly lower rows only (`tests/architecture.rs` holds this table):
//!
//! ```text
//! 0  digest name path platform problem
//! 1  pattern reference tree
//! 2  dockerfile ignore lock oci project
//! 3  fingerprint graph language manifest
//! 4  plan storage
//! 5  event functions
//! 6  registry report workspace
//! 7  aws
//! 8  exec observe
//! 9  apply
//! 10  cli
//! ```
//!
//! # Files that the program touches
//!
//! | file | read | written |
//! |---|---|---|
//! | `deploy.yaml`, files that it names, Dockerfiles, ignore files, contexts | always | never |
//! | `deploy.lock` | always | by `apply` and `update` alone |
//! | `.orchestrate/cache/` (hashes of files by their stat, assembled layers by what they hold) | `check`, `plan`, `apply`, `inputs`, `why` | the same, where the folder can be written |
//! | `.orchestrate/images/` (or any `kind: layout` path) | `plan` | `apply` |
//! | `.orchestrate/local/` (bases of what is loaded into the daemon of this machine) | `load`, `run` | the same |
//! | `.orchestrate/build-*/` (blobs between a build and its publication) | | `apply`, removed at the end, or by the next one |
//! | `.orchestrate/receipt.json` | | `apply` |
//! | `.orchestrate/runs/*.jsonl` (the events of the last 20 runs), `.orchestrate/events.jsonl` (those of the last) | | `apply` |
//! | Docker's `config.json` and `certs.d` | for credentials | never |
//! | `~/.aws` (or what `AWS_CONFIG_FILE` and its like name) | for registries of AWS | never |

pub mod apply;
#[cfg(feature = "aws")]
pub mod aws;
mod cli;
pub mod digest;
pub mod dockerfile;
pub mod event;
pub mod exec;
pub mod fingerprint;
pub mod functions;
pub mod graph;
pub mod ignore;
pub mod language;
pub mod lock;
pub mod manifest;
pub mod name;
pub mod observe;
pub mod oci;
pub mod path;
pub mod pattern;
pub mod plan;
pub mod platform;
pub mod problem;
pub mod project;
pub mod reference;
pub mod registry;
pub mod report;
pub mod storage;
pub mod tree;
pub mod workspace;

/// The whole program.
pub fn main() -> std::process::ExitCode {
    cli::main()
}
