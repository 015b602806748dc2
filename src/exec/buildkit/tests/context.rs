//! Contexts that several builds read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bollard_buildkit_proto::moby::buildkit::v1 as api;
use bollard_buildkit_proto::pb;
use prost::Message as _;
use tonic::Status;

use super::fake::{connect, read_context};
use super::{build, request, snapshot};
use crate::exec::buildkit::BuildError;
use crate::registry::ContentStore;

/// The session that the input for the main context names.
fn session_of(solve: &api::SolveRequest) -> String {
    let source = pb::Op::decode(&solve.frontend_inputs["context"].def[0][..]).unwrap();
    let Some(pb::op::Op::Source(source)) = source.op else { panic!("no source") };
    assert_eq!(source.identifier, "local://context");
    source.attrs["local.session"].clone()
}

const STOP: &str = "that is all";

#[tokio::test]
async fn builds_name_one_session_for_a_context_that_they_share() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let solves = seen.clone();
    let (buildkit, _socket) = connect(move |solve, sessions| {
        let solves = solves.clone();
        async move {
            let shared = session_of(&solve);
            assert_ne!(shared, solve.session);
            let files = read_context(&sessions.get(&shared).await).await?;
            let own = read_context(&sessions.get(&solve.session).await).await?;
            solves.lock().unwrap().push((shared, solve.frontend_inputs["context"].clone(), files, own));
            Err::<api::SolveResponse, _>(Status::internal(STOP))
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let own = snapshot(folder.path(), &[("own", b"own")]);
    let both = snapshot(folder.path(), &[("own", b"own"), ("shared", &[5; 200_000])]);
    let store = ContentStore::new(folder.path());
    let mut first = request(own.clone());
    first.shared = BTreeMap::from([(String::new(), both.clone())]);
    let mut second = first.clone();
    second.secrets.insert("token".to_owned(), crate::exec::buildkit::SecretSource::Env("TOKEN".to_owned()));
    let (one, two) = tokio::join!(build(&buildkit, first.clone(), &store), build(&buildkit, second, &store));
    for error in [one, two] {
        assert!(error.unwrap_err().to_string().contains(STOP));
    }
    {
        let seen = seen.lock().unwrap();
        assert_eq!((&seen[0].0, &seen[0].1), (&seen[1].0, &seen[1].1), "equal inputs are solved once");
        assert_eq!((seen[0].2.len(), &seen[0].3[..]), (200_003, &b"own"[..]));
    }
    // What changed is another snapshot, and has another session.
    first.shared = BTreeMap::from([(String::new(), snapshot(folder.path(), &[("shared", b"new")]))]);
    assert!(build(&buildkit, first, &store).await.is_err());
    let seen = seen.lock().unwrap();
    assert_ne!(seen[2].0, seen[0].0);
    assert_eq!(seen[2].2, b"new");
}

#[tokio::test]
async fn a_file_that_changed_fails_every_build_that_shares_it() {
    let (buildkit, _socket) = connect(|solve, sessions| async move {
        let read = read_context(&sessions.get(&session_of(&solve)).await).await;
        read.and_then(|_| Err::<api::SolveResponse, _>(Status::internal("it was read")))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let context = snapshot(folder.path(), &[("file", b"planned")]);
    std::fs::write(folder.path().join("file"), b"edited!").unwrap();
    let store = ContentStore::new(folder.path());
    let mut request = request(context.clone());
    request.shared = BTreeMap::from([(String::new(), context)]);
    let both = tokio::join!(build(&buildkit, request.clone(), &store), build(&buildkit, request, &store));
    for error in [both.0.unwrap_err(), both.1.unwrap_err()] {
        assert!(matches!(&error, BuildError::InputChanged { path } if path.ends_with("file")), "{error}");
    }
}
