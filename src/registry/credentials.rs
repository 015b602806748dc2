//! Who we are for a registry, as Docker has been told: config.json, its environment variable, helpers and stores.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

use super::secret::{Credential, Secret};

/// Docker's name for Docker Hub in config.json and towards helpers.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Knows who we are for a host. Implemented by [`DockerCredentials`] and [`Anonymous`] here, and by the clouds' own logins.
pub trait Credentials: Send + Sync {
    /// The credential for `host` (as in references: `docker.io`, `127.0.0.1:5000`); `None` is anonymous.
    fn for_host<'a>(&'a self, host: &'a str, need: Need) -> BoxFuture<'a, Result<Option<Credential>, CredentialError>>;
}

/// What a credential is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// For a request that is sent now: what is kept will do.
    Request,
    /// For somebody who keeps it for minutes, as a builder does for a build: it must not end soon.
    Loan,
    /// In place of one that was refused: it must not be answered from memory.
    Another,
}

/// Nobody, everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn for_host<'a>(&'a self, _: &'a str, _: Need) -> BoxFuture<'a, Result<Option<Credential>, CredentialError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Why credentials cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// config.json cannot be read.
    #[error("cannot read Docker's `{path}`: {why}", path = path.display())]
    Config {
        /// The file, or the name of the environment variable.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A helper is named in config.json and is not installed.
    #[error("Docker's config names the credential helper `{program}`, which cannot be started: {why}")]
    NoHelper {
        /// The program.
        program: String,
        /// Why.
        why: String,
    },
    /// A helper did not do its work.
    #[error("the credential helper `{program}` failed for `{host}`: {why}")]
    Helper {
        /// The program.
        program: String,
        /// The registry.
        host: String,
        /// What it said; never what it answered.
        why: String,
    },
    /// A cloud's login failed.
    #[error("cannot log in at `{host}`: {why}")]
    Cloud {
        /// The registry.
        host: String,
        /// Why.
        why: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The registry wants what we have not.
    #[error("cannot log in at `{host}`: {why}")]
    Other {
        /// The registry.
        host: String,
        /// Why.
        why: String,
    },
}

impl CredentialError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Config { .. } => Some("mend or remove the file; `docker login` writes it anew".to_owned()),
            Self::NoHelper { program, .. } => Some(format!(
                "install `{program}`, or remove it from `credHelpers` and `credsStore` in Docker's config.json"
            )),
            Self::Helper { program, host, .. } => {
                Some(format!("try `echo {host} | {program} get` yourself; it may want you to log in again"))
            }
            Self::Cloud { help, .. } => help.clone(),
            Self::Other { .. } => None,
        }
    }
}

/// Where Docker's credentials are looked for: what the command line knows of its environment.
#[derive(Clone, Debug, Default)]
pub struct DockerEnvironment {
    /// `DOCKER_CONFIG`: the folder of config.json.
    pub config_folder: Option<PathBuf>,
    /// The home folder; its `.docker` is used where `DOCKER_CONFIG` is unset.
    pub home: Option<PathBuf>,
    /// `DOCKER_AUTH_CONFIG`: a whole config.json as text; it comes before the file.
    pub auth_config: Option<String>,
    /// `PATH`, where helpers are looked for; the program's own if `None`.
    pub path: Option<OsString>,
    /// How long a helper may take; 30 s if `None`.
    pub helper_timeout: Option<Duration>,
}

/// The credentials of `docker login`.
///
/// Order for a host: `DOCKER_AUTH_CONFIG`, `credHelpers` for that host, `credsStore`, `auths`. A helper that knows nothing of the
/// host passes on to `auths`; nobody knowing it is anonymous. Helpers are asked once per host.
#[derive(Debug)]
pub struct DockerCredentials {
    variable: ConfigFile,
    file: ConfigFile,
    path: Option<OsString>,
    helper_timeout: Duration,
    known: Mutex<HashMap<String, Arc<Mutex<Known>>>>,
}

/// What a host's credential is, once somebody asked.
type Known = Option<Option<Credential>>;

impl DockerCredentials {
    /// Reads Docker's configuration. A file that does not exist is an empty one.
    ///
    /// # Errors
    /// If the file is there and cannot be read, or is not JSON of the known form.
    pub fn load(environment: DockerEnvironment) -> Result<Self, CredentialError> {
        let DockerEnvironment { config_folder, home, auth_config, path, helper_timeout } = environment;
        let folder = config_folder.or_else(|| home.map(|home| home.join(".docker")));
        let file = match folder.map(|folder| folder.join("config.json")) {
            Some(path) => ConfigFile::read(&path)?,
            None => ConfigFile::default(),
        };
        let variable = match auth_config.filter(|text| !text.trim().is_empty()) {
            Some(text) => ConfigFile::parse(&text, Path::new("DOCKER_AUTH_CONFIG"))?,
            None => ConfigFile::default(),
        };
        let helper_timeout = helper_timeout.unwrap_or(Duration::from_secs(30));
        Ok(Self { variable, file, path, helper_timeout, known: Mutex::default() })
    }

    async fn find(&self, host: &str) -> Result<Option<Credential>, CredentialError> {
        if let Some(found) = self.variable.auth(host) {
            return Ok(Some(found));
        }
        if let Some(helper) = self.file.helper(host)
            && let Some(found) = self.ask(helper, host).await?
        {
            return Ok(Some(found));
        }
        Ok(self.file.auth(host))
    }

    /// Runs `docker-credential-<helper> get`, as docker/docker-credential-helpers describes.
    async fn ask(&self, helper: &str, host: &str) -> Result<Option<Credential>, CredentialError> {
        let program = format!("docker-credential-{helper}");
        let failed = |why: String| CredentialError::Helper { program: program.clone(), host: host.to_owned(), why };
        let mut command = tokio::process::Command::new(&program);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        let mut child = command
            .spawn()
            .map_err(|error| CredentialError::NoHelper { program: program.clone(), why: error.to_string() })?;
        let key = if is_docker_hub(host) { DOCKER_HUB } else { host };
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let talk = async {
            // A helper may answer without reading; that its end of the pipe is closed then is no failure.
            let _ = stdin.write_all(key.as_bytes()).await;
            drop(stdin);
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(self.helper_timeout, talk)
            .await
            .map_err(|_| failed(format!("no answer within {} s", self.helper_timeout.as_secs_f32())))?
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            // Helpers write the reason to stdout; older ones to stderr.
            let said = [&output.stdout[..], &output.stderr[..]].concat();
            let said = String::from_utf8_lossy(&said[..said.len().min(512)]).trim().to_owned();
            let unknown = said.contains("credentials not found") || said.contains("no credentials server URL");
            return if unknown { Ok(None) } else { Err(failed(format!("{said} ({})", output.status))) };
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            #[serde(default)]
            username: String,
            #[serde(default)]
            secret: String,
        }
        let answer: Answer =
            serde_json::from_slice(&output.stdout).map_err(|_| failed("its answer is not JSON".to_owned()))?;
        Ok(match answer {
            Answer { username, secret } if username == "<token>" => {
                Some(Credential::IdentityToken(Secret::new(secret)))
            }
            Answer { username, secret } if username.is_empty() && secret.is_empty() => None,
            Answer { username, secret } => Some(Credential::Password { username, password: Secret::new(secret) }),
        })
    }
}

impl Credentials for DockerCredentials {
    fn for_host<'a>(&'a self, host: &'a str, need: Need) -> BoxFuture<'a, Result<Option<Credential>, CredentialError>> {
        Box::pin(async move {
            let slot = Arc::clone(self.known.lock().await.entry(host.to_owned()).or_default());
            let mut known = slot.lock().await;
            if let (Some(credential), Need::Request | Need::Loan) = (&*known, need) {
                return Ok(credential.clone());
            }
            let found = self.find(host).await?;
            *known = Some(found.clone());
            Ok(found)
        })
    }
}

/// What we read of Docker's config.json. Everything else in it is none of our business.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

/// One entry of `auths`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(***)")
    }
}

impl ConfigFile {
    fn read(path: &Path) -> Result<Self, CredentialError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(CredentialError::Config { path: path.to_owned(), why: error.to_string() }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, CredentialError> {
        let wrong = |why| CredentialError::Config { path: path.to_owned(), why };
        // The parser's own message may quote what it found, which may be a secret: only the place is told.
        let config: Self = serde_json::from_str(text).map_err(|error| {
            wrong(format!("not JSON of the known form at line {}, column {}", error.line(), error.column()))
        })?;
        for (host, auth) in &config.auths {
            if !auth.auth.is_empty() && decode(&auth.auth).is_none() {
                return Err(wrong(format!("`auth` of `{host}` is not base64 of name:password")));
            }
        }
        Ok(config)
    }

    fn helper(&self, host: &str) -> Option<&str> {
        let own = self.cred_helpers.iter().find(|(key, _)| same_host(key, host)).map(|(_, helper)| helper.as_str());
        own.or(Some(self.creds_store.as_str())).filter(|helper| !helper.is_empty())
    }

    fn auth(&self, host: &str) -> Option<Credential> {
        let exact = self.auths.get(host);
        let auth = exact.or_else(|| self.auths.iter().find(|(key, _)| same_host(key, host)).map(|(_, auth)| auth))?;
        if !auth.registrytoken.is_empty() {
            return Some(Credential::RegistryToken(Secret::new(&auth.registrytoken)));
        }
        if !auth.identitytoken.is_empty() {
            return Some(Credential::IdentityToken(Secret::new(&auth.identitytoken)));
        }
        let (username, password) = decode(&auth.auth).unwrap_or_else(|| (auth.username.clone(), auth.password.clone()));
        let empty = username.is_empty() && password.is_empty();
        (!empty).then(|| Credential::Password { username, password: Secret::new(password) })
    }
}

/// `name:password` in base64; Docker pads some passwords with zero bytes.
fn decode(auth: &str) -> Option<(String, String)> {
    if auth.is_empty() {
        return None;
    }
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient).decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// Whether a key of config.json (`host`, `https://host`, `https://host/v1/`) means `host`.
fn same_host(key: &str, host: &str) -> bool {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.split('/').next().unwrap_or_default();
    bare == host || (is_docker_hub(bare) && is_docker_hub(host))
}

fn is_docker_hub(host: &str) -> bool {
    matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn password(username: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password { username: username.to_owned(), password: Secret::new(password) })
    }

    fn load(json: &str) -> (tempfile::TempDir, DockerCredentials) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), json).unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let environment = DockerEnvironment {
            config_folder: Some(folder.path().to_owned()),
            path: Some(path.into()),
            helper_timeout: Some(Duration::from_secs(5)),
            ..DockerEnvironment::default()
        };
        let credentials = DockerCredentials::load(environment).unwrap();
        (folder, credentials)
    }

    fn helper(folder: &tempfile::TempDir, name: &str, script: &str) {
        let path = folder.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn the_forms_of_config_json() {
        let (_folder, credentials) = load(
            r#"{"HttpHeaders": {"X": "y"}, "auths": {
                "a.example": {"auth": "YWRhOmh1bnRlcjI="},
                "https://b.example/v1/": {"username": "bob", "password": "pw:with:colons"},
                "https://index.docker.io/v1/": {"auth": "aHViOnNlY3JldAAA"},
                "c.example:5000": {"auth": "", "identitytoken": "refresh"},
                "d.example": {"registrytoken": "as-is"},
                "e.example": {}
            }}"#,
        );
        for (host, expected) in [
            ("a.example", password("ada", "hunter2")),
            ("b.example", password("bob", "pw:with:colons")),
            ("docker.io", password("hub", "secret")),
            ("c.example:5000", Some(Credential::IdentityToken(Secret::new("refresh")))),
            ("c.example", None),
            ("d.example", Some(Credential::RegistryToken(Secret::new("as-is")))),
            ("e.example", None),
            ("f.example", None),
        ] {
            assert_eq!(credentials.for_host(host, Need::Request).await.unwrap(), expected, "{host}");
        }
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn the_variable_comes_before_the_file_and_neither_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".docker")).unwrap();
        let text =
            r#"{"auths": {"a.example": {"auth": "YWRhOmh1bnRlcjI="}, "b.example": {"auth": "YWRhOmh1bnRlcjI="}}}"#;
        std::fs::write(folder.path().join(".docker/config.json"), text).unwrap();
        let credentials = DockerCredentials::load(DockerEnvironment {
            home: Some(folder.path().to_owned()),
            auth_config: Some(r#"{"auths": {"a.example": {"username": "ci", "password": "x"}}}"#.to_owned()),
            ..DockerEnvironment::default()
        })
        .unwrap();
        assert_eq!(credentials.for_host("a.example", Need::Request).await.unwrap(), password("ci", "x"));
        assert_eq!(credentials.for_host("b.example", Need::Request).await.unwrap(), password("ada", "hunter2"));
        let nothing = DockerCredentials::load(DockerEnvironment::default()).unwrap();
        assert_eq!(nothing.for_host("a.example", Need::Request).await.unwrap(), None);
    }

    #[test]
    fn a_bad_file_is_named_and_not_quoted() {
        for bad in [r#"{"auths": "hunter2"}"#, r#"{"auths": {"h": {"auth": "hunter2"}}}"#, "{"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("config.json"), bad).unwrap();
            let environment =
                DockerEnvironment { config_folder: Some(folder.path().to_owned()), ..DockerEnvironment::default() };
            let message = DockerCredentials::load(environment).unwrap_err().to_string();
            assert!(message.contains("config.json") && !message.contains("hunter2"), "{message}");
        }
    }

    #[tokio::test]
    async fn helpers_answer_pass_on_fail_and_hang() {
        let (folder, credentials) = load(
            r#"{"credsStore": "store", "auths": {"file.example": {"auth": "YWRhOmh1bnRlcjI="}},
                "credHelpers": {"own.example": "own", "gone.example": "gone", "bad.example": "bad", "token.example": "token"}}"#,
        );
        helper(&folder, "own", r#"read host; echo "$host" >> "$0.log"; echo '{"Username":"own","Secret":"s"}'"#);
        helper(&folder, "store", "echo 'credentials not found in native keychain'; exit 1");
        helper(&folder, "bad", "echo 'the keyring is locked' >&2; exit 1");
        helper(&folder, "token", r#"echo '{"Username":"<token>","Secret":"refresh"}'"#);
        assert_eq!(credentials.for_host("own.example", Need::Request).await.unwrap(), password("own", "s"));
        assert_eq!(credentials.for_host("own.example", Need::Request).await.unwrap(), password("own", "s"));
        let log = folder.path().join("docker-credential-own.log");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "own.example\n", "asked once");
        credentials.for_host("own.example", Need::Another).await.unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 2, "asked again when refused");
        assert_eq!(credentials.for_host("file.example", Need::Request).await.unwrap(), password("ada", "hunter2"));
        assert_eq!(credentials.for_host("nobody.example", Need::Request).await.unwrap(), None);
        let token = credentials.for_host("token.example", Need::Request).await.unwrap();
        assert_eq!(token, Some(Credential::IdentityToken(Secret::new("refresh"))));
        let message = credentials.for_host("bad.example", Need::Request).await.unwrap_err().to_string();
        assert!(message.contains("docker-credential-bad") && message.contains("the keyring is locked"), "{message}");
        let missing = credentials.for_host("gone.example", Need::Request).await.unwrap_err();
        assert!(matches!(missing, CredentialError::NoHelper { .. }), "{missing}");
    }

    #[tokio::test]
    async fn a_hanging_helper_is_given_up() {
        let (folder, mut credentials) = load(r#"{"credsStore": "slow"}"#);
        helper(&folder, "slow", "exec sleep 30");
        credentials.helper_timeout = Duration::from_millis(200);
        let started = std::time::Instant::now();
        let error = credentials.for_host("slow.example", Need::Request).await.unwrap_err();
        assert!(matches!(error, CredentialError::Helper { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
