//! The commands: arguments in, the stages called in order, a value to a report.

mod apply;
#[cfg(test)]
mod bases_tests;
mod check;
#[cfg(test)]
mod checkout_tests;
#[cfg(test)]
mod date_tests;
#[cfg(feature = "aws")]
#[cfg(test)]
mod deploy_tests;
mod doctor;
#[cfg(test)]
mod frontend_tests;
mod function_checks;
mod init;
mod inputs;
mod inputs_checks;
mod load;
mod narrowing;
#[cfg(test)]
mod order_tests;
mod plan;
mod print;
mod prune;
#[cfg(test)]
mod publication_tests;
mod receipts;
mod rollback;
#[cfg(test)]
mod saved_tests;
mod show;
mod sizes;
#[cfg(test)]
mod storage_tests;
mod tag;
#[cfg(test)]
mod testing;
mod update;
mod why;

pub use apply::apply;
pub use check::check;
pub use doctor::doctor;
pub use init::init;
pub use inputs::inputs;
pub use load::{load_image, run_image};
pub use plan::plan;
pub use print::{completions, graph, schema};
pub use prune::prune;
pub use show::show;
pub use sizes::sizes;
pub use tag::tag;
pub use update::update;
pub use why::why;
