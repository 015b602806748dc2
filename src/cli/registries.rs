//! The registries' client and the repositories of a project.

use std::path::PathBuf;
use std::sync::Arc;

use super::exit::Failure;
use super::settings::Settings;
use crate::project::{Project, Registry, RegistryKind};
use crate::registry::{Client, Credentials, DockerCredentials, DockerEnvironment, Proxies, Repository, RepositoryName};

/// The client, and who we are.
pub struct Registries {
    /// Speaks to every registry.
    pub client: Client,
    /// Who we are, for a builder that asks.
    pub credentials: Arc<dyn Credentials>,
}

impl Registries {
    /// Reads Docker's configuration.
    ///
    /// # Errors
    /// It is there and cannot be read; or a registry of AWS is of another account than the credentials.
    pub async fn new(settings: &Settings, project: &Project) -> Result<Self, Failure> {
        Self::with(settings, project, None).await
    }

    /// The same for the registries of two projects: this profile's and another's.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn with(settings: &Settings, project: &Project, other: Option<&Project>) -> Result<Self, Failure> {
        let variable = |name: &str| settings.environment.get(name).filter(|value| !value.is_empty()).cloned();
        // Who asks nobody needs no credentials, and no file in which they are.
        let asked = |name: &str| variable(name).filter(|_| !settings.offline);
        let environment = DockerEnvironment {
            config_folder: asked("DOCKER_CONFIG").map(PathBuf::from),
            home: asked("HOME").map(PathBuf::from),
            auth_config: asked("DOCKER_AUTH_CONFIG"),
            path: std::env::var_os("PATH"),
            helper_timeout: None,
        };
        let credentials = DockerCredentials::load(environment)
            .map_err(|error| Failure::surroundings(error.to_string(), error.help()))?;
        let projects: Vec<&Project> = other.into_iter().chain([project]).collect();
        if !settings.offline {
            settings.cloud.verify(&projects).await?;
        }
        let credentials = settings.cloud.credentials(Arc::new(credentials), &projects);
        let mut registry = crate::registry::Settings {
            proxies: Proxies::from_variables(|name| settings.environment.get(name).cloned()),
            ..Default::default()
        };
        if let Some(host) = variable("DOCKER_HOST") {
            registry.docker_host = host;
        }
        registry.plain_http = plain_hosts(variable("ORCHESTRATE_PLAIN_HTTP").as_deref());
        let trusted = variable(TRUSTED_ADDRESSES).unwrap_or_default();
        for declared in projects.iter().flat_map(|project| project.registries.values()) {
            logins_go_home(declared, &trusted)?;
        }
        for declared in projects.iter().flat_map(|project| project.registries.values()) {
            if let Some((host, endpoint)) = endpoint(declared) {
                registry.endpoints.insert(host, endpoint);
            }
        }
        let controls = settings.cloud.controls(&projects);
        Ok(Self { client: Client::with_controls(registry, Arc::clone(&credentials), controls), credentials })
    }
}

/// The variable of the environment that says to which other addresses logins of AWS may go.
const TRUSTED_ADDRESSES: &str = "ORCHESTRATE_REGISTRY_ADDRESSES";

/// A login that AWS gives for a registry goes to that registry. `url:` is in the manifest, so whoever opens a pull request can write it: it may name
/// another form of the registry's own host, and this machine; all else the environment must name.
fn logins_go_home(registry: &Registry, trusted: &str) -> Result<(), Failure> {
    let (RegistryKind::Ecr { url: Some(url), .. } | RegistryKind::EcrPublic { url: Some(url), .. }) = &registry.kind
    else {
        return Ok(());
    };
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(url::Url::host_str).unwrap_or_default();
    let secure = parsed.as_ref().is_some_and(|parsed| parsed.scheme() == "https");
    let here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    let home = secure && super::cloud::is_home(registry, host);
    let named = trusted.split([',', ' ']).any(|named| named.trim_end_matches('/') == url.trim_end_matches('/'));
    if here || home || named {
        return Ok(());
    }
    Err(Failure::wrong(
        format!(
            "the `url:` of the registry `{}` is `{url}`, which is not one of its own hosts: no login of AWS is sent there",
            registry.name
        ),
        format!(
            "leave `url:` out to use the built-in address, or name this one in the environment: {TRUSTED_ADDRESSES}={url}"
        ),
    ))
}

/// The hosts that may be sent passwords over plain HTTP: those of the variable, and those that Docker's own daemon takes so.
fn plain_hosts(variable: Option<&str>) -> Vec<String> {
    let named = variable.unwrap_or_default().split([',', ' ']).filter(|host| !host.is_empty()).map(str::to_owned);
    let daemon = std::fs::read("/etc/docker/daemon.json").ok();
    let daemon = daemon.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let listed = daemon.as_ref().and_then(|daemon| daemon["insecure-registries"].as_array()).into_iter().flatten();
    named.chain(listed.filter_map(|host| host.as_str().map(str::to_owned))).collect()
}

/// Where a registry's host is really spoken to, if the manifest says so.
fn endpoint(registry: &Registry) -> Option<(String, String)> {
    let prefix = registry.reference_prefix()?;
    let host = prefix.split('/').next()?.to_owned();
    match &registry.kind {
        RegistryKind::Oci { scheme, host, .. } => Some((host.clone(), format!("{scheme}://{host}"))),
        RegistryKind::Ecr { url: Some(url), .. } | RegistryKind::EcrPublic { url: Some(url), .. } => {
            Some((host, url.clone()))
        }
        _ => None,
    }
}

/// A repository of a registry of the manifest. `root` is the folder of the manifest.
pub fn open(
    client: &Client,
    project: &Project,
    root: &std::path::Path,
    registry: &str,
    repository: &str,
) -> Repository {
    let declared = project.registries.values().find(|declared| declared.name.as_str() == registry);
    if let Some(RegistryKind::Layout { path }) = declared.map(|declared| &declared.kind) {
        return Repository::layout(root.join(path).join(repository));
    }
    if declared.is_some_and(|declared| declared.kind == RegistryKind::Docker) {
        let layout = root.join(crate::workspace::STATE_FOLDER).join("docker").join(repository);
        return Repository::docker(client, layout, repository);
    }
    let prefix = declared.and_then(Registry::reference_prefix).unwrap_or_else(|| registry.to_owned());
    let (host, path) = prefix.split_once('/').unwrap_or((&prefix, ""));
    let path = if path.is_empty() { repository.to_owned() } else { format!("{path}/{repository}") };
    Repository::remote(client, RepositoryName::new(host, path))
}
