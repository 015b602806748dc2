//! A function that is not there yet: its role, itself, and the mark that it bears until it is finished.

use std::time::Duration;

use aws_sdk_lambda::types::{Architecture as Word, Environment, FunctionCode, PackageType};

use super::update::said;
use super::{Lambda, UNFINISHED};
use crate::aws::error::{Call, Error, failed};
use crate::aws::identity::partition;
use crate::functions::{FunctionError, Order};
use crate::project::{CreateFunction, FunctionAddress};

/// How long a new role may take until Lambda can assume it: IAM is consistent after some seconds.
const NEW_ROLE: Duration = Duration::from_secs(2 * 60);

/// Who may assume the role of a function.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// The longest name of a role.
///
/// Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
const LONGEST_ROLE: usize = 64;

impl Lambda {
    pub(super) async fn create(&self, order: &Order, create: &CreateFunction) -> Result<(), FunctionError> {
        let name = &order.id.name;
        let role = match &create.role {
            Some(role) => role.clone(),
            None => self.role(name).await?,
        };
        let mut patience = self.pace.within(NEW_ROLE).start();
        loop {
            let request = self
                .client
                .create_function()
                .function_name(name)
                .package_type(PackageType::Image)
                .code(FunctionCode::builder().image_uri(order.image()).build())
                .role(&role)
                .architectures(Word::from(create.architecture.as_str()))
                .set_memory_size(create.memory)
                .set_timeout(create.timeout)
                .set_tags(order.leaves_more().then(|| [(UNFINISHED.to_owned(), "true".to_owned())].into()))
                .set_environment((!create.env.is_empty()).then(|| {
                    let variables = create.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                    Environment::builder().set_variables(Some(variables)).build()
                }));
            let made = request.send().await;
            match made.map_err(|error| failed(self.call("lambda:CreateFunction", name), error)) {
                Ok(_) => return Ok(()),
                // Somebody else made it since we looked: what it is now decides.
                Err(error) if error.is("ResourceConflictException") => {
                    return Err(FunctionError { overtaken: true, ..FunctionError::from(error) });
                }
                Err(error) if create.role.is_none() && is_new_role(&error) && patience.pause().await => {}
                Err(error) => return Err(said(error)),
            }
        }
    }

    /// The role of a function that names none: it may write its log, and nothing else. One that an earlier run made is taken.
    async fn role(&self, function: &str) -> Result<String, FunctionError> {
        let iam = self.session.iam(&self.region);
        let name = role_name(function, &self.region);
        let partition = partition(&self.region);
        let account = self.session.known_account().unwrap_or("*");
        let call = |action: &str| {
            Call::new(action, &self.region).on(format!("arn:{partition}:iam::{account}:role/orchestrate/{name}"))
        };
        let made = iam
            .create_role()
            .role_name(&name)
            .path("/orchestrate/")
            .description(format!("Lambda function {function} in {}, made by orchestrate", self.region))
            .assume_role_policy_document(TRUST)
            .send()
            .await;
        let role = match made.map_err(|error| failed(call("iam:CreateRole"), error)) {
            Ok(made) => made.role,
            Err(error) if error.is("EntityAlreadyExists") || error.is("EntityAlreadyExistsException") => {
                let found = iam.get_role().role_name(&name).send().await;
                found.map_err(|error| FunctionError::from(failed(call("iam:GetRole"), error)))?.role
            }
            Err(error) => return Err(error.into()),
        };
        let nonsense = || Error::Nonsense { call: call("iam:CreateRole"), why: "there is no role in it".to_owned() };
        let arn = role.ok_or_else(nonsense)?.arn;
        let policy = format!("arn:{partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole");
        let attached = iam.attach_role_policy().role_name(&name).policy_arn(policy).send().await;
        attached.map_err(|error| FunctionError::from(failed(call("iam:AttachRolePolicy"), error)))?;
        Ok(arn)
    }

    /// What is left to do for a function that was made: its address. Then it no longer bears the mark.
    pub(super) async fn finish(
        &self,
        order: &Order,
        create: &CreateFunction,
        arn: &str,
    ) -> Result<Option<String>, FunctionError> {
        let (name, alias) = (&order.id.name, order.alias.as_deref());
        let address = match create.address {
            Some(FunctionAddress::Url) => Some(self.open_url(name, alias).await?),
            Some(FunctionAddress::HttpApi) => Some(self.open_api(name, alias, arn).await?),
            None => None,
        };
        let request = self.client.untag_resource().resource(arn).tag_keys(UNFINISHED);
        let untagged = request.send().await;
        untagged.map_err(|error| FunctionError::from(failed(self.call("lambda:UntagResource", name), error)))?;
        Ok(address)
    }
}

fn is_new_role(error: &Error) -> bool {
    matches!(error, Error::Refused { code, said, .. }
        if code == "InvalidParameterValueException" && said.contains("cannot be assumed by Lambda"))
}

/// The name of a function's role. Roles are global: the region is part of it. What is too long ends in a hash.
fn role_name(function: &str, region: &str) -> String {
    let name = format!("{function}-{region}");
    if name.len() <= LONGEST_ROLE {
        return name;
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    format!("{}-{}", &name[..LONGEST_ROLE - 9], &hash[..8])
}

#[cfg(test)]
mod tests {
    use super::role_name;

    #[test]
    fn roles_are_told_apart() {
        assert_eq!(role_name("Api", "us-east-1"), "Api-us-east-1");
        let long = "x".repeat(64);
        let (one, other) = (role_name(&long, "us-east-1"), role_name(&long, "eu-west-1"));
        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
    }
}
