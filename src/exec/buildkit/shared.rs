//! Contexts that several builds read: each is sent to the builder once, in a session of its own, and the builds name it as an input.
//!
//! BuildKit takes a folder of the client for the same one only if session, name and attributes are equal. So every build of a run that
//! reads a snapshot names the same source, and it solves that once, also for builds at the same time. The session serves files alone:
//! secrets, agents and logins stay in the session of each build. It lives as long as the connection, and its files are the snapshot's, whose
//! bytes are checked when they are sent, so it does no harm that BuildKit looks at them once.
//!
//! Source: BuildKit, `source/local/source.go`, `frontend/dockerui/context.go` (`Inputs`), `solver/pb/attr.go` and `solver/pb/caps.go`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::pb;
use prost::Message as _;
use tonic::transport::Channel;

use super::build::{places, shared_key};
use super::folder::Folder;
use super::session::FolderSession;
use super::solve::CONTEXT;
use crate::digest::Digest;
use crate::workspace::Snapshot;

/// The snapshots that builds of this connection share, by what they hold and where it lies.
#[derive(Clone, Default)]
pub(super) struct SharedContexts(Arc<tokio::sync::Mutex<HashMap<Vec<u8>, Arc<FolderSession>>>>);

impl SharedContexts {
    /// The session that serves a snapshot.
    pub(super) async fn session(
        &self,
        control: &mut ControlClient<Channel>,
        snapshot: &Snapshot,
    ) -> Result<Arc<FolderSession>, tonic::Status> {
        let key = [&snapshot.files().hash()[..], &places(snapshot)].concat();
        let mut sessions = self.0.lock().await;
        if let Some(session) = sessions.get(&key).filter(|session| !session.failure().has_happened()) {
            return Ok(Arc::clone(session));
        }
        let served = snapshot.clone();
        let folder = tokio::task::spawn_blocking(move || Arc::new(Folder::of_snapshot(served))).await;
        let folder = folder.map_err(|error| tonic::Status::internal(error.to_string()))?;
        let folders = HashMap::from([(CONTEXT.to_owned(), folder)]);
        let session = FolderSession::open(control, shared_key([snapshot]), folders).await?;
        let session = Arc::new(session);
        sessions.insert(key, Arc::clone(&session));
        Ok(session)
    }
}

/// The folder of a session as the input of a front end.
pub(super) fn input(session: &str, label: &str) -> pb::Definition {
    let attrs = [("local.session", session), ("local.sharedkeyhint", CONTEXT)];
    let source = pb::SourceOp {
        identifier: format!("local://{CONTEXT}"),
        attrs: attrs.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    };
    let source = pb::Op { op: Some(pb::op::Op::Source(source)), ..pb::Op::default() }.encode_to_vec();
    let digest = Digest::of(&source).to_string();
    let end = pb::Op { inputs: vec![pb::Input { digest: digest.clone(), index: 0 }], ..pb::Op::default() };
    let caps = ["source.local", "source.local.sessionid", "source.local.sharedkeyhint"];
    let about = pb::OpMetadata {
        description: BTreeMap::from([("llb.customname".to_owned(), label.to_owned())]),
        caps: caps.map(|cap| (cap.to_owned(), true)).into(),
        ..pb::OpMetadata::default()
    };
    pb::Definition { def: vec![source, end.encode_to_vec()], metadata: BTreeMap::from([(digest, about)]), source: None }
}
