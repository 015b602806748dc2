//! The clients of the services.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::app_name::AppName;
use aws_types::region::Region;
use aws_types::sdk_config::SharedCredentialsProvider;
use tokio::sync::{Mutex, OnceCell};

use super::calls::Calls;
use super::error::Error;
use super::identity::Identity;
use crate::project::AwsLogin;

/// Where a service is asked that has no region of its own and nobody names one.
pub(super) const HOME_REGION: &str = "us-east-1";
/// How often a call is tried, unless AWS_MAX_ATTEMPTS says otherwise. Throttling passes within a few doubled pauses.
const ATTEMPTS: u32 = 8;

/// AWS, as this program sees it: made once, cloned freely. Nothing is read or asked before the first [`session`](Self::session).
#[derive(Clone)]
pub struct Aws(Arc<Shared>);

struct Shared {
    environment: BTreeMap<String, String>,
    calls: Calls,
    http: std::sync::OnceLock<Result<SharedHttpClient, Error>>,
    sessions: Mutex<BTreeMap<AwsLogin, Session>>,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aws")
    }
}

impl Aws {
    /// AWS in this environment. (The SDK reads credentials and endpoints from the process's own; of `environment` only `AWS_CA_BUNDLE`
    /// and `AWS_MAX_ATTEMPTS` are used.)
    pub fn new(environment: &BTreeMap<String, String>) -> Self {
        let wanted = environment.iter().filter(|(name, _)| name.starts_with("AWS_"));
        let environment = wanted.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self(Arc::new(Shared {
            environment,
            calls: Calls::default(),
            http: Default::default(),
            sessions: Mutex::default(),
        }))
    }

    /// AWS at another address, for everybody and with credentials that it takes.
    #[cfg(test)]
    pub(crate) fn at(url: &str, secret: &str) -> Self {
        let aws = Self::new(&BTreeMap::new());
        let credentials = aws_credential_types::Credentials::new("AKIATEST", secret, None, None, "test");
        let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(5));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws.http().expect("no bundle is named"))
            .endpoint_url(url)
            .region(Region::from_static(HOME_REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(retries.with_max_attempts(ATTEMPTS))
            .build();
        let login = AwsLogin::default();
        let calls = aws.0.calls.clone();
        let session = Session { config: Arc::new(config), login: login.clone(), calls, identity: Arc::default() };
        aws.0.sessions.try_lock().expect("nobody else has it yet").insert(login, session);
        aws
    }

    /// The calls made so far.
    pub fn calls(&self) -> &Calls {
        &self.0.calls
    }

    /// The clients of one login: its configuration is read at the first time.
    ///
    /// # Errors
    /// The file that AWS_CA_BUNDLE names cannot be read. That there are no credentials is said by the first call:
    /// [`Session::identity`] before everything else.
    pub async fn session(&self, login: &AwsLogin) -> Result<Session, Error> {
        let mut sessions = self.0.sessions.lock().await;
        if let Some(session) = sessions.get(login) {
            return Ok(session.clone());
        }
        let http = self.0.http.get_or_init(|| self.http()).clone()?;
        let session = Session {
            config: Arc::new(self.load(login, http).await),
            login: login.clone(),
            calls: self.0.calls.clone(),
            identity: Arc::default(),
        };
        sessions.insert(login.clone(), session.clone());
        Ok(session)
    }

    async fn load(&self, login: &AwsLogin, http: SharedHttpClient) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10))
            .operation_attempt_timeout(Duration::from_secs(30))
            .operation_timeout(Duration::from_secs(180));
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .app_name(AppName::new("orchestrate").expect("letters alone"))
            .timeout_config(timeouts.build());
        if !self.0.environment.contains_key("AWS_MAX_ATTEMPTS") {
            let retries = RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(250))
                .with_max_backoff(Duration::from_secs(10));
            loader = loader.retry_config(retries);
        }
        if let Some(profile) = &login.profile {
            loader = loader.profile_name(profile);
        }
        let mut config = loader.load().await;
        if let Some(profile) = &login.profile {
            config = Self::as_profile(config, profile, http);
        }
        let Some(role) = &login.role else { return config };
        let provider = AssumeRoleProvider::builder(role)
            .session_name("orchestrate")
            .region(config.region().cloned().unwrap_or(Region::from_static(HOME_REGION)))
            .configure(&config)
            .build()
            .await;
        config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
    }

    /// The credentials of a profile and of nothing else: in the standard chain those of the environment would come before it.
    fn as_profile(config: SdkConfig, profile: &str, http: SharedHttpClient) -> SdkConfig {
        let region = config.region().cloned().unwrap_or(Region::from_static(HOME_REGION));
        let provider = ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_region(Some(region))
            .with_http_client(http);
        let provider = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build();
        config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
    }

    /// HTTPS with ring's cryptography. This machine's roots are trusted (`SSL_CERT_FILE` and `SSL_CERT_DIR` are respected), and those in
    /// the file that `AWS_CA_BUNDLE` names.
    fn http(&self) -> Result<SharedHttpClient, Error> {
        let mut roots = TrustStore::default();
        if let Some(path) = self.0.environment.get("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
            let bundle =
                std::fs::read(path).map_err(|error| Error::Bundle { path: path.clone(), why: error.to_string() })?;
            roots = roots.with_pem_certificate(bundle);
        }
        let tls = TlsContext::builder().with_trust_store(roots).build();
        let tls = tls.map_err(|error| Error::Bundle { path: "AWS_CA_BUNDLE".to_owned(), why: error.to_string() })?;
        let proxies = ProxyConfig::from_env();
        Ok(Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector = Connector::builder();
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            connector
                .proxy_config(proxies.clone())
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .tls_context(tls.clone())
                .build()
        }))
    }
}

/// The clients of one login.
#[derive(Clone)]
pub struct Session {
    config: Arc<SdkConfig>,
    login: AwsLogin,
    calls: Calls,
    pub(super) identity: Arc<OnceCell<Identity>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.login)
    }
}

macro_rules! clients {
    ($($(#[doc = $doc:literal])* $name:ident = $service:ident,)*) => {
        impl Session {
            $(
                $(#[doc = $doc])*
                pub fn $name(&self, region: &str) -> $service::Client {
                    let config = $service::config::Builder::from(&*self.config)
                        .region(Region::new(region.to_owned()))
                        .interceptor(self.calls.clone())
                        .build();
                    $service::Client::from_conf(config)
                }
            )*
        }
    };
}

clients! {
    /// Amazon ECR in a region.
    ecr = aws_sdk_ecr,
    /// AWS Lambda in a region.
    lambda = aws_sdk_lambda,
    /// Amazon API Gateway (HTTP APIs) in a region.
    api_gateway = aws_sdk_apigatewayv2,
    /// AWS CloudFormation in a region.
    cloudformation = aws_sdk_cloudformation,
    /// The control plane of Bedrock AgentCore in a region.
    agentcore = aws_sdk_bedrockagentcorecontrol,
    /// IAM; global, but the region chooses the partition.
    iam = aws_sdk_iam,
    /// STS in a region.
    sts = aws_sdk_sts,
    /// Amazon ECR Public in a region, which is us-east-1 always.
    ecr_public_in = aws_sdk_ecrpublic,
}

impl Session {
    /// Amazon ECR Public: its API lives in us-east-1 alone.
    pub fn ecr_public(&self) -> aws_sdk_ecrpublic::Client {
        self.ecr_public_in(HOME_REGION)
    }

    /// Who this is: a profile, a role, or the standard chain.
    pub fn login(&self) -> &AwsLogin {
        &self.login
    }

    /// The region that the environment or the profile names.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }
}
