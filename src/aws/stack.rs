//! The names that CloudFormation gave to functions.

use std::collections::BTreeMap;

use super::error::{Call, Error, failed};
use crate::pattern::Glob;

/// What is known of a stack so far; each question is asked once.
#[derive(Debug)]
pub struct Stack {
    region: String,
    name: String,
    outputs: Option<BTreeMap<String, String>>,
    functions: Option<BTreeMap<String, String>>,
}

impl Stack {
    /// A stack of which nothing is known.
    pub fn new(region: &str, name: &str) -> Self {
        Self { region: region.to_owned(), name: name.to_owned(), outputs: None, functions: None }
    }

    fn call(&self, action: &str) -> Call {
        let partition = super::identity::partition(&self.region);
        Call::new(action, &self.region)
            .on(format!("arn:{partition}:cloudformation:{}:*:stack/{}/*", self.region, self.name))
    }

    /// The function that an output names; `None` if the stack or the output is not there.
    ///
    /// # Errors
    /// The call failed.
    pub async fn output(
        &mut self,
        client: &aws_sdk_cloudformation::Client,
        output: &str,
    ) -> Result<Option<String>, Error> {
        if self.outputs.is_none() {
            let answer = client.describe_stacks().stack_name(&self.name).send().await;
            let answer = answer.map_err(|error| failed(self.call("cloudformation:DescribeStacks"), error));
            let stacks = match answer {
                Err(error) if is_missing(&error) => Vec::new(),
                answer => answer?.stacks.unwrap_or_default(),
            };
            let outputs = stacks.into_iter().flat_map(|stack| stack.outputs.unwrap_or_default());
            let outputs = outputs.filter_map(|output| Some((output.output_key?, function_of(&output.output_value?))));
            self.outputs = Some(outputs.collect());
        }
        Ok(self.outputs.as_ref().and_then(|outputs| outputs.get(output).cloned()))
    }

    /// The functions whose logical names fit a pattern; none if the stack is not there.
    ///
    /// # Errors
    /// The call failed.
    pub async fn functions(
        &mut self,
        client: &aws_sdk_cloudformation::Client,
        logical: &str,
    ) -> Result<Vec<String>, Error> {
        if self.functions.is_none() {
            let mut pages = client.list_stack_resources().stack_name(&self.name).into_paginator().items().send();
            let mut functions = BTreeMap::new();
            while let Some(resource) = pages.next().await {
                let resource = resource.map_err(|error| failed(self.call("cloudformation:ListStackResources"), error));
                let resource = match resource {
                    Err(error) if is_missing(&error) => break,
                    resource => resource?,
                };
                if resource.resource_type.as_deref() != Some("AWS::Lambda::Function") {
                    continue;
                }
                if let (Some(logical), Some(name)) = (resource.logical_resource_id, resource.physical_resource_id) {
                    functions.insert(logical, function_of(&name));
                }
            }
            self.functions = Some(functions);
        }
        let Ok(pattern) = Glob::new(logical.as_bytes()) else { return Ok(Vec::new()) };
        let functions = self.functions.iter().flatten();
        let fitting = functions.filter(|(logical, _)| pattern.matches(logical.as_bytes()));
        Ok(fitting.map(|(_, name)| name.clone()).collect())
    }
}

/// CloudFormation has no error of its own for a stack that is not there.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Refused { code, said, .. } if code == "ValidationError" && said.contains("does not exist"))
}

/// The name in an ARN of a function (`arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`), or the text itself.
fn function_of(text: &str) -> String {
    let mut parts = text.split(':').skip(5);
    match (text.starts_with("arn:"), parts.next(), parts.next()) {
        (true, Some("function"), Some(name)) => name.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::function_of;

    #[test]
    fn names_and_arns() {
        assert_eq!(function_of("Api"), "Api");
        assert_eq!(function_of("arn:aws:lambda:us-east-1:123456789012:function:Api"), "Api");
        assert_eq!(function_of("arn:aws:lambda:us-east-1:123456789012:function:Api:live"), "Api");
        assert_eq!(function_of("https://x.lambda-url.us-east-1.on.aws/"), "https://x.lambda-url.us-east-1.on.aws/");
    }
}
