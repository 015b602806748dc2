//! [`Functions`] for AWS: each service behind one front.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::agentcore::AgentCore;
use super::client::{Aws, Session};
use super::error::Error;
use super::lambda::Lambda;
use super::pace::Pace;
use super::stack::Stack;
use crate::functions::{Answer, Deployed, FunctionError, InUse, Look, Order, Rehearsed};
use crate::plan::{ObservedFunctions, Service};
use crate::project::{AwsLogin, Deployment, Functions, Runner};

/// The functions of AWS. Cheap to clone.
#[derive(Clone)]
pub struct AwsFunctions {
    aws: Aws,
    pace: Pace,
    known: Arc<Mutex<Known>>,
}

/// What several deployments ask for, each asked once.
#[derive(Default)]
struct Known {
    stacks: BTreeMap<(AwsLogin, String, String), Arc<Mutex<Stack>>>,
    runtimes: BTreeMap<(AwsLogin, String), Arc<Mutex<Option<RuntimeNames>>>>,
}

/// The ids of all runtimes of a region, by name.
type RuntimeNames = BTreeMap<String, String>;

impl From<Error> for FunctionError {
    fn from(error: Error) -> Self {
        Self::new(error.to_string(), error.help())
    }
}

impl Session {
    /// The account of the credentials, if somebody asked for it.
    pub(super) fn known_account(&self) -> Option<&str> {
        self.identity.get().map(|identity| identity.account.as_str())
    }
}

impl AwsFunctions {
    /// The functions that `aws` reaches. Nothing is asked yet.
    pub fn new(aws: Aws) -> Self {
        Self { aws, pace: Pace::default(), known: Arc::default() }
    }

    /// The same, waiting at another pace.
    #[must_use]
    pub const fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    async fn lambda(&self, login: &AwsLogin, region: &str) -> Result<Lambda, Error> {
        let session = self.aws.session(login).await?;
        Ok(Lambda::new(session, region, self.pace))
    }

    async fn agentcore(&self, login: &AwsLogin, region: &str) -> Result<AgentCore, Error> {
        let session = self.aws.session(login).await?;
        Ok(AgentCore::new(&session, region, self.pace))
    }

    /// The id of a runtime that is given by name or by id; `None` if no runtime has that name.
    async fn runtime_id(&self, login: &AwsLogin, region: &str, named: &str) -> Result<Option<String>, Error> {
        // A name has no `-`, an id always has one.
        if named.contains('-') {
            return Ok(Some(named.to_owned()));
        }
        let cell = {
            let mut known = self.known.lock().await;
            Arc::clone(known.runtimes.entry((login.clone(), region.to_owned())).or_default())
        };
        let mut names = cell.lock().await;
        if names.is_none() {
            *names = Some(self.agentcore(login, region).await?.names().await?);
        }
        Ok(names.as_ref().and_then(|names| names.get(named).cloned()))
    }

    /// The names of the functions that a deployment means.
    async fn names(&self, login: &AwsLogin, region: &str, functions: &Functions) -> Result<Vec<String>, Error> {
        let stack = match functions {
            Functions::Named(names) => return Ok(names.clone()),
            Functions::Output { stack, .. } | Functions::Logical { stack, .. } => stack,
        };
        let cell = {
            let mut known = self.known.lock().await;
            let key = (login.clone(), region.to_owned(), stack.clone());
            Arc::clone(known.stacks.entry(key).or_insert_with(|| Arc::new(Mutex::new(Stack::new(region, stack)))))
        };
        let client = self.aws.session(login).await?.cloudformation(region);
        let mut stack = cell.lock().await;
        match functions {
            Functions::Output { output, .. } => Ok(stack.output(&client, output).await?.into_iter().collect()),
            Functions::Logical { logical, .. } => stack.functions(&client, logical).await,
            Functions::Named(names) => Ok(names.clone()),
        }
    }

    async fn observed(&self, login: &AwsLogin, deployment: &Deployment) -> Result<ObservedFunctions, Error> {
        let region = &deployment.region;
        let mut observed = ObservedFunctions::new();
        match &deployment.runner {
            Runner::Lambda(lambda) => {
                let service = self.lambda(login, region).await?;
                for name in self.names(login, region, &lambda.functions).await? {
                    let look = service.look(&name, lambda.alias.as_deref(), lambda.create.as_ref()).await?;
                    observed.insert(name, look.observation);
                }
            }
            Runner::AgentCore(named) => {
                let observation = match self.runtime_id(login, region, named).await? {
                    Some(id) => self.agentcore(login, region).await?.look(&id).await?.observation,
                    None => crate::plan::Observation::Missing,
                };
                observed.insert(named.clone(), observation);
            }
        }
        Ok(observed)
    }

    /// The runtime of an order, by its id.
    async fn runtime(&self, order: &Order) -> Result<(AgentCore, String), FunctionError> {
        let (login, region) = (&order.login, &order.id.region);
        let id = self.runtime_id(login, region, &order.id.name).await?;
        let id = id.ok_or_else(|| {
            FunctionError::new(format!("there is no runtime `{}`", order.id.name), Some("make it first".to_owned()))
        })?;
        Ok((self.agentcore(login, region).await?, id))
    }
}

impl crate::functions::Functions for AwsFunctions {
    fn observe<'a>(&'a self, login: &'a AwsLogin, deployment: &'a Deployment) -> Answer<'a, ObservedFunctions> {
        Box::pin(async move { Ok(self.observed(login, deployment).await?) })
    }

    fn look<'a>(&'a self, order: &'a Order) -> Answer<'a, Look> {
        Box::pin(async move {
            match order.id.service {
                Service::Lambda => {
                    let service = self.lambda(&order.login, &order.id.region).await?;
                    Ok(service.look(&order.id.name, order.alias.as_deref(), order.create.as_ref()).await?)
                }
                Service::Agentcore => {
                    let (service, id) = self.runtime(order).await?;
                    Ok(service.look(&id).await?)
                }
            }
        })
    }

    fn rehearse<'a>(&'a self, order: &'a Order) -> Answer<'a, Rehearsed> {
        Box::pin(async move {
            match order.id.service {
                Service::Lambda if order.create.is_none() => {
                    self.lambda(&order.login, &order.id.region).await?.rehearse(order).await
                }
                // What may have to be made: only what is there can be rehearsed.
                Service::Lambda => {
                    let service = self.lambda(&order.login, &order.id.region).await?;
                    match service.look(&order.id.name, None, None).await?.facts() {
                        Some(_) => service.rehearse(order).await,
                        None => Ok(Rehearsed::NotPossible),
                    }
                }
                Service::Agentcore => {
                    let (service, id) = self.runtime(order).await?;
                    service.rehearse(&id).await
                }
            }
        })
    }

    fn deploy<'a>(&'a self, order: &'a Order, look: &'a Look) -> Answer<'a, Deployed> {
        Box::pin(async move {
            match order.id.service {
                Service::Lambda => self.lambda(&order.login, &order.id.region).await?.deploy(order, look).await,
                Service::Agentcore => {
                    let (service, id) = self.runtime(order).await?;
                    service.deploy(&id, order).await
                }
            }
        })
    }

    fn in_use<'a>(&'a self, login: &'a AwsLogin, region: &'a str) -> Answer<'a, Vec<InUse>> {
        Box::pin(async move {
            let mut used = self.lambda(login, region).await?.in_use().await?;
            match self.agentcore(login, region).await?.in_use().await {
                // Lambda has just answered, so the network is there: AgentCore is not in this region, and its host has no address.
                Err(Error::Unreachable { why, .. }) if why.contains("dns error") => {}
                found => used.extend(found?),
            }
            used.sort();
            Ok(used)
        })
    }
}
