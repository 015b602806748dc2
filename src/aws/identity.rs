//! Whose credentials these are.

use super::client::{HOME_REGION, Session};
use super::error::{Call, Error, failed};

/// Whose credentials these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's 12 digits.
    pub account: String,
    /// The user, or the role with its session.
    pub arn: String,
}

impl Session {
    /// Whose credentials these are: asked of STS once for each login. Every principal may ask this, so what fails here is the
    /// credentials themselves. `region` is where STS is asked if neither environment nor profile name one.
    ///
    /// # Errors
    /// There are no credentials, they have expired, or STS cannot be reached.
    pub async fn identity(&self, region: &str) -> Result<&Identity, Error> {
        let ask = async || {
            let region = self.region().unwrap_or(if region.is_empty() { HOME_REGION } else { region });
            let call = || Call::new("sts:GetCallerIdentity", region);
            let answer = self.sts(region).get_caller_identity().send().await;
            let answer = answer.map_err(|error| failed(call(), error))?;
            let (Some(account), Some(arn)) = (answer.account, answer.arn) else {
                return Err(Error::Nonsense { call: call(), why: "the answer has no account".to_owned() });
            };
            Ok(Identity { account, arn })
        };
        self.identity.get_or_try_init(ask).await
    }
}

/// The partition of a region: what stands second in its ARNs.
///
/// Source: "Amazon Resource Names (ARNs)", IAM user guide.
pub fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
