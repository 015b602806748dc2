//! Asks the registries, and the services that run images, what a plan must know. Reads only.

mod ask;
mod functions;
mod movers;
mod outside;
mod published;
mod remote;
mod soundness;
mod stock;
#[cfg(test)]
mod walk_tests;

pub use ask::{Notes, ObserveError, Observer};
pub use functions::ask_functions;
pub use outside::{OutsideError, config_of, digest_of, pin_of};
pub use remote::{RemoteError, pin_of_file, pin_of_repository};
pub use soundness::Unsound;
pub use stock::stock_of;
