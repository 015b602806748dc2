//! The commands: arguments in, the stages called in order, a value to a report.

mod apply;
mod check;
mod init;
mod inputs;
mod plan;
mod print;
#[cfg(test)]
mod publication_tests;
mod show;
mod tag;
mod update;
mod why;

pub use apply::apply;
pub use check::check;
pub use init::init;
pub use inputs::inputs;
pub use plan::plan;
pub use print::{completions, graph, schema};
pub use show::show;
pub use tag::tag;
pub use update::update;
pub use why::why;
