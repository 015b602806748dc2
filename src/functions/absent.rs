//! The program was built without AWS.

use super::{Answer, Deployed, FunctionError, Functions, InUse, Look, Order, Rehearsed};
use crate::plan::ObservedFunctions;
use crate::project::{AwsLogin, Deployment};

/// Nothing runs images: whatever is asked, the answer is that this program cannot ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Absent;

fn refused<'a, T: Send + 'a>() -> Answer<'a, T> {
    let help = "install one that has the feature `aws`, which is on by default; --offline plans without asking";
    let error = FunctionError::new("this orchestrate was built without AWS", Some(help.to_owned()));
    Box::pin(std::future::ready(Err(error)))
}

impl Functions for Absent {
    fn observe<'a>(&'a self, _: &'a AwsLogin, _: &'a Deployment) -> Answer<'a, ObservedFunctions> {
        refused()
    }

    fn look<'a>(&'a self, _: &'a Order) -> Answer<'a, Look> {
        refused()
    }

    fn rehearse<'a>(&'a self, _: &'a Order) -> Answer<'a, Rehearsed> {
        refused()
    }

    fn deploy<'a>(&'a self, _: &'a Order, _: &'a Look) -> Answer<'a, Deployed> {
        refused()
    }

    fn in_use<'a>(&'a self, _: &'a AwsLogin, _: &'a str) -> Answer<'a, Vec<InUse>> {
        refused()
    }
}
