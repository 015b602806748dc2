//! The program against servers that behave as Amazon ECR, ECR Public and STS do: tests/support/aws/server.py.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod deploying;
mod failures;
mod moto;
mod policies;
mod publishing;
mod storage;
mod world;
