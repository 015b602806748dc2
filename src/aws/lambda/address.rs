//! Where everybody may call a function that was made here: a URL of its own, or an HTTP API in front of it.
//!
//! Whatever an earlier run already did is taken as it is, so that a run that was cut off can be finished by the next one.

use aws_sdk_apigatewayv2::types::ProtocolType;
use aws_sdk_lambda::types::FunctionUrlAuthType;

use super::Lambda;
use crate::aws::error::{Call, Error, failed};
use crate::aws::identity::partition;
use crate::functions::FunctionError;

/// What is there already.
const THERE: &str = "ResourceConflictException";

/// A statement of a function's policy: who may call it, and how.
struct Allowed<'a> {
    id: &'a str,
    action: &'a str,
    principal: &'a str,
    through: Through<'a>,
}

/// The way that a call must come.
enum Through<'a> {
    /// To the function's URL, for the action that is about URLs.
    Url,
    /// On from the function's URL, for the call itself.
    UrlCall,
    /// From an API, by its ARN.
    Api(&'a str),
}

impl Lambda {
    /// Lets everybody call a function at a URL of its own, and gives it.
    ///
    /// Source: docs.aws.amazon.com/lambda/latest/dg/urls-auth.html: both permissions are needed since October 2025.
    pub(super) async fn open_url(&self, name: &str, alias: Option<&str>) -> Result<String, FunctionError> {
        let made = self.client.create_function_url_config().function_name(name).auth_type(FunctionUrlAuthType::None);
        let made = made.set_qualifier(alias.map(str::to_owned)).send().await;
        let url = match made.map_err(|error| failed(self.call("lambda:CreateFunctionUrlConfig", name), error)) {
            Ok(made) => made.function_url,
            Err(error) if error.is(THERE) => {
                let found = self.client.get_function_url_config().function_name(name);
                let found = found.set_qualifier(alias.map(str::to_owned)).send().await;
                let call = || self.call("lambda:GetFunctionUrlConfig", name);
                found.map_err(|error| FunctionError::from(failed(call(), error)))?.function_url
            }
            Err(error) => return Err(error.into()),
        };
        let everybody = |id, action, through| Allowed { id, action, principal: "*", through };
        self.allow(name, alias, everybody("orchestrate-url", "lambda:InvokeFunctionUrl", Through::Url)).await?;
        self.allow(name, alias, everybody("orchestrate-call", "lambda:InvokeFunction", Through::UrlCall)).await?;
        Ok(url)
    }

    /// Puts an HTTP API in front of a function (its ARN), which passes everything on to it, and gives its address.
    ///
    /// Source: docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis.html, `target` (quick create); the permission:
    /// docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
    pub(super) async fn open_api(&self, name: &str, alias: Option<&str>, arn: &str) -> Result<String, FunctionError> {
        let target = alias.map_or_else(|| arn.to_owned(), |alias| format!("{arn}:{alias}"));
        let (id, address) = match self.api_of(&target).await? {
            Some(found) => found,
            None => self.make_api(name, &target).await?,
        };
        let account = arn.split(':').nth(4).unwrap_or_default();
        let source = format!("arn:{}:execute-api:{}:{account}:{id}/*", partition(&self.region), self.region);
        let allowed = Allowed {
            id: "orchestrate-api",
            action: "lambda:InvokeFunction",
            principal: "apigateway.amazonaws.com",
            through: Through::Api(&source),
        };
        self.allow(name, alias, allowed).await?;
        Ok(address)
    }

    /// The API that an earlier run made for this target: its id and its address.
    async fn api_of(&self, target: &str) -> Result<Option<(String, String)>, Error> {
        let client = self.session.api_gateway(&self.region);
        let (wanted, mut next) = (description(target), None);
        loop {
            let page = client.get_apis().set_next_token(next).send().await;
            let page = page.map_err(|error| failed(self.api_call("apigateway:GET"), error))?;
            let ours = page.items.unwrap_or_default().into_iter();
            let mut ours = ours.filter(|api| api.description.as_deref() == Some(&*wanted));
            if let Some(found) = ours.find_map(|api| Some((api.api_id?, api.api_endpoint?))) {
                return Ok(Some(found));
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    async fn make_api(&self, name: &str, target: &str) -> Result<(String, String), Error> {
        let client = self.session.api_gateway(&self.region);
        let request = client.create_api().name(name).protocol_type(ProtocolType::Http).target(target);
        let made = request.description(description(target)).send().await;
        let call = || self.api_call("apigateway:POST");
        let made = made.map_err(|error| failed(call(), error))?;
        let parts = made.api_id.zip(made.api_endpoint);
        parts.ok_or_else(|| Error::Nonsense { call: call(), why: "there is no address in it".to_owned() })
    }

    fn api_call(&self, action: &str) -> Call {
        Call::new(action, &self.region).on(format!("arn:{}:apigateway:{}::/apis", partition(&self.region), self.region))
    }

    /// Adds a statement to a function's policy, unless it is there.
    async fn allow(&self, name: &str, alias: Option<&str>, allowed: Allowed<'_>) -> Result<(), FunctionError> {
        let request = self.client.add_permission().function_name(name).set_qualifier(alias.map(str::to_owned));
        let request = request.statement_id(allowed.id).action(allowed.action).principal(allowed.principal);
        let request = match allowed.through {
            Through::Url => request.function_url_auth_type(FunctionUrlAuthType::None),
            Through::UrlCall => request.invoked_via_function_url(true),
            Through::Api(source) => request.source_arn(source),
        };
        let added = request.send().await;
        match added.map_err(|error| failed(self.call("lambda:AddPermission", name), error)) {
            Err(error) if !error.is(THERE) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// By what an API is known again: names of APIs need not differ.
fn description(target: &str) -> String {
    format!("made by orchestrate for {target}")
}
