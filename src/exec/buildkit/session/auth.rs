//! Credentials of registries, asked for when BuildKit pulls a base or uses a cache there.

use std::sync::Arc;

use bollard_buildkit_proto::moby::filesync::v1::auth_server::Auth;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use futures::future::BoxFuture;
use tonic::{Request, Response, Status};

/// Who we are at a registry: user name and password for a host (`docker.io` for Docker Hub), or nobody. An empty user name
/// says that the password is an identity token.
pub type CredentialsFor = Arc<dyn Fn(&str) -> BoxFuture<'static, Option<(String, String)>> + Send + Sync>;

pub(super) struct Registries {
    credentials: CredentialsFor,
}

impl Registries {
    pub(super) fn new(credentials: CredentialsFor) -> Self {
        Self { credentials }
    }
}

/// BuildKit fetches tokens itself, with the credentials, when it is told that we do not.
fn no_tokens() -> Status {
    Status::unavailable("tokens are not fetched on this side")
}

#[tonic::async_trait]
impl Auth for Registries {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        // The name of Docker Hub's API host, where its credentials are kept under `docker.io`.
        let host = if host == "registry-1.docker.io" { "docker.io" } else { &host };
        let (username, secret) = (self.credentials)(host).await.unwrap_or_default();
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Result<Response<FetchTokenResponse>, Status> {
        Err(no_tokens())
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(no_tokens())
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(no_tokens())
    }
}
