//! The program as people and pipelines meet it: the built binary, its exit codes, its output, its files and its documentation.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod bounds;
mod docs;
mod examples;
mod exits;
mod help;
mod init;
mod interrupted;
mod mistakes;
mod outputs;
mod place;
mod plans;
mod problems;
mod published;
mod rebuilds;
mod requests;
mod schemas;
mod secrets;
mod unseen_files;
mod wording;
