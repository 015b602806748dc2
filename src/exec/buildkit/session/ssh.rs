//! SSH agents: the bytes of `RUN --mount=type=ssh` are passed on to a socket of this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::Ssh;
use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::Failure;
use crate::exec::buildkit::error::BuildError;

/// BuildKit's word for the agent of a mount without an id, and ours for the agent of `SSH_AUTH_SOCK`.
const DEFAULT: &str = "default";

/// The agents of one build.
pub(super) struct Agents {
    sources: BTreeMap<String, String>,
    failure: Failure,
}

impl Agents {
    pub(super) fn new(sources: BTreeMap<String, String>, failure: Failure) -> Self {
        Self { sources, failure }
    }

    /// BuildKit goes on without an agent that is not `required`. One that the image declares must be there.
    async fn connect(&self, id: &str) -> Result<UnixStream, Status> {
        let id = if id.is_empty() { DEFAULT } else { id };
        let source = self.sources.get(id);
        let source = source.ok_or_else(|| Status::not_found(format!("the image declares no ssh agent `{id}`")))?;
        dial(source).await.map_err(|why| self.failure.set(BuildError::Agent { id: id.to_owned(), why }))
    }
}

async fn dial(source: &str) -> Result<UnixStream, String> {
    let path = if source == DEFAULT {
        std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).ok_or("SSH_AUTH_SOCK is not set")?
    } else {
        PathBuf::from(source)
    };
    UnixStream::connect(&path).await.map_err(|error| format!("no agent answers at `{}`: {error}", path.display()))
}

fn id_of(metadata: &MetadataMap) -> &str {
    metadata.get("buildkit.ssh.id").and_then(|id| id.to_str().ok()).unwrap_or_default()
}

#[tonic::async_trait]
impl Ssh for Agents {
    type ForwardAgentStream = ReceiverStream<Result<BytesMessage, Status>>;

    async fn check_agent(&self, request: Request<CheckAgentRequest>) -> Result<Response<CheckAgentResponse>, Status> {
        self.connect(&request.into_inner().id).await?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let agent = self.connect(id_of(request.metadata())).await?;
        let (answers, stream) = mpsc::channel(16);
        tokio::spawn(forward(agent, request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Passes bytes on in both directions until one side has no more.
async fn forward(
    agent: UnixStream,
    mut questions: Streaming<BytesMessage>,
    answers: mpsc::Sender<Result<BytesMessage, Status>>,
) {
    let (mut from_agent, mut to_agent) = agent.into_split();
    let asking = async {
        while let Ok(Some(message)) = questions.message().await {
            if to_agent.write_all(&message.data).await.is_err() {
                break;
            }
        }
    };
    let answering = async {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(count @ 1..) = from_agent.read(&mut buffer).await {
            if answers.send(Ok(BytesMessage { data: buffer[..count].to_vec() })).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::moby::sshforward::v1::ssh_client::SshClient;
    use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
    use hyper_util::rt::TokioIo;
    use tokio::net::UnixListener;
    use tokio_stream::StreamExt as _;
    use tonic::transport::{Endpoint, Server};

    use super::*;

    #[tokio::test]
    async fn an_agent_that_is_not_there_is_named() {
        let agents = Agents::new([("default".to_owned(), "/nowhere/agent.sock".to_owned())].into(), Failure::default());
        let check = async |id: &str| {
            let request = Request::new(CheckAgentRequest { id: id.to_owned() });
            agents.check_agent(request).await.map(|_| ()).map_err(|status| status.message().to_owned())
        };
        assert!(check("").await.unwrap_err().contains("/nowhere/agent.sock"));
        assert!(check("other").await.unwrap_err().contains("`other`"));
    }

    #[tokio::test]
    async fn a_listening_agent_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        let _listener = UnixListener::bind(&path).unwrap();
        let agents = Agents::new([("k".to_owned(), path.to_str().unwrap().to_owned())].into(), Failure::default());
        let request = Request::new(CheckAgentRequest { id: "k".to_owned() });
        assert!(agents.check_agent(request).await.is_ok());
    }

    #[tokio::test]
    async fn bytes_go_to_the_agent_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut question = [0; 9];
            socket.read_exact(&mut question).await.unwrap();
            assert_eq!(&question, b"question\n");
            socket.write_all(b"answer\n").await.unwrap();
        });
        let agents = Agents::new([("k".to_owned(), path.to_str().unwrap().to_owned())].into(), Failure::default());
        let (ours, theirs) = tokio::io::duplex(4096);
        let one = tokio_stream::once(Ok::<_, std::io::Error>(ours)).chain(tokio_stream::pending());
        tokio::spawn(Server::builder().add_service(SshServer::new(agents)).serve_with_incoming(one));
        let mut theirs = Some(TokioIo::new(theirs));
        let dial = tower::service_fn(move |_| std::future::ready(theirs.take().ok_or("one connection")));
        let channel = Endpoint::from_static("http://x").connect_with_connector(dial).await.unwrap();

        let (questions, stream) = mpsc::channel(1);
        questions.send(BytesMessage { data: b"question\n".to_vec() }).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(stream));
        request.metadata_mut().insert("buildkit.ssh.id", "k".parse().unwrap());
        let mut answers = SshClient::new(channel).forward_agent(request).await.unwrap().into_inner();
        assert_eq!(answers.message().await.unwrap().unwrap().data, b"answer\n");
        assert_eq!(answers.message().await.unwrap(), None, "the agent's end is the end");
    }
}
