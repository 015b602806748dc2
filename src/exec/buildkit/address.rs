//! Where BuildKit is reached.

use std::fmt;
use std::path::PathBuf;

/// How to reach a BuildKit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Through the docker CLI: `docker buildx dial-stdio` reaches any builder of the user's.
    DialStdio {
        /// The builder's name; the current one of buildx if `None`.
        builder: Option<String>,
    },
    /// A Unix socket of buildkitd.
    Unix(PathBuf),
    /// A TCP port of buildkitd.
    Tcp {
        /// `host:port`.
        host: String,
        /// Plain text if `None`.
        tls: Option<Tls>,
    },
}

/// The files of a TLS connection. All are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities to trust.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate is for, if it is not the host.
    pub server_name: Option<String>,
}

/// A text that is not an address of BuildKit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address of BuildKit: {why}")]
pub struct NotAnAddress {
    text: String,
    why: &'static str,
}

impl Address {
    /// Reads `unix:///run/buildkit/buildkitd.sock`, `tcp://host:1234`, `docker` or `docker://builder`.
    ///
    /// A TCP address takes the options of buildx's remote driver as a query: `?cacert=ca.pem&cert=c.pem&key=k.pem&servername=x`.
    /// One of them is enough to mean TLS.
    ///
    /// # Errors
    ///
    /// If the text has another form.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let wrong = |why| NotAnAddress { text: text.to_owned(), why };
        if text == "docker" {
            return Ok(Self::DialStdio { builder: None });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            wrong("it begins with `unix://`, `tcp://` or `docker://`, or is `docker` for the builder of the docker CLI")
        })?;
        match scheme {
            "docker" => Ok(Self::DialStdio { builder: Some(rest.to_owned()).filter(|name| !name.is_empty()) }),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(wrong("the path of a socket is absolute, as in `unix:///run/buildkit/buildkitd.sock`")),
            "tcp" => {
                let (host, query) = rest.split_once('?').unwrap_or((rest, ""));
                let host = host.trim_end_matches('/');
                let port = host.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                if !matches!(port, Some(Ok(_))) {
                    return Err(wrong("a TCP address has a port, as in `tcp://127.0.0.1:1234`"));
                }
                Ok(Self::Tcp { host: host.to_owned(), tls: tls(query).map_err(wrong)? })
            }
            _ => Err(wrong("the schemes are `unix://`, `tcp://` and `docker://`")),
        }
    }
}

fn tls(query: &str) -> Result<Option<Tls>, &'static str> {
    if query.is_empty() {
        return Ok(None);
    }
    let mut tls = Tls::default();
    let (mut certificate, mut key) = (None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        match &*name {
            "cacert" => tls.ca = Some(value.into()),
            "cert" => certificate = Some(value.into()),
            "key" => key = Some(value.into()),
            "servername" => tls.server_name = Some(value),
            _ => return Err("the options are `cacert`, `cert`, `key` and `servername`"),
        }
    }
    tls.identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("`cert` and `key` go together"),
    };
    Ok(Some(tls))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DialStdio { builder: None } => f.write_str("docker buildx dial-stdio"),
            Self::DialStdio { builder: Some(builder) } => write!(f, "docker buildx dial-stdio --builder {builder}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, .. } => write!(f, "tcp://{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_three_forms() {
        assert_eq!(Address::parse("docker"), Ok(Address::DialStdio { builder: None }));
        assert_eq!(Address::parse("docker://ci"), Ok(Address::DialStdio { builder: Some("ci".to_owned()) }));
        assert_eq!(Address::parse("unix:///run/b.sock"), Ok(Address::Unix("/run/b.sock".into())));
        assert_eq!(Address::parse("tcp://h:1"), Ok(Address::Tcp { host: "h:1".to_owned(), tls: None }));
        let tls = Tls {
            ca: Some("/ca.pem".into()),
            identity: Some(("/c.pem".into(), "/k.pem".into())),
            server_name: Some("b.internal".to_owned()),
        };
        assert_eq!(
            Address::parse("tcp://[::1]:1234?cacert=/ca.pem&cert=/c.pem&key=%2Fk.pem&servername=b.internal"),
            Ok(Address::Tcp { host: "[::1]:1234".to_owned(), tls: Some(tls) })
        );
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in
            ["", "/run/x", "unix://x", "tcp://h", "tcp://h:x", "http://h:1", "tcp://h:1?ca=x", "tcp://h:1?cert=x"]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
