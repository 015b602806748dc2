//! Every image that a function, or a version of one, runs.

use aws_sdk_lambda::types::{FunctionVersion, PackageType};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Lambda;
use crate::aws::error::{Error, failed};
use crate::functions::InUse;

/// How many versions are asked for at once.
const AT_ONCE: usize = 8;

impl Lambda {
    /// The images of all versions of all functions of the region, those that an alias points at among them.
    ///
    /// # Errors
    /// A call failed.
    pub async fn in_use(&self) -> Result<Vec<InUse>, Error> {
        let mut versions = Vec::new();
        let list = self.client.list_functions().function_version(FunctionVersion::All);
        let mut pages = list.into_paginator().items().send();
        while let Some(found) = pages.next().await {
            let found = found.map_err(|error| failed(self.call("lambda:ListFunctions", "*"), error))?;
            if found.package_type == Some(PackageType::Image)
                && let (Some(name), Some(version)) = (found.function_name, found.version)
            {
                versions.push((name, version));
            }
        }
        let asked = versions.into_iter().map(|(name, version)| async move { self.used_by(&name, &version).await });
        let used: Vec<Option<InUse>> = stream::iter(asked).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(used.into_iter().flatten().collect())
    }

    async fn used_by(&self, name: &str, version: &str) -> Result<Option<InUse>, Error> {
        let answer = self.client.get_function().function_name(name).qualifier(version).send().await;
        let answer = match answer.map_err(|error| failed(self.call("lambda:GetFunction", name), error)) {
            // It was deleted meanwhile.
            Err(error) if error.is("ResourceNotFoundException") => return Ok(None),
            answer => answer?,
        };
        let Some(code) = answer.code else { return Ok(None) };
        let reference = match super::look::image_of(&code) {
            Some((repository, digest)) => format!("{repository}@{digest}"),
            None => match code.image_uri {
                Some(uri) => uri,
                None => return Ok(None),
            },
        };
        Ok(Some(InUse { reference, by: format!("lambda {name}:{version} ({})", self.region) }))
    }
}
