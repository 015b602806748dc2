//! What requests carry: bytes, or a part of a blob that is streamed from where it lies.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::time::Instant;
use tokio_util::io::ReaderStream;

use super::client::Client;
use super::counters::Counters;
use super::error::Error;
use super::name::RepositoryName;
use crate::digest::Digest;
use crate::oci::Descriptor;

/// How much of a file is read at a time.
const BUFFER: usize = 128 * 1024;

/// How many times longer than for a movement is waited for the answer to a whole blob.
const PATIENCE: u32 = 5;

/// A stream of a blob's bytes.
pub(super) type BlobStream = BoxStream<'static, Result<Bytes, Error>>;

/// Where the bytes of a blob are. Nothing is read until it is sent, and a part can be read again.
#[derive(Clone, Debug)]
pub enum BlobSource {
    /// Here.
    Bytes(Bytes),
    /// In a file.
    File(PathBuf),
    /// In a repository of a registry, perhaps of another one.
    Remote(Client, RepositoryName),
}

impl BlobSource {
    /// The bytes `offset..offset + length` of `blob`. A whole blob is verified: the last bytes of one with another digest or
    /// length are never handed out, an error is.
    pub(super) async fn open(&self, blob: &Descriptor, offset: u64, length: u64) -> Result<BlobStream, Error> {
        // At the end of the blob one byte more is looked for: content that is too long is found out by it.
        let end = offset + length;
        let end = if end == blob.size { end + 1 } else { end };
        let stream = match self {
            Self::Bytes(bytes) => {
                let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let part = bytes.slice(position(offset)..position(end));
                futures::stream::once(async move { Ok(part) }).boxed()
            }
            Self::File(path) => {
                let mut file = tokio::fs::File::open(path).await.map_err(|error| Error::file("open", path, error))?;
                file.seek(std::io::SeekFrom::Start(offset)).await.map_err(|error| Error::file("read", path, error))?;
                let path = path.clone();
                ReaderStream::with_capacity(file.take(end - offset), BUFFER)
                    .map(move |chunk| chunk.map_err(|error| Error::file("read", &path, error)))
                    .boxed()
            }
            Self::Remote(client, repository) => client.blob_part(repository, blob, offset, length).into_stream(),
        };
        Ok(Check::new(blob, offset, length).over(stream))
    }
}

/// Counts and hashes what passes.
struct Check {
    subject: String,
    expected: Digest,
    hasher: Option<Sha256>,
    left: u64,
    length: u64,
}

impl Check {
    fn new(blob: &Descriptor, offset: u64, length: u64) -> Self {
        let whole = offset == 0 && length == blob.size;
        let subject = format!("blob {}", blob.digest.short());
        Self { subject, expected: blob.digest, hasher: whole.then(Sha256::new), left: length, length }
    }

    fn pass(&mut self, chunk: &Bytes) -> Result<(), Error> {
        let length = chunk.len() as u64;
        if length > self.left {
            return Err(Error::TooLarge { subject: self.subject.clone(), limit: self.length });
        }
        self.left -= length;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(chunk);
            if self.left == 0 {
                let found = Digest::from_bytes(std::mem::take(hasher).finalize().into());
                return wrong_digest(&self.subject, self.expected, found);
            }
        }
        Ok(())
    }

    /// Only whole chunks that passed are handed out; a stream that ends too early ends with an error.
    fn over(self, stream: BlobStream) -> BlobStream {
        futures::stream::unfold(Some((self, stream)), |state| async {
            let (mut check, mut stream) = state?;
            match stream.next().await {
                Some(Ok(chunk)) => match check.pass(&chunk) {
                    Ok(()) => Some((Ok(chunk), Some((check, stream)))),
                    Err(error) => Some((Err(error), None)),
                },
                Some(Err(error)) => Some((Err(error), None)),
                None if check.left > 0 => {
                    let found = format!("{} of {} bytes", check.length - check.left, check.length);
                    Some((Err(Error::WrongDigest { subject: check.subject, expected: check.expected, found }), None))
                }
                None => None,
            }
        })
        .boxed()
    }
}

/// An error unless the two are equal.
pub(super) fn wrong_digest(subject: &str, expected: Digest, found: Digest) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::WrongDigest { subject: subject.to_owned(), expected, found: found.to_string() })
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Empty,
    Bytes(Bytes),
    Blob { source: BlobSource, blob: Box<Descriptor>, offset: u64, length: u64 },
}

impl Payload {
    pub(super) const fn is_blob(&self) -> bool {
        matches!(self, Self::Blob { .. })
    }

    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob { length, .. } => *length,
        }
    }

    /// The body to be sent; `activity` hears of each piece that was taken.
    pub(super) async fn body(&self, activity: &Activity, counters: &Arc<Counters>) -> Result<reqwest::Body, Error> {
        match self {
            Self::Empty => Ok(reqwest::Body::from("")),
            Self::Bytes(bytes) => Ok(bytes.clone().into()),
            Self::Blob { source, blob, offset, length } => {
                let (activity, counters) = (activity.clone(), Arc::clone(counters));
                let mut left = *length;
                let stream = source.open(blob, *offset, *length).await?.map(move |chunk| match chunk {
                    Ok(chunk) => {
                        left = left.saturating_sub(chunk.len() as u64);
                        activity.moved(left == 0);
                        counters.sent(chunk.len());
                        Ok(chunk)
                    }
                    Err(error) => {
                        let said = std::io::Error::other(error.to_string());
                        activity.broke(error);
                        Err(said)
                    }
                });
                Ok(reqwest::Body::wrap_stream(stream))
            }
        }
    }
}

/// When something of a request last moved, and why its own body broke off, if it did.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<Moves>>);

#[derive(Debug)]
struct Moves {
    last: Instant,
    /// Whether a blob was handed over whole. Some of it is still in the buffers of the system then, and the registry has to store it.
    all: bool,
    broken: Option<Error>,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Moves { last: Instant::now(), all: false, broken: None })))
    }

    fn lock(&self) -> MutexGuard<'_, Moves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self, all: bool) {
        let mut moves = self.lock();
        moves.last = Instant::now();
        moves.all = all;
    }

    fn deadline(&self, idle: Duration) -> Instant {
        let moves = self.lock();
        moves.last + if moves.all { idle * PATIENCE } else { idle }
    }

    fn broke(&self, error: Error) {
        self.lock().broken = Some(error);
    }

    pub(super) fn take_broken(&self) -> Option<Error> {
        self.lock().broken.take()
    }

    /// Waits for `work` as long as something moves at least every `idle`, and [`PATIENCE`] times as long for the answer to a blob; `None` if
    /// nothing does.
    pub(super) async fn watch<T>(&self, idle: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let deadline = self.deadline(idle);
            tokio::select! {
                done = &mut work => return Some(done),
                () = tokio::time::sleep_until(deadline) => {
                    if self.deadline(idle) <= Instant::now() {
                        return None;
                    }
                }
            }
        }
    }
}
