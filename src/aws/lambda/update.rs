//! Another image for a function that is there.

use std::time::Duration;

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::{
    AliasRoutingConfiguration, Architecture as Word, LastUpdateStatus, LastUpdateStatusReasonCode, State,
    StateReasonCode,
};

use super::Lambda;
use super::look::ailment;
use crate::aws::error::{Error, failed};
use crate::functions::{Deployed, FunctionError, Look, Order, Rehearsed};
use crate::plan::{Ailment, FunctionFacts, Observation};

/// How long a rehearsal waits for a function that somebody else is changing.
const REHEARSAL: Duration = Duration::from_secs(2 * 60);

/// The code of a function that is in the middle of another change.
const BUSY: &str = "ResourceConflictException";

impl Lambda {
    /// Whether Lambda would take the image, and whether we may give it: a dry run of the update.
    ///
    /// # Errors
    /// It would not, or the call failed.
    pub async fn rehearse(&self, order: &Order) -> Result<Rehearsed, FunctionError> {
        let mut patience = self.pace.within(REHEARSAL).start();
        loop {
            let request = self.client.update_function_code().function_name(&order.id.name).image_uri(order.image());
            let answer = request.dry_run(true).send().await;
            match answer.map_err(|error| failed(self.call("lambda:UpdateFunctionCode", &order.id.name), error)) {
                Ok(_) => return Ok(Rehearsed::Accepted),
                Err(error) if error.is(BUSY) && patience.pause().await => {}
                Err(error) => return Err(said(error)),
            }
        }
    }

    /// Gives a function its image, makes it where it is not there, waits until it runs, and reads back what does.
    ///
    /// # Errors
    /// Lambda refused, or the function does not come up with the image.
    pub async fn deploy(&self, order: &Order, look: &Look) -> Result<Deployed, FunctionError> {
        let name = &order.id.name;
        let mut deployed = Deployed::default();
        let unfinished = match (&look.observation, &order.create) {
            (Observation::Missing, Some(create)) => {
                self.create(order, create).await?;
                order.leaves_more()
            }
            (Observation::Missing, None) => {
                return Err(FunctionError::new(format!("there is no function `{name}`"), None));
            }
            (Observation::Found(facts), _) => {
                // An alias may be all that is missing.
                let runs = if order.alias.is_some() { self.look(name, None, None).await? } else { look.clone() };
                let serves = |facts: &FunctionFacts| facts.digest == Some(order.digest) && facts.ailment.is_none();
                if !runs.facts().is_some_and(serves) {
                    let architecture = facts.architecture.map(|one| Word::from(one.as_str()));
                    self.update(order, architecture, runs.revision.as_deref()).await?;
                }
                facts.unfinished
            }
        };
        let settled = self.settled(name, None).await?;
        if order.publish {
            deployed.version = Some(self.publish(name, settled.code_sha256).await?);
        }
        if let (Some(alias), Some(version)) = (&order.alias, &deployed.version) {
            self.point(name, alias, version).await?;
        }
        if let Some(create) = order.create.as_ref().filter(|_| unfinished) {
            let arn = settled.function_arn.as_deref().unwrap_or_default().trim_end_matches(":$LATEST");
            deployed.url = self.finish(order, create, arn).await?;
        }
        let runs = self.look(name, order.alias.as_deref(), None).await?;
        deployed.digest = runs.facts().and_then(|facts| facts.digest);
        Ok(deployed)
    }

    /// Sends the update. A function that is in the middle of another change is waited for; one that was changed since we looked is left.
    async fn update(
        &self,
        order: &Order,
        architecture: Option<Word>,
        revision: Option<&str>,
    ) -> Result<(), FunctionError> {
        let name = &order.id.name;
        let mut patience = self.pace.start();
        loop {
            let request = self.client.update_function_code().function_name(name).image_uri(order.image());
            // Left out, it would be what Lambda holds for the default.
            let request = request.set_architectures(architecture.clone().map(|one| vec![one]));
            let answer = request.set_revision_id(revision.map(str::to_owned)).send().await;
            match answer.map_err(|error| failed(self.call("lambda:UpdateFunctionCode", name), error)) {
                Ok(_) => return Ok(()),
                Err(error) if error.is("PreconditionFailedException") => {
                    return Err(FunctionError { overtaken: true, ..FunctionError::from(error) });
                }
                Err(error) if error.is(BUSY) && patience.pause().await => {}
                Err(error) => return Err(said(error)),
            }
        }
    }

    /// Waits until a function, or a version of it, is done with its change.
    pub(super) async fn settled(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<GetFunctionConfigurationOutput, FunctionError> {
        let mut patience = self.pace.start();
        loop {
            let request = self.client.get_function_configuration().function_name(name);
            let answer = request.set_qualifier(version.map(str::to_owned)).send().await;
            let found = answer.map_err(|error| {
                FunctionError::from(failed(self.call("lambda:GetFunctionConfiguration", name), error))
            })?;
            if is_settled(&found) {
                let ailment = ailment(
                    (
                        found.state.as_ref(),
                        found.state_reason_code.as_ref().map(StateReasonCode::as_str),
                        found.state_reason.as_deref(),
                    ),
                    (
                        found.last_update_status.as_ref(),
                        found.last_update_status_reason_code.as_ref().map(LastUpdateStatusReasonCode::as_str),
                        found.last_update_status_reason.as_deref(),
                    ),
                );
                return ailment.map_or(Ok(found), |ailment| Err(unhealthy(name, version, &ailment)));
            }
            if !patience.pause().await {
                let message = format!("`{name}` is not done with its update after {} s", self.pace.limit.as_secs());
                return Err(FunctionError::new(message, Some("run the same command again, which waits on".to_owned())));
            }
        }
    }

    async fn publish(&self, name: &str, code: Option<String>) -> Result<String, FunctionError> {
        let call = || self.call("lambda:PublishVersion", name);
        let mut patience = self.pace.start();
        let version = loop {
            // Only of the code that we waited for.
            let request = self.client.publish_version().function_name(name).set_code_sha256(code.clone());
            match request.send().await.map_err(|error| failed(call(), error)) {
                Ok(answer) => break answer.version,
                Err(error) if error.is(BUSY) && patience.pause().await => {}
                Err(error) => return Err(said(error)),
            }
        };
        let nonsense = || Error::Nonsense { call: call(), why: "there is no version in it".to_owned() };
        let version = version.ok_or_else(nonsense)?;
        self.settled(name, Some(&version)).await?;
        Ok(version)
    }

    /// Points an alias at a version, wholly; makes it where it is not there.
    async fn point(&self, name: &str, alias: &str, version: &str) -> Result<(), FunctionError> {
        let wholly = AliasRoutingConfiguration::builder().build();
        let request = self.client.update_alias().function_name(name).name(alias).function_version(version);
        let moved = request.routing_config(wholly).send().await;
        match moved.map_err(|error| failed(self.call("lambda:UpdateAlias", name), error)) {
            Ok(_) => Ok(()),
            Err(error) if error.is("ResourceNotFoundException") => {
                let request = self.client.create_alias().function_name(name).name(alias).function_version(version);
                let made = request.send().await;
                made.map(|_| ()).map_err(|error| failed(self.call("lambda:CreateAlias", name), error).into())
            }
            Err(error) => Err(said(error)),
        }
    }
}

/// What is said of a function that does not serve the image that it was given.
fn unhealthy(name: &str, version: Option<&str>, ailment: &Ailment) -> FunctionError {
    let named = version.map_or_else(|| format!("`{name}`"), |version| format!("version {version} of `{name}`"));
    let (message, help) = match ailment {
        Ailment::Failed { why } => (
            format!("{named} did not come up: {why}"),
            format!(
                "it runs nothing; mend what Lambda names, or delete it (`aws lambda delete-function --function-name {name}`) and \
                 run the same command again: with `create:` it is made again"
            ),
        ),
        Ailment::UpdateFailed { why } => (
            format!("{named} did not take the image: {why}"),
            "it still runs the code from before this update; `aws lambda get-function-configuration` says more"
                .to_owned(),
        ),
        Ailment::Inactive { why } => (
            format!("{named} stays inactive: {why}"),
            format!(
                "Lambda loads an inactive function when it is called: call it once (`aws lambda invoke --function-name {name}{} \
                 /dev/null`), and see whether it comes up",
                version.map(|version| format!(" --qualifier {version}")).unwrap_or_default()
            ),
        ),
    };
    FunctionError::new(message, Some(help))
}

/// Whether nothing is under way.
fn is_settled(found: &GetFunctionConfigurationOutput) -> bool {
    // What is inactive and called becomes pending, and what is pending active or failed.
    let pending = matches!(found.state, Some(State::Pending));
    !pending && !matches!(found.last_update_status, Some(LastUpdateStatus::InProgress))
}

/// What to do about Lambda's own refusals.
pub(super) fn said(error: Error) -> FunctionError {
    // Lambda gives some refusals of an image the code of a denied call.
    let of_image = error.is("InvalidParameterValueException")
        || matches!(&error, Error::Denied { said, .. } if said.contains("ECR image"));
    let help = match &error {
        Error::Refused { code, said, .. } if code == BUSY => {
            Some(format!("somebody else changes it ({said}); run the same command again"))
        }
        Error::Refused { code, said, .. } if code == "InvalidParameterValueException" => match said {
            said if said.contains("media type") || said.contains("architecture") => {
                Some("a function runs a single manifest of its own architecture, with gzip layers".to_owned())
            }
            said if said.contains("does not exist") || said.contains("not found") => Some(
                "the image is gone from ECR: a lifecycle rule, or somebody, deleted it; `orchestrate apply --rebuild` makes it again"
                    .to_owned(),
            ),
            _ => error.help(),
        },
        _ => error.help(),
    };
    FunctionError { help, of_image, ..FunctionError::from(error) }
}
