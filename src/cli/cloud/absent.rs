//! The program was built without AWS.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::apply::ChangeRepository;
use crate::cli::exit::Failure;
use crate::functions::{Absent, Functions};
use crate::plan::{AskRepository, SeenRepositories};
use crate::project::{Project, Registry, RegistryKind};
use crate::registry::{Control, ControlError, Credentials};
use crate::report::{Check, Health};

/// No AWS.
#[derive(Clone, Debug)]
pub struct Cloud;

impl Cloud {
    /// Nothing is read.
    pub fn new(_: &BTreeMap<String, String>) -> Self {
        Self
    }

    /// None are made.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    /// Nobody knows.
    ///
    /// # Errors
    /// Always.
    pub async fn account(&self) -> Result<String, Failure> {
        Err(absent())
    }

    /// Refuses registries of AWS.
    ///
    /// # Errors
    /// The manifest declares one.
    pub async fn verify(&self, projects: &[&Project]) -> Result<(), Failure> {
        let of_aws = |kind: &RegistryKind| matches!(kind, RegistryKind::Ecr { .. } | RegistryKind::EcrPublic { .. });
        let declared = projects.iter().flat_map(|project| project.registries.values());
        if declared.into_iter().any(|registry| of_aws(&registry.kind)) { Err(absent()) } else { Ok(()) }
    }

    /// Nothing runs images.
    pub fn functions(&self) -> Arc<dyn Functions> {
        Arc::new(Absent)
    }

    /// The credentials of Docker alone.
    pub fn credentials(&self, docker: Arc<dyn Credentials>, _: &[&Project]) -> Arc<dyn Credentials> {
        docker
    }

    /// Registries of AWS cannot be looked at.
    pub async fn checks(&self, project: &Project) -> Vec<Check> {
        match self.verify(&[project]).await {
            Err(Failure::Message { message, help, .. }) => {
                vec![Check::new("credentials", "", Health::Bad, message).help(help)]
            }
            _ => Vec::new(),
        }
    }

    /// Nothing is seen.
    ///
    /// # Errors
    /// None: without registries of AWS nothing is asked.
    pub async fn look(&self, _: &Project, _: &[AskRepository]) -> Result<SeenRepositories, Failure> {
        Ok(SeenRepositories::new())
    }

    /// Nothing can be done.
    pub fn change_repository(&self, _: &Project) -> ChangeRepository {
        let refused = || ControlError { what: ABSENT.to_owned(), help: Some(INSTALL.to_owned()) };
        Box::new(move |_, _| Box::pin(std::future::ready(Err(refused()))))
    }

    /// There are none.
    pub fn controls(&self, _: &[&Project]) -> BTreeMap<String, Arc<dyn Control>> {
        BTreeMap::new()
    }
}

const ABSENT: &str = "this orchestrate was built without AWS";
const INSTALL: &str = "install one that has the feature `aws`, which is on by default";

fn absent() -> Failure {
    Failure::surroundings(ABSENT, Some(INSTALL.to_owned()))
}

/// Whether `host` is one of a registry's own: nobody knows without AWS.
pub const fn is_home(_: &Registry, _: &str) -> bool {
    false
}
