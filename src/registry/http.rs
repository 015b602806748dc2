//! The HTTP clients underneath: TLS with the roots of this machine, proxies, HTTP/2 where a server offers it.

use std::path::Path;
use std::sync::Arc;

use reqwest::redirect::Policy;
use reqwest::{NoProxy, Proxy};
use rustls::{ClientConfig, RootCertStore};

use super::error::Error;
use super::settings::Settings;

/// Which certificates a client trusts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trust<'a> {
    /// None: for plain HTTP alone. (Reading this machine's roots takes milliseconds that most local runs do not need.)
    Nobody,
    /// This machine's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are respected), and one file more.
    Machine(Option<&'a Path>),
}

/// A client that follows no redirects and retries nothing: both are decided above it.
pub(super) fn client(host: &str, settings: &Settings, trust: Trust<'_>) -> Result<reqwest::Client, Error> {
    let wrong = |why: String| Error::Setup { host: host.to_owned(), why };
    let mut builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .tcp_nodelay(true)
        .tls_backend_preconfigured(tls(trust).map_err(wrong)?)
        .no_proxy();
    // Loopback is never asked of a proxy, as in Go's and so Docker's rule.
    let direct = format!("localhost,127.0.0.0/8,::1,{}", settings.proxies.none);
    let proxies =
        [settings.proxies.http.as_deref().map(Proxy::http), settings.proxies.https.as_deref().map(Proxy::https)];
    for proxy in proxies.into_iter().flatten() {
        // A proxy's address may hold a password: the cause is not printed.
        let proxy = proxy.map_err(|_| wrong("HTTP_PROXY or HTTPS_PROXY is not the address of a proxy".to_owned()))?;
        builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&direct)));
    }
    builder.build().map_err(|error| wrong(error.to_string()))
}

fn tls(trust: Trust<'_>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if let Trust::Machine(more) = trust {
        // A machine may well have one unreadable certificate among hundreds, or none at all and a private one.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = more {
            let loaded = rustls_native_certs::load_certs_from_paths(Some(path), None);
            if loaded.certs.is_empty() {
                let why = loaded.errors.first().map_or_else(|| "no certificate in it".to_owned(), ToString::to_string);
                return Err(format!("cannot read the certificates of `{}`: {why}", path.display()));
            }
            roots.add_parsable_certificates(loaded.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
