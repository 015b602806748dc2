//! One build from request to result.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bollard_buildkit_proto::moby::buildkit::v1 as api;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::connect::{Buildkit, lacks_exporter};
use super::error::{BuildError, details};
use super::folder::Folder;
use super::ingest::{self, Root};
use super::progress::{BuildProgress, Mapper};
use super::request::{Built, ContextSource, Request};
use super::session::{FolderSession, Offer, Session};
use super::solve::{self, CONTEXT, DOCKERFILE};
use crate::oci::Descriptor;
use crate::path::RelPath;
use crate::registry::{ContentStore, Credentials, Lent};
use crate::workspace::{Origin, Snapshot};

/// How long the rest of the progress is waited for once the result is known.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The ignore file that stands beside every Dockerfile we send. It ignores nothing and keeps BuildKit from looking for
/// `.dockerignore`: what is ignored was left out when the snapshot was taken.
const NOTHING_IGNORED: &str = "# applied already\n";

impl Buildkit {
    /// Builds one image for one platform and puts its blobs into `store`.
    ///
    /// Events are sent to `progress` as they happen; that nobody listens is no error. When `cancel` is cancelled or the
    /// future is dropped, BuildKit stops too.
    ///
    /// # Errors
    ///
    /// See [`BuildError`]. What was stored by then stays; every blob in a store is whole.
    pub async fn build(
        &self,
        request: Request,
        store: &ContentStore,
        progress: mpsc::UnboundedSender<BuildProgress>,
        cancel: CancellationToken,
    ) -> Result<Built, BuildError> {
        let after = request.timeout;
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(BuildError::Cancelled),
            () = tokio::time::sleep(after) => Err(BuildError::TimedOut { after }),
            built = self.run(Arc::new(request), store, &progress) => built,
        }
    }

    async fn run(
        &self,
        request: Arc<Request>,
        store: &ContentStore,
        progress: &mpsc::UnboundedSender<BuildProgress>,
    ) -> Result<Built, BuildError> {
        let prepared = request.clone();
        let credentials = self.credentials.clone();
        let offer = tokio::task::spawn_blocking(move || offer(&prepared, credentials))
            .await
            .map_err(|error| BuildError::protocol(error.to_string()))?;
        let mut control = self.control.clone();
        let session = match Session::open(&mut control, offer, store, self.writers.clone()).await {
            Ok(session) => session,
            Err(status) => return Err(self.no_answer(&status).await),
        };
        let mut shared = BTreeMap::new();
        for (name, snapshot) in &request.shared {
            match self.shared.session(&mut control, snapshot).await {
                Ok(session) => drop(shared.insert(name.clone(), session)),
                Err(status) => return Err(self.no_answer(&status).await),
            }
        }
        let job = hex::encode(rand::random::<[u8; 16]>());
        let ids = shared.iter().map(|(name, session)| (name.clone(), session.id().to_owned())).collect();
        let solve = solve::solve_request(&request, &job, session.id(), &ids)?;
        let mut mapper = Mapper::new(session.masks());
        let solved = tokio::select! {
            biased;
            error = session.failure().wait() => return Err(error),
            solved = self.solve(solve, job, &mut mapper, progress) => solved,
        };
        match solved {
            Ok(response) => {
                let mut built = finish(&request, &session, store, &response)?;
                for (files, bytes) in shared.values().map(|session| session.sent().take()) {
                    built.files_sent += files;
                    built.bytes_sent += bytes;
                }
                Ok(built)
            }
            // The error of ours is the reason of BuildKit's.
            Err(status) => match session.failure().take().or_else(|| of_folders(&shared)) {
                Some(error) => Err(error),
                None => Err(self.failed(&status, &request, &session, &mapper).await),
            },
        }
    }

    /// Solves, and meanwhile passes on what BuildKit reports.
    async fn solve(
        &self,
        request: api::SolveRequest,
        job: String,
        mapper: &mut Mapper,
        progress: &mpsc::UnboundedSender<BuildProgress>,
    ) -> Result<api::SolveResponse, tonic::Status> {
        let (mut solver, mut watcher) = (self.control.clone(), self.control.clone());
        let watch = async {
            let Ok(statuses) = watcher.status(api::StatusRequest { r#ref: job }).await else { return };
            let mut statuses = statuses.into_inner();
            while let Ok(Some(status)) = statuses.message().await {
                report(mapper.map(status), progress);
            }
        };
        let solved = with_last_words(solver.solve(request), watch).await;
        report(mapper.rest(), progress);
        solved.map(tonic::Response::into_inner)
    }

    async fn failed(
        &self,
        status: &tonic::Status,
        request: &Request,
        session: &Session,
        mapper: &Mapper,
    ) -> BuildError {
        let message = status.message().trim_start_matches("failed to solve: ");
        if lacks_exporter(message) {
            return self.without_exporter();
        }
        let details = details(status, solve::file_name(request.dockerfile.name()));
        let transport = std::error::Error::source(status).is_some();
        if transport && details.vertex.is_none() {
            return self.no_answer(status).await;
        }
        let (vertex, log_tail) = mapper.failure(details.vertex.as_deref());
        BuildError::Failed { message: session.masks().hide(message), vertex, location: details.lines, log_tail }
    }
}

/// What went wrong with a folder that the build shares with others.
fn of_folders(shared: &BTreeMap<String, Arc<FolderSession>>) -> Option<BuildError> {
    shared.values().find_map(|session| session.failure().of_folder())
}

/// Runs both until `main` is done, and `side` a little longer.
async fn with_last_words<T>(main: impl Future<Output = T>, side: impl Future<Output = ()>) -> T {
    tokio::pin!(main, side);
    tokio::select! {
        biased;
        done = &mut main => {
            // BuildKit ends its reports itself; if it does not, the result counts all the same.
            let _ = tokio::time::timeout(LAST_WORDS, side).await;
            done
        }
        () = &mut side => main.await,
    }
}

fn report(events: Vec<BuildProgress>, progress: &mpsc::UnboundedSender<BuildProgress>) {
    for event in events {
        // Nobody has to listen.
        let _ = progress.send(event);
    }
}

fn finish(
    request: &Request,
    session: &Session,
    store: &ContentStore,
    response: &api::SolveResponse,
) -> Result<Built, BuildError> {
    let root = match session.take_index() {
        Some(index) => Root::Archive(index),
        None => Root::Image(Box::new(described(&response.exporter_response)?)),
    };
    let (image, attestations) = ingest::find_image(root, store, &request.platform)?;
    let said = response.exporter_response.get("containerimage.digest");
    if attestations.is_empty() && said.is_some_and(|said| *said != image.digest.to_string()) {
        let said = said.map(String::as_str).unwrap_or_default();
        return Err(BuildError::protocol(format!("it says {said} and sent {}", image.digest)));
    }
    let mut lent = Lent::default();
    for manifest in std::iter::once(&image).chain(&attestations) {
        lent.extend(&ingest::lent_blobs(manifest, store, &request.lent)?);
    }
    Ok(Built {
        digest: image.digest,
        media_type: image.media_type,
        size: image.size,
        attestations,
        lent,
        bytes_received: session.received(),
        files_sent: session.sent().files(),
        bytes_sent: session.sent().bytes(),
    })
}

/// The image or index that an exporter says it wrote.
///
/// Source: BuildKit, `exporter/containerimage/exptypes/types.go`.
fn described(response: &HashMap<String, String>) -> Result<Descriptor, BuildError> {
    let text = response.get("containerimage.descriptor");
    let text = text.ok_or_else(|| BuildError::protocol("it sent no result"))?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    serde_json::from_slice(&bytes)
        .map_err(|error| BuildError::protocol(format!("it does not say what it built: {error}")))
}

fn offer(request: &Request, credentials: Arc<dyn Credentials>) -> Offer {
    let mut folders = HashMap::new();
    let mut stores = HashMap::new();
    folders.insert(CONTEXT.to_owned(), Arc::new(Folder::of_snapshot(request.context.clone())));
    folders.insert(DOCKERFILE.to_owned(), Arc::new(dockerfile(request)));
    for (index, (name, source)) in request.contexts.iter().enumerate() {
        match source {
            ContextSource::Folder(snapshot) => {
                folders.insert(solve::folder_name(name), Arc::new(Folder::of_snapshot(snapshot.clone())));
            }
            ContextSource::Store { store, .. } => {
                stores.insert(solve::store_name(index), store.clone());
            }
            ContextSource::Image(_) => {}
        }
    }
    Offer {
        name: ascii(request.image.as_str()),
        shared_key: shared_key(snapshots(request)),
        folders,
        stores,
        lent: request.lent.clone(),
        secrets: request.secrets.clone(),
        masks: request.masks.clone(),
        ssh: request.ssh.clone(),
        credentials,
    }
}

fn dockerfile(request: &Request) -> Folder {
    let name = solve::file_name(request.dockerfile.name());
    let files = [
        (name.to_owned(), Bytes::copy_from_slice(request.dockerfile.text().as_bytes())),
        (format!("{name}.dockerignore"), Bytes::from_static(NOTHING_IGNORED.as_bytes())),
    ];
    let path = |(name, bytes): (String, Bytes)| RelPath::new(name.as_bytes()).map(|path| (path, bytes));
    Folder::of_given(files.into_iter().filter_map(path))
}

/// The folders that a build reads, the main context first.
fn snapshots(request: &Request) -> impl Iterator<Item = &Snapshot> {
    let folders = request.contexts.values().filter_map(|source| match source {
        ContextSource::Folder(snapshot) => Some(snapshot),
        _ => None,
    });
    std::iter::once(&request.context).chain(folders)
}

/// Builds that read the same folders share what BuildKit received. It holds places of this machine, so it is hashed.
pub(super) fn shared_key<'a>(snapshots: impl IntoIterator<Item = &'a Snapshot>) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("orchestrate 2026-11 shared key of sessions v1");
    for snapshot in snapshots {
        hasher.update(&places(snapshot));
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Where a snapshot lies, with lengths.
pub(super) fn places(snapshot: &Snapshot) -> Vec<u8> {
    let mut places = Vec::new();
    let mut field = |bytes: &[u8]| {
        places.extend((bytes.len() as u64).to_le_bytes());
        places.extend(bytes);
    };
    match snapshot.origin() {
        Origin::Folder(place) => field(place.as_os_str().as_bytes()),
        Origin::Assembled(parts) => {
            for (to, from) in parts {
                field(to.as_bytes());
                field(from.as_os_str().as_bytes());
            }
        }
    }
    places
}

/// A name as it may stand in a header.
fn ascii(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}
