//! Repositories of Amazon ECR: what they are, and what a plan makes of them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageIdentifier, ImageScanningConfiguration, ImageTagMutability,
    ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType, Repository, Tag,
};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ecr::Ecr;
use super::error::{Error, failed};
use crate::digest::Digest;
use crate::plan::{AskRepository, RepositoryChange, Seen, SeenRepositories, SeenRepository, SeenSettings};

/// How many repositories one call may name, and how many images.
///
/// Source: DescribeRepositories and DescribeImages, Amazon ECR API reference.
const AT_ONCE: usize = 100;
/// How many repositories one page of a list has at most.
const PAGE: i32 = 1000;
/// How many questions are asked at the same time.
const CONCURRENT: usize = 8;

impl Ecr {
    /// What repositories of this registry are like. What we may not see is [`SeenRepository::Hidden`] or [`Seen::Hidden`].
    ///
    /// # Errors
    /// A call failed for another reason than a missing permission.
    pub async fn look(&self, asks: &[AskRepository]) -> Result<SeenRepositories, Error> {
        let names: BTreeSet<&str> = asks.iter().map(|ask| ask.repository.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let described = match self.describe(&names).await {
            Ok(described) => described,
            Err(Error::Denied { call, .. }) => {
                let why = format!("no permission for `{}`", call.action);
                return Ok(asks.iter().map(|ask| (place(ask), SeenRepository::Hidden(why.clone()))).collect());
            }
            Err(error) => return Err(error),
        };
        let seen = stream::iter(asks.iter().map(|ask| async {
            let Some(repository) = described.get(&ask.repository) else {
                return Ok((place(ask), SeenRepository::Missing));
            };
            self.settings(ask, repository).await.map(|settings| (place(ask), SeenRepository::There(settings)))
        }));
        seen.buffer_unordered(CONCURRENT).try_collect().await
    }

    async fn settings(&self, ask: &AskRepository, repository: &Repository) -> Result<SeenSettings, Error> {
        let name = ask.repository.as_str();
        let (lifecycle, policy) = if ask.policies {
            (self.lifecycle(name).await?, self.policy(name).await?)
        } else {
            (Seen::Unasked, Seen::Unasked)
        };
        let immutable = repository.image_tag_mutability.as_ref().map(|mutability| {
            matches!(mutability, ImageTagMutability::Immutable | ImageTagMutability::ImmutableWithExclusion)
        });
        let scan_on_push = repository.image_scanning_configuration.as_ref().map(|scanning| scanning.scan_on_push);
        let filters = repository.image_tag_mutability_exclusion_filters.iter().flatten();
        Ok(SeenSettings {
            scan_on_push,
            immutable,
            except: filters.map(|filter| filter.filter.clone()).collect(),
            lifecycle,
            policy,
            tags: self.tag_counts(name, &ask.tagged).await?,
        })
    }

    /// Repositories by name; those that do not exist are left out.
    async fn describe(&self, names: &[&str]) -> Result<BTreeMap<String, Repository>, Error> {
        let mut found = BTreeMap::new();
        for part in names.chunks(AT_ONCE) {
            let resource = if let [only] = part { *only } else { "*" };
            let call = || self.call("ecr:DescribeRepositories", resource);
            let request = self.client.describe_repositories().registry_id(&self.host.account);
            let asked = part.iter().map(|name| (*name).to_owned()).collect();
            let answer = request.set_repository_names(Some(asked)).send().await;
            match answer.map_err(|error| failed(call(), error)) {
                Ok(answer) => found.extend(by_name(answer.repositories)),
                // One that is missing spoils the whole answer; of one alone it says all.
                Err(error) if error.is("RepositoryNotFoundException") && part.len() == 1 => {}
                Err(error) if error.is("RepositoryNotFoundException") => {
                    return self.list().await.map(|mut all| {
                        all.retain(|name, _| names.contains(&name.as_str()));
                        all
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// All repositories of the registry.
    async fn list(&self) -> Result<BTreeMap<String, Repository>, Error> {
        let request = self.client.describe_repositories().registry_id(&self.host.account).max_results(PAGE);
        let mut pages = request.into_paginator().send();
        let mut found = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(self.call("ecr:DescribeRepositories", "*"), error))?;
            found.extend(by_name(page.repositories));
        }
        Ok(found)
    }

    async fn lifecycle(&self, name: &str) -> Result<Seen, Error> {
        let request = self.client.get_lifecycle_policy().registry_id(&self.host.account).repository_name(name);
        let answer = request.send().await.map_err(|error| failed(self.call("ecr:GetLifecyclePolicy", name), error));
        seen(answer.map(|answer| answer.lifecycle_policy_text), "LifecyclePolicyNotFoundException")
    }

    async fn policy(&self, name: &str) -> Result<Seen, Error> {
        let request = self.client.get_repository_policy().registry_id(&self.host.account).repository_name(name);
        let answer = request.send().await.map_err(|error| failed(self.call("ecr:GetRepositoryPolicy", name), error));
        seen(answer.map(|answer| answer.policy_text), "RepositoryPolicyNotFoundException")
    }

    /// How many tags images have; nothing where we may not see it.
    async fn tag_counts(&self, name: &str, digests: &[Digest]) -> Result<BTreeMap<Digest, usize>, Error> {
        let mut counts = BTreeMap::new();
        for part in digests.chunks(AT_ONCE) {
            let ids = part.iter().map(|digest| ImageIdentifier::builder().image_digest(digest.to_string()).build());
            let request = self.client.describe_images().registry_id(&self.host.account).repository_name(name);
            let answer = request.set_image_ids(Some(ids.collect())).send().await;
            let answer = match answer.map_err(|error| failed(self.call("ecr:DescribeImages", name), error)) {
                Err(Error::Denied { .. }) => return Ok(BTreeMap::new()),
                // Deleted in the meantime: whoever publishes will notice.
                Err(error) if error.is("ImageNotFoundException") => continue,
                other => other?,
            };
            for image in answer.image_details.unwrap_or_default() {
                if let Some(digest) = image.image_digest.and_then(|digest| digest.parse().ok()) {
                    counts.insert(digest, image.image_tags.unwrap_or_default().len());
                }
            }
        }
        Ok(counts)
    }

    /// Does to a repository what the plan says. What another run has done in the meantime is done.
    ///
    /// # Errors
    /// The call failed.
    pub async fn change(&self, name: &str, change: &RepositoryChange) -> Result<(), Error> {
        let account = &self.host.account;
        match change {
            RepositoryChange::Create { .. } => self.create(name, change).await?,
            RepositoryChange::Untagged { policy, .. } => {
                let request = self.client.put_lifecycle_policy().registry_id(account);
                let answer = request.repository_name(name).lifecycle_policy_text(policy).send().await;
                answer.map_err(|error| failed(self.call("ecr:PutLifecyclePolicy", name), error))?;
            }
            RepositoryChange::Pull { policy: Some(policy), .. } => {
                let request = self.client.set_repository_policy().registry_id(account);
                let answer = request.repository_name(name).policy_text(policy).send().await;
                answer.map_err(|error| failed(self.call("ecr:SetRepositoryPolicy", name), error))?;
            }
            RepositoryChange::Pull { policy: None, .. } => {
                let request = self.client.delete_repository_policy().registry_id(account).repository_name(name);
                let answer = request.send().await;
                match answer.map_err(|error| failed(self.call("ecr:DeleteRepositoryPolicy", name), error)) {
                    Err(error) if !error.is("RepositoryPolicyNotFoundException") => return Err(error),
                    _ => {}
                }
            }
            RepositoryChange::CreatePublic { .. } => {}
        }
        Ok(())
    }

    async fn create(&self, name: &str, change: &RepositoryChange) -> Result<(), Error> {
        let RepositoryChange::Create { scan_on_push, immutable, except, encryption, tags } = change else {
            return Ok(());
        };
        let call = || self.call("ecr:CreateRepository", name);
        let unsound = |why: String| Error::Nonsense { call: call(), why };
        let mutability = match (immutable, except.is_empty()) {
            (false, _) => ImageTagMutability::Mutable,
            (true, true) => ImageTagMutability::Immutable,
            (true, false) => ImageTagMutability::ImmutableWithExclusion,
        };
        let (kind, key) = match encryption.as_str() {
            "AES256" => (EncryptionType::Aes256, None),
            "KMS" => (EncryptionType::Kms, None),
            key => (EncryptionType::Kms, Some(key.to_owned())),
        };
        let encryption = EncryptionConfiguration::builder().encryption_type(kind).set_kms_key(key).build();
        let mut request = self
            .client
            .create_repository()
            .registry_id(&self.host.account)
            .repository_name(name)
            .image_tag_mutability(mutability)
            .image_scanning_configuration(ImageScanningConfiguration::builder().scan_on_push(*scan_on_push).build())
            .encryption_configuration(encryption.map_err(|error| unsound(error.to_string()))?);
        for filter in except {
            let filter = ImageTagMutabilityExclusionFilter::builder()
                .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
                .filter(filter);
            let filter = filter.build().map_err(|error| unsound(error.to_string()))?;
            request = request.image_tag_mutability_exclusion_filters(filter);
        }
        for (name, value) in tags {
            let tag = Tag::builder().key(name).value(value).build().map_err(|error| unsound(error.to_string()))?;
            request = request.tags(tag);
        }
        match request.send().await.map_err(|error| failed(call(), error)) {
            Err(error) if !error.is("RepositoryAlreadyExistsException") => Err(error),
            _ => Ok(()),
        }
    }
}

pub(super) fn place(ask: &AskRepository) -> (String, String) {
    (ask.registry.clone(), ask.repository.clone())
}

fn by_name(repositories: Option<Vec<Repository>>) -> impl Iterator<Item = (String, Repository)> {
    repositories.into_iter().flatten().filter_map(|repository| Some((repository.repository_name.clone()?, repository)))
}

/// A document, that it is absent, or that we may not see it.
fn seen(answer: Result<Option<String>, Error>, absent: &str) -> Result<Seen, Error> {
    match answer {
        Ok(Some(text)) => Ok(Seen::Text(text)),
        Ok(None) => Ok(Seen::Absent),
        Err(error) if error.is(absent) => Ok(Seen::Absent),
        Err(Error::Denied { call, .. }) => Ok(Seen::Hidden(format!("no permission for `{}`", call.action))),
        Err(error) => Err(error),
    }
}
