//! AWS, as the commands use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;

use crate::apply::ChangeRepository;
use crate::aws::{
    Aws, AwsCredentials, AwsFunctions, Ecr, EcrControl, EcrHost, EcrPublic, EcrPublicControl, Error, PUBLIC_HOST,
};
use crate::cli::exit::Failure;
use crate::functions::Functions;
use crate::plan::{AskRepository, RepositoryChange, RepositoryStep, SeenRepositories};
use crate::project::{AwsLogin, Deployment, Elsewhere, Located, Project, Registry, RegistryKind};
use crate::registry::{Control, ControlError, Credentials};
use crate::report::{Check, Health};

/// AWS: nothing is read or asked before it is needed.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The clients.
    pub aws: Aws,
}

impl Cloud {
    /// AWS in this environment.
    pub fn new(environment: &BTreeMap<String, String>) -> Self {
        Self { aws: Aws::new(environment) }
    }

    /// The calls that were made so far, by action.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.aws.calls().made().into_iter().map(|call| (call.action, call.count)).collect()
    }

    /// The account of the credentials in force.
    ///
    /// # Errors
    /// There are none, or they are no longer good.
    pub async fn account(&self) -> Result<String, Failure> {
        let session = self.aws.session(&AwsLogin::default()).await.map_err(failure)?;
        session.identity("").await.map(|identity| identity.account.clone()).map_err(failure)
    }

    /// Whether we are who the registries and the functions of these manifests expect: asked once for each login, before anything is
    /// touched.
    ///
    /// # Errors
    /// There are no credentials, they are no longer good, or they are of another account.
    pub async fn verify(&self, projects: &[&Project]) -> Result<(), Failure> {
        for registry in projects.iter().flat_map(|project| project.registries.values()) {
            self.verify_one(registry).await?;
        }
        for (deployment, elsewhere) in projects.iter().flat_map(|project| elsewhere(project)) {
            self.verify_function(deployment, elsewhere).await?;
        }
        Ok(())
    }

    async fn verify_one(&self, registry: &Registry) -> Result<(), Failure> {
        let RegistryKind::Ecr { region, account: Some(account), login, cross_account, .. } = &registry.kind else {
            return Ok(());
        };
        let session = self.aws.session(login).await.map_err(failure)?;
        let identity = session.identity(region).await.map_err(failure)?;
        if identity.account != *account && !cross_account {
            return Err(other_account(registry, account, login, &identity.account));
        }
        Ok(())
    }

    async fn verify_function(&self, deployment: &Located<Deployment>, elsewhere: &Elsewhere) -> Result<(), Failure> {
        let session = self.aws.session(&elsewhere.login).await.map_err(failure)?;
        let identity = session.identity(&deployment.value.region).await.map_err(failure)?;
        if identity.account == elsewhere.account {
            return Ok(());
        }
        let (account, found) = (&elsewhere.account, &identity.account);
        Err(Failure::surroundings(
            format!(
                "`{}` ({}) runs in the account {account}, but {} {found}; nothing was touched",
                deployment.value.described(),
                deployment.location,
                are_of(&elsewhere.login)
            ),
            Some(format!("log in to {account} (AWS_PROFILE), or name a `profile` or `role` of it beside the function")),
        ))
    }

    /// The credentials of Docker, and logins of our own at registries of AWS.
    pub fn credentials(&self, docker: Arc<dyn Credentials>, projects: &[&Project]) -> Arc<dyn Credentials> {
        let hosts = hosts(projects).into_iter().map(|(host, login)| (host, login.clone())).collect();
        Arc::new(AwsCredentials::new(&self.aws, docker, hosts))
    }

    /// What runs images.
    pub fn functions(&self) -> Arc<dyn Functions> {
        Arc::new(AwsFunctions::new(self.aws.clone()))
    }

    /// The registries' own APIs, by host.
    pub fn controls(&self, projects: &[&Project]) -> BTreeMap<String, Arc<dyn Control>> {
        let control = |(host, login): (String, &AwsLogin)| {
            let control: Arc<dyn Control> = match EcrHost::parse(&host) {
                Some(parsed) => Arc::new(EcrControl::new(&self.aws, login, parsed)),
                None => Arc::new(EcrPublicControl::new(&self.aws, login)),
            };
            (host, control)
        };
        hosts(projects).into_iter().map(control).collect()
    }
}

/// Whether `host` is one of a registry's own: the same account and region in the FIPS or the dual-stack form, say.
pub fn is_home(registry: &Registry, host: &str) -> bool {
    match (&registry.kind, registry.host()) {
        (RegistryKind::Ecr { .. }, Some(own)) => {
            EcrHost::parse(host).is_some() && EcrHost::parse(host) == EcrHost::parse(&own)
        }
        (RegistryKind::EcrPublic { .. }, _) => host == PUBLIC_HOST || host == "ecr-public.aws.com",
        _ => false,
    }
}

/// AWS takes requests whose time differs from its own by no more than this many seconds.
///
/// Source: "Signature Version 4", IAM user guide.
const CLOCK_BOUND: i64 = 5 * 60;

impl Cloud {
    /// Whether there are credentials for every registry of AWS, and whether the clock is right.
    pub async fn checks(&self, project: &Project) -> Vec<Check> {
        let mut checks = Vec::new();
        let mut seen = BTreeSet::new();
        for registry in project.registries.values() {
            let (login, region) = match &registry.kind {
                RegistryKind::Ecr { login, region, .. } => (login, region.as_str()),
                RegistryKind::EcrPublic { login, .. } => (login, ""),
                _ => continue,
            };
            let name = registry.name.as_str();
            let found = async { Ok(self.aws.session(login).await?.identity(region).await?.clone()) };
            checks.push(match found.await.map_err(|error: Error| failure(error)) {
                Err(Failure::Message { message, help, .. }) => {
                    Check::new("credentials", name, Health::Bad, message).help(help)
                }
                Err(Failure::Problems(_)) => continue,
                Ok(identity) => match self.verify_one(registry).await {
                    Err(Failure::Message { message, help, .. }) => {
                        Check::new("credentials", name, Health::Bad, message).help(help)
                    }
                    _ if !seen.insert((login, identity.arn.clone())) => continue,
                    _ => Check::new("credentials", name, Health::Good, format!("{} ({login})", identity.arn)),
                },
            });
        }
        for (deployment, elsewhere) in elsewhere(project) {
            let said = deployment.value.described();
            let found = self.aws.session(&elsewhere.login).await.map_err(failure);
            let found = match found {
                Ok(session) => session.identity(&deployment.value.region).await.map_err(failure).cloned(),
                Err(failed) => Err(failed),
            };
            let checked = match (found, self.verify_function(deployment, elsewhere).await) {
                (Ok(identity), Ok(())) if seen.insert((&elsewhere.login, identity.arn.clone())) => {
                    Check::new("credentials", &said, Health::Good, format!("{} ({})", identity.arn, elsewhere.login))
                }
                (Err(Failure::Message { message, help, .. }), _) | (_, Err(Failure::Message { message, help, .. })) => {
                    Check::new("credentials", &said, Health::Bad, message).help(help)
                }
                _ => continue,
            };
            checks.push(checked);
        }
        if let Some(ahead) = self.aws.calls().ahead() {
            let (health, help) = match ahead.abs() {
                0..60 => (Health::Good, None),
                60..CLOCK_BOUND => (Health::Odd, Some("set the clock of this machine")),
                _ => (Health::Bad, Some("set the clock of this machine; AWS takes 5 minutes of difference at most")),
            };
            let said = match ahead {
                -59..60 => "it agrees with that of AWS".to_owned(),
                ahead if ahead > 0 => format!("it is {ahead} s ahead of that of AWS"),
                behind => format!("it is {} s behind that of AWS", -behind),
            };
            checks.push(Check::new("clock", "", health, said).help(help.map(str::to_owned)));
        }
        checks
    }

    /// What the repositories of a plan are like.
    ///
    /// # Errors
    /// AWS cannot be asked.
    pub async fn look(&self, project: &Project, asks: &[AskRepository]) -> Result<SeenRepositories, Failure> {
        let mut by_registry: BTreeMap<&str, Vec<AskRepository>> = BTreeMap::new();
        for ask in asks {
            by_registry.entry(&ask.registry).or_default().push(ask.clone());
        }
        let looks = by_registry.into_iter().map(|(name, asks)| async move {
            match self.registry(project, name).await? {
                Some(Api::Private(ecr)) => ecr.look(&asks).await,
                Some(Api::Public(ecr)) => ecr.look(&asks).await,
                None => Ok(SeenRepositories::new()),
            }
        });
        let seen = try_join_all(looks).await.map_err(failure)?;
        Ok(seen.into_iter().flatten().collect())
    }

    /// What makes and sets the repositories of a project.
    pub fn change_repository(&self, project: &Project) -> ChangeRepository {
        let (cloud, project) = (self.clone(), Arc::new(project.clone()));
        Box::new(move |step, change| {
            let (cloud, project) = (cloud.clone(), Arc::clone(&project));
            Box::pin(async move { cloud.change(&project, step, change).await })
        })
    }

    async fn change(
        &self,
        project: &Project,
        step: &RepositoryStep,
        change: &RepositoryChange,
    ) -> Result<(), ControlError> {
        match self.registry(project, &step.registry).await? {
            Some(Api::Private(ecr)) => ecr.change(&step.repository, change).await?,
            Some(Api::Public(ecr)) => ecr.change(&step.repository, change).await?,
            None => {}
        }
        Ok(())
    }

    /// The API of a registry of the manifest.
    async fn registry(&self, project: &Project, name: &str) -> Result<Option<Api>, Error> {
        let Some(registry) = project.registries.values().find(|registry| registry.name.as_str() == name) else {
            return Ok(None);
        };
        let host = registry.host().as_deref().and_then(EcrHost::parse);
        Ok(match (&registry.kind, host) {
            (RegistryKind::Ecr { login, .. }, Some(host)) => {
                Some(Api::Private(Ecr::new(&self.aws.session(login).await?, host)))
            }
            (RegistryKind::EcrPublic { login, .. }, _) => {
                Some(Api::Public(EcrPublic::new(&self.aws.session(login).await?)))
            }
            _ => None,
        })
    }
}

/// A registry's API.
enum Api {
    Private(Ecr),
    Public(EcrPublic),
}

/// The hosts of the registries of AWS, with who we are there.
fn hosts<'a>(projects: &[&'a Project]) -> BTreeMap<String, &'a AwsLogin> {
    let declared = projects.iter().flat_map(|project| project.registries.values());
    let of_aws = declared.filter_map(|registry| match &registry.kind {
        RegistryKind::Ecr { login, .. } => Some((registry.host()?, login)),
        RegistryKind::EcrPublic { login, .. } => Some((PUBLIC_HOST.to_owned(), login)),
        _ => None,
    });
    of_aws.collect()
}

/// The deployments of a project that say where they run.
fn elsewhere(project: &Project) -> impl Iterator<Item = (&Located<Deployment>, &Elsewhere)> {
    let deployments = project.images.values().flat_map(|image| &image.deploy);
    deployments.filter_map(|deployment| Some((deployment, deployment.value.elsewhere.as_ref()?)))
}

/// `the role ... is of`, `the credentials in force are of`.
fn are_of(login: &AwsLogin) -> String {
    let verb = if *login == AwsLogin::default() { "are" } else { "is" };
    format!("{login} {verb} of")
}

fn other_account(registry: &Registry, wanted: &str, login: &AwsLogin, found: &str) -> Failure {
    let name = &registry.name;
    Failure::surroundings(
        format!(
            "the registry `{name}` ({place}) is of the account {wanted}, but {are_of} {found}; nothing was touched",
            place = registry.location,
            are_of = are_of(login)
        ),
        Some(format!(
            "log in to {wanted} (AWS_PROFILE), or name a `profile` or `role` of it at `{name}`; `cross_account: true` there says that its \
             repositories let {found} in"
        )),
    )
}

/// An error of AWS as the end of a command.
#[expect(clippy::needless_pass_by_value, reason = "this is what `map_err` gives")]
pub fn failure(error: Error) -> Failure {
    let help = error.help();
    Failure::surroundings(error.to_string(), help)
}
