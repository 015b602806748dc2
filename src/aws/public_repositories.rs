//! Repositories of Amazon ECR Public.

use aws_sdk_ecrpublic::types::{RepositoryCatalogDataInput, Tag};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ecr_public::EcrPublic;
use super::error::{Error, failed};
use super::repositories::place;
use crate::plan::{AskRepository, RepositoryChange, SeenRepositories, SeenRepository, SeenSettings};

/// How many questions are asked at the same time: each is about one repository, as one that is missing spoils an answer about many.
const CONCURRENT: usize = 8;

impl EcrPublic {
    /// Which repositories are there. Without credentials, or without the permission, they are [`SeenRepository::Hidden`]: whoever only
    /// reads needs neither.
    ///
    /// # Errors
    /// A call failed for another reason.
    pub async fn look(&self, asks: &[AskRepository]) -> Result<SeenRepositories, Error> {
        let seen = stream::iter(asks.iter().map(|ask| async {
            let request = self.client.describe_repositories().repository_names(&ask.repository);
            let call = || Self::call("ecr-public:DescribeRepositories", &ask.repository);
            let seen = match request.send().await.map_err(|error| failed(call(), error)) {
                Ok(_) => SeenRepository::There(SeenSettings::default()),
                Err(error) if error.is("RepositoryNotFoundException") => SeenRepository::Missing,
                Err(Error::Denied { call, .. }) => {
                    SeenRepository::Hidden(format!("no permission for `{}`", call.action))
                }
                Err(error) if error.is_of_credentials() => SeenRepository::Hidden(error.to_string()),
                Err(error) => return Err(error),
            };
            Ok((place(ask), seen))
        }));
        seen.buffer_unordered(CONCURRENT).try_collect().await
    }

    /// Does to a repository what the plan says. What another run has done in the meantime is done.
    ///
    /// # Errors
    /// The call failed.
    pub async fn change(&self, name: &str, change: &RepositoryChange) -> Result<(), Error> {
        let RepositoryChange::CreatePublic { description, about, usage, tags } = change else { return Ok(()) };
        let call = || Self::call("ecr-public:CreateRepository", name);
        let catalog = RepositoryCatalogDataInput::builder()
            .set_description(description.clone())
            .set_about_text(about.clone())
            .set_usage_text(usage.clone())
            .build();
        let mut request = self.client.create_repository().repository_name(name).catalog_data(catalog);
        for (name, value) in tags {
            request = request.tags(Tag::builder().key(name).value(value).build());
        }
        match request.send().await.map_err(|error| failed(call(), error)) {
            Err(error) if !error.is("RepositoryAlreadyExistsException") => Err(error),
            _ => Ok(()),
        }
    }
}
