use bytes::Bytes;
use futures::stream::StreamExt;
use reqwest::header::{HeaderValue, RANGE};
use reqwest::{Method, StatusCode};

use super::body::{BlobSource, BlobStream};
use super::call::{Call, Read};
use super::client::{Client, successful};
use super::counters::RequestKind;
use super::error::Error;
use super::name::RepositoryName;
use super::reply::Reply;
use super::retry::{Attempts, Failure};
use crate::oci::Descriptor;

impl Client {
    /// Streams a blob. Its digest and length are verified: the last piece of a wrong one is an error. A connection that breaks is
    /// made anew where it broke off.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, at once or while reading.
    pub async fn get_blob(
        &self,
        repository: &RepositoryName,
        blob: &Descriptor,
    ) -> Result<impl futures::Stream<Item = Result<Bytes, Error>> + Send + Unpin + use<>, Error> {
        BlobSource::Remote(self.clone(), repository.clone()).open(blob, 0, blob.size).await
    }

    /// A part of a blob, not verified.
    pub(super) fn blob_part(&self, repository: &RepositoryName, blob: &Descriptor, offset: u64, length: u64) -> Part {
        Part {
            client: self.clone(),
            repository: repository.clone(),
            blob: blob.clone(),
            position: offset,
            end: offset + length,
            skip: 0,
            reply: None,
            attempts: Attempts::new(),
        }
    }
}

/// A part of a blob that is being read.
pub(super) struct Part {
    client: Client,
    repository: RepositoryName,
    blob: Descriptor,
    position: u64,
    end: u64,
    /// What comes before `position` in the answer of a registry that knows no ranges.
    skip: u64,
    reply: Option<Reply>,
    attempts: Attempts,
}

impl Part {
    pub(super) fn into_stream(self) -> BlobStream {
        futures::stream::unfold(Some(self), |part| async {
            let mut part = part?;
            match part.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(part))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while self.position < self.end {
            match self.piece().await {
                Ok(Some(chunk)) => {
                    self.attempts.progressed();
                    return Ok(Some(chunk));
                }
                // What is missing in the end is for whoever verifies to say.
                Ok(None) => return Ok(None),
                Err(failure) => {
                    self.reply = None;
                    let host = self.client.0.host(&self.repository.host)?;
                    self.attempts.wait(&self.client.0.settings, &host.outage, failure).await?;
                    self.client.0.counters.retry();
                }
            }
        }
        Ok(None)
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        let mut reply = match self.reply.take() {
            Some(reply) => reply,
            None => self.request().await?,
        };
        loop {
            let Some(mut chunk) = reply.chunk().await? else { return Ok(None) };
            self.client.0.counters.received(chunk.len());
            let skipped = self.skip.min(chunk.len() as u64);
            self.skip -= skipped;
            // Bounded by the chunk's own length.
            let _ = chunk.split_to(usize::try_from(skipped).unwrap_or(chunk.len()));
            if let Ok(left) = usize::try_from(self.end - self.position)
                && self.end < self.blob.size
            {
                chunk.truncate(left);
            }
            if !chunk.is_empty() {
                self.position += chunk.len() as u64;
                self.reply = Some(reply);
                return Ok(Some(chunk));
            }
        }
    }

    async fn request(&mut self) -> Result<Reply, Failure> {
        let path = format!("blobs/{}", self.blob.digest);
        let mut call = Call::new(RequestKind::BlobGet, Method::GET, &self.repository, path);
        call.read = Read::Pieces;
        if self.position > 0 || self.end < self.blob.size {
            let range = format!("bytes={}-{}", self.position, self.end - 1);
            call.headers.insert(RANGE, HeaderValue::try_from(range).expect("digits are legal in a header"));
        }
        let reply = self.client.0.send_once(&call).await?;
        if reply.status() == StatusCode::NOT_FOUND {
            let what = format!("blob {}", self.blob.digest);
            return Err(Error::Missing { place: self.repository.to_string(), what }.into());
        }
        let reply = successful(reply)?;
        self.skip = if reply.status() == StatusCode::PARTIAL_CONTENT { 0 } else { self.position };
        Ok(reply)
    }
}
