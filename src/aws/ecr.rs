//! Amazon ECR, private: images in bulk.

use std::collections::BTreeSet;

use aws_sdk_ecr::types::{ImageFailure, ImageFailureCode, ImageIdentifier};

use super::batch::{AT_ONCE, Batches};
use super::client::{HOME_REGION, Session};
use super::error::{Call, Error, failed};
use super::host::EcrHost;
use crate::oci::media_type;
use crate::registry::{Doomed, Held, Secret, TagDigests};

/// How many images one page of a list has at most.
const PAGE: i32 = 1000;

/// A registry of Amazon ECR, as its own API sees it.
#[derive(Clone, Debug)]
pub struct Ecr {
    pub(super) client: aws_sdk_ecr::Client,
    pub(super) host: EcrHost,
}

/// A login at a registry, for a while.
#[derive(Clone, Debug)]
pub struct Token {
    /// `AWS:<token>` in base64, as the API gives it.
    pub text: Secret,
    /// When it ends, in seconds since 1970.
    pub until: Option<i64>,
}

impl Ecr {
    /// The registry of an account in a region.
    pub fn new(session: &Session, host: EcrHost) -> Self {
        Self { client: session.ecr(&host.region), host }
    }

    pub(super) fn call(&self, action: &str, repository: &str) -> Call {
        Call::new(action, &self.host.region).on(self.host.arn(repository))
    }

    /// A login. It is good for every registry that we may use in the region.
    ///
    /// # Errors
    /// The call failed.
    pub async fn token(&self) -> Result<Token, Error> {
        let call = || Call::new("ecr:GetAuthorizationToken", &self.host.region);
        let answer = self.client.get_authorization_token().send().await.map_err(|error| failed(call(), error))?;
        let data = answer.authorization_data.unwrap_or_default().into_iter().next();
        let text = data.as_ref().and_then(|data| data.authorization_token.clone());
        let text = text.ok_or_else(|| Error::Nonsense { call: call(), why: "there is no token in it".to_owned() })?;
        let until = data.and_then(|data| data.expires_at).map(|time| time.secs());
        Ok(Token { text: Secret::new(text), until })
    }

    /// Where tags point; those that do not exist are left out, and so are all where the repository does not exist.
    ///
    /// # Errors
    /// A call failed.
    pub async fn digests(&self, repository: &str, tags: &[String]) -> Result<Option<TagDigests>, Error> {
        let mut found = TagDigests::new();
        for part in tags.chunks(AT_ONCE) {
            let mut pending: BTreeSet<String> = part.iter().cloned().collect();
            while !pending.is_empty() {
                let before = pending.len();
                let Some((there, absent)) = self.some_digests(repository, &pending).await? else {
                    return Ok(Some(TagDigests::new()));
                };
                // What is not answered, because another tag of the same image was, is asked again.
                pending.retain(|tag| !there.contains_key(tag) && !absent.contains(tag));
                found.extend(there);
                if pending.len() == before {
                    let call = self.call("ecr:BatchGetImage", repository);
                    return Err(Error::Nonsense { call, why: "it says nothing of what was asked".to_owned() });
                }
            }
        }
        Ok(Some(found).filter(|found| !found.is_empty()))
    }

    /// One call: where tags point, and which do not exist; `None` if the repository does not.
    async fn some_digests(
        &self,
        repository: &str,
        tags: &BTreeSet<String>,
    ) -> Result<Option<(TagDigests, BTreeSet<String>)>, Error> {
        let ids = tags.iter().map(|tag| ImageIdentifier::builder().image_tag(tag).build()).collect();
        let call = || self.call("ecr:BatchGetImage", repository);
        let answer = self
            .client
            .batch_get_image()
            .registry_id(&self.host.account)
            .repository_name(repository)
            .set_image_ids(Some(ids))
            .set_accepted_media_types(Some(media_type::ACCEPT.split(", ").map(str::to_owned).collect()))
            .send()
            .await;
        let answer = match answer.map_err(|error| failed(call(), error)) {
            Err(error) if error.is("RepositoryNotFoundException") => return Ok(None),
            other => other?,
        };
        let images = answer.images.unwrap_or_default().into_iter().filter_map(|image| image.image_id);
        let there = images.filter_map(|id| Some((id.image_tag?, id.image_digest?.parse().ok()?))).collect();
        let mut absent = BTreeSet::new();
        for failure in answer.failures.unwrap_or_default() {
            if !is_absent(&failure) {
                return Err(refused(call(), &failure));
            }
            absent.extend(failure.image_id.and_then(|id| id.image_tag));
        }
        Ok(Some((there, absent)))
    }

    /// Everything in a repository; `None` if it does not exist.
    ///
    /// # Errors
    /// A call failed.
    pub async fn inventory(&self, repository: &str) -> Result<Option<Vec<Held>>, Error> {
        let call = || self.call("ecr:DescribeImages", repository);
        let mut pages = self
            .client
            .describe_images()
            .registry_id(&self.host.account)
            .repository_name(repository)
            .max_results(PAGE)
            .into_paginator()
            .send();
        let mut held = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(|error| failed(call(), error)) {
                Err(error) if error.is("RepositoryNotFoundException") => return Ok(None),
                other => other?,
            };
            for image in page.image_details.unwrap_or_default() {
                let Some(digest) = image.image_digest.and_then(|digest| digest.parse().ok()) else { continue };
                let pushed = image.image_pushed_at.map(|time| time.secs());
                held.push(Held { digest, tags: image.image_tags.unwrap_or_default(), pushed });
            }
        }
        Ok(Some(held))
    }

    /// Deletes images and tags; gives how many of them there were.
    ///
    /// # Errors
    /// A call failed, or ECR keeps an image.
    pub async fn delete(&self, repository: &str, what: &[Doomed]) -> Result<usize, Error> {
        let mut batches = Batches::new(what.iter().map(identifier).collect());
        while let Some(ids) = batches.next() {
            let (deleted, referenced) = self.delete_some(repository, ids).await?;
            batches.done(deleted, referenced);
        }
        batches.finish(self.call("ecr:BatchDeleteImage", repository))
    }

    /// One call; gives how many were deleted, and what something refers to.
    async fn delete_some(
        &self,
        repository: &str,
        ids: Vec<ImageIdentifier>,
    ) -> Result<(usize, Vec<ImageIdentifier>), Error> {
        let call = || self.call("ecr:BatchDeleteImage", repository);
        let request = self.client.batch_delete_image().registry_id(&self.host.account).repository_name(repository);
        let answer = request.set_image_ids(Some(ids)).send().await;
        let answer = match answer.map_err(|error| failed(call(), error)) {
            Err(error) if error.is("RepositoryNotFoundException") => return Ok((0, Vec::new())),
            other => other?,
        };
        let mut referenced = Vec::new();
        for failure in answer.failures.unwrap_or_default() {
            match &failure.failure_code {
                Some(ImageFailureCode::ImageReferencedByManifestList) => referenced.extend(failure.image_id),
                _ if is_absent(&failure) => {}
                _ => return Err(refused(call(), &failure)),
            }
        }
        Ok((answer.image_ids.unwrap_or_default().len(), referenced))
    }
}

/// A registry's answer makes no sense.
pub(super) fn nonsense(host: &str, why: &str) -> Error {
    let region = EcrHost::parse(host).map_or(HOME_REGION.to_owned(), |host| host.region);
    Error::Nonsense { call: Call::new("ecr:GetAuthorizationToken", &region), why: why.to_owned() }
}

fn identifier(doomed: &Doomed) -> ImageIdentifier {
    match doomed {
        Doomed::Manifest(digest) => ImageIdentifier::builder().image_digest(digest.to_string()).build(),
        Doomed::Tag(tag) => ImageIdentifier::builder().image_tag(tag).build(),
    }
}

fn is_absent(failure: &ImageFailure) -> bool {
    matches!(failure.failure_code, Some(ImageFailureCode::ImageNotFound | ImageFailureCode::ImageTagDoesNotMatchDigest))
}

fn refused(call: Call, failure: &ImageFailure) -> Error {
    let code = failure.failure_code.as_ref().map_or("an error without a code", ImageFailureCode::as_str);
    let said = failure.failure_reason.clone().unwrap_or_default();
    Error::Refused { call, code: code.to_owned(), said, request: "answered in part".to_owned() }
}
