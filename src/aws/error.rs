//! What went wrong at AWS, in the words of this program.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::denial::{self, resource_of};

/// A call: what was to be done, where, to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What IAM calls it: `ecr:CreateRepository`.
    pub action: Box<str>,
    /// The region.
    pub region: Box<str>,
    /// The ARN of what it is about; `*` where the action knows none.
    pub resource: Box<str>,
}

impl Call {
    /// A call that is about nothing in particular.
    pub fn new(action: &str, region: &str) -> Self {
        Self { action: action.into(), region: region.into(), resource: "*".into() }
    }

    /// The same about a resource, by its ARN.
    #[must_use]
    pub fn on(self, resource: impl Into<String>) -> Self {
        Self { resource: resource.into().into(), ..self }
    }

    /// The statement of a policy that allows it.
    pub fn statement(&self) -> String {
        format!(
            r#"{{ "Effect": "Allow", "Action": "{}", "Resource": "{}" }}"#,
            self.action,
            resource_of(&self.action, &self.resource)
        )
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.action)?;
        if *self.resource != *"*" {
            write!(f, " on `{}`", self.resource)?;
        }
        write!(f, " in {}", self.region)
    }
}

/// A call to AWS that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody says who we are.
    #[error("there are no AWS credentials: {why}")]
    NoCredentials {
        /// What the chain found.
        why: String,
    },
    /// Who we were is no longer true.
    #[error("the AWS credentials have expired ({call}): {said}")]
    Expired {
        /// The call.
        call: Call,
        /// What AWS said.
        said: String,
    },
    /// AWS does not know these credentials.
    #[error("AWS does not take the credentials ({call}): {said}")]
    Invalid {
        /// The call.
        call: Call,
        /// What AWS said.
        said: String,
    },
    /// This machine's clock is wrong.
    #[error("AWS refuses the time of this machine ({call}): {said}")]
    Clock {
        /// The call.
        call: Call,
        /// What AWS said.
        said: String,
    },
    /// The credentials may not do this.
    #[error("no permission for {call}: {said}")]
    Denied {
        /// The call.
        call: Call,
        /// What AWS said.
        said: String,
    },
    /// Too many calls, for longer than we wait.
    #[error("AWS limits {call}, for longer than was waited: {said}")]
    Throttled {
        /// The call.
        call: Call,
        /// What AWS said.
        said: String,
    },
    /// No answer came.
    #[error("cannot reach AWS for {call}: {why}")]
    Unreachable {
        /// The call.
        call: Call,
        /// Why.
        why: String,
    },
    /// AWS refused for a reason of the service.
    #[error("AWS refused {call}: {code}: {said} (request {request})")]
    Refused {
        /// The call.
        call: Call,
        /// The service's name for it.
        code: String,
        /// What it said.
        said: String,
        /// The request's id, for AWS support.
        request: String,
    },
    /// The answer makes no sense.
    #[error("AWS answered {call} with what makes no sense: {why}")]
    Nonsense {
        /// The call.
        call: Call,
        /// Why.
        why: String,
    },
    /// The file of certificates cannot be used.
    #[error("cannot use the certificates of `{path}`: {why}")]
    Bundle {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
}

impl Error {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoCredentials { .. } => {
                "log in (`aws sso login`, `aws configure`), name a profile in AWS_PROFILE, or set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY; in GitHub Actions let a role be assumed by OIDC (docs/aws.md)"
                    .to_owned()
            }
            Self::Expired { .. } => {
                "log in again (`aws sso login`), or fetch new temporary credentials; the same command goes on where it stopped"
                    .to_owned()
            }
            Self::Invalid { .. } => {
                "check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN: they may be of a deleted user or mixed from two logins"
                    .to_owned()
            }
            Self::Clock { .. } => "set the clock of this machine; AWS takes 5 minutes of difference at most".to_owned(),
            Self::Denied { call, said } => denial::help(call, said),
            Self::Throttled { .. } => {
                "wait, lower --jobs, or ask AWS for a higher quota; the same command goes on where it stopped".to_owned()
            }
            Self::Unreachable { .. } => {
                "check the network, the proxy, AWS_ENDPOINT_URL and AWS_CA_BUNDLE; --offline plans without asking".to_owned()
            }
            Self::Bundle { .. } => "AWS_CA_BUNDLE names a file of certificates in PEM form".to_owned(),
            Self::Refused { said, .. } => return denial::of_another_principal(said),
            Self::Nonsense { .. } => return None,
        })
    }

    /// Whether the service answered with this code.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// Whether the credentials themselves are at fault, so that no other call will do either.
    pub const fn is_of_credentials(&self) -> bool {
        matches!(self, Self::NoCredentials { .. } | Self::Expired { .. } | Self::Invalid { .. } | Self::Clock { .. })
    }
}

const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];
const INVALID: &[&str] = &[
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
];
const CLOCK: &[&str] = &["RequestTimeTooSkewed", "RequestInTheFuture"];
const DENIED: &[&str] = &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"];
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "SlowDown",
    "PriorRequestNotComplete",
    "TransactionInProgressException",
];

/// What an SDK error means. `call` is what was tried.
///
/// Sources: "Common error types" of the API references (codes); "Retry behavior" of the SDKs and Tools reference guide (throttling).
#[expect(clippy::needless_pass_by_value, reason = "this is what `map_err` gives")]
pub fn failed<E>(call: Call, error: SdkError<E, HttpResponse>) -> Error
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    if let Some(service) = error.as_service_error() {
        let code = service.code().unwrap_or("an error without a code").to_owned();
        let said = service.message().unwrap_or("AWS said no more").to_owned();
        let request = error.request_id().unwrap_or("unknown").to_owned();
        return of_code(call, code, said, request);
    }
    if let Some(why) = of_credentials(&error) {
        // A role that is assumed, or an SSO login, answers in the words of its own service.
        return if EXPIRED.iter().any(|code| why.contains(code)) || why.contains("expired") {
            Error::Expired { call, said: why }
        } else {
            Error::NoCredentials { why }
        };
    }
    Error::Unreachable { call, why: chain(&error) }
}

fn of_code(call: Call, code: String, said: String, request: String) -> Error {
    let is = |codes: &[&str]| codes.contains(&code.as_str());
    let of_time = said.contains("Signature expired") || said.contains("Signature not yet current");
    match () {
        () if is(EXPIRED) => Error::Expired { call, said },
        () if is(CLOCK) || (is(INVALID) && of_time) => Error::Clock { call, said },
        () if is(INVALID) => Error::Invalid { call, said },
        () if is(DENIED) => Error::Denied { call: lacking(call, &said), said },
        () if is(THROTTLED) => Error::Throttled { call, said },
        () => Error::Refused { call, code, said, request },
    }
}

/// The call of which the permission is missing: one call may take several, and AWS names the one that it missed.
///
/// Source: "Troubleshoot access denied error messages", IAM user guide.
fn lacking(call: Call, said: &str) -> Call {
    let Some((_, rest)) = said.split_once("is not authorized to perform: ") else { return call };
    let word =
        |text: &str| text.split([' ', '\n']).next().unwrap_or_default().trim_end_matches(['.', ',', '"']).to_owned();
    let action = word(rest);
    if action == *call.action || !action.contains(':') {
        return call;
    }
    let resource = rest.split_once("on resource: ").map_or_else(|| "*".to_owned(), |(_, resource)| word(resource));
    Call { action: action.into(), resource: resource.into(), region: call.region }
}

/// What the chain of credentials said, if it is what failed.
fn of_credentials(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return Some(chain(error));
        }
        next = error.source();
    }
    None
}

/// An error with all its causes, each said once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str, said: &str) -> Error {
        let call =
            Call::new("ecr:CreateRepository", "eu-west-1").on("arn:aws:ecr:eu-west-1:123456789012:repository/app");
        of_code(call, code.to_owned(), said.to_owned(), "42".to_owned())
    }

    #[test]
    fn codes_have_meanings() {
        assert!(matches!(of("ExpiredTokenException", ""), Error::Expired { .. }));
        assert!(matches!(of("UnrecognizedClientException", ""), Error::Invalid { .. }));
        assert!(matches!(of("InvalidSignatureException", "Signature expired: 2026"), Error::Clock { .. }));
        assert!(matches!(of("ThrottlingException", ""), Error::Throttled { .. }));
        assert!(of("RepositoryNotFoundException", "x").is("RepositoryNotFoundException"));
    }

    #[test]
    fn a_denial_names_the_permission_that_aws_missed() {
        let said = "User: arn:aws:iam::123456789012:user/u is not authorized to perform: ecr:TagResource on resource: \
            arn:aws:ecr:eu-west-1:123456789012:repository/app because no identity-based policy allows the ecr:TagResource action";
        let error = of("AccessDeniedException", said);
        assert!(
            error.to_string().starts_with("no permission for `ecr:TagResource` on `arn:aws:ecr:eu-west-1:"),
            "{error}"
        );
        assert!(error.help().unwrap().contains(
            r#""Action": "ecr:TagResource", "Resource": "arn:aws:ecr:eu-west-1:123456789012:repository/app""#
        ));
        let denied = of(
            "AccessDeniedException",
            "User: u is not authorized to perform: ecr:CreateRepository with an explicit deny",
        );
        assert!(denied.help().unwrap().contains("remove that denial"));
    }

    #[test]
    fn a_denial_says_what_would_allow_it() {
        let error = of("AccessDeniedException", "User: arn is not authorized");
        assert_eq!(
            error.to_string(),
            "no permission for `ecr:CreateRepository` on `arn:aws:ecr:eu-west-1:123456789012:repository/app` in eu-west-1: \
             User: arn is not authorized"
        );
        assert_eq!(
            error.help().unwrap(),
            "add this statement to the policy: { \"Effect\": \"Allow\", \"Action\": \"ecr:CreateRepository\", \
             \"Resource\": \"arn:aws:ecr:eu-west-1:123456789012:repository/app\" }"
        );
    }
}
