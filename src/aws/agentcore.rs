//! Amazon Bedrock AgentCore: the image of a runtime.
//!
//! Sources: GetAgentRuntime and UpdateAgentRuntime, Amazon Bedrock AgentCore Control API reference. An update replaces the whole
//! configuration, so everything but the image is sent back as it was read.

use std::collections::BTreeMap;

use aws_sdk_bedrockagentcorecontrol::operation::get_agent_runtime::GetAgentRuntimeOutput;
use aws_sdk_bedrockagentcorecontrol::types::{AgentRuntimeArtifact, AgentRuntimeStatus, ContainerConfiguration};

use super::client::Session;
use super::error::{Call, Error, failed};
use super::identity::partition;
use super::lambda::split;
use super::pace::Pace;
use crate::functions::{Deployed, FunctionError, InUse, Look, Order, Rehearsed};
use crate::plan::{FunctionFacts, Observation};
use crate::project::Architecture;

/// The runtimes of one region, as one login.
pub struct AgentCore {
    client: aws_sdk_bedrockagentcorecontrol::Client,
    region: String,
    account: String,
    pace: Pace,
}

impl AgentCore {
    /// The runtimes of a region.
    pub fn new(session: &Session, region: &str, pace: Pace) -> Self {
        let account = session.known_account().unwrap_or("*").to_owned();
        Self { client: session.agentcore(region), region: region.to_owned(), account, pace }
    }

    fn call(&self, action: &str, runtime: &str) -> Call {
        let (partition, region, account) = (partition(&self.region), &self.region, &self.account);
        Call::new(action, region).on(format!("arn:{partition}:bedrock-agentcore:{region}:{account}:runtime/{runtime}"))
    }

    /// The ids of all runtimes, by name.
    ///
    /// # Errors
    /// A call failed.
    pub async fn names(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut names = BTreeMap::new();
        let mut pages = self.client.list_agent_runtimes().into_paginator().items().send();
        while let Some(found) = pages.next().await {
            let found = found.map_err(|error| failed(self.call("bedrock-agentcore:ListAgentRuntimes", "*"), error))?;
            names.insert(found.agent_runtime_name, found.agent_runtime_id);
        }
        Ok(names)
    }

    async fn get(&self, id: &str, version: Option<&str>) -> Result<Option<GetAgentRuntimeOutput>, Error> {
        let request = self.client.get_agent_runtime().agent_runtime_id(id);
        let answer = request.set_agent_runtime_version(version.map(str::to_owned)).send().await;
        match answer.map_err(|error| failed(self.call("bedrock-agentcore:GetAgentRuntime", id), error)) {
            Err(error) if error.is("ResourceNotFoundException") => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// What a runtime runs.
    ///
    /// # Errors
    /// The call failed.
    pub async fn look(&self, id: &str) -> Result<Look, Error> {
        let Some(found) = self.get(id, None).await? else {
            return Ok(Look { observation: Observation::Missing, revision: None });
        };
        let (repository, digest) = container_of(&found).and_then(split).unzip();
        let is_zip = matches!(found.agent_runtime_artifact, Some(AgentRuntimeArtifact::CodeConfiguration(_)));
        let architecture = Some(Architecture::Arm64);
        let facts = FunctionFacts { digest, repository, architecture, is_zip, ..FunctionFacts::default() };
        Ok(Look { observation: Observation::Found(facts), revision: None })
    }

    /// Whether a runtime can be updated at all: the service has no dry run.
    ///
    /// # Errors
    /// It is not there, or is being deleted, or the call failed.
    pub async fn rehearse(&self, id: &str) -> Result<Rehearsed, FunctionError> {
        match self.get(id, None).await? {
            Some(found) if found.status != AgentRuntimeStatus::Deleting => Ok(Rehearsed::NotPossible),
            _ => Err(FunctionError::new(format!("there is no runtime `{id}`"), Some("make it first".to_owned()))),
        }
    }

    /// Gives a runtime another image, keeps all else, waits until it is ready, and reads back what it runs.
    ///
    /// # Errors
    /// The service refused, or the runtime does not become ready.
    pub async fn deploy(&self, id: &str, order: &Order) -> Result<Deployed, FunctionError> {
        // Another change may be under way: it is waited for, so that what is sent back is what it left.
        let found = self.settled(id, Before::Update).await?;
        let uri = order.image();
        let container = ContainerConfiguration::builder().container_uri(&uri).build();
        let container = container.expect("the address of an image is set");
        let sent = self
            .client
            .update_agent_runtime()
            .agent_runtime_id(id)
            .agent_runtime_artifact(AgentRuntimeArtifact::ContainerConfiguration(container))
            .role_arn(found.role_arn)
            .set_network_configuration(found.network_configuration)
            .set_description(found.description)
            .set_authorizer_configuration(found.authorizer_configuration)
            .set_request_header_configuration(found.request_header_configuration)
            .set_protocol_configuration(found.protocol_configuration)
            .set_lifecycle_configuration(found.lifecycle_configuration)
            .set_metadata_configuration(found.metadata_configuration)
            .set_environment_variables(found.environment_variables)
            .set_filesystem_configurations(found.filesystem_configurations)
            .set_capacity_provider_configuration(found.capacity_provider_configuration)
            .set_platform_version(found.platform_version)
            .set_allowed_ports(found.allowed_ports)
            .send()
            .await;
        let sent = sent.map_err(|error| failed(self.call("bedrock-agentcore:UpdateAgentRuntime", id), error))?;
        let found = self.settled(id, Before::Use).await?;
        let digest = container_of(&found).and_then(split).map(|(_, digest)| digest);
        Ok(Deployed { digest, version: Some(sent.agent_runtime_version), url: None })
    }

    /// Waits until nothing is under way.
    async fn settled(&self, id: &str, before: Before) -> Result<GetAgentRuntimeOutput, FunctionError> {
        let mut patience = self.pace.start();
        loop {
            let Some(found) = self.get(id, None).await? else {
                return Err(FunctionError::new(
                    format!("there is no runtime `{id}`"),
                    Some("make it first".to_owned()),
                ));
            };
            match found.status {
                AgentRuntimeStatus::Ready => return Ok(found),
                // An update that failed left the version before it in force; the next one may go through.
                AgentRuntimeStatus::UpdateFailed if before == Before::Update => return Ok(found),
                AgentRuntimeStatus::Creating | AgentRuntimeStatus::Updating => {}
                ref other => {
                    let why = found.failure_reason.as_deref().unwrap_or("AgentCore does not say why");
                    let message = format!("the runtime `{id}` is {}: {why}", other.as_str());
                    return Err(FunctionError::new(message, None));
                }
            }
            if !patience.pause().await {
                let message = format!("the runtime `{id}` is not ready after {} s", self.pace.limit.as_secs());
                return Err(FunctionError::new(message, Some("run the same command again, which waits on".to_owned())));
            }
        }
    }

    /// The images of all versions of all runtimes: endpoints may point at any of them.
    ///
    /// # Errors
    /// A call failed.
    pub async fn in_use(&self) -> Result<Vec<InUse>, Error> {
        let mut used = Vec::new();
        for (name, id) in self.names().await? {
            let list = self.client.list_agent_runtime_versions().agent_runtime_id(&id);
            let mut pages = list.into_paginator().items().send();
            while let Some(version) = pages.next().await {
                let call = || self.call("bedrock-agentcore:ListAgentRuntimeVersions", &id);
                let version = version.map_err(|error| failed(call(), error))?.agent_runtime_version;
                let Some(found) = self.get(&id, Some(&version)).await? else { continue };
                if let Some(uri) = container_of(&found) {
                    let by = format!("agentcore {name}:{version} ({})", self.region);
                    used.push(InUse { reference: uri.to_owned(), by });
                }
            }
        }
        Ok(used)
    }
}

/// What a runtime is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It is to be updated.
    Update,
    /// It is to be used.
    Use,
}

/// The address of the image that a runtime runs.
fn container_of(found: &GetAgentRuntimeOutput) -> Option<&str> {
    match &found.agent_runtime_artifact {
        Some(AgentRuntimeArtifact::ContainerConfiguration(container)) => Some(&container.container_uri),
        _ => None,
    }
}
