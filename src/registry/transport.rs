//! Sends requests. All policy is here, once: authentication, redirects, retries, pauses, time limits, concurrency, counting.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::auth::Authorizer;
use super::body::Activity;
use super::call::{Call, Target};
use super::control::Control;
use super::counters::{Counters, RequestKind};
use super::credentials::Credentials;
use super::error::Error;
use super::http::client;
use super::presence::{Manifests, Presence};
use super::reply::{Reply, broken, idle, unreachable};
use super::retry::{Attempts, Failure, GivenUp, Heal, Outage};
use super::settings::Settings;
use super::tls::Trust;

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// One host and what we have learnt about it.
pub(super) struct Host {
    name: String,
    base: Url,
    permits: Semaphore,
    next_manifest: Mutex<Instant>,
    /// Only one request at a time until the first answer: it tells all others how to authenticate.
    gate: tokio::sync::Mutex<()>,
    contacted: AtomicBool,
    authorizer: Authorizer,
    pub(super) outage: Outage,
    /// Whether there is a referrers API: 0 unknown, 1 no, 2 yes.
    pub(super) referrers: AtomicU8,
    /// How far its clock is ahead of ours, in seconds, as its last answer said.
    pub(super) ahead: AtomicI64,
    /// Whether blobs may be mounted; false once one that was there for certain was not.
    pub(super) mounts: AtomicBool,
}

/// Everything that requests need.
pub(super) struct Transport {
    pub(super) settings: Settings,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) counters: Arc<Counters>,
    pub(super) presence: Presence,
    /// The clouds' own APIs, by host.
    pub(super) controls: BTreeMap<String, Arc<dyn Control>>,
    pub(super) manifests: Manifests,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    clients: Mutex<HashMap<String, reqwest::Client>>,
    plain: OnceLock<reqwest::Client>,
    secure: OnceLock<reqwest::Client>,
}

/// Now by the clock of this machine, in seconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The seconds since 1970 of a `Date` header.
fn seconds_of(date: &str) -> Option<i64> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(date);
    parsed.ok().map(jiff::Timestamp::as_second)
}

impl Transport {
    pub(super) fn new(
        settings: Settings,
        credentials: Arc<dyn Credentials>,
        controls: BTreeMap<String, Arc<dyn Control>>,
    ) -> Self {
        Self {
            controls,
            settings,
            credentials,
            counters: Arc::default(),
            presence: Presence::default(),
            manifests: Manifests::default(),
            hosts: Mutex::default(),
            clients: Mutex::default(),
            plain: OnceLock::new(),
            secure: OnceLock::new(),
        }
    }

    pub(super) fn host(&self, name: &str) -> Result<Arc<Host>, Error> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let endpoint = self.settings.endpoint(name);
        let base = Url::parse(&format!("{endpoint}/"))
            .map_err(|error| Error::Setup { host: name.to_owned(), why: format!("`{endpoint}` is no URL: {error}") })?;
        let host = Arc::new(Host {
            name: name.to_owned(),
            base,
            permits: Semaphore::new(self.settings.concurrency.max(1)),
            next_manifest: Mutex::new(Instant::now()),
            gate: tokio::sync::Mutex::default(),
            contacted: AtomicBool::new(false),
            authorizer: Authorizer::default(),
            outage: Outage::default(),
            referrers: AtomicU8::new(0),
            ahead: AtomicI64::new(0),
            mounts: AtomicBool::new(true),
        });
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }

    /// The HTTP client for an address: its own if Docker knows a certificate for it, else shared.
    pub(super) fn http(&self, url: &Url) -> Result<reqwest::Client, Error> {
        let name = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let shared = |slot: &OnceLock<reqwest::Client>, trust| match slot.get() {
            Some(client) => Ok(client.clone()),
            None => client(name, &self.settings, trust).map(|made| slot.get_or_init(|| made).clone()),
        };
        if url.scheme() != "https" {
            return shared(&self.plain, Trust::Nobody);
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(name) {
            return Ok(client.clone());
        }
        let client = match self.settings.certificate(name) {
            Some(path) => client(name, &self.settings, Trust::Machine(Some(&path)))?,
            None => shared(&self.secure, Trust::Machine(None))?,
        };
        clients.insert(name.to_owned(), client.clone());
        Ok(client)
    }

    /// Sends until there is an answer that a repetition would not change.
    ///
    /// # Errors
    /// If the registry is not to be reached, or stays in trouble, for as long as the settings allow.
    pub(super) async fn send(&self, call: &Call) -> Result<Reply, Error> {
        let host = self.host(&call.repository.host)?;
        let mut attempts = Attempts::new();
        loop {
            match self.send_once(call).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => attempts.wait(&self.settings, &host.outage, failure).await?,
            }
            self.counters.retry();
        }
    }

    /// Sends once, and again if the registry wants to know who we are, and again if it no longer believes that.
    pub(super) async fn send_once(&self, call: &Call) -> Result<Reply, Failure> {
        let host = self.host(&call.repository.host)?;
        if call.kind == RequestKind::Token {
            return self.attempt(&host, call, call.authorization.as_ref()).await;
        }
        let _gate = if host.contacted.load(Relaxed) { None } else { Some(host.gate.lock().await) };
        if let Some(GivenUp { reason, attempts, elapsed, .. }) = host.outage.given_up() {
            let request = Box::new(call.request());
            return Err(Error::Unreachable { request, reason, attempts, elapsed }.into());
        }
        let mut refused = false;
        let mut used = host.authorizer.header(self, call).await?;
        loop {
            let reply = self.attempt(&host, call, used.as_ref()).await?;
            host.contacted.store(true, Relaxed);
            if let Some(clock) = reply.header("date").and_then(seconds_of) {
                host.ahead.store(clock.saturating_sub(now()), Relaxed);
            }
            let strange = match reply.status() {
                StatusCode::UNAUTHORIZED => true,
                // ECR says this of a login that has expired. Of nobody, it says what it means.
                StatusCode::FORBIDDEN => used.is_some(),
                _ => false,
            };
            if !strange || refused {
                return Ok(reply);
            }
            host.authorizer.refused(self, call, (reply.headers(), used.as_ref())).await?;
            let next = host.authorizer.header(self, call).await?;
            if next == used {
                return Ok(reply);
            }
            // To be asked who we are is no refusal yet.
            refused = used.is_some();
            used = next;
        }
    }

    async fn attempt(&self, host: &Host, call: &Call, auth: Option<&HeaderValue>) -> Result<Reply, Failure> {
        let _permit = host.permits.acquire().await.expect("the semaphore is never closed");
        self.keep_pace(host, call).await;
        let whole = if call.payload.is_blob() { self.settings.blob_timeout } else { self.settings.request_timeout };
        let exchange = tokio::time::timeout(whole, self.exchange(host, call, auth)).await;
        let reply = match exchange {
            Ok(reply) => reply?,
            Err(_) => return Err(unreachable(call, format!("not done within {} s", whole.as_secs()))),
        };
        host.outage.answered();
        let heal = match reply.status().as_u16() {
            429 | 502 | 503 | 504 => Heal::Time(reply.retry_after()),
            408 | 500 => Heal::Attempts,
            _ => {
                host.outage.over();
                return Ok(reply);
            }
        };
        Err(Failure { error: reply.refused(), heal })
    }

    /// One request and, for reading, the redirects that it meets.
    async fn exchange(&self, host: &Host, call: &Call, auth: Option<&HeaderValue>) -> Result<Reply, Failure> {
        let nonsense =
            |why: &str| Failure::from(Error::Nonsense { request: Box::new(call.request()), why: why.to_owned() });
        let mut url = match &call.target {
            Target::Url(url) => url.clone(),
            Target::Path(path) => host
                .base
                .join(&format!("v2/{}/{path}", call.repository.path))
                .map_err(|_| nonsense("the repository's name makes no URL"))?,
        };
        // Credentials go to the registry itself, or to its token service, and nowhere that either sends us to.
        let trusted = if call.kind == RequestKind::Token { url.origin() } else { host.base.origin() };
        for _ in 0..=REDIRECTS {
            let mut headers = call.headers.clone();
            if let Some(auth) = auth.filter(|_| url.origin() == trusted) {
                headers.insert(AUTHORIZATION, auth.clone());
            }
            let response = self.one(call, &url, headers).await?;
            let follow = response.status().is_redirection() && matches!(call.method, Method::GET | Method::HEAD);
            if !follow {
                return Reply::read(call, url, response, self.settings.idle_timeout).await;
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| nonsense("a redirect without a sound `Location`"))?;
            let downgraded = url.scheme() == "https" && next.scheme() != "https";
            if downgraded || !matches!(next.scheme(), "http" | "https") {
                return Err(nonsense("a redirect from HTTPS to something less secure"));
            }
            url = next;
        }
        Err(nonsense("too many redirects"))
    }

    async fn one(&self, call: &Call, url: &Url, headers: HeaderMap) -> Result<reqwest::Response, Failure> {
        let activity = Activity::new();
        let asks = matches!(call.method, Method::GET | Method::HEAD);
        let patience = match asks {
            true => self.settings.idle_timeout.min(self.settings.answer_timeout),
            false => self.settings.idle_timeout,
        };
        let mut request = self.http(url)?.request(call.method.clone(), url.clone()).headers(headers);
        if !asks {
            request = request.header(CONTENT_LENGTH, call.payload.length());
            request = request.body(call.payload.body(&activity, &self.counters).await?);
        }
        self.counters.request(call.kind);
        match activity.watch(patience, request.send()).await {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => match activity.take_broken() {
                Some(error) => Err(Failure::never(error)),
                None => Err(broken(call, &error)),
            },
            None => Err(idle(call, patience)),
        }
    }

    /// Waits for this request's turn where a registry takes only so many manifests a second.
    async fn keep_pace(&self, host: &Host, call: &Call) {
        let pace = self.settings.pace(&host.name).filter(|_| call.kind == RequestKind::ManifestPut);
        if let Some(pause) = pace {
            let turn = {
                let mut next = host.next_manifest.lock().unwrap_or_else(PoisonError::into_inner);
                let turn = (*next).max(Instant::now());
                *next = turn + pause;
                turn
            };
            tokio::time::sleep_until(turn).await;
        }
    }
}
