//! The registries' own APIs, where the registry client asks for them.

use crate::project::AwsLogin;
use crate::registry::{Control, ControlAnswer, ControlError, Doomed, Held, RepositoryName, TagDigests};

use super::client::Aws;
use super::ecr::Ecr;
use super::ecr_public::EcrPublic;
use super::error::Error;
use super::host::{EcrHost, public_repository};

/// The API of a registry of Amazon ECR.
pub struct EcrControl {
    aws: Aws,
    login: AwsLogin,
    host: EcrHost,
}

impl EcrControl {
    /// The API of the registry at `host`, as `login`. Nothing is asked yet.
    pub fn new(aws: &Aws, login: &AwsLogin, host: EcrHost) -> Self {
        Self { aws: aws.clone(), login: login.clone(), host }
    }

    async fn api(&self) -> Result<Ecr, Error> {
        Ok(Ecr::new(&self.aws.session(&self.login).await?, self.host.clone()))
    }
}

impl Control for EcrControl {
    fn digests<'a>(
        &'a self,
        repository: &'a RepositoryName,
        tags: &'a [String],
    ) -> ControlAnswer<'a, Option<TagDigests>> {
        Box::pin(async move { Ok(self.api().await?.digests(&repository.path, tags).await?) })
    }

    fn inventory<'a>(&'a self, repository: &'a RepositoryName) -> ControlAnswer<'a, Option<Vec<Held>>> {
        Box::pin(async move { Ok(self.api().await?.inventory(&repository.path).await?) })
    }

    fn delete<'a>(&'a self, repository: &'a RepositoryName, what: &'a [Doomed]) -> ControlAnswer<'a, usize> {
        Box::pin(async move { Ok(self.api().await?.delete(&repository.path, what).await?) })
    }
}

/// The API of our registry of Amazon ECR Public.
pub struct EcrPublicControl {
    aws: Aws,
    login: AwsLogin,
}

impl EcrPublicControl {
    /// The API as `login`. Nothing is asked yet.
    pub fn new(aws: &Aws, login: &AwsLogin) -> Self {
        Self { aws: aws.clone(), login: login.clone() }
    }

    async fn api(&self) -> Result<EcrPublic, Error> {
        Ok(EcrPublic::new(&self.aws.session(&self.login).await?))
    }
}

impl Control for EcrPublicControl {
    /// There is no such question: DescribeImages refuses all where one tag does not exist.
    fn digests<'a>(&'a self, _: &'a RepositoryName, _: &'a [String]) -> ControlAnswer<'a, Option<TagDigests>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn inventory<'a>(&'a self, repository: &'a RepositoryName) -> ControlAnswer<'a, Option<Vec<Held>>> {
        Box::pin(async move { Ok(self.api().await?.inventory(public_repository(repository)).await?) })
    }

    fn delete<'a>(&'a self, repository: &'a RepositoryName, what: &'a [Doomed]) -> ControlAnswer<'a, usize> {
        Box::pin(async move { Ok(self.api().await?.delete(public_repository(repository), what).await?) })
    }
}

impl From<Error> for ControlError {
    fn from(error: Error) -> Self {
        Self { what: error.to_string(), help: error.help() }
    }
}
