//! The program against servers that behave as Amazon ECR, ECR Public and STS do: tests/support/aws/server.py.
#![cfg(feature = "aws")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod clients;
mod counts;
mod deploying;
mod failures;
mod interrupted;
mod judged;
mod made;
mod moto;
mod policies;
mod publishing;
#[path = "../support/real.rs"]
mod real;
mod runtimes;
mod storage;
mod world;
