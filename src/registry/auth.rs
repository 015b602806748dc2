//! Tokens and passwords for one host: asked for when the registry challenges, kept until they expire.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::RequestKind;
use super::body::Payload;
use super::call::{Call, Target};
use super::challenge::{Challenge, Scope};
use super::credentials::{CredentialError, Need};
use super::error::Error;
use super::name::RepositoryName;
use super::secret::{Credential, Secret};
use super::settings::is_loopback;
use super::transport::Transport;

/// A token without `expires_in` is good for this long.
///
/// Source: distribution's token authentication specification.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);

type Slot = Arc<Mutex<Option<Token>>>;

/// What we know about one host's authentication.
#[derive(Debug, Default)]
pub(super) struct Authorizer {
    challenge: RwLock<Option<Challenge>>,
    tokens: Mutex<HashMap<BTreeSet<Scope>, Slot>>,
}

#[derive(Clone, Debug)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

impl Authorizer {
    fn challenge(&self) -> Option<Challenge> {
        self.challenge.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The header for a request that needs `call`'s scopes; `None` before the first challenge and for nobody.
    pub(super) async fn header(&self, transport: &Transport, call: &Call) -> Result<Option<HeaderValue>, Error> {
        let host = &call.repository.host;
        match self.challenge() {
            None => Ok(None),
            Some(Challenge::Basic) => match credential(transport, host).await? {
                Some(Credential::Password { username, password }) => Ok(Some(basic(&username, &password))),
                Some(Credential::RegistryToken(token)) => bearer(host, token.expose()).map(Some),
                Some(Credential::IdentityToken(_)) => Err(CredentialError::Other {
                    host: host.clone(),
                    why: "it wants a name and a password, and the login kept an identity token".to_owned(),
                }
                .into()),
                None => Ok(None),
            },
            Some(Challenge::Bearer { realm, service, scopes }) => {
                let slot = self.slot(&call.scopes).await;
                let mut token = slot.lock().await;
                if let Some(token) = token.as_ref().filter(|token| token.until > Instant::now()) {
                    return Ok(Some(token.header.clone()));
                }
                // The registry may want a scope that we would not think of for this repository.
                let mine = |scope: &&Scope| scope.names(&call.repository.path);
                let wanted = call.scopes.iter().chain(scopes.iter().filter(mine)).cloned().collect();
                let service = TokenService { realm, service, scopes: wanted };
                let fresh = service.token(transport, &call.repository).await?;
                *token = Some(fresh.clone());
                Ok(Some(fresh.header))
            }
        }
    }

    /// Takes notice of an answer 401 or 403 to a request with the header `used`: what was refused is forgotten.
    pub(super) async fn refused(
        &self,
        transport: &Transport,
        call: &Call,
        (headers, used): (&HeaderMap, Option<&HeaderValue>),
    ) -> Result<(), Error> {
        if let Some(challenge) = Challenge::read(headers) {
            *self.challenge.write().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
        }
        match self.challenge() {
            Some(Challenge::Basic) if used.is_some() => {
                transport.credentials.for_host(&call.repository.host, Need::Another).await?;
            }
            Some(Challenge::Bearer { .. }) => {
                let slot = self.slot(&call.scopes).await;
                let mut token = slot.lock().await;
                if token.as_ref().is_some_and(|token| Some(&token.header) == used) {
                    *token = None;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn slot(&self, scopes: &BTreeSet<Scope>) -> Slot {
        Arc::clone(self.tokens.lock().await.entry(scopes.clone()).or_default())
    }
}

/// Who we are at a host. Off this machine nobody over plain HTTP: everybody on the way could read a password there. The manifest, whose writer
/// may be a stranger, cannot say otherwise; the environment and Docker's own configuration can.
async fn credential(transport: &Transport, host: &str) -> Result<Option<Credential>, Error> {
    let credential = transport.credentials.for_host(host, Need::Request).await?;
    let settings = &transport.settings;
    let endpoint = settings.endpoint(host);
    let address = endpoint.strip_prefix("http://");
    let exposed = address.is_some_and(|address| !super::settings::is_loopback(address) && !settings.may_be_plain(host));
    if exposed && credential.is_some() {
        let why = format!(
            "`{endpoint}` is plain HTTP, and a password is not sent over that; use HTTPS, or name `{host}` in \
             ORCHESTRATE_PLAIN_HTTP or in `insecure-registries` of Docker's daemon.json"
        );
        return Err(CredentialError::Other { host: host.to_owned(), why }.into());
    }
    Ok(credential)
}

fn basic(username: &str, password: &Secret) -> HeaderValue {
    let text = format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())));
    sensitive(HeaderValue::try_from(text).expect("base64 is legal in a header"))
}

fn bearer(host: &str, token: &str) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(format!("Bearer {token}")).map(sensitive).map_err(|_| {
        CredentialError::Other { host: host.to_owned(), why: "its token cannot stand in a header".to_owned() }.into()
    })
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Where a token is to be had, and for what.
struct TokenService {
    realm: String,
    service: String,
    scopes: BTreeSet<Scope>,
}

/// The answer of a token service.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

impl TokenService {
    async fn token(&self, transport: &Transport, repository: &RepositoryName) -> Result<Token, Error> {
        let host = &repository.host;
        let wrong = |why: String| Error::from(CredentialError::Other { host: host.clone(), why });
        let realm =
            Url::parse(&self.realm).map_err(|_| wrong(format!("its token service `{}` is no URL", self.realm)))?;
        let credential = credential(transport, host).await?;
        if let Some(Credential::RegistryToken(token)) = &credential {
            return Ok(Token { header: bearer(host, token.expose())?, until: Instant::now() + DEFAULT_LIFE });
        }
        // Whatever the registry's own address is: the realm is what it says, and may be another machine.
        let named = &realm[url::Position::BeforeHost..url::Position::AfterPort];
        let plain = realm.scheme() != "https" && !is_loopback(named) && !transport.settings.may_be_plain(named);
        if plain && credential.is_some() {
            let why = format!(
                "its token service `{}` is plain HTTP; no password is sent there",
                realm.host_str().unwrap_or_default()
            );
            return Err(wrong(why));
        }
        let started = Instant::now();
        match self.ask(transport, repository, &realm, credential.as_ref()).await {
            // A login that is no longer good must not stand in the way of what everybody may read.
            Err(Error::Refused { answer, .. })
                if matches!(answer.status, 401 | 403)
                    && credential.is_some()
                    && self.scopes.iter().all(Scope::is_pull) =>
            {
                self.ask(transport, repository, &realm, None).await
            }
            other => other,
        }
        .and_then(|answer| {
            let text = if answer.token.is_empty() { &answer.access_token } else { &answer.token };
            if text.is_empty() {
                return Err(wrong("its token service answered without a token".to_owned()));
            }
            // A number from outside: a day is long enough, and no sum with it runs over.
            let life = answer.expires_in.map_or(DEFAULT_LIFE, |seconds| Duration::from_secs(seconds.min(24 * 60 * 60)));
            // Renewed when nine tenths are over, so that it does not expire on the way.
            Ok(Token { header: bearer(host, text)?, until: started + life.mul_f64(0.9) })
        })
    }

    async fn ask(
        &self,
        transport: &Transport,
        repository: &RepositoryName,
        realm: &Url,
        credential: Option<&Credential>,
    ) -> Result<Answer, Error> {
        let mut call = Call::new(RequestKind::Token, Method::GET, repository, "token");
        let mut url = realm.clone();
        if let Some(Credential::IdentityToken(refresh)) = credential {
            let scopes = self.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let form = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "refresh_token")
                .append_pair("service", &self.service)
                .append_pair("client_id", "orchestrate")
                .append_pair("scope", &scopes)
                .append_pair("refresh_token", refresh.expose())
                .finish();
            call.method = Method::POST;
            call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            call.payload = Payload::Bytes(form.into());
        } else {
            let mut query = url.query_pairs_mut();
            if !self.service.is_empty() {
                query.append_pair("service", &self.service);
            }
            for scope in &self.scopes {
                query.append_pair("scope", &scope.to_string());
            }
            if let Some(Credential::Password { username, password }) = credential {
                query.append_pair("account", username);
                call.authorization = Some(basic(username, password));
            }
        }
        call.target = Target::Url(url);
        let reply = Box::pin(transport.send(&call)).await?;
        if !reply.status().is_success() {
            return Err(reply.refused());
        }
        serde_json::from_slice(reply.body()).map_err(|_| reply.nonsense("the token service's answer is not JSON"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Client, DockerCredentials, DockerEnvironment, Settings};
    use super::credential;

    /// Whether the password of `host` would be sent to the address that a manifest gives for it. Nothing is sent here.
    async fn is_sent(host: &str, address: &str, plain: &[&str]) -> bool {
        let config = format!(r#"{{"auths": {{"{host}": {{"username": "ada", "password": "hunter2"}}}}}}"#);
        let environment = DockerEnvironment { auth_config: Some(config), ..DockerEnvironment::default() };
        let settings = Settings {
            endpoints: [(host.to_owned(), address.to_owned())].into(),
            plain_http: plain.iter().map(|host| (*host).to_owned()).collect(),
            ..Settings::default()
        };
        let client = Client::new(settings, Arc::new(DockerCredentials::load(environment).unwrap()));
        match credential(&client.0, host).await {
            Ok(found) => found.is_some(),
            Err(error) => {
                assert!(error.to_string().contains("plain HTTP") && !error.to_string().contains("hunter2"), "{error}");
                false
            }
        }
    }

    #[tokio::test]
    async fn a_password_is_not_sent_over_plain_http_to_another_machine() {
        let host = "registry.example.com";
        assert!(is_sent(host, "https://registry.example.com", &[]).await);
        assert!(!is_sent(host, "http://registry.example.com", &[]).await);
        assert!(!is_sent(host, "http://other.example.com", &["other.example.com"]).await);
        assert!(is_sent(host, "http://registry.example.com", &[host]).await, "the environment says so");
        assert!(is_sent("127.0.0.1:5000", "http://127.0.0.1:5000", &[]).await);
        assert!(is_sent("localhost:5000", "http://localhost:5000", &[]).await);
    }
}
