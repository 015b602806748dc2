//! The connection to BuildKit: one gRPC channel for many builds.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{InfoRequest, SolveRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::address::{Address, Tls};
use super::error::BuildError;
use super::session::Writers;
use super::shared::SharedContexts;
use super::solve::EXPORTER;
use crate::registry::Credentials;

/// HTTP/2 windows: results and files move through single streams.
const WINDOW: u32 = 8 << 20;
/// The longest message that is read: a status with many lines of logs.
const LONGEST_MESSAGE: usize = 64 << 20;
/// How much of what the docker CLI prints is kept.
const KEPT_STDERR: usize = 4 << 10;

/// A BuildKit that can be asked for builds, many at a time. Cheap to clone; the connection ends with the last clone.
#[derive(Clone)]
pub struct Buildkit {
    pub(super) address: Address,
    pub(super) control: ControlClient<Channel>,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) writers: Writers,
    pub(super) shared: SharedContexts,
    version: String,
    stderr: Said,
}

impl Buildkit {
    /// Connects to the BuildKit at `address`. `credentials` is asked when BuildKit needs to log in at a registry.
    ///
    /// # Errors
    ///
    /// [`BuildError::Unavailable`] if nothing answers there.
    pub async fn connect(address: Address, credentials: Arc<dyn Credentials>) -> Result<Self, BuildError> {
        let stderr = Said::default();
        let mut buildkit = match open(&address, stderr.clone()).await {
            Ok(channel) => {
                let control = ControlClient::new(channel).max_decoding_message_size(LONGEST_MESSAGE);
                Self {
                    address,
                    control,
                    credentials,
                    writers: Writers::default(),
                    shared: SharedContexts::default(),
                    version: String::new(),
                    stderr,
                }
            }
            Err(why) => return Err(unavailable(&address, why)),
        };
        buildkit.version = match buildkit.control.info(InfoRequest {}).await {
            Ok(info) => info.into_inner().buildkit_version.map(|version| version.version).unwrap_or_default(),
            // BuildKit before 0.11 does not know the question.
            Err(status) if status.code() == tonic::Code::Unimplemented => String::new(),
            Err(status) => return Err(buildkit.no_answer(&status).await),
        };
        buildkit.check_exporter().await?;
        Ok(buildkit)
    }

    /// Asks whether it can export an OCI image, without a build: exporters read their attributes first, and this one is refused by all that
    /// know it.
    async fn check_exporter(&mut self) -> Result<(), BuildError> {
        let question = SolveRequest {
            r#ref: hex::encode(rand::random::<[u8; 16]>()),
            exporter_deprecated: EXPORTER.to_owned(),
            exporter_attrs_deprecated: [("tar".to_owned(), "is it known?".to_owned())].into(),
            ..SolveRequest::default()
        };
        match self.control.solve(question).await {
            Err(status) if lacks_exporter(status.message()) => Err(self.without_exporter()),
            // Whatever else it says, a build will tell.
            _ => Ok(()),
        }
    }

    /// The error for a BuildKit that cannot export an OCI image.
    pub(super) fn without_exporter(&self) -> BuildError {
        BuildError::Unsupported {
            what: format!("the BuildKit behind `{}` cannot export an OCI image", self.address),
            help: "switch Docker's containerd image store on (`\"features\": {\"containerd-snapshotter\": true}` in daemon.json), or \
                   use a builder of its own (`docker buildx create --use`)"
                .to_owned(),
        }
    }

    /// The version that BuildKit says it has; empty if it does not say.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The error for a call that failed on the way.
    pub(super) async fn no_answer(&self, status: &tonic::Status) -> BuildError {
        if matches!(self.address, Address::DialStdio { .. }) {
            // The docker CLI says why it ends just before or after the connection breaks.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        let said = self.stderr.text();
        unavailable(&self.address, if said.is_empty() { status.message().to_owned() } else { said })
    }
}

/// Whether BuildKit says that it has no exporter of OCI images, as Docker's older image store has none.
pub(super) fn lacks_exporter(message: &str) -> bool {
    message.contains("exporter \"oci\" could not be found")
}

impl std::fmt::Debug for Buildkit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buildkit({}, version {:?})", self.address, self.version)
    }
}

fn unavailable(address: &Address, why: String) -> BuildError {
    let help = match address {
        Address::DialStdio { builder: None } => {
            "install Docker with buildx and start it (`docker info`, `docker buildx ls`), or name a buildkitd by its address"
        }
        Address::DialStdio { .. } => "see `docker buildx ls` for the builders that there are",
        Address::Unix(_) | Address::Tcp { .. } => {
            "start buildkitd there, or leave the address out to use docker's builder"
        }
    };
    BuildError::Unavailable { address: address.to_string(), why, help: help.to_owned() }
}

async fn open(address: &Address, stderr: Said) -> Result<Channel, String> {
    let endpoint = |uri: String| {
        let endpoint = Endpoint::from_shared(uri).map_err(|error| explained(&error))?;
        Ok::<_, String>(endpoint.initial_stream_window_size(WINDOW).initial_connection_window_size(2 * WINDOW))
    };
    let opened = match address {
        Address::DialStdio { builder } => {
            let builder = builder.clone();
            let dial = tower::service_fn(move |_| {
                std::future::ready(dial_stdio(builder.as_deref(), &stderr).map(TokioIo::new))
            });
            endpoint("http://buildkit".to_owned())?.connect_with_connector(dial).await
        }
        Address::Unix(path) => {
            let path = path.clone();
            let dial = tower::service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            endpoint("http://buildkit".to_owned())?.connect_with_connector(dial).await
        }
        Address::Tcp { host, tls: None } => endpoint(format!("http://{host}"))?.connect().await,
        Address::Tcp { host, tls: Some(tls) } => {
            let config = tls_config(tls, host).await?;
            let endpoint =
                endpoint(format!("https://{host}"))?.tls_config(config).map_err(|error| explained(&error))?;
            endpoint.connect().await
        }
    };
    opened.map_err(|error| explained(&error))
}

async fn tls_config(tls: &Tls, host: &str) -> Result<ClientTlsConfig, String> {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    let mut config = ClientTlsConfig::new().domain_name(tls.server_name.as_deref().unwrap_or(host));
    if let Some(ca) = &tls.ca {
        config = config.ca_certificate(Certificate::from_pem(read(ca).await?));
    }
    if let Some((certificate, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(read(certificate).await?, read(key).await?));
    }
    Ok(config)
}

async fn read(path: &Path) -> Result<Vec<u8>, String> {
    tokio::fs::read(path).await.map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

/// The innermost reason, which tonic's own text leaves out.
fn explained(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn dial_stdio(builder: Option<&str>, said: &Said) -> io::Result<Pipes> {
    let mut command = Command::new("docker");
    command.args(["buildx", "dial-stdio"]);
    if let Some(builder) = builder {
        command.args(["--builder", builder]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // A Ctrl-C in the terminal is ours to handle.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other("there is no `docker` on PATH"),
        _ => io::Error::other(format!("`docker` does not start: {error}")),
    })?;
    let pipe = || io::Error::other("`docker` has no pipes");
    let stdin = child.stdin.take().ok_or_else(pipe)?;
    let stdout = child.stdout.take().ok_or_else(pipe)?;
    tokio::spawn(said.clone().listen(child.stderr.take().ok_or_else(pipe)?));
    Ok(Pipes { stdin, stdout, _child: child })
}

/// The two pipes of a child as one connection. The child ends with it.
struct Pipes {
    stdin: ChildStdin,
    stdout: ChildStdout,
    _child: Child,
}

impl AsyncRead for Pipes {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Pipes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}

/// What the docker CLI printed on stderr, which is where it says why it cannot connect.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    async fn listen(self, mut stderr: ChildStderr) {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend_from_slice(&buffer[..count]);
            let excess = said.len().saturating_sub(KEPT_STDERR);
            said.drain(..excess);
        }
    }

    fn text(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).trim().trim_start_matches("ERROR: ").to_owned()
    }
}
