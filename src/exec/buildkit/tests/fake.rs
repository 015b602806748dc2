//! A server that speaks BuildKit's wire on a socket: sessions are real, what a solve does is up to the test.

use std::collections::HashMap;
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1 as api;
use bollard_buildkit_proto::moby::buildkit::v1::control_server::{Control, ControlServer};
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::digest::Digest;
use crate::exec::buildkit::wire::{WriteAction, WriteBlobRequest, WriteBlobResponse};
use crate::exec::buildkit::{Address, BuildError, Buildkit};
use crate::registry::Anonymous;

/// What a solve does: it gets the request and the sessions.
pub type Script =
    Arc<dyn Fn(api::SolveRequest, Sessions) -> BoxFuture<'static, Result<api::SolveResponse, Status>> + Send + Sync>;

/// The sessions that clients opened, by id.
#[derive(Clone)]
pub struct Sessions(Arc<watch::Sender<Open>>);

/// Each with what keeps its stream alive.
type Open = HashMap<String, (Channel, mpsc::Sender<()>)>;

impl Sessions {
    /// The client's server behind a session.
    pub async fn get(&self, id: &str) -> Channel {
        let mut known = self.0.subscribe();
        let known = known.wait_for(|sessions| sessions.contains_key(id)).await.unwrap();
        known[id].0.clone()
    }

    /// Breaks the stream of a session.
    pub fn cut(&self, id: &str) {
        self.0.send_modify(|sessions| drop(sessions.remove(id)));
    }
}

struct Fake {
    script: Script,
    sessions: Sessions,
    exporter: &'static str,
}

type Nothing<T> = tokio_stream::Empty<Result<T, Status>>;

#[tonic::async_trait]
impl Control for Fake {
    type PruneStream = Nothing<api::UsageRecord>;
    type StatusStream = Nothing<api::StatusResponse>;
    type SessionStream = ReceiverStream<Result<api::BytesMessage, Status>>;
    type ListenBuildHistoryStream = Nothing<api::BuildHistoryEvent>;

    async fn solve(&self, request: Request<api::SolveRequest>) -> Result<Response<api::SolveResponse>, Status> {
        let request = request.into_inner();
        if request.session.is_empty() {
            // The question for the exporter.
            return Err(Status::unknown(self.exporter));
        }
        let solving = tokio::spawn((self.script)(request, self.sessions.clone()));
        // The script ends with the call.
        let solving = tokio_util::task::AbortOnDropHandle::new(solving);
        solving.await.map_err(|error| Status::internal(error.to_string()))?.map(Response::new)
    }

    async fn status(&self, _: Request<api::StatusRequest>) -> Result<Response<Self::StatusStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn session(
        &self,
        request: Request<Streaming<api::BytesMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let id = request.metadata().get("x-docker-expose-session-uuid").unwrap().to_str().unwrap().to_owned();
        let mut incoming = request.into_inner();
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (mut read, mut write) = tokio::io::split(theirs);
        let (outgoing, messages) = mpsc::channel(16);
        let (alive, mut cut) = mpsc::channel::<()>(1);
        tokio::spawn(async move {
            while let Ok(Some(message)) = incoming.message().await {
                if write.write_all(&message.data).await.is_err() {
                    break;
                }
            }
        });
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            let pump = async {
                while let Ok(count @ 1..) = read.read(&mut buffer).await {
                    let data = buffer[..count].to_vec();
                    if outgoing.send(Ok(api::BytesMessage { data })).await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! {
                () = pump => {}
                _ = cut.recv() => {}
            }
        });
        let sessions = self.sessions.clone();
        tokio::spawn(async move {
            let mut once = Some(TokioIo::new(ours));
            let dial = tower::service_fn(move |_| {
                let io = once.take().ok_or_else(|| std::io::Error::other("it is broken"));
                std::future::ready(io)
            });
            let channel = Endpoint::from_static("http://session").connect_with_connector(dial).await.unwrap();
            sessions.0.send_modify(|sessions| drop(sessions.insert(id, (channel, alive))));
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn info(&self, _: Request<api::InfoRequest>) -> Result<Response<api::InfoResponse>, Status> {
        Ok(Response::new(api::InfoResponse::default()))
    }

    async fn disk_usage(&self, _: Request<api::DiskUsageRequest>) -> Result<Response<api::DiskUsageResponse>, Status> {
        Err(Status::unimplemented("disk usage"))
    }

    async fn prune(&self, _: Request<api::PruneRequest>) -> Result<Response<Self::PruneStream>, Status> {
        Err(Status::unimplemented("prune"))
    }

    async fn list_workers(
        &self,
        _: Request<api::ListWorkersRequest>,
    ) -> Result<Response<api::ListWorkersResponse>, Status> {
        Err(Status::unimplemented("workers"))
    }

    async fn listen_build_history(
        &self,
        _: Request<api::BuildHistoryRequest>,
    ) -> Result<Response<Self::ListenBuildHistoryStream>, Status> {
        Err(Status::unimplemented("history"))
    }

    async fn update_build_history(
        &self,
        _: Request<api::UpdateBuildHistoryRequest>,
    ) -> Result<Response<api::UpdateBuildHistoryResponse>, Status> {
        Err(Status::unimplemented("history"))
    }
}

/// A connection to a server whose solves run `script`. It ends with the folder.
pub async fn connect<F>(
    script: impl Fn(api::SolveRequest, Sessions) -> F + Send + Sync + 'static,
) -> (Buildkit, tempfile::TempDir)
where
    F: Future<Output = Result<api::SolveResponse, Status>> + Send + 'static,
{
    let (buildkit, folder) = serve(script, "non-bool value specified for tar").await;
    (buildkit.unwrap(), folder)
}

/// What a connection to a server comes to that says this of its exporter.
pub async fn serve<F>(
    script: impl Fn(api::SolveRequest, Sessions) -> F + Send + Sync + 'static,
    exporter: &'static str,
) -> (Result<Buildkit, BuildError>, tempfile::TempDir)
where
    F: Future<Output = Result<api::SolveResponse, Status>> + Send + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("buildkitd.sock");
    let listener = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let script: Script = Arc::new(move |request, sessions| Box::pin(script(request, sessions)));
    let sessions = Sessions(Arc::new(watch::channel(HashMap::new()).0));
    let server = ControlServer::new(Fake { script, sessions, exporter });
    tokio::spawn(Server::builder().add_service(server).serve_with_incoming(listener));
    (Buildkit::connect(Address::Unix(socket), Arc::new(Anonymous)).await, folder)
}

/// An open write of a blob, as containerd's client does it.
pub struct Write {
    digest: Digest,
    offset: i64,
    requests: mpsc::Sender<WriteBlobRequest>,
    answers: Streaming<WriteBlobResponse>,
}

impl Write {
    /// Asks for a blob; `None` if it is there.
    pub async fn open(session: &Channel, digest: Digest, size: usize) -> Result<Option<Self>, Status> {
        Self::open_in(session, "export", digest, size).await
    }

    /// The same in a store of this name.
    pub async fn open_in(session: &Channel, store: &str, digest: Digest, size: usize) -> Result<Option<Self>, Status> {
        match Self::begin(session, store, digest, size).await {
            Ok(write) => Ok(Some(write)),
            Err(status) if status.code() == tonic::Code::AlreadyExists => Ok(None),
            Err(status) => Err(status),
        }
    }

    async fn begin(session: &Channel, store: &str, digest: Digest, size: usize) -> Result<Self, Status> {
        let mut client = tonic::client::Grpc::new(session.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let (requests, stream) = mpsc::channel(1);
        let first = WriteBlobRequest {
            action: WriteAction::Stat.into(),
            r#ref: format!("layer-{digest}"),
            total: i64::try_from(size).unwrap(),
            expected: digest.to_string(),
            ..WriteBlobRequest::default()
        };
        requests.send(first).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(stream));
        request.metadata_mut().insert("buildkit-attachable-store-id", store.parse().unwrap());
        let path = PathAndQuery::from_static("/containerd.services.content.v1.Content/Write");
        let codec: ProstCodec<WriteBlobRequest, WriteBlobResponse> = ProstCodec::default();
        let mut answers = client.streaming(request, path, codec).await?.into_inner();
        let status = answers.message().await?.ok_or_else(|| Status::aborted("no status"))?;
        Ok(Self { digest, offset: status.offset, requests, answers })
    }

    /// Sends a piece and waits until it is taken.
    pub async fn piece(&mut self, data: &[u8]) -> Result<(), Status> {
        self.send(WriteAction::Write, data).await.map(|offset| self.offset = offset)
    }

    /// Goes on at another offset.
    pub fn seek(&mut self, offset: i64) {
        self.offset = offset;
    }

    /// Ends the blob.
    pub async fn commit(mut self) -> Result<(), Status> {
        self.send(WriteAction::Commit, b"").await.map(|_| ())
    }

    async fn send(&mut self, action: WriteAction, data: &[u8]) -> Result<i64, Status> {
        let (data, expected) = (data.to_vec().into(), self.digest.to_string());
        let expected = if action == WriteAction::Commit { expected } else { String::new() };
        let (action, offset) = (action.into(), self.offset);
        let request = WriteBlobRequest { action, offset, data, expected, ..WriteBlobRequest::default() };
        if self.requests.send(request).await.is_err() {
            return Err(Status::aborted("the write is over"));
        }
        self.answers.message().await?.map(|answer| answer.offset).ok_or_else(|| Status::aborted("the write is over"))
    }
}

/// Writes a whole blob; whether it was not there.
pub async fn write(session: &Channel, digest: Digest, bytes: &[u8]) -> Result<bool, Status> {
    let Some(mut write) = Write::open(session, digest, bytes.len()).await? else { return Ok(false) };
    for piece in bytes.chunks(1 << 20) {
        write.piece(piece).await?;
    }
    write.commit().await.map(|()| true)
}

/// Sends a file as BuildKit's exporter sends an archive.
pub async fn send_archive(session: &Channel, bytes: Vec<u8>) -> Result<(), Status> {
    use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
    use bollard_buildkit_proto::moby::filesync::v1::file_send_client::FileSendClient;
    let pieces: Vec<_> = bytes.chunks(1 << 20).map(|piece| BytesMessage { data: piece.to_vec() }).collect();
    let answers = FileSendClient::new(session.clone()).diff_copy(tokio_stream::iter(pieces)).await?.into_inner();
    answers.collect::<Vec<_>>().await.into_iter().find_map(Result::err).map_or(Ok(()), Err)
}

/// Asks a session for its main context, every file of it: what came, or why nothing did.
pub async fn read_context(session: &Channel) -> Result<Vec<u8>, Status> {
    use crate::exec::buildkit::wire::{Packet, PacketKind};
    let mut client = tonic::client::Grpc::new(session.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let (requests, stream) = mpsc::channel(64);
    let mut request = Request::new(ReceiverStream::new(stream));
    request.metadata_mut().insert("dir-name", "context".parse().unwrap());
    let path = PathAndQuery::from_static("/moby.filesync.v1.FileSync/DiffCopy");
    let codec: ProstCodec<Packet, Packet> = ProstCodec::default();
    let mut answers = client.streaming(request, path, codec).await?.into_inner();
    let (mut at, mut asked, mut ended) = (0, 0, 0);
    let mut bytes = Vec::new();
    let packet = |kind: PacketKind, id| Packet { kind: kind.into(), id, ..Packet::default() };
    while let Some(answer) = answers.message().await? {
        match PacketKind::try_from(answer.kind).unwrap() {
            PacketKind::Stat if answer.stat.as_ref().is_some_and(|stat| stat.mode & (1 << 31) == 0) => {
                requests.send(packet(PacketKind::Request, at)).await.unwrap();
                (at, asked) = (at + 1, asked + 1);
            }
            PacketKind::Stat => at += 1,
            PacketKind::Data if answer.data.is_empty() => ended += 1,
            PacketKind::Data => bytes.extend(answer.data),
            _ => break,
        }
        if ended == asked && asked > 0 {
            let _ = requests.send(packet(PacketKind::Finish, 0)).await;
        }
    }
    Ok(bytes)
}
