//! The result of a build as one archive, from a BuildKit that cannot write it blob by blob.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::FileSend;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Failure;
use crate::exec::buildkit::error::BuildError;
use crate::exec::buildkit::ingest;
use crate::registry::ContentStore;

/// Unpacks the result into a store.
pub(super) struct Receiver {
    store: ContentStore,
    index: Arc<Mutex<Option<Vec<u8>>>>,
    received: Arc<AtomicU64>,
    failure: Failure,
}

impl Receiver {
    pub(super) fn new(
        store: ContentStore,
        index: Arc<Mutex<Option<Vec<u8>>>>,
        received: Arc<AtomicU64>,
        failure: Failure,
    ) -> Self {
        Self { store, index, received, failure }
    }
}

#[tonic::async_trait]
impl FileSend for Receiver {
    type DiffCopyStream = ReceiverStream<Result<BytesMessage, Status>>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        // BuildKit takes the end of our answers for the acknowledgement, so the sender lives until all is stored.
        let (answers, stream) = mpsc::channel(1);
        let (pieces, reader) = mpsc::channel(4);
        let (index, failure, store) = (self.index.clone(), self.failure.clone(), self.store.clone());
        tokio::spawn(receive(request.into_inner(), pieces, self.received.clone()));
        tokio::task::spawn_blocking(move || match unpack(Pieces::new(reader), &store) {
            Ok(found) => {
                *index.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                drop(answers);
            }
            // If nobody hears it, the build is over anyway.
            Err(error) => drop(answers.blocking_send(Err(failure.set(error)))),
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn unpack(mut pieces: Pieces, store: &ContentStore) -> Result<Vec<u8>, BuildError> {
    let index = ingest::unpack(&mut pieces, store)?;
    // What follows the archive's end is padding, but BuildKit waits until it is read.
    io::copy(&mut pieces, &mut io::sink())
        .map_err(|error| BuildError::protocol(format!("its result broke off: {error}")))?;
    Ok(index)
}

async fn receive(
    mut stream: Streaming<BytesMessage>,
    pieces: mpsc::Sender<io::Result<Vec<u8>>>,
    received: Arc<AtomicU64>,
) {
    loop {
        let piece = match stream.message().await {
            Ok(Some(message)) => {
                received.fetch_add(message.data.len() as u64, Ordering::Relaxed);
                Ok(message.data)
            }
            Ok(None) => break,
            Err(status) => Err(io::Error::other(status.message().to_owned())),
        };
        let last = piece.is_err();
        if pieces.send(piece).await.is_err() || last {
            break;
        }
    }
}

/// Pieces of bytes that arrive elsewhere, as one text to read.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    current: io::Cursor<Vec<u8>>,
}

impl Pieces {
    fn new(receiver: mpsc::Receiver<io::Result<Vec<u8>>>) -> Self {
        Self { receiver, current: io::Cursor::default() }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.receiver.blocking_recv() {
                Some(piece) => self.current = io::Cursor::new(piece?),
                None => return Ok(0),
            }
        }
    }
}
