//! The session: a gRPC server of ours inside one stream to BuildKit, through which it asks for files, credentials, secrets,
//! agents and bases, and hands over the result. One session serves one build, because within a session BuildKit does not
//! look for changed files again.
//!
//! Source: BuildKit's `session` packages and their `.proto` files.

mod auth;
mod content;
mod export;
mod files;
mod health;
mod result;
mod secrets;
mod ssh;
mod tunnel;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::FileSendServer;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;

pub(super) use export::{Export, Writers};
pub(super) use files::Sent;

use super::error::BuildError;
use super::folder::Folder;
use super::masks::Masks;
use super::request::SecretSource;
use crate::registry::{ContentStore, Credentials, Lent};
use tunnel::Tunnel;

/// The longest message that is read: BuildKit sends a result in pieces of 3 MiB.
const LONGEST_MESSAGE: usize = 32 << 20;

/// What the session has to offer.
pub(super) struct Offer {
    /// The name that BuildKit's logs show.
    pub(super) name: String,
    /// What builds must have in common for BuildKit to keep the files of one for the next.
    pub(super) shared_key: String,
    pub(super) folders: HashMap<String, Arc<Folder>>,
    pub(super) stores: HashMap<String, ContentStore>,
    /// Blobs that need not be sent.
    pub(super) lent: Lent,
    pub(super) secrets: BTreeMap<String, SecretSource>,
    /// What must not be shown. The secrets that are given away come to it.
    pub(super) masks: Masks,
    pub(super) ssh: BTreeMap<String, String>,
    pub(super) credentials: Arc<dyn Credentials>,
}

/// An open session. It ends when it is dropped.
pub(super) struct Session {
    id: String,
    sent: Arc<Sent>,
    received: Arc<AtomicU64>,
    masks: Masks,
    failure: Failure,
    index: Arc<Mutex<Option<Vec<u8>>>>,
    _tunnel: Tunnel,
}

impl Session {
    /// Opens a session that offers `offer` and takes the result into `store`, but for the blobs that are lent.
    pub(super) async fn open(
        control: &mut ControlClient<Channel>,
        offer: Offer,
        store: &ContentStore,
        writers: Writers,
    ) -> Result<Self, tonic::Status> {
        let (sent, masks, failure) = (Arc::<Sent>::default(), offer.masks, Failure::default());
        let index = Arc::<Mutex<Option<Vec<u8>>>>::default();
        let id = hex::encode(rand::random::<[u8; 16]>());
        let (name, shared_key) = (offer.name, offer.shared_key);
        let header = tunnel::Header { id: id.clone(), name, shared_key, methods: &tunnel::METHODS };
        let received = Arc::<AtomicU64>::default();
        // A builder that does not know `tar=false` sends one archive instead.
        let receiver = result::Receiver::new(store.clone(), index.clone(), received.clone(), failure.clone());
        let export = Export::new(store.clone(), offer.lent, writers, received.clone(), failure.clone());
        let routes = Routes::new(files::FileSync::new(offer.folders, sent.clone(), failure.clone()))
            .add_service(FileSendServer::new(receiver).max_decoding_message_size(LONGEST_MESSAGE))
            .add_service(content::ContentServer::new(offer.stores, export))
            .add_service(AuthServer::new(auth::Registries::new(offer.credentials)))
            .add_service(SecretsServer::new(secrets::Vault::new(offer.secrets, masks.clone(), failure.clone())))
            .add_service(SshServer::new(ssh::Agents::new(offer.ssh, failure.clone())))
            .add_service(HealthServer::new(health::Alive));
        let tunnel = Tunnel::open(control, &header, routes).await?;
        Ok(Self { id, sent, received, masks, failure, index, _tunnel: tunnel })
    }

    /// The id by which a solve request names it.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What was sent so far.
    pub(super) fn sent(&self) -> &Sent {
        &self.sent
    }

    /// The bytes of the result that came in so far.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The sensitive args, and the secrets that were given away, so that they can be hidden.
    pub(super) fn masks(&self) -> Masks {
        self.masks.clone()
    }

    /// What went wrong on our side, if anything did.
    pub(super) fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The `index.json` of the result, if it came as an archive and is unpacked.
    pub(super) fn take_index(&self) -> Option<Vec<u8>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An open session that serves folders and nothing else, to as many builds as name it.
pub(super) struct FolderSession {
    id: String,
    sent: Arc<Sent>,
    failure: Failure,
    _tunnel: Tunnel,
}

impl FolderSession {
    /// Opens a session that serves `folders`.
    pub(super) async fn open(
        control: &mut ControlClient<Channel>,
        shared_key: String,
        folders: HashMap<String, Arc<Folder>>,
    ) -> Result<Self, tonic::Status> {
        let (sent, failure) = (Arc::<Sent>::default(), Failure::default());
        let id = hex::encode(rand::random::<[u8; 16]>());
        let name = "contexts".to_owned();
        let header = tunnel::Header { id: id.clone(), name, shared_key, methods: &tunnel::FOLDER_METHODS };
        let routes = Routes::new(files::FileSync::new(folders, sent.clone(), failure.clone()))
            .add_service(HealthServer::new(health::Alive));
        let tunnel = Tunnel::open(control, &header, routes).await?;
        Ok(Self { id, sent, failure, _tunnel: tunnel })
    }

    /// The id by which an input names it.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What was sent and is not counted yet.
    pub(super) fn sent(&self) -> &Sent {
        &self.sent
    }

    /// What went wrong on our side, if anything did.
    pub(super) const fn failure(&self) -> &Failure {
        &self.failure
    }
}

/// An error of ours: BuildKit is told a text, the caller gets the error itself.
#[derive(Clone, Default)]
pub(super) struct Failure {
    error: Arc<Mutex<Option<BuildError>>>,
    happened: CancellationToken,
}

impl Failure {
    /// Keeps the first error. Returns what BuildKit is told.
    fn set(&self, error: BuildError) -> tonic::Status {
        let status = tonic::Status::failed_precondition(error.to_string());
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.happened.cancel();
        status
    }

    /// The error, once there is one.
    pub(super) async fn wait(&self) -> BuildError {
        self.happened.cancelled().await;
        self.take().unwrap_or(BuildError::Cancelled)
    }

    /// The error, if there is one.
    pub(super) fn take(&self) -> Option<BuildError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether there was an error.
    pub(super) fn has_happened(&self) -> bool {
        self.happened.is_cancelled()
    }

    /// The error of a folder that many builds read: each of them gets it.
    pub(super) fn of_folder(&self) -> Option<BuildError> {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        error.as_ref().map(BuildError::of_folder)
    }
}
