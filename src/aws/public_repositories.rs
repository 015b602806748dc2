//! Repositories of Amazon ECR Public.

use aws_sdk_ecrpublic::types::{RepositoryCatalogDataInput, Tag};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ecr_public::EcrPublic;
use super::error::{Error, failed};
use super::repositories::place;
use crate::plan::{AskRepository, RepositoryChange, SeenRepositories, SeenRepository, SeenSettings};

/// How many questions are asked at the same time.
const CONCURRENT: usize = 8;
/// How many repositories one question may name.
///
/// Source: docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_DescribeRepositories.html.
const AT_ONCE: usize = 100;

impl EcrPublic {
    /// Which repositories are there. Without credentials, or without the permission, they are [`SeenRepository::Hidden`]: whoever only
    /// reads needs neither.
    ///
    /// # Errors
    /// A call failed for another reason.
    pub async fn look(&self, asks: &[AskRepository]) -> Result<SeenRepositories, Error> {
        let parts = stream::iter(asks.chunks(AT_ONCE).map(|part| self.look_at(part)));
        parts.buffer_unordered(CONCURRENT).try_concat().await
    }

    /// All at once; or each for itself, where one that is missing or is not ours to see spoils the answer about all.
    async fn look_at(&self, asks: &[AskRepository]) -> Result<SeenRepositories, Error> {
        if let [ask] = asks {
            return Ok(SeenRepositories::from([(place(ask), self.seen(asks).await?)]));
        }
        if let Ok(seen @ SeenRepository::There(_)) = self.seen(asks).await {
            return Ok(asks.iter().map(|ask| (place(ask), seen.clone())).collect());
        }
        let each = asks.iter().map(|ask| async move { Ok((place(ask), self.seen(std::slice::from_ref(ask)).await?)) });
        let each = stream::iter(each);
        each.buffer_unordered(CONCURRENT).try_collect().await
    }

    /// Whether these repositories are there, as one.
    async fn seen(&self, asks: &[AskRepository]) -> Result<SeenRepository, Error> {
        let names = asks.iter().map(|ask| ask.repository.clone()).collect();
        let request = self.client.describe_repositories().set_repository_names(Some(names));
        let call =
            || Self::call("ecr-public:DescribeRepositories", if let [ask] = asks { &ask.repository } else { "*" });
        match request.send().await.map_err(|error| failed(call(), error)) {
            Ok(_) => Ok(SeenRepository::There(SeenSettings::default())),
            Err(error) if error.is("RepositoryNotFoundException") => Ok(SeenRepository::Missing),
            Err(Error::Denied { call, .. }) => {
                Ok(SeenRepository::Hidden(format!("no permission for `{}`", call.action)))
            }
            Err(error) if error.is_of_credentials() => Ok(SeenRepository::Hidden(error.to_string())),
            Err(error) => Err(error),
        }
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
