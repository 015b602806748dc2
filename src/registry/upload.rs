//! Blobs on their way to a registry.

use std::collections::BTreeSet;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::body::{BlobSource, Payload};
use super::call::{Call, Target};
use super::challenge::Scope;
use super::client::{Client, successful};
use super::counters::RequestKind;
use super::error::Error;
use super::name::RepositoryName;
use super::reply::Reply;
use super::retry::{Attempts, Failure, Heal};
use crate::digest::Digest;
use crate::oci::Descriptor;

/// An upload that a registry has opened.
#[derive(Clone, Debug)]
pub struct Session {
    address: Url,
    /// How much has arrived.
    offset: u64,
    /// The smallest part that the registry takes (`OCI-Chunk-Min-Length`), but for the last.
    smallest: u64,
}

/// What came of the wish to mount a blob.
#[derive(Clone, Debug)]
pub enum Mount {
    /// The blob is there now.
    Mounted,
    /// The registry wants to have it uploaded, and has opened an upload.
    Upload(Session),
    /// The registry wants nothing of the kind.
    Refused,
}

impl Client {
    /// Whether a blob is in a repository. One HEAD.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached.
    pub async fn blob_exists(&self, repository: &RepositoryName, digest: Digest) -> Result<bool, Error> {
        let call = Call::new(RequestKind::BlobHead, Method::HEAD, repository, format!("blobs/{digest}"));
        let reply = self.0.send(&call).await?;
        if reply.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        successful(reply).map(|_| true)
    }

    /// Asks for a blob of the repository `from` (its path, on the same host) to be put into `to` without being sent. One POST.
    ///
    /// # Errors
    /// If the registry cannot be reached. A refusal is no error.
    pub async fn mount_blob(&self, to: &RepositoryName, from: &str, digest: Digest) -> Result<Mount, Error> {
        let source: String = url::form_urlencoded::byte_serialize(from.as_bytes()).collect();
        let path = format!("blobs/uploads/?mount={digest}&from={source}");
        let mut call = Call::new(RequestKind::BlobMount, Method::POST, to, path);
        call.scopes = BTreeSet::from([Scope::push(&to.path), Scope::pull(from)]);
        let reply = match self.0.send(&call).await {
            Ok(reply) => reply,
            // A registry that stumbles over a mount may well take the blob itself.
            Err(Error::Refused { .. }) => return Ok(Mount::Refused),
            Err(error) => return Err(error),
        };
        Ok(match reply.status() {
            StatusCode::CREATED => Mount::Mounted,
            StatusCode::ACCEPTED => Session::of(&reply, 0).map_or(Mount::Refused, Mount::Upload),
            _ => Mount::Refused,
        })
    }

    /// Gives up an upload. What the registry says to that is of no interest.
    pub async fn cancel_upload(&self, repository: &RepositoryName, session: Session) {
        let call = session.call(RequestKind::UploadCancel, Method::DELETE, repository);
        let _ = self.0.send_once(&call).await;
    }

    /// Sends a blob, in a session that is open already (see [`Mount`]) or in a new one. Streams; verifies what it reads and what
    /// the registry says that it stored.
    ///
    /// First the whole blob in one PUT. If that breaks off, the registry is asked how much arrived, and the rest follows in parts of
    /// [`Settings::chunk`](super::Settings::chunk); where the session is lost, a new one begins.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the blob is not what its descriptor says.
    pub async fn upload_blob(
        &self,
        repository: &RepositoryName,
        blob: &Descriptor,
        source: &BlobSource,
        session: Option<Session>,
    ) -> Result<(), Error> {
        Upload { client: self, repository, blob, source, session, parts: false, attempts: Attempts::new() }.run().await
    }
}

impl Session {
    fn of(reply: &Reply, offset: u64) -> Option<Self> {
        let smallest = reply.header("oci-chunk-min-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Self { address: reply.location()?, offset, smallest })
    }

    fn call(&self, kind: RequestKind, method: Method, repository: &RepositoryName) -> Call {
        let mut call = Call::new(kind, method, repository, "blobs/uploads");
        call.target = Target::Url(self.address.clone());
        call.scopes = BTreeSet::from([Scope::push(&repository.path)]);
        call
    }
}

/// One blob's upload until it is done or given up.
struct Upload<'a> {
    client: &'a Client,
    repository: &'a RepositoryName,
    blob: &'a Descriptor,
    source: &'a BlobSource,
    session: Option<Session>,
    /// Whether to send in parts: after the whole did not get through.
    parts: bool,
    attempts: Attempts,
}

impl Upload<'_> {
    async fn run(mut self) -> Result<(), Error> {
        let host = self.client.0.host(&self.repository.host)?;
        loop {
            let session = match self.session.take() {
                Some(session) => session,
                None => self.start().await?,
            };
            match self.advance(session).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err((session, failure)) => {
                    self.attempts.wait(&self.client.0.settings, &host.outage, failure).await?;
                    self.client.0.counters.retry();
                    // What broke may have been the answer alone.
                    if self.client.blob_exists(self.repository, self.blob.digest).await? {
                        return Ok(());
                    }
                    self.parts = self.blob.size > self.client.0.settings.chunk;
                    self.session = self.resumed(session).await;
                }
            }
        }
    }

    async fn start(&self) -> Result<Session, Error> {
        let mut call = Call::new(RequestKind::UploadStart, Method::POST, self.repository, "blobs/uploads/");
        call.scopes = BTreeSet::from([Scope::push(&self.repository.path)]);
        let reply = successful(self.client.0.send(&call).await?)?;
        Session::of(&reply, 0).ok_or_else(|| reply.nonsense("an upload was opened without a sound `Location`"))
    }

    /// Sends the next part, or all that is left; `true` when the registry has the blob. With a failure comes the session, if there is
    /// hope for it.
    async fn advance(&mut self, session: Session) -> Result<bool, (Option<Session>, Failure)> {
        let left = self.blob.size - session.offset;
        let part = self.client.0.settings.chunk.max(session.smallest).max(1);
        let last = !self.parts || left <= part;
        let (kind, method, length) = if last {
            (RequestKind::UploadFinish, Method::PUT, left)
        } else {
            (RequestKind::UploadChunk, Method::PATCH, part)
        };
        let mut call = session.call(kind, method, self.repository);
        if last && let Target::Url(url) = &mut call.target {
            url.query_pairs_mut().append_pair("digest", &self.blob.digest.to_string());
        }
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if session.offset > 0 || !last {
            let range = format!("{}-{}", session.offset, (session.offset + length).saturating_sub(1));
            // The end of an upload that lacks nothing carries no bytes and so no range.
            if length > 0 {
                call.headers.insert(CONTENT_RANGE, HeaderValue::try_from(range).expect("digits are legal in a header"));
            }
        }
        call.payload = Payload::Blob {
            source: self.source.clone(),
            blob: Box::new(self.blob.clone()),
            offset: session.offset,
            length,
        };
        let reply = match self.client.0.send_once(&call).await {
            Ok(reply) => reply,
            Err(failure) => return Err((Some(session), failure)),
        };
        if last && reply.status().is_success() {
            return self.stored(&reply).map(|()| true).map_err(|error| (None, error.into()));
        }
        match reply.status().as_u16() {
            200..=299 => {
                self.attempts.progressed();
                let arrived = arrived(&reply).unwrap_or(session.offset + length).min(self.blob.size);
                let smallest = session.smallest;
                let next = Session::of(&reply, arrived).unwrap_or(Session { offset: arrived, ..session });
                self.session = Some(Session { smallest: next.smallest.max(smallest), ..next });
                Ok(false)
            }
            // The session stands elsewhere than we thought.
            416 => Err((Some(session), Failure { error: reply.refused(), heal: Heal::Attempts })),
            // It is gone; or what went on after a break was damaged by it. Both are begun anew, a few times.
            404 => Err((None, Failure { error: reply.refused(), heal: Heal::Attempts })),
            400 if session.offset > 0 => Err((None, Failure { error: reply.refused(), heal: Heal::Attempts })),
            _ => Err((None, reply.refused().into())),
        }
    }

    fn stored(&self, reply: &Reply) -> Result<(), Error> {
        match reply.header("docker-content-digest") {
            Some(told) if told != self.blob.digest.to_string() => Err(Error::WrongDigest {
                subject: format!("the blob that {} stored", self.repository),
                expected: self.blob.digest,
                found: told.chars().take(80).collect(),
            }),
            _ => Ok(()),
        }
    }

    /// The same session with what has arrived, if the registry still knows it.
    async fn resumed(&mut self, session: Option<Session>) -> Option<Session> {
        let session = session?;
        let call = session.call(RequestKind::UploadStatus, Method::GET, self.repository);
        let reply = self.client.0.send_once(&call).await.ok().filter(|reply| reply.status().is_success())?;
        let offset = arrived(&reply)?;
        if offset > session.offset {
            self.attempts.progressed();
        }
        let next = Session::of(&reply, offset).unwrap_or(Session { offset, ..session });
        (offset <= self.blob.size).then_some(next)
    }
}

/// How many bytes of an upload have arrived: `Range: 0-<last>`. An empty upload says `0-0` too, and so does one of a single byte;
/// the byte is sent again.
fn arrived(reply: &Reply) -> Option<u64> {
    let (first, last) = reply.header("range")?.trim().trim_start_matches("bytes=").split_once('-')?;
    let last: u64 = last.parse().ok()?;
    (first == "0").then_some(if last == 0 { 0 } else { last + 1 })
}
