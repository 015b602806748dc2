//! What a function runs.

use aws_sdk_lambda::types::{
    FunctionCodeLocation, FunctionConfiguration, LastUpdateStatus, LastUpdateStatusReasonCode, PackageType, State,
    StateReasonCode,
};

use super::{Lambda, UNFINISHED};
use crate::aws::error::{Error, failed};
use crate::digest::Digest;
use crate::functions::Look;
use crate::plan::{Ailment, FunctionFacts, Observation};
use crate::project::{Architecture, CreateFunction};

impl Lambda {
    /// What a function runs, or what its alias runs, and whether it is finished. One call; two where the alias or the function is missing, or
    /// where a function is made with an alias and an address: only the function itself tells its tags.
    ///
    /// # Errors
    /// The call failed.
    pub async fn look(&self, name: &str, alias: Option<&str>, create: Option<&CreateFunction>) -> Result<Look, Error> {
        if let Some(mut look) = self.look_at(name, alias).await? {
            if let Observation::Found(facts) = &mut look.observation
                && alias.is_some()
                && create.is_some_and(|create| create.address.is_some())
                && let Some(bare) = self.look_at(name, None).await?
            {
                facts.unfinished = bare.facts().is_some_and(|bare| bare.unfinished);
            }
            return Ok(look);
        }
        // Without the alias, or without the function?
        let bare = match alias {
            Some(_) => self.look_at(name, None).await?,
            None => None,
        };
        Ok(match bare {
            Some(Look { observation: Observation::Found(facts), revision }) => {
                let facts = FunctionFacts { digest: None, repository: None, alias_missing: true, ..facts };
                Look { observation: Observation::Found(facts), revision }
            }
            _ => Look { observation: Observation::Missing, revision: None },
        })
    }

    async fn look_at(&self, name: &str, alias: Option<&str>) -> Result<Option<Look>, Error> {
        let answer =
            self.client.get_function().function_name(name).set_qualifier(alias.map(str::to_owned)).send().await;
        let answer = match answer.map_err(|error| failed(self.call("lambda:GetFunction", name), error)) {
            Err(error) if error.is("ResourceNotFoundException") => return Ok(None),
            answer => answer?,
        };
        let configuration = answer.configuration.unwrap_or_else(|| FunctionConfiguration::builder().build());
        let (repository, digest) = answer.code.as_ref().and_then(image_of).unzip();
        let architectures = configuration.architectures.unwrap_or_default();
        let facts = FunctionFacts {
            digest,
            repository,
            // Lambda's own default, where an older function says nothing.
            architecture: Some(
                architectures.first().and_then(|one| Architecture::from_word(one.as_str())).unwrap_or_default(),
            ),
            is_zip: configuration.package_type == Some(PackageType::Zip),
            alias_missing: false,
            ailment: ailment(
                (
                    configuration.state.as_ref(),
                    configuration.state_reason_code.as_ref().map(StateReasonCode::as_str),
                    configuration.state_reason.as_deref(),
                ),
                (
                    configuration.last_update_status.as_ref(),
                    configuration.last_update_status_reason_code.as_ref().map(LastUpdateStatusReasonCode::as_str),
                    configuration.last_update_status_reason.as_deref(),
                ),
            ),
            unfinished: answer.tags.is_some_and(|tags| tags.contains_key(UNFINISHED)),
        };
        // The revision that an update is held against is that of the function, not of a version.
        let revision = configuration.revision_id.filter(|_| alias.is_none());
        Ok(Some(Look { observation: Observation::Found(facts), revision }))
    }
}

/// A state with the code and the words that Lambda gives for it.
type Told<'a, S> = (Option<&'a S>, Option<&'a str>, Option<&'a str>);

/// Why a function, or a version of one, does not serve what it was given. One that never came up says nothing of updates.
pub(super) fn ailment(state: Told<'_, State>, update: Told<'_, LastUpdateStatus>) -> Option<Ailment> {
    let words = |code: Option<&str>, said: Option<&str>| {
        let known: Vec<&str> = [code, said].into_iter().flatten().collect();
        if known.is_empty() { "Lambda does not say why".to_owned() } else { known.join(": ") }
    };
    match (state, update) {
        ((Some(State::Failed), code, said), _) => Some(Ailment::Failed { why: words(code, said) }),
        (_, (Some(LastUpdateStatus::Failed), code, said)) => Some(Ailment::UpdateFailed { why: words(code, said) }),
        ((Some(State::Inactive), code, said), _) => Some(Ailment::Inactive { why: words(code, said) }),
        _ => None,
    }
}

/// The repository and the digest that a function's code stands on. An image that was given by tag is what Lambda found under it then.
pub(super) fn image_of(code: &FunctionCodeLocation) -> Option<(String, Digest)> {
    let uris = [code.resolved_image_uri.as_deref(), code.image_uri.as_deref()];
    uris.into_iter().flatten().find_map(split)
}

/// Host and repository, and the digest, of `HOST/REPOSITORY@sha256:...`.
pub(in crate::aws) fn split(uri: &str) -> Option<(String, Digest)> {
    let (repository, digest) = uri.split_once('@')?;
    Some((repository.to_owned(), digest.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says() {
        let digest = Digest::of(b"x");
        let by_digest = format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/app@{digest}");
        let code = |image: &str, resolved: Option<&str>| {
            let code = FunctionCodeLocation::builder().image_uri(image);
            image_of(&code.set_resolved_image_uri(resolved.map(str::to_owned)).build())
        };
        let found = Some(("123456789012.dkr.ecr.us-east-1.amazonaws.com/app".to_owned(), digest));
        assert_eq!(code("host/app:latest", Some(&by_digest)), found);
        assert_eq!(code(&by_digest, Some("host/app@sha256@sha256:1")), found, "an address that is none");
        assert_eq!(code("host/app:latest", None), None);
    }
}
