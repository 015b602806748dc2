//! The result on its way to us: blob by blob, lent, broken, twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bollard_buildkit_proto::moby::buildkit::v1 as api;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::fake::{Write, connect, send_archive, serve, write};
use super::{build, names, request, snapshot};
use crate::digest::Digest;
use crate::exec::buildkit::{BuildError, Request};
use crate::oci::{Descriptor, media_type};
use crate::registry::{ContentStore, Lent, Repository};

const BASE: &[u8] = b"a layer of the base";
const CONFIG: &[u8] = b"{}";

/// An image of a base's layer and one of its own: the manifest, and what an exporter says of it.
fn image(layer: &[u8]) -> (Vec<u8>, api::SolveResponse) {
    let blob = |kind: &str, bytes: &[u8]| serde_json::json!({"mediaType": kind, "digest": Digest::of(bytes).to_string(), "size": bytes.len()});
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "config": blob(media_type::CONFIG, CONFIG),
        "layers": [blob(media_type::LAYER_GZIP, BASE), blob(media_type::LAYER_GZIP, layer)],
    });
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let descriptor = serde_json::to_vec(&blob(media_type::MANIFEST, &bytes)).unwrap();
    let exporter_response = HashMap::from([
        ("containerimage.digest".to_owned(), Digest::of(&bytes).to_string()),
        ("containerimage.descriptor".to_owned(), base64::engine::general_purpose::STANDARD.encode(descriptor)),
    ]);
    (bytes, api::SolveResponse { exporter_response })
}

/// A folder, a store in it, and a request with nothing in its context.
fn place() -> (tempfile::TempDir, ContentStore, Request) {
    let folder = tempfile::tempdir().unwrap();
    let store = ContentStore::new(folder.path().join("store"));
    let request = request(snapshot(folder.path(), &[]));
    (folder, store, request)
}

fn lender() -> Lent {
    let mut lent = Lent::default();
    let layer = Descriptor::new(media_type::LAYER_GZIP, Digest::of(BASE), BASE.len() as u64);
    lent.insert(layer, Repository::layout("/nowhere"));
    lent
}

fn hex(bytes: &[u8]) -> String {
    Digest::of(bytes).hex()
}

#[tokio::test]
async fn blobs_that_are_lent_or_there_are_not_sent() {
    let layer = vec![7; (2 << 20) + 5];
    let sent = layer.clone();
    let (tell, mut told) = mpsc::unbounded_channel();
    let (buildkit, _socket) = connect(move |solve, sessions| {
        let (layer, tell) = (sent.clone(), tell.clone());
        async move {
            assert_eq!(solve.exporter_attrs_deprecated["tar"], "false");
            let session = sessions.get(&solve.session).await;
            let (manifest, response) = image(&layer);
            for bytes in [BASE, &layer, CONFIG, &manifest] {
                tell.send(write(&session, Digest::of(bytes), bytes).await?).unwrap();
            }
            Ok(response)
        }
    })
    .await;
    let (_folder, store, mut request) = place();
    request.lent = lender();
    let built = build(&buildkit, request.clone(), &store).await.unwrap();
    let manifest = image(&layer).0;
    assert_eq!(built.digest, Digest::of(&manifest));
    assert!(built.lent.get(&Digest::of(BASE)).is_some());
    assert_eq!(built.bytes_received, (layer.len() + CONFIG.len() + manifest.len()) as u64);
    let mut expected = [hex(&layer), hex(CONFIG), hex(&manifest)];
    expected.sort();
    assert_eq!(names(&store), expected);
    assert_eq!(std::fs::read(store.path(&Digest::of(&layer))).unwrap(), layer);

    let again = build(&buildkit, request, &store).await.unwrap();
    assert_eq!((again.digest, again.bytes_received), (built.digest, 0));
    let mut asked = Vec::new();
    while let Ok(sent) = told.try_recv() {
        asked.push(sent);
    }
    assert_eq!(asked, [false, true, true, true, false, false, false, false]);
}

#[tokio::test]
async fn a_blob_that_never_came_fails_the_build() {
    let (buildkit, _socket) = connect(|solve, sessions| async move {
        let session = sessions.get(&solve.session).await;
        let (manifest, response) = image(b"gone");
        for bytes in [BASE, CONFIG, &manifest] {
            write(&session, Digest::of(bytes), bytes).await?;
        }
        Ok(response)
    })
    .await;
    let (_folder, store, mut request) = place();
    let error = build(&buildkit, request.clone(), &store).await.unwrap_err();
    assert!(error.to_string().contains(&Digest::of(b"gone").to_string()), "{error}");
    // A base that is lent does not stand in for another layer.
    request.lent = lender();
    let error = build(&buildkit, request, &store).await.unwrap_err();
    assert!(matches!(error, BuildError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn what_the_builder_does_not_find_any_more_is_its_error() {
    let (buildkit, _socket) = connect(|solve, sessions| async move {
        let session = sessions.get(&solve.session).await;
        let digest = Digest::of(b"gone");
        let write = Write::open(&session, digest, 4).await?;
        drop(write);
        Err::<api::SolveResponse, _>(Status::not_found(format!("content {digest}: not found")))
    })
    .await;
    let (_folder, store, request) = place();
    let error = build(&buildkit, request, &store).await.unwrap_err();
    assert!(matches!(&error, BuildError::Failed { message, .. } if message.contains("not found")), "{error}");
    assert!(names(&store).is_empty());
}

#[tokio::test]
async fn other_bytes_than_a_digest_says_are_refused_and_leave_nothing() {
    for (bytes, size) in [(&b"wrong"[..], 5), (b"short", 9)] {
        let (buildkit, _socket) = connect(move |solve, sessions| async move {
            let session = sessions.get(&solve.session).await;
            let digest = if size == 5 { Digest::of(b"right") } else { Digest::of(b"short") };
            let mut write = Write::open(&session, digest, size).await?.unwrap();
            write.piece(bytes).await?;
            write.commit().await?;
            Ok(image(bytes).1)
        })
        .await;
        let (_folder, store, request) = place();
        let error = build(&buildkit, request, &store).await.unwrap_err();
        let BuildError::Protocol { what } = error else { panic!("{error}") };
        assert!(what.contains("the blob sha256:"), "{what}");
        assert!(names(&store).is_empty(), "{:?}", names(&store));
    }
}

#[tokio::test]
async fn writes_begin_where_the_store_says_and_may_begin_anew() {
    let (buildkit, _socket) = connect(|solve, sessions| async move {
        let session = sessions.get(&solve.session).await;
        let bytes = b"twice";
        let mut write_ = Write::open(&session, Digest::of(bytes), bytes.len()).await?.unwrap();
        write_.piece(b"twi").await?;
        write_.seek(0);
        write_.piece(bytes).await?;
        write_.commit().await?;
        let mut ahead = Write::open(&session, Digest::of(b"ahead"), 5).await?.unwrap();
        ahead.seek(3);
        assert_eq!(ahead.piece(b"ad").await.unwrap_err().code(), Code::OutOfRange);
        for bytes in [BASE, CONFIG, &image(bytes).0] {
            write(&session, Digest::of(bytes), bytes).await?;
        }
        Ok(image(bytes).1)
    })
    .await;
    let (_folder, store, request) = place();
    build(&buildkit, request, &store).await.unwrap();
    assert_eq!(std::fs::read(store.path(&Digest::of(b"twice"))).unwrap(), b"twice");
}

/// The first of two builds begins a blob that both have, and the second asks for it; then the first goes on, or breaks off.
async fn two_builds(first_ends_it: bool) {
    let (begun, asking) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begun_, asking_) = (begun.clone(), asking.clone());
    let (buildkit, _socket) = connect(move |solve, sessions| {
        let (begun, asking) = (begun_.clone(), asking_.clone());
        async move {
            let session = sessions.get(&solve.session).await;
            let layer = b"a layer that both have";
            if solve.frontend_attrs.contains_key("target") {
                begun.notified().await;
                let write = async {
                    let write = Write::open(&session, Digest::of(layer), layer.len()).await?;
                    assert_eq!(write.is_none(), first_ends_it);
                    if let Some(mut write) = write {
                        write.piece(layer).await?;
                        write.commit().await?;
                    }
                    Ok::<_, Status>(())
                };
                tokio::pin!(write);
                // It waits while the other one writes.
                assert!(tokio::time::timeout(Duration::from_millis(200), &mut write).await.is_err());
                asking.notify_one();
                write.await?;
            } else {
                let mut write = Write::open(&session, Digest::of(layer), layer.len()).await?.unwrap();
                write.piece(&layer[..5]).await?;
                begun.notify_one();
                asking.notified().await;
                if !first_ends_it {
                    return Err(Status::internal("the step failed"));
                }
                write.piece(&layer[5..]).await?;
                write.commit().await?;
            }
            let (manifest, response) = image(layer);
            for bytes in [BASE, CONFIG, &manifest] {
                write(&session, Digest::of(bytes), bytes).await?;
            }
            Ok(response)
        }
    })
    .await;
    let (_folder, store, first) = place();
    let second = Request { target: Some("second".to_owned()), ..first.clone() };
    let (first, second) = tokio::join!(build(&buildkit, first, &store), build(&buildkit, second, &store));
    assert_eq!(first.is_ok(), first_ends_it);
    second.unwrap();
    assert_eq!(names(&store).len(), 4);
}

#[tokio::test]
async fn the_second_of_two_builds_waits_for_the_blob_of_the_first() {
    two_builds(true).await;
}

#[tokio::test]
async fn the_second_of_two_builds_writes_the_blob_that_the_first_broke_off() {
    two_builds(false).await;
}

#[tokio::test]
async fn a_session_that_breaks_in_the_export_leaves_nothing() {
    let (buildkit, _socket) = connect(|solve, sessions| async move {
        let session = sessions.get(&solve.session).await;
        let mut write = Write::open(&session, Digest::of(b"layer"), 5).await?.unwrap();
        write.piece(b"lay").await?;
        drop(session);
        sessions.cut(&solve.session);
        match write.piece(b"er").await {
            Ok(()) => Err(Status::internal("it is not broken")),
            Err(status) => Err::<api::SolveResponse, _>(Status::unavailable(status.message().to_owned())),
        }
    })
    .await;
    let (_folder, store, request) = place();
    let error = build(&buildkit, request, &store).await.unwrap_err();
    assert!(matches!(&error, BuildError::Failed { message, .. } if !message.contains("not broken")), "{error}");
    settled(&store).await;
}

#[tokio::test]
async fn a_build_that_is_cancelled_in_the_export_leaves_nothing_half_written() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (buildkit, _socket) = connect(move |solve, sessions| {
        let tell = tell.clone();
        async move {
            let session = sessions.get(&solve.session).await;
            let mut write = Write::open(&session, Digest::of(b"layer"), 5).await?.unwrap();
            write.piece(b"lay").await?;
            tell.send(()).unwrap();
            std::future::pending::<Result<api::SolveResponse, Status>>().await
        }
    })
    .await;
    let (_folder, store, request) = place();
    let cancel = CancellationToken::new();
    let building = buildkit.build(request, &store, mpsc::unbounded_channel().0, cancel.clone());
    let (built, ()) = tokio::join!(building, async {
        told.recv().await.unwrap();
        cancel.cancel();
    });
    assert!(matches!(built, Err(BuildError::Cancelled)));
    settled(&store).await;
}

/// Waits until no half-written blob is left.
async fn settled(store: &ContentStore) {
    for _ in 0..500 {
        if names(store).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?} is left", names(store));
}

#[tokio::test]
async fn a_builder_without_the_exporter_is_refused_before_the_first_build() {
    let never = |_, _| async { Err::<api::SolveResponse, _>(Status::internal("nothing is to be built")) };
    let (connected, _socket) = serve(never, "exporter \"oci\" could not be found").await;
    let error = connected.unwrap_err();
    assert!(matches!(error, BuildError::Unsupported { .. }), "{error}");
    assert!(error.help().unwrap().contains("containerd-snapshotter"));
    // One that does not look at the attribute goes on to build nothing, and says so in words of its own.
    assert!(serve(never, "no frontend and no definition").await.0.is_ok());
}

#[tokio::test]
async fn a_builder_that_knows_archives_alone_sends_one() {
    let (buildkit, _socket) = connect(|solve, sessions| async move {
        let session = sessions.get(&solve.session).await;
        let (manifest, response) = image(b"layer");
        let entry = Descriptor::new(media_type::MANIFEST, Digest::of(&manifest), manifest.len() as u64);
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
        let mut archive = tar::Builder::new(Vec::new());
        let blobs = [BASE, b"layer", CONFIG, &manifest].map(|bytes| (format!("blobs/sha256/{}", hex(bytes)), bytes));
        for (path, bytes) in blobs.into_iter().chain([("index.json".to_owned(), index.as_bytes())]) {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, path, bytes).unwrap();
        }
        send_archive(&session, archive.into_inner().unwrap()).await?;
        Ok(response)
    })
    .await;
    let (_folder, store, mut request) = place();
    request.lent = lender();
    let built = build(&buildkit, request, &store).await.unwrap();
    assert_eq!(built.digest, Digest::of(&image(b"layer").0));
    assert!(built.bytes_received > 1024, "all of the archive counts");
    assert_eq!(names(&store).len(), 4);
}

#[tokio::test]
async fn nothing_else_than_the_export_is_written() {
    let (buildkit, _socket) = connect(|solve, sessions| async move {
        let session = sessions.get(&solve.session).await;
        let status = Write::open_in(&session, "store0", Digest::of(b"x"), 1).await.err().unwrap();
        assert_eq!(status.code(), Code::PermissionDenied);
        Err::<api::SolveResponse, _>(Status::internal("as it should be"))
    })
    .await;
    let (_folder, store, request) = place();
    let error = build(&buildkit, request, &store).await.unwrap_err();
    assert!(error.to_string().contains("as it should be"), "{error}");
}
