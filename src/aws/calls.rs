//! Which calls were made, and what time AWS has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Whether a call changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// It only looks.
    Read,
    /// It changes something, or is of the kind that does (a dry run).
    Write,
}

/// A kind of call and how often it was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountedCall {
    /// What IAM calls it: `ecr:DescribeRepositories`.
    pub action: String,
    /// Whether it changes something.
    pub access: Access,
    /// Attempts, repeated ones included.
    pub count: u64,
}

/// The calls that were made so far, shared by all clients of a program.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counts: Mutex<BTreeMap<String, u64>>,
    ahead: Mutex<Option<i64>>,
}

impl Calls {
    /// Every kind of call that was made, by its action.
    pub fn made(&self) -> Vec<CountedCall> {
        let counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|(action, count)| CountedCall { action: action.clone(), access: access(action), count: *count })
            .collect()
    }

    /// How many calls were made.
    pub fn total(&self) -> u64 {
        self.made().iter().map(|call| call.count).sum()
    }

    /// By how many seconds this machine's clock is ahead of AWS's, as far as an answer told.
    pub fn ahead(&self) -> Option<i64> {
        *self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compare(&self, date: &str) {
        let Ok(theirs) = jiff::fmt::rfc2822::parse(date) else { return };
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ours = i64::try_from(ours.as_secs()).unwrap_or(i64::MAX);
        *self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours - theirs.timestamp().as_second());
    }

    fn note(&self, service: &str, operation: &str) {
        let action = action(service, operation);
        *self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(action).or_default() += 1;
    }
}

/// Counts each attempt just before it is sent.
impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = cfg.load::<Metadata>() {
            self.note(metadata.service(), metadata.name());
        }
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.compare(date);
        }
        Ok(())
    }
}

/// What IAM calls an operation of a service, both as the SDK names them.
///
/// Source: Service Authorization Reference. API Gateway's actions are methods.
fn action(service: &str, operation: &str) -> String {
    match service {
        "ECR PUBLIC" => format!("ecr-public:{operation}"),
        "Bedrock AgentCore Control" => format!("bedrock-agentcore:{operation}"),
        "ApiGatewayV2" => format!("apigateway:{}", if operation.starts_with("Get") { "GET" } else { "POST" }),
        other => format!("{}:{operation}", other.to_ascii_lowercase().replace(' ', "-")),
    }
}

fn access(action: &str) -> Access {
    const READS: [&str; 6] = ["Get", "GET", "List", "Describe", "BatchGet", "BatchCheck"];
    let operation = action.split_once(':').map_or(action, |(_, operation)| operation);
    if READS.iter().any(|read| operation.starts_with(read)) { Access::Read } else { Access::Write }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_as_policies_name_them() {
        let calls = Calls::default();
        calls.note("ECR PUBLIC", "GetAuthorizationToken");
        calls.note("ECR", "CreateRepository");
        calls.note("ECR", "CreateRepository");
        calls.note("Bedrock AgentCore Control", "GetAgentRuntime");
        calls.note("ApiGatewayV2", "GetApis");
        calls.note("ApiGatewayV2", "CreateApi");
        let made: Vec<_> = calls.made().into_iter().map(|call| (call.action, call.access, call.count)).collect();
        assert_eq!(
            made,
            [
                ("apigateway:GET".to_owned(), Access::Read, 1),
                ("apigateway:POST".to_owned(), Access::Write, 1),
                ("bedrock-agentcore:GetAgentRuntime".to_owned(), Access::Read, 1),
                ("ecr-public:GetAuthorizationToken".to_owned(), Access::Read, 1),
                ("ecr:CreateRepository".to_owned(), Access::Write, 2),
            ]
        );
        assert_eq!(calls.total(), 6);
    }

    #[test]
    fn clocks_are_compared() {
        let calls = Calls::default();
        assert_eq!(calls.ahead(), None);
        calls.compare("Thu, 01 Jan 1970 00:01:00 GMT");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!((calls.ahead().unwrap() + 60).abs_diff(i64::try_from(now).unwrap()) < 5);
        calls.compare("no date");
        assert!(calls.ahead().is_some());
    }
}
