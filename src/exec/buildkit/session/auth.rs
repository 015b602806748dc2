//! Credentials of registries, asked for when BuildKit pulls a base or uses a cache there.

use std::sync::Arc;

use bollard_buildkit_proto::moby::filesync::v1::auth_server::Auth;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use tonic::{Request, Response, Status};

use crate::registry::{Credential, Credentials, Need};

/// Who we are at the registries.
pub(super) struct Registries {
    credentials: Arc<dyn Credentials>,
}

impl Registries {
    pub(super) fn new(credentials: Arc<dyn Credentials>) -> Self {
        Self { credentials }
    }
}

/// A credential in BuildKit's form: an identity token has no user name. It has no form for a token that is sent as it is.
fn response(credential: Option<Credential>) -> CredentialsResponse {
    match credential {
        Some(Credential::Password { username, password }) => {
            CredentialsResponse { username, secret: password.expose().to_owned() }
        }
        Some(Credential::IdentityToken(token)) => {
            CredentialsResponse { username: String::new(), secret: token.expose().to_owned() }
        }
        Some(Credential::RegistryToken(_)) | None => CredentialsResponse::default(),
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
        let credential = self.credentials.for_host(host, Need::Loan).await;
        let credential = credential.map_err(|error| Status::permission_denied(error.to_string()))?;
        Ok(Response::new(response(credential)))
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
