//! The built program against a real Docker Engine and a real registry: what it promises, shown from outside.
//!
//! Each test has a registry of its own (a `docker-registry` on a free port), so that every request can be counted, and a
//! checkout of its own. Nothing is pulled from elsewhere: all images begin `FROM scratch`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/real.rs"]
mod real;

mod events;
mod place;
mod proxy;
mod registry;
mod run;

mod base_chain;
mod copy_of_everything;
mod daemon;
mod failure;
mod five_lambdas;
mod flags;
mod interrupt;
mod keys;
mod kill;
mod kills;
mod on_change;
mod outage;
mod read_only;
mod rivals;
mod saved_plan;
mod soak;
