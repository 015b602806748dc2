//! File sync: the entries of a folder, and then the bytes of those files that BuildKit does not have yet.
//!
//! Source: fsutil's `send.go` and `receive.go`. All stats are sent in order, then a packet without a stat; meanwhile the
//! receiver asks for files by their number; when it has all, it says so and hears the same word back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::Failure;
use crate::exec::buildkit::error::BuildError;
use crate::exec::buildkit::folder::{Content, Folder};
use crate::exec::buildkit::follow;
use crate::exec::buildkit::wire::{Packet, PacketKind, Stat};
use crate::path::RelPath;
use crate::workspace;

/// Bytes of a file in one packet.
const PIECE: usize = 64 << 10;
/// Files that are read at a time.
const READERS: usize = 4;

/// How much BuildKit asked for.
#[derive(Debug, Default)]
pub(in crate::exec::buildkit) struct Sent {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Sent {
    /// The number of files of the snapshots that were sent.
    pub(in crate::exec::buildkit) fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub(in crate::exec::buildkit) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Both, counted from here on anew: for what several builds have in common, the first one says it.
    pub(in crate::exec::buildkit) fn take(&self) -> (u64, u64) {
        (self.files.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}

/// The folders of one build, by the names that BuildKit asks for.
#[derive(Clone)]
pub(super) struct FileSync {
    folders: Arc<HashMap<String, Arc<Folder>>>,
    sent: Arc<Sent>,
    failure: Failure,
}

type Answers = mpsc::Sender<Result<Packet, Status>>;

impl FileSync {
    pub(super) fn new(folders: HashMap<String, Arc<Folder>>, sent: Arc<Sent>, failure: Failure) -> Self {
        Self { folders: Arc::new(folders), sent, failure }
    }

    async fn diff_copy(
        self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<ReceiverStream<Result<Packet, Status>>>, Status> {
        let names = values(request.metadata(), "dir-name");
        let name = names.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
        let folder = self.folders.get(&name).cloned();
        let folder = folder.ok_or_else(|| Status::not_found(format!("this build has no folder `{name}`")))?;
        let mut paths = values(request.metadata(), "followpaths");
        paths.extend(values(request.metadata(), "include-patterns"));
        let selected = follow::selected(&folder, &paths);
        let (answers, stream) = mpsc::channel(64);
        let transfer = Transfer { folder, selected, answers, sent: self.sent, failure: self.failure };
        tokio::spawn(Arc::new(transfer).run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// One answer to one request for a folder.
struct Transfer {
    folder: Arc<Folder>,
    selected: Vec<usize>,
    answers: Answers,
    sent: Arc<Sent>,
    failure: Failure,
}

impl Transfer {
    async fn run(self: Arc<Self>, requests: Streaming<Packet>) {
        let (announced, served) = tokio::join!(self.announce(), self.serve(requests));
        if let Err(status) = announced.and(served) {
            // If nobody hears it, the transfer is over anyway.
            let _ = self.answers.send(Err(status)).await;
        }
    }

    async fn announce(&self) -> Result<(), Status> {
        for index in &self.selected {
            self.answer(stat(Some(self.folder.entries()[*index].stat()))).await?;
        }
        self.answer(stat(None)).await
    }

    async fn serve(self: &Arc<Self>, mut requests: Streaming<Packet>) -> Result<(), Status> {
        let readers = Arc::new(Semaphore::new(READERS));
        let mut files: JoinSet<Result<(), Status>> = JoinSet::new();
        while let Some(packet) = requests.message().await? {
            match PacketKind::try_from(packet.kind) {
                Ok(PacketKind::Request) => {
                    let permit = readers.clone().acquire_owned().await.map_err(|_| gone())?;
                    let transfer = self.clone();
                    files.spawn_blocking(move || {
                        let done = transfer.send(packet.id);
                        drop(permit);
                        done
                    });
                    while let Some(done) = files.try_join_next() {
                        done.map_err(|_| gone())??;
                    }
                }
                Ok(PacketKind::Finish) => {
                    while let Some(done) = files.join_next().await {
                        done.map_err(|_| gone())??;
                    }
                    return self.answer(Packet { kind: PacketKind::Finish.into(), ..Packet::default() }).await;
                }
                Ok(PacketKind::Error) => {
                    let why = String::from_utf8_lossy(&packet.data).into_owned();
                    return Err(Status::aborted(format!("BuildKit stopped the transfer: {why}")));
                }
                _ => return Err(Status::invalid_argument("unexpected packet in a file transfer")),
            }
        }
        Ok(())
    }

    /// Sends one file; called on a thread that may wait.
    fn send(&self, id: u32) -> Result<(), Status> {
        let entry = self.selected.get(id as usize).map(|index| &self.folder.entries()[*index]);
        let entry = entry.ok_or_else(|| Status::invalid_argument(format!("no file {id} was announced")))?;
        match &entry.content {
            Content::Given(bytes) => {
                for start in (0..bytes.len()).step_by(PIECE) {
                    self.piece(id, bytes.slice(start..bytes.len().min(start + PIECE)))?;
                }
            }
            Content::Recorded(_, size) => {
                self.recorded(id, &entry.path)?;
                self.sent.files.fetch_add(1, Ordering::Relaxed);
                self.sent.bytes.fetch_add(*size, Ordering::Relaxed);
            }
            Content::Folder | Content::Link(_) => {
                return Err(Status::invalid_argument(format!("`{}` is no file", entry.path)));
            }
        }
        self.piece(id, Bytes::new())
    }

    /// Sends the bytes of a recorded file, all but the word that they are all.
    fn recorded(&self, id: u32, path: &RelPath) -> Result<(), Status> {
        let mut file = self.folder.open(path).map_err(|error| self.fail(error))?;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            // The reader fails at the end if the bytes were others than the recorded ones.
            let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            read.map_err(|error| self.fail(of_read(error, path)))?;
            if piece.is_empty() {
                return Ok(());
            }
            self.piece(id, piece.into())?;
        }
    }

    fn fail(&self, error: workspace::Error) -> Status {
        let status = self.failure.set(match error {
            workspace::Error::Changed { path } => BuildError::InputChanged { path },
            error => BuildError::Unreadable { error },
        });
        // BuildKit drops what it received; if it does not listen any more, it has done so already.
        let _ = self.answers.blocking_send(Err(status.clone()));
        status
    }

    fn piece(&self, id: u32, data: Bytes) -> Result<(), Status> {
        let packet = Packet { kind: PacketKind::Data.into(), stat: None, id, data };
        self.answers.blocking_send(Ok(packet)).map_err(|_| gone())
    }

    async fn answer(&self, packet: Packet) -> Result<(), Status> {
        self.answers.send(Ok(packet)).await.map_err(|_| gone())
    }
}

fn stat(stat: Option<Stat>) -> Packet {
    Packet { kind: PacketKind::Stat.into(), stat, ..Packet::default() }
}

fn gone() -> Status {
    Status::cancelled("the transfer is over")
}

/// The error inside a failed read of a recorded file.
fn of_read(error: io::Error, path: &RelPath) -> workspace::Error {
    match error.downcast::<workspace::Error>() {
        Ok(error) => error,
        Err(source) => workspace::Error::Io { verb: "read", path: path.below(Path::new("")), source },
    }
}

/// The values of a header. Texts that are not ASCII come percent-encoded, and another header says so.
fn values(metadata: &MetadataMap, name: &str) -> Vec<Vec<u8>> {
    let encoded = metadata.get(format!("{name}-encoded")).is_some_and(|value| value.as_bytes() == b"1");
    let decode = |bytes: &[u8]| if encoded { percent_decoded(bytes) } else { bytes.to_vec() };
    metadata.get_all(name).iter().map(|value| decode(value.as_bytes())).collect()
}

/// Source: Go's `url.QueryUnescape`.
fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let mut byte = [0];
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) if hex::decode_to_slice([*high, *low], &mut byte).is_ok() => {
                decoded.push(byte[0]);
                tail
            }
            _ => {
                decoded.push(if first == b'+' { b' ' } else { first });
                tail
            }
        };
    }
    decoded
}

impl NamedService for FileSync {
    const NAME: &'static str = "moby.filesync.v1.FileSync";
}

impl tower::Service<http::Request<tonic::body::Body>> for FileSync {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            if !request.uri().path().ends_with("/DiffCopy") {
                return Ok(Status::unimplemented("files are sent by DiffCopy alone").into_http());
            }
            let call = tower::service_fn(move |request| server.clone().diff_copy(request));
            Ok(Grpc::new(ProstCodec::default()).streaming(call, request).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_decoded_only_if_they_are_said_to_be_encoded() {
        let mut metadata = MetadataMap::new();
        metadata.append("followpaths", "a%2Fb+c%zz".parse().unwrap());
        metadata.append("followpaths", "%C3%BC".parse().unwrap());
        assert_eq!(values(&metadata, "followpaths"), [&b"a%2Fb+c%zz"[..], b"%C3%BC"]);
        metadata.insert("followpaths-encoded", "1".parse().unwrap());
        assert_eq!(values(&metadata, "followpaths"), [&b"a/b c%zz"[..], "\u{fc}".as_bytes()]);
        assert!(values(&metadata, "exclude-patterns").is_empty());
    }
}
