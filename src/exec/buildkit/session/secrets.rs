//! Secrets: read when the build asks for them, kept nowhere but in the list of what logs must hide.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt as _;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::Secrets;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use tonic::{Request, Response, Status};

use super::Failure;
use crate::exec::buildkit::error::BuildError;
use crate::exec::buildkit::masks::Masks;
use crate::exec::buildkit::request::SecretSource;

/// The secrets of one build.
pub(super) struct Vault {
    sources: BTreeMap<String, SecretSource>,
    masks: Masks,
    failure: Failure,
}

impl Vault {
    pub(super) fn new(sources: BTreeMap<String, SecretSource>, masks: Masks, failure: Failure) -> Self {
        Self { sources, masks, failure }
    }
}

async fn value(source: &SecretSource) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::Env(name) => {
            let value =
                std::env::var_os(name).ok_or_else(|| format!("the environment variable `{name}` is not set"))?;
            Ok(value.into_vec())
        }
        SecretSource::File(path) => {
            tokio::fs::read(path).await.map_err(|error| format!("cannot read `{}`: {error}", path.display()))
        }
    }
}

#[tonic::async_trait]
impl Secrets for Vault {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        // BuildKit goes on without a secret that is not `required`. One that the image declares must be there.
        let source = self.sources.get(&id);
        let source = source.ok_or_else(|| Status::not_found(format!("the image declares no secret `{id}`")))?;
        let data = value(source).await.map_err(|why| self.failure.set(BuildError::Secret { id, why }))?;
        self.masks.add(&String::from_utf8_lossy(&data));
        Ok(Response::new(GetSecretResponse { data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_is_read_when_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let sources = [
            ("file".to_owned(), SecretSource::File(path.clone())),
            ("env".to_owned(), SecretSource::Env("ORCHESTRATE_TEST_SURELY_UNSET".to_owned())),
        ];
        let vault = Vault::new(sources.into(), Masks::default(), Failure::default());
        let get = async |id: &str| {
            let request = GetSecretRequest { id: id.to_owned(), ..GetSecretRequest::default() };
            vault.get_secret(Request::new(request)).await.map(|response| response.into_inner().data)
        };
        assert!(get("file").await.unwrap_err().message().contains("`file` cannot be had"));
        assert!(matches!(vault.failure.take(), Some(BuildError::Secret { .. })));
        std::fs::write(&path, b"\xffvalue").unwrap();
        assert_eq!(get("file").await.unwrap(), b"\xffvalue");
        assert!(get("env").await.unwrap_err().message().contains("`ORCHESTRATE_TEST_SURELY_UNSET`"));
        assert_eq!(get("other").await.unwrap_err().code(), tonic::Code::NotFound);
    }
}
