use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use url::Url;

use super::call::{Call, Read, SMALL};
use super::error::{Answer, Error};
use super::retry::{Failure, Heal};

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
    /// Takes the answer in, with its body as the call wants it.
    pub(super) async fn read(
        call: &Call,
        url: Url,
        response: reqwest::Response,
        idle: Duration,
    ) -> Result<Self, Failure> {
        let good = response.status().is_success();
        let mut reply = Self {
            status: response.status(),
            headers: response.headers().clone(),
            call: call.clone(),
            response,
            body: Bytes::new(),
            url,
            idle,
        };
        let limit = match call.read {
            _ if call.method == Method::HEAD => return Ok(reply),
            Read::Pieces if good => return Ok(reply),
            Read::Whole(limit) if good => limit,
            Read::Pieces | Read::Whole(_) => SMALL,
        };
        let mut body = BytesMut::new();
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
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
    }
}

pub(super) fn idle(call: &Call, limit: Duration) -> Failure {
    unreachable(call, format!("nothing moved for {} s", limit.as_secs_f32()))
}

pub(super) fn unreachable(call: &Call, reason: String) -> Failure {
    let request = Box::new(call.request());
    Failure {
        error: Error::Unreachable { request, reason, attempts: 1, elapsed: Duration::ZERO },
        heal: Heal::Time(None),
    }
}

/// A connection that could not be made, or broke. A certificate that is not trusted will not be trusted the next time.
pub(super) fn broken(call: &Call, error: &reqwest::Error) -> Failure {
    let mut reasons: Vec<String> = Vec::new();
    let mut untrusted = false;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = cause {
        untrusted |= is_tls(error);
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

/// Whether TLS itself failed: perhaps inside of I/O errors, which do not show what they wrap as their source.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || wrapped.is_some_and(|wrapped| is_tls(wrapped))
}
