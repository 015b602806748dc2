//! The rules of the manifest, by value.

mod aws;
mod elsewhere;
mod example;
mod problems;
mod rules;
mod schema;
mod support;
