//! The stream that carries our server's connection, as pieces of bytes in messages of BuildKit's control service.

use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status, Streaming};

/// Bytes in one message; gRPC's usual limit is 4 MiB.
const PIECE: usize = 128 << 10;
/// Bytes on their way between our server and the stream.
const BUFFER: usize = 1 << 20;
/// HTTP/2 windows: the result comes in through one stream.
const WINDOW: u32 = 8 << 20;
/// The paths that BuildKit asks for travel in a header.
const LONGEST_HEADERS: u32 = 16 << 20;

/// The methods that a session of folders announces.
pub(super) const FOLDER_METHODS: [&str; 2] = ["/moby.filesync.v1.FileSync/DiffCopy", "/grpc.health.v1.Health/Check"];

/// The methods that the session of a build announces. BuildKit calls no other.
pub(super) const METHODS: [&str; 13] = [
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.FileSend/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.filesync.v1.Auth/FetchToken",
    "/moby.filesync.v1.Auth/GetTokenAuthority",
    "/moby.filesync.v1.Auth/VerifyTokenAuthority",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
    "/containerd.services.content.v1.Content/Info",
    "/containerd.services.content.v1.Content/Read",
    "/containerd.services.content.v1.Content/Write",
    "/grpc.health.v1.Health/Check",
];

/// How a session introduces itself.
pub(super) struct Header {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) shared_key: String,
    pub(super) methods: &'static [&'static str],
}

/// The tasks that keep a session alive. They end when it is dropped.
pub(super) struct Tunnel {
    _tasks: JoinSet<()>,
}

impl Tunnel {
    pub(super) async fn open(
        control: &mut ControlClient<Channel>,
        header: &Header,
        routes: Routes,
    ) -> Result<Self, Status> {
        let (outgoing, messages) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(messages));
        header.write(request.metadata_mut())?;
        let incoming = control.session(request).await?.into_inner();
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (read, write) = tokio::io::split(theirs);
        let mut tasks = JoinSet::new();
        tasks.spawn(pump_in(incoming, write));
        tasks.spawn(pump_out(read, outgoing));
        tasks.spawn(serve(ours, routes));
        Ok(Self { _tasks: tasks })
    }
}

impl Header {
    fn write(&self, metadata: &mut MetadataMap) -> Result<(), Status> {
        let value = |text: &str| {
            AsciiMetadataValue::try_from(text)
                .map_err(|_| Status::internal(format!("`{text}` cannot stand in the header of a session")))
        };
        metadata.insert("x-docker-expose-session-uuid", value(&self.id)?);
        metadata.insert("x-docker-expose-session-name", value(&self.name)?);
        metadata.insert("x-docker-expose-session-sharedkey", value(&self.shared_key)?);
        for method in self.methods {
            metadata.append("x-docker-expose-session-grpc-method", AsciiMetadataValue::from_static(method));
        }
        Ok(())
    }
}

async fn pump_in(mut incoming: Streaming<BytesMessage>, mut write: WriteHalf<DuplexStream>) {
    while let Ok(Some(message)) = incoming.message().await {
        if write.write_all(&message.data).await.is_err() {
            break;
        }
    }
    // The server sees the end of its connection. That it is closed already is no error here.
    let _ = write.shutdown().await;
}

async fn pump_out(mut read: ReadHalf<DuplexStream>, outgoing: mpsc::Sender<BytesMessage>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(count @ 1..) = read.read(&mut buffer).await {
        if outgoing.send(BytesMessage { data: buffer[..count].to_vec() }).await.is_err() {
            break;
        }
    }
}

async fn serve(connection: DuplexStream, routes: Routes) {
    let one = tokio_stream::once(Ok::<_, std::io::Error>(connection)).chain(tokio_stream::pending());
    let served = Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .http2_max_header_list_size(LONGEST_HEADERS)
        .add_routes(routes)
        .serve_with_incoming(one)
        .await;
    // The connection's end shows on BuildKit's side, where the solve request fails with the reason.
    drop(served);
}
