//! The HTTP clients underneath: proxies, limits of time, no policy.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{NoProxy, Proxy};

use super::error::Error;
use super::settings::Settings;
use super::tls::{self, Trust};

/// How often a silent connection is tried.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A client that follows no redirects and retries nothing: both are decided above it.
pub(super) fn client(host: &str, settings: &Settings, trust: Trust<'_>) -> Result<reqwest::Client, Error> {
    let wrong = |why: String| Error::Setup { host: host.to_owned(), why };
    let mut builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .tcp_nodelay(true)
        // A peer that is gone without a word is found out by the system, even while an answer is waited for.
        .tcp_keepalive(KEEP_ALIVE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(settings.idle_timeout)
        .tls_backend_preconfigured(tls::config(trust).map_err(wrong)?)
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
