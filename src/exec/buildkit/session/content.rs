//! containerd's content service: BuildKit reads bases from store folders that were built here and not pushed, and writes the result,
//! blob by blob (`export`).

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::LONGEST_MESSAGE;
use super::export::Export;
use crate::digest::Digest;
use crate::exec::buildkit::wire::{BlobInfo, BlobInfoRequest, BlobInfoResponse, ReadBlobRequest, ReadBlobResponse};
use crate::registry::ContentStore;

/// Bytes in one answer.
const PIECE: usize = 1 << 20;

/// The stores of one build, by the names that the solve request gives them.
#[derive(Clone)]
pub(super) struct ContentServer {
    stores: Arc<HashMap<String, ContentStore>>,
    export: Export,
}

type Answers = ReceiverStream<Result<ReadBlobResponse, Status>>;

impl ContentServer {
    pub(super) fn new(stores: HashMap<String, ContentStore>, export: Export) -> Self {
        Self { stores: Arc::new(stores), export }
    }

    /// The file of a blob. BuildKit names the store in a header, behind `oci:`.
    fn place(&self, metadata: &MetadataMap, digest: &str) -> Result<PathBuf, Status> {
        let id = store_id(metadata);
        let id = id.strip_prefix("oci:").unwrap_or(id);
        let store = self.stores.get(id).ok_or_else(|| Status::not_found(format!("no store `{id}`")))?;
        let digest: Digest = digest.parse().map_err(|_| Status::invalid_argument(format!("`{digest}`")))?;
        Ok(store.path(&digest))
    }

    async fn info(self, request: Request<BlobInfoRequest>) -> Result<Response<BlobInfoResponse>, Status> {
        let path = self.place(request.metadata(), &request.get_ref().digest)?;
        let size = open(&path).await?.1;
        let zero = Some(prost_types::Timestamp::default());
        let digest = request.into_inner().digest;
        let info = BlobInfo { digest, size: size.cast_signed(), created_at: zero, updated_at: zero };
        Ok(Response::new(BlobInfoResponse { info: Some(info) }))
    }

    async fn read(self, request: Request<ReadBlobRequest>) -> Result<Response<Answers>, Status> {
        let path = self.place(request.metadata(), &request.get_ref().digest)?;
        let (file, length) = open(&path).await?;
        let offset = u64::try_from(request.get_ref().offset).unwrap_or(0);
        let rest = length.saturating_sub(offset);
        let wanted = u64::try_from(request.get_ref().size).ok().filter(|size| *size > 0).unwrap_or(rest).min(rest);
        let (answers, stream) = mpsc::channel(2);
        tokio::spawn(async move {
            if let Err(status) = send(file, offset, wanted, &answers).await {
                // If nobody hears it, nobody reads the blob any more.
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// The store that a call is about.
pub(super) fn store_id(metadata: &MetadataMap) -> &str {
    metadata.get("buildkit-attachable-store-id").and_then(|id| id.to_str().ok()).unwrap_or_default()
}

async fn open(path: &Path) -> Result<(File, u64), Status> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Status::not_found(format!("no blob at `{}`", path.display())),
        _ => Status::internal(format!("cannot read `{}`: {error}", path.display())),
    };
    let file = File::open(path).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    Ok((file, length))
}

async fn send(
    mut file: File,
    offset: u64,
    size: u64,
    answers: &mpsc::Sender<Result<ReadBlobResponse, Status>>,
) -> Result<(), Status> {
    let failed = |error: std::io::Error| Status::internal(format!("cannot read a blob: {error}"));
    file.seek(std::io::SeekFrom::Start(offset)).await.map_err(failed)?;
    let mut rest = file.take(size);
    let mut at = offset;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        (&mut rest).take(PIECE as u64).read_to_end(&mut piece).await.map_err(failed)?;
        let count = piece.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let answer = ReadBlobResponse { offset: at.cast_signed(), data: Bytes::from(piece) };
        if answers.send(Ok(answer)).await.is_err() {
            return Ok(());
        }
        at += count;
    }
}

impl NamedService for ContentServer {
    const NAME: &'static str = "containerd.services.content.v1.Content";
}

impl tower::Service<http::Request<tonic::body::Body>> for ContentServer {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match method.as_str() {
                "Info" => {
                    let call = tower::service_fn(move |request| server.clone().info(request));
                    Grpc::new(ProstCodec::default()).unary(call, request).await
                }
                "Read" => {
                    let call = tower::service_fn(move |request| server.clone().read(request));
                    Grpc::new(ProstCodec::default()).server_streaming(call, request).await
                }
                "Write" => {
                    let call = tower::service_fn(move |request| server.export.clone().write(request));
                    let grpc = Grpc::new(ProstCodec::default());
                    grpc.apply_max_message_size_config(Some(LONGEST_MESSAGE), None).streaming(call, request).await
                }
                other => Status::unimplemented(format!("this store has no `{other}`")).into_http(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::*;

    fn request<T>(message: T, store: &'static str) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("buildkit-attachable-store-id", store.parse().unwrap());
        request
    }

    #[tokio::test]
    async fn blobs_are_read_whole_and_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let content: Vec<u8> = (0..PIECE * 2 + 17).map(|index| (index % 251) as u8).collect();
        let digest = Digest::of(&content);
        let path = store.path(&digest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &content).unwrap();
        let server = ContentServer::new([("s".to_owned(), store)].into(), Export::into_store(folder.path()));

        let ask = BlobInfoRequest { digest: digest.to_string() };
        let info = server.clone().info(request(ask.clone(), "oci:s")).await.unwrap().into_inner().info.unwrap();
        assert_eq!(info.size, content.len() as i64);
        for (offset, size, expected) in [
            (0, 0, &content[..]),
            (5, 10, &content[5..15]),
            (PIECE as i64, 0, &content[PIECE..]),
            (content.len() as i64, 9, &[][..]),
        ] {
            let ask = ReadBlobRequest { digest: digest.to_string(), offset, size };
            let answers = server.clone().read(request(ask, "oci:s")).await.unwrap().into_inner();
            let pieces: Vec<_> = answers.map(|answer| answer.unwrap().data).collect().await;
            assert_eq!(pieces.concat(), expected, "{offset} {size}");
        }
        let elsewhere = server.clone().info(request(ask, "oci:other")).await.unwrap_err();
        assert_eq!(elsewhere.code(), tonic::Code::NotFound);
        let path = BlobInfoRequest { digest: "../../etc/passwd".to_owned() };
        assert_eq!(server.info(request(path, "oci:s")).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}
