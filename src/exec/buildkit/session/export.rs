//! The store `export` of containerd's content API: BuildKit writes its result into it, blob by blob, and sends no blob that it is told
//! is there.
//!
//! Source: containerd, `api/services/content/v1/content.proto`, `core/content/helpers.go` and `core/content/proxy/content_writer.go`.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming};

use super::Failure;
use super::content::store_id;
use crate::digest::Digest;
use crate::exec::buildkit::error::BuildError;
use crate::exec::buildkit::wire::{WriteAction, WriteBlobRequest, WriteBlobResponse};
use crate::oci::Descriptor;
use crate::registry::{self, ContentStore, Lent};

/// The name that BuildKit's exporter gives the store.
const EXPORT: &str = "export";

/// Pieces of a blob that wait to be written.
const PIECES: usize = 2;

/// Who writes which blob of which folder: builds that run side by side share layers, and the second waits for the first.
#[derive(Clone, Default)]
pub(in crate::exec::buildkit) struct Writers(Arc<Mutex<Turns>>);

/// Whose turn it is: who holds it writes.
type Turn = tokio::sync::Mutex<()>;

type Turns = HashMap<(PathBuf, Digest), Weak<Turn>>;

impl Writers {
    async fn turn(&self, store: &ContentStore, digest: Digest) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let place = turns.entry((store.root().to_owned(), digest)).or_default();
            place.upgrade().unwrap_or_else(|| {
                let turn = Arc::default();
                *place = Arc::downgrade(&turn);
                turn
            })
        };
        turn.lock_owned().await
    }
}

/// Takes the result of one build.
#[derive(Clone)]
pub(in crate::exec::buildkit) struct Export {
    store: ContentStore,
    lent: Lent,
    writers: Writers,
    received: Arc<AtomicU64>,
    failure: Failure,
}

type Answer = Result<WriteBlobResponse, Status>;

impl Export {
    pub(super) fn new(
        store: ContentStore,
        lent: Lent,
        writers: Writers,
        received: Arc<AtomicU64>,
        failure: Failure,
    ) -> Self {
        Self { store, lent, writers, received, failure }
    }

    #[cfg(test)]
    pub(super) fn into_store(root: impl Into<PathBuf>) -> Self {
        let store = ContentStore::new(root);
        Self::new(store, Lent::default(), Writers::default(), Arc::default(), Failure::default())
    }

    /// One write: BuildKit asks first (`STAT`), and gets an error if the blob is there already.
    pub(super) async fn write(
        self,
        request: Request<Streaming<WriteBlobRequest>>,
    ) -> Result<Response<ReceiverStream<Answer>>, Status> {
        let id = store_id(request.metadata());
        if id != EXPORT {
            return Err(Status::permission_denied(format!("the store `{id}` is read only")));
        }
        let mut messages = request.into_inner();
        let first = messages.message().await?.ok_or_else(|| Status::invalid_argument("nothing is to be written"))?;
        let digest: Digest = first
            .expected
            .parse()
            .map_err(|_| Status::invalid_argument(format!("`{}` is not the digest of a blob", first.expected)))?;
        self.wanted(&digest)?;
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                // BuildKit has gone away; what is half written goes with the task.
                () = answers.closed() => {}
                done = self.receive(digest, first, messages, &answers) => if let Err(status) = done {
                    // If nobody hears it, the build is over anyway.
                    let _ = answers.send(Err(status)).await;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    fn wanted(&self, digest: &Digest) -> Result<(), Status> {
        match self.lent.get(digest).is_some() || self.store.contains(digest) {
            true => Err(Status::already_exists(digest.to_string())),
            false => Ok(()),
        }
    }

    async fn receive(
        &self,
        digest: Digest,
        first: WriteBlobRequest,
        mut messages: Streaming<WriteBlobRequest>,
        answers: &mpsc::Sender<Answer>,
    ) -> Result<(), Status> {
        let _turn = self.writers.turn(&self.store, digest).await;
        // Another build may have written it meanwhile.
        self.wanted(&digest)?;
        let mut total = first.total;
        let mut blob = Incoming::new(self, digest, total);
        let mut next = Some(first);
        while let Some(message) = next {
            let action = WriteAction::try_from(message.action)
                .map_err(|_| Status::invalid_argument(format!("no action {}", message.action)))?;
            if message.total > 0 {
                total = message.total;
            }
            if !message.expected.is_empty() && message.expected != digest.to_string() {
                return Err(Status::invalid_argument(format!(
                    "the write of {digest} became one of {}",
                    message.expected
                )));
            }
            if action != WriteAction::Stat {
                if message.offset == 0 && blob.length > 0 {
                    blob = Incoming::new(self, digest, total);
                }
                if u64::try_from(message.offset).ok() != Some(blob.length) {
                    return Err(Status::out_of_range(format!("{} bytes of {digest} are written", blob.length)));
                }
                self.received.fetch_add(message.data.len() as u64, Ordering::Relaxed);
                blob.add(message.data).await?;
            }
            let length = blob.length.cast_signed();
            let zero = Some(prost_types::Timestamp::default());
            let mut answer = WriteBlobResponse { offset: length, total, ..WriteBlobResponse::default() };
            (answer.action, answer.started_at, answer.updated_at) = (message.action, zero, zero);
            if action == WriteAction::Commit {
                if total > 0 && total != length {
                    let why = format!("the blob {digest} of its result has {length} bytes and not {total}");
                    return Err(self.failure.set(BuildError::protocol(why)));
                }
                blob.finish().await?;
                answer.digest = digest.to_string();
                // That BuildKit does not wait for it is no error.
                let _ = answers.send(Ok(answer)).await;
                return Ok(());
            }
            if answers.send(Ok(answer)).await.is_err() {
                return Ok(());
            }
            next = messages.message().await?;
        }
        Ok(())
    }
}

/// A blob on its way into the store. Dropped before its end, it leaves nothing.
struct Incoming {
    digest: Digest,
    length: u64,
    pieces: Option<mpsc::Sender<Result<Bytes, registry::Error>>>,
    saving: AbortOnDropHandle<Result<(), registry::Error>>,
    path: PathBuf,
    failure: Failure,
}

impl Incoming {
    fn new(export: &Export, digest: Digest, total: i64) -> Self {
        let (pieces, stream) = mpsc::channel(PIECES);
        let store = export.store.clone();
        let blob = Descriptor::new("application/octet-stream", digest, u64::try_from(total).unwrap_or(0));
        let path = store.path(&digest);
        let saving = tokio::spawn(async move { store.save(&blob, ReceiverStream::new(stream)).await });
        let (saving, pieces) = (AbortOnDropHandle::new(saving), Some(pieces));
        Self { digest, length: 0, pieces, saving, path, failure: export.failure.clone() }
    }

    async fn add(&mut self, piece: Bytes) -> Result<(), Status> {
        self.length += piece.len() as u64;
        match &self.pieces {
            Some(pieces) if !piece.is_empty() && pieces.send(Ok(piece)).await.is_err() => self.finish().await,
            _ => Ok(()),
        }
    }

    /// Waits until the blob is in the store, checked.
    async fn finish(&mut self) -> Result<(), Status> {
        self.pieces = None;
        let source = match (&mut self.saving).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(registry::Error::WrongDigest { found, .. })) => {
                let why = format!("the blob {} of its result has the digest {found}", self.digest);
                return Err(self.failure.set(BuildError::protocol(why)));
            }
            Ok(Err(error)) => io::Error::other(error),
            Err(error) => io::Error::other(error),
        };
        Err(self.failure.set(BuildError::Store { path: self.path.clone(), source }))
    }
}
