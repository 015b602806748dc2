//! The rules of the manifest, by value.

mod example;
mod problems;
mod rules;
mod schema;
mod support;
