//! AWS Lambda: what functions run, and giving them another image.
//!
//! Sources: the Lambda API reference (GetFunction, UpdateFunctionCode, PublishVersion, UpdateAlias, CreateFunction); "Lambda function
//! states" and "Create a Lambda function using a container image", Lambda developer guide.

mod address;
mod create;
mod look;
mod update;
mod used;

pub(super) use look::split;

use super::client::Session;
use super::error::Call;
use super::identity::partition;
use super::pace::Pace;

/// The tag of a function that was made and is not finished: what is left is done by the next run, if this one does not get to it.
const UNFINISHED: &str = "orchestrate:unfinished";

/// Lambda in one region, as one login.
pub struct Lambda {
    client: aws_sdk_lambda::Client,
    session: Session,
    region: String,
    pace: Pace,
}

impl Lambda {
    /// Lambda in a region.
    pub fn new(session: Session, region: &str, pace: Pace) -> Self {
        Self { client: session.lambda(region), session, region: region.to_owned(), pace }
    }

    fn call(&self, action: &str, function: &str) -> Call {
        let account = self.session.known_account().unwrap_or("*");
        let partition = partition(&self.region);
        Call::new(action, &self.region)
            .on(format!("arn:{partition}:lambda:{}:{account}:function:{function}", self.region))
    }
}
