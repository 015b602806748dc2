//! `deploy.yaml`: from text to the resolved [`crate::project::Project`]. Pure: files are read through [`Files`].
//!
//! 1. [`parse`]: YAML to positioned nodes (`yaml`, `node`), files of other tools (`detect`), the form (`check`, against the schema that
//!    is generated from [`declare`]), habits from other tools (`braces`).
//! 2. [`resolve`]: the profile is laid over the whole file (`overlay`), vars get values (`vars`), matrices expand (`matrix`), each image
//!    is merged from its levels and rendered in its own scope (`render`, `template`), and becomes a value of the model.
//! 3. What can only be judged once more is known: [`check_leaks`] (needs the graph), [`render_tag`] (needs the key).
//!
//! All problems of a stage come out at once, each with its place.

mod braces;
mod capture;
mod check;
mod choices;
pub mod declare;
mod detect;
mod leaks;
mod matrix;
mod node;
mod order;
mod overlay;
mod parse;
mod path_text;
mod render;
mod resolve;
mod schema;
mod show;
mod tags;
mod taint;
mod template;
#[cfg(test)]
mod tests;
mod vars;
mod yaml;

pub use choices::{Choices, Files, FindPaths, GitFacts, ReadFile};
pub use leaks::{BuildsOn, check_leaks};
pub use parse::{Manifest, parse, parse_all};
pub use resolve::{Resolved, looks_secret, resolve, resolve_all};
pub use schema::schema;
pub use show::{show, to_yaml};
pub use tags::render_tag;
