//! Amazon ECR Public: `public.ecr.aws`, whose API lives in us-east-1.

use aws_sdk_ecrpublic::types::{ImageFailure, ImageFailureCode, ImageIdentifier};

use super::batch::Batches;
use super::client::{HOME_REGION, Session};
use super::ecr::Token;
use super::error::{Call, Error, failed};
use crate::registry::{Doomed, Held, Secret};

/// How many images one page of a list has at most.
const PAGE: i32 = 1000;

/// Our registry of Amazon ECR Public, as its own API sees it.
#[derive(Clone, Debug)]
pub struct EcrPublic {
    pub(super) client: aws_sdk_ecrpublic::Client,
}

impl EcrPublic {
    /// The public registry of a login.
    pub fn new(session: &Session) -> Self {
        Self { client: session.ecr_public() }
    }

    /// A call about a repository. Its ARN names the account, which is that of the credentials.
    pub(super) fn call(action: &str, repository: &str) -> Call {
        Call::new(action, HOME_REGION).on(format!("arn:aws:ecr-public::*:repository/{repository}"))
    }

    /// A login.
    ///
    /// # Errors
    /// The call failed. It takes `sts:GetServiceBearerToken` besides its own permission.
    pub async fn token(&self) -> Result<Token, Error> {
        let call = || Call::new("ecr-public:GetAuthorizationToken", HOME_REGION);
        let answer =
            self.client.get_authorization_token().send().await.map_err(|error| match failed(call(), error) {
                // The message names the other permission that this takes.
                Error::Denied { said, .. } if said.contains("sts:GetServiceBearerToken") => {
                    Error::Denied { call: Call::new("sts:GetServiceBearerToken", HOME_REGION), said }
                }
                other => other,
            })?;
        let text = answer.authorization_data.as_ref().and_then(|data| data.authorization_token.clone());
        let text = text.ok_or_else(|| Error::Nonsense { call: call(), why: "there is no token in it".to_owned() })?;
        let until = answer.authorization_data.and_then(|data| data.expires_at).map(|time| time.secs());
        Ok(Token { text: Secret::new(text), until })
    }

    /// Everything in a repository; `None` if it does not exist.
    ///
    /// # Errors
    /// A call failed.
    pub async fn inventory(&self, repository: &str) -> Result<Option<Vec<Held>>, Error> {
        let mut pages =
            self.client.describe_images().repository_name(repository).max_results(PAGE).into_paginator().send();
        let mut held = Vec::new();
        while let Some(page) = pages.next().await {
            let call = || Self::call("ecr-public:DescribeImages", repository);
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
        batches.finish(Self::call("ecr-public:BatchDeleteImage", repository))
    }

    /// One call; gives how many were deleted, and what something refers to.
    async fn delete_some(
        &self,
        repository: &str,
        ids: Vec<ImageIdentifier>,
    ) -> Result<(usize, Vec<ImageIdentifier>), Error> {
        let call = || Self::call("ecr-public:BatchDeleteImage", repository);
        let request = self.client.batch_delete_image().repository_name(repository);
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
                code => {
                    let code = code.as_ref().map_or("an error without a code", ImageFailureCode::as_str).to_owned();
                    let said = failure.failure_reason.unwrap_or_default();
                    let request = "answered in part".to_owned();
                    return Err(Error::Refused { call: call(), code, said, request });
                }
            }
        }
        Ok((answer.image_ids.unwrap_or_default().len(), referenced))
    }
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
