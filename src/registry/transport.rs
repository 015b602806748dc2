//! Sends requests. All policy is here, once: authentication, redirects, retries, pauses, time limits, concurrency, counting.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::auth::Authorizer;
use super::body::{Activity, Payload};
use super::challenge::Scope;
use super::counters::{Counters, RequestKind};
use super::credentials::Credentials;
use super::error::{Answer, Error, Request};
use super::http::{Trust, client};
use super::name::RepositoryName;
use super::presence::Presence;
use super::retry::{Attempts, Failure, Heal, Outage};
use super::settings::Settings;

/// How much of an answer is read where nothing of interest is in it, or an error.
const SMALL: usize = 64 * 1024;
/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// One request, before authentication.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: RequestKind,
    pub(super) method: Method,
    pub(super) repository: RepositoryName,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) scopes: BTreeSet<Scope>,
    /// Sent instead of what the registry's challenge asks for: for the token service itself.
    pub(super) authorization: Option<HeaderValue>,
    /// How the answer is read.
    pub(super) read: Read,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Below `/v2/<repository>/` of the registry.
    Path(String),
    /// Where the registry said.
    Url(Url),
}

/// How the body of a good answer is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// At once, up to so many bytes.
    Whole(usize),
    /// By the caller, piece by piece.
    Pieces,
}

impl Call {
    pub(super) fn new(kind: RequestKind, method: Method, repository: &RepositoryName, path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            kind,
            method,
            repository: repository.clone(),
            target: Target::Path(path),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            scopes: BTreeSet::from([Scope::pull(&repository.path)]),
            authorization: None,
            read: Read::Whole(SMALL),
        }
    }

    pub(super) fn request(&self) -> Request {
        let what = match &self.target {
            Target::Path(path) => path.split('?').next().unwrap_or_default().to_owned(),
            Target::Url(_) if self.kind == RequestKind::Token => "token".to_owned(),
            Target::Url(_) => "blobs/uploads".to_owned(),
        };
        Request { kind: self.kind, method: self.method.to_string(), repository: self.repository.clone(), what }
    }
}

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
    /// Whether blobs may be mounted; false once one that was there for certain was not.
    pub(super) mounts: AtomicBool,
}

/// Everything that requests need.
pub(super) struct Transport {
    pub(super) settings: Settings,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) counters: Arc<Counters>,
    pub(super) presence: Presence,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    clients: Mutex<HashMap<String, reqwest::Client>>,
    plain: OnceLock<reqwest::Client>,
    secure: OnceLock<reqwest::Client>,
}

impl Transport {
    pub(super) fn new(settings: Settings, credentials: Arc<dyn Credentials>) -> Self {
        Self {
            settings,
            credentials,
            counters: Arc::default(),
            presence: Presence::default(),
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
            mounts: AtomicBool::new(true),
        });
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }

    /// The HTTP client for an address: its own if Docker knows a certificate for it, else shared.
    fn http(&self, url: &Url) -> Result<reqwest::Client, Error> {
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

    /// Sends once, or twice if the registry wants to know who we are.
    pub(super) async fn send_once(&self, call: &Call) -> Result<Reply, Failure> {
        let host = self.host(&call.repository.host)?;
        if call.kind == RequestKind::Token {
            return self.attempt(&host, call, call.authorization.as_ref()).await;
        }
        let _gate = if host.contacted.load(Relaxed) { None } else { Some(host.gate.lock().await) };
        let used = host.authorizer.header(self, call).await?;
        let reply = self.attempt(&host, call, used.as_ref()).await?;
        host.contacted.store(true, Relaxed);
        if !matches!(reply.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(reply);
        }
        host.authorizer.refused(self, call, (reply.headers(), used.as_ref())).await?;
        if reply.status() == StatusCode::FORBIDDEN && used.is_none() {
            return Ok(reply);
        }
        let header = host.authorizer.header(self, call).await?;
        if header == used {
            return Ok(reply);
        }
        self.attempt(&host, call, header.as_ref()).await
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
                return self.read(call, (url, response)).await;
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
        let mut request = self.http(url)?.request(call.method.clone(), url.clone()).headers(headers);
        if !matches!(call.method, Method::GET | Method::HEAD) {
            request = request.header(CONTENT_LENGTH, call.payload.length());
            request = request.body(call.payload.body(&activity, &self.counters).await?);
        }
        self.counters.request(call.kind);
        match activity.watch(self.settings.idle_timeout, request.send()).await {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => match activity.take_broken() {
                Some(error) => Err(Failure::never(error)),
                None => Err(broken(call, &error)),
            },
            None => Err(idle(call, self.settings.idle_timeout)),
        }
    }

    async fn read(&self, call: &Call, (url, response): (Url, reqwest::Response)) -> Result<Reply, Failure> {
        let good = response.status().is_success();
        let mut reply = Reply {
            status: response.status(),
            headers: response.headers().clone(),
            call: call.clone(),
            response,
            body: Bytes::new(),
            url,
            idle: self.settings.idle_timeout,
        };
        let limit = match call.read {
            Read::Pieces if good => return Ok(reply),
            Read::Whole(limit) if good => limit,
            Read::Pieces | Read::Whole(_) => SMALL,
        };
        let mut body = BytesMut::new();
        if call.method == Method::HEAD {
            return Ok(reply);
        }
        loop {
            match reply.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Ok(Some(_)) if good => {
                    let subject = call.request().to_string();
                    return Err(Error::TooLarge { subject, limit: limit as u64 }.into());
                }
                // What cannot be read of an error's explanation is not missed.
                Ok(Some(_)) => break,
                Err(_) if !good => break,
                Err(failure) => return Err(failure),
            }
        }
        reply.body = body.freeze();
        Ok(reply)
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

/// An answer. Small bodies are read already.
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    call: Call,
    response: reqwest::Response,
    body: Bytes,
    url: Url,
    idle: Duration,
}

impl Reply {
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The address that answered, after redirects.
    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, if the call asked for it whole or the status is an error.
    pub(super) const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The next piece of a body that the call did not ask for whole.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match tokio::time::timeout(self.idle, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(broken(&self.call, &error)),
            Err(_) => Err(idle(&self.call, self.idle)),
        }
    }

    pub(super) fn answer(&self) -> Answer {
        Answer::new(self.status, &self.headers, &self.body)
    }

    pub(super) fn refused(&self) -> Error {
        Error::Refused { request: Box::new(self.call.request()), answer: Box::new(self.answer()) }
    }

    pub(super) fn nonsense(&self, why: impl Into<String>) -> Error {
        Error::Nonsense { request: Box::new(self.call.request()), why: why.into() }
    }

    /// Where the registry says that an upload goes on. A registry behind a proxy may not know that it is reached by HTTPS.
    pub(super) fn location(&self) -> Option<Url> {
        let mut url = self.url.join(self.header("location")?).ok()?;
        if self.url.scheme() == "https" && url.scheme() == "http" && url.host() == self.url.host() {
            url.set_scheme("https").ok()?;
            url.set_port(self.url.port()).ok()?;
        }
        matches!(url.scheme(), "http" | "https").then_some(url)
    }

    /// `Retry-After` in seconds; its other form, a date, is rare and taken for absent.
    fn retry_after(&self) -> Option<Duration> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
    }
}

fn idle(call: &Call, limit: Duration) -> Failure {
    unreachable(call, format!("nothing moved for {} s", limit.as_secs_f32()))
}

fn unreachable(call: &Call, reason: String) -> Failure {
    let request = Box::new(call.request());
    Failure {
        error: Error::Unreachable { request, reason, attempts: 1, elapsed: Duration::ZERO },
        heal: Heal::Time(None),
    }
}

/// A connection that could not be made, or broke. A certificate that is not trusted will not be trusted the next time.
fn broken(call: &Call, error: &reqwest::Error) -> Failure {
    let mut reasons: Vec<String> = Vec::new();
    let mut untrusted = false;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        untrusted |=
            error.is::<rustls::Error>() || inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
        let text = error.to_string();
        if reasons.last() != Some(&text) {
            reasons.push(text);
        }
        cause = error.source();
    }
    let reason = match reasons.pop() {
        Some(last) if error.is_connect() => format!("cannot connect: {last}"),
        Some(last) => format!("the connection broke: {last}"),
        None => "the connection broke".to_owned(),
    };
    let failure = unreachable(call, reason);
    if untrusted { Failure { heal: Heal::Never, ..failure } } else { failure }
}
