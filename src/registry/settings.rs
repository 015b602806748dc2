use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a [`Client`](super::Client) behaves. Made by the command line from the environment; the defaults are for people and CI.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Where a host of references is really spoken to: `host` to `http://address` or `https://address`.
    /// Hosts not named here are spoken to by HTTPS, except loopback addresses, which are spoken to by HTTP as Docker does.
    pub endpoints: BTreeMap<String, String>,
    /// Hosts off this machine that may be sent a password over plain HTTP.
    pub plain_http: Vec<String>,
    /// The proxies.
    pub proxies: Proxies,
    /// Where the local Docker daemon is spoken to, as DOCKER_HOST has it.
    pub docker_host: String,
    /// Docker's folder of certificates: `<folder>/<host>/ca.crt` is trusted for that host.
    pub certificates: Option<PathBuf>,
    /// The longest that a connection may take.
    pub connect_timeout: Duration,
    /// The longest that nothing may move, in either direction.
    pub idle_timeout: Duration,
    /// The longest that a server may say nothing to a question. (What it is sent it may have to store first.)
    pub answer_timeout: Duration,
    /// The longest that a request without a blob may take.
    pub request_timeout: Duration,
    /// The longest that one request with a blob may take.
    pub blob_timeout: Duration,
    /// How long a host that has never answered is tried.
    pub first_contact: Duration,
    /// How long a host that has answered before may be away.
    pub outage: Duration,
    /// How often one request is tried while the host answers, if badly.
    pub attempts: u32,
    /// The first pause between attempts; it doubles up to `longest_pause`.
    pub first_pause: Duration,
    /// The longest pause between attempts, also for `Retry-After`.
    pub longest_pause: Duration,
    /// How many requests one host gets at a time.
    pub concurrency: usize,
    /// The time between two manifest PUTs, by the end of the host's name. ECR takes about 10 a second.
    pub manifest_pace: Vec<(String, Duration)>,
    /// Blobs larger than this are sent in parts of this size (bytes) once sending them whole has failed.
    pub chunk: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: concat!("orchestrate/", env!("CARGO_PKG_VERSION")).to_owned(),
            endpoints: BTreeMap::new(),
            plain_http: Vec::new(),
            proxies: Proxies::default(),
            docker_host: "unix:///var/run/docker.sock".to_owned(),
            certificates: Some(PathBuf::from("/etc/docker/certs.d")),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(120),
            blob_timeout: Duration::from_secs(30 * 60),
            first_contact: Duration::from_secs(5),
            outage: Duration::from_secs(60),
            attempts: 6,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(30),
            concurrency: 16,
            manifest_pace: [".amazonaws.com", "public.ecr.aws"]
                .map(|host| (host.to_owned(), Duration::from_millis(100)))
                .into(),
            chunk: 16 * 1024 * 1024,
        }
    }
}

impl Settings {
    /// The address at which `host` is spoken to, without a slash at its end.
    pub(super) fn endpoint(&self, host: &str) -> String {
        if let Some(told) = self.endpoints.get(host) {
            return told.trim_end_matches('/').to_owned();
        }
        match host {
            // Docker Hub's API does not live at the host that its references name.
            "docker.io" | "index.docker.io" => "https://registry-1.docker.io".to_owned(),
            _ if is_loopback(host) && self.certificate(host).is_none() => format!("http://{host}"),
            _ => format!("https://{host}"),
        }
    }

    /// Whether `host` may be sent a password over plain HTTP, though it is another machine.
    pub(super) fn may_be_plain(&self, host: &str) -> bool {
        self.plain_http.iter().any(|plain| plain == host)
    }

    /// The certificate that Docker trusts for `host`, if there is one.
    pub(super) fn certificate(&self, host: &str) -> Option<PathBuf> {
        let path = self.certificates.as_deref()?.join(Path::new(host)).join("ca.crt");
        path.is_file().then_some(path)
    }

    /// The time between two manifest PUTs to `host`.
    pub(super) fn pace(&self, host: &str) -> Option<Duration> {
        self.manifest_pace.iter().find(|(end, _)| host.ends_with(end.as_str())).map(|(_, pause)| *pause)
    }
}

/// Whether a `host[:port]` is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// HTTP proxies, as curl and Go take them from the environment.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// `HTTP_PROXY`: for plain HTTP.
    pub http: Option<String>,
    /// `HTTPS_PROXY`: for HTTPS.
    pub https: Option<String>,
    /// `NO_PROXY`: hosts, domains and networks that are reached directly. Loopback always is.
    pub none: String,
}

impl Proxies {
    /// The proxies that `variable` (a reader of environment variables) names, in upper or lower case.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            variable(name).or_else(|| variable(&name.to_ascii_lowercase())).filter(|value| !value.is_empty())
        };
        let all = either("ALL_PROXY");
        Self {
            http: either("HTTP_PROXY").or_else(|| all.clone()),
            https: either("HTTPS_PROXY").or(all),
            none: either("NO_PROXY").unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_plain_unless_told() {
        let mut settings = Settings::default();
        for (host, endpoint) in [
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("127.3.2.1", "http://127.3.2.1"),
            ("localhost:5000", "http://localhost:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("localhost.example.com", "https://localhost.example.com"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000"),
            ("docker.io", "https://registry-1.docker.io"),
        ] {
            assert_eq!(settings.endpoint(host), endpoint);
        }
        settings.endpoints.insert("example.com".to_owned(), "http://127.0.0.1:1/".to_owned());
        assert_eq!(settings.endpoint("example.com"), "http://127.0.0.1:1");
    }

    #[test]
    fn a_certificate_makes_loopback_secure() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("127.0.0.1:5000")).unwrap();
        std::fs::write(folder.path().join("127.0.0.1:5000/ca.crt"), "").unwrap();
        let settings = Settings { certificates: Some(folder.path().to_owned()), ..Settings::default() };
        assert_eq!(settings.endpoint("127.0.0.1:5000"), "https://127.0.0.1:5000");
        assert_eq!(settings.endpoint("127.0.0.1:5001"), "http://127.0.0.1:5001");
    }

    #[test]
    fn proxies_come_in_both_cases() {
        let proxies = Proxies::from_variables(|name| match name {
            "https_proxy" => Some("http://proxy:3128".to_owned()),
            "HTTP_PROXY" => Some(String::new()),
            "NO_PROXY" => Some("example.com".to_owned()),
            _ => None,
        });
        assert_eq!(proxies.https.as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxies.http, None);
        assert_eq!(proxies.none, "example.com");
    }
}
