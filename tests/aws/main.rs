//! The program against servers that behave as Amazon ECR, ECR Public and STS do: tests/support/aws/server.py.
#![cfg(feature = "aws")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod clients;
mod counts;
mod deploying;
mod elsewhere;
mod engine;
mod failures;
mod hosts;
mod interrupted;
mod judged;
mod made;
mod media;
mod moto;
mod policies;
mod publishing;
#[path = "../support/real.rs"]
mod real;
mod repositories;
mod runtimes;
mod storage;
mod world;
