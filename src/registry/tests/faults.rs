use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;

use super::super::testing::{Action, Fault, Mounts, Options, TestRegistry};
use super::super::{
    Anonymous, Arrival, By, Client, Error, Mount, Repository, RequestKind, Settings, copy_image, push_image,
};
use super::{Folder, anonymous, at, noise, quick, start};
use crate::digest::Digest;
use crate::oci::{Descriptor, Manifest, media_type};

fn times(on: &'static str, times: usize, action: Action) -> Fault {
    Fault { on, times, action }
}

fn answer(status: u16) -> Action {
    Action::Answer(status, vec![], "")
}

#[tokio::test]
async fn server_errors_heal() {
    for status in [500, 502, 503, 504] {
        let (registry, client, repository) = start(Options::default()).await;
        registry.fail(times("/v2/", 3, answer(status)));
        assert_eq!(repository.head_manifest(By::Tag("x")).await.unwrap(), None, "{status}");
        assert_eq!(client.counters().of(RequestKind::ManifestHead), 4);
        assert_eq!(client.counters().counts().retries, 3);
    }
}

#[tokio::test]
async fn client_errors_are_not_repeated_and_say_all() {
    let (registry, client, repository) = start(Options::default()).await;
    let body = r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#;
    registry.fail(times("GET", 9, Action::Answer(403, vec![("X-Amz-Request-Id", "R7".to_owned())], body)));
    let error = repository.get_manifest(By::Tag("x")).await.unwrap_err();
    assert_eq!(client.counters().of(RequestKind::ManifestGet), 1);
    assert_eq!(client.counters().total(), 2, "the list of tags tells a refusal from an absence");
    let text = error.to_string();
    for part in ["GET manifests/x", "team/app", &registry.host, "403 Forbidden", "DENIED", "not you", "R7"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(error.help().unwrap().contains("may not do this"), "{:?}", error.help());
}

#[tokio::test]
async fn a_long_page_of_error_is_cut() {
    let (registry, _, repository) = start(Options::default()).await;
    let page: &'static str = "<html>\u{1b}[31m".repeat(5000).leak();
    registry.fail(times("GET", 9, Action::Answer(418, vec![], page)));
    let text = repository.get_manifest(By::Tag("x")).await.unwrap_err().to_string();
    assert!(text.len() < 700 && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test]
async fn retry_after_is_kept() {
    let (registry, client, repository) = start(Options::default()).await;
    registry.fail(times("HEAD", 1, Action::Answer(429, vec![("Retry-After", "1".to_owned())], "")));
    let started = Instant::now();
    repository.head_manifest(By::Tag("x")).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(client.counters().total(), 2);
}

#[tokio::test]
async fn an_upload_broken_at_any_byte_is_finished() {
    for survive in [true, false] {
        let (registry, client, repository) = start(Options { sessions_survive: survive, ..Options::default() }).await;
        let folder = Folder::new();
        for round in 0..12 {
            let length = 500_000;
            let blob = folder.blob(round, length).await;
            let broken_at = rand::rng().random_range(0..length);
            registry.fail(times("/blobs/uploads/", 0, answer(500)));
            registry.fail(times("PUT /v2/team/app/blobs/uploads/", 1, Action::BreakRequest(broken_at)));
            let before = client.counters().counts().blob_bytes_sent;
            let source = folder.store.source(&blob.digest);
            repository.ensure_blob(&blob, &source, &[]).await.unwrap_or_else(|error| panic!("at {broken_at}: {error}"));
            assert_eq!(registry.state().repositories["team/app"].blobs[&blob.digest], noise(round, length));
            let received: usize = registry.seen("/blobs/uploads/").iter().map(|logged| logged.body).sum();
            registry.state().log.clear();
            if survive {
                assert!(received < length + 64, "nothing is sent twice: {received} after a break at {broken_at}");
            }
            assert!(client.counters().counts().blob_bytes_sent - before >= length as u64);
        }
    }
}

#[tokio::test]
async fn parts_that_break_go_on_and_lost_sessions_begin_anew() {
    let (registry, _, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let blob = folder.blob(1, 400_000).await;
    registry.fail(times("PUT /v2/team/app/blobs/uploads/", 1, Action::BreakRequest(10_000)));
    registry.fail(times("PATCH", 2, Action::BreakRequest(30_000)));
    registry.fail(times("PATCH", 1, Action::ForgetUploads));
    registry.fail(times("PATCH", 1, answer(502)));
    repository.ensure_blob(&blob, &folder.store.source(&blob.digest), &[]).await.unwrap();
    assert_eq!(registry.state().repositories["team/app"].blobs[&blob.digest], noise(1, 400_000));
    assert_eq!(registry.seen("POST").len(), 2, "one upload was lost");
}

#[tokio::test]
async fn a_lost_session_before_the_first_byte_begins_anew() {
    let (registry, _, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let blob = folder.blob(1, 1000).await;
    registry.fail(times("PUT /v2/team/app/blobs/uploads/", 1, Action::ForgetUploads));
    repository.ensure_blob(&blob, &folder.store.source(&blob.digest), &[]).await.unwrap();
    assert!(registry.state().repositories["team/app"].blobs.contains_key(&blob.digest));
}

#[tokio::test]
async fn answers_that_get_lost_are_not_missed() {
    let (registry, client, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 1000)]).await;
    registry.fail(times("PUT", 3, Action::BreakBeforeAnswer));
    push_image(&repository, &folder.store, &image, &[], 1).await.unwrap();
    let held: usize = registry.state().repositories["team/app"].blobs.values().map(Vec::len).sum();
    assert_eq!(client.counters().counts().blob_bytes_sent, held as u64);
}

#[tokio::test]
async fn mounts_refused_or_answered_with_an_upload() {
    for (mounts, arrival, posts) in
        [(Mounts::Yes, Arrival::Mounted, 1), (Mounts::Upload, Arrival::Sent, 1), (Mounts::Refused, Arrival::Sent, 2)]
    {
        let (registry, client, repository) = start(Options { mounts, ..Options::default() }).await;
        let folder = Folder::new();
        let blob = folder.blob(7, 5000).await;
        let base = super::Repository::remote(&anonymous(), at(&registry, "base"));
        base.ensure_blob(&blob, &folder.store.source(&blob.digest), &[]).await.unwrap();
        registry.state().log.clear();
        let from = ["base".to_owned()];
        let arrived = repository.ensure_blob(&blob, &folder.store.source(&blob.digest), &from).await.unwrap();
        assert_eq!(arrived, arrival);
        assert_eq!(registry.seen("POST").len(), posts, "an upload that a mount opened is used");
        assert_eq!(client.counters().of(RequestKind::UploadFinish), u64::from(arrival == Arrival::Sent));
        assert!(registry.state().uploads.is_empty());
        assert!(registry.state().repositories["team/app"].blobs.contains_key(&blob.digest));
    }
}

#[tokio::test]
async fn a_mount_that_fails_with_500_is_followed_by_an_upload() {
    let (registry, client, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let blob = folder.blob(7, 5000).await;
    registry.fail(times("POST", 6, answer(500)));
    let from = ["base".to_owned()];
    repository.ensure_blob(&blob, &folder.store.source(&blob.digest), &from).await.unwrap();
    let mount = client.mount_blob(&at(&registry, "other"), "team/app", blob.digest).await.unwrap();
    assert!(matches!(mount, Mount::Mounted));
}

#[tokio::test]
async fn an_upload_that_is_not_wanted_is_given_up() {
    let (registry, client, _) = start(Options { mounts: Mounts::Upload, ..Options::default() }).await;
    let name = at(&registry, "team/app");
    let Mount::Upload(session) = client.mount_blob(&name, "base", Digest::of(b"x")).await.unwrap() else {
        panic!("no upload")
    };
    client.cancel_upload(&name, session).await;
    assert!(registry.state().uploads.is_empty());
}

#[tokio::test]
async fn a_manifest_put_without_location_is_fine() {
    let (registry, _, repository) = start(Options { location: false, ..Options::default() }).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 100)]).await;
    push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    assert!(registry.state().repositories["team/app"].manifests.contains_key(&image));
}

#[tokio::test]
async fn a_registry_that_does_not_see_yet_what_it_has_is_asked_again() {
    let (registry, client, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 100)]).await;
    let body = r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"},{"code":"MANIFEST_BLOB_UNKNOWN","message":""}]}"#;
    registry.fail(times("PUT /v2/team/app/manifests/", 2, Action::Answer(400, vec![], body)));
    push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    assert_eq!(client.counters().counts().retries, 2);
    registry.fail(times("PUT /v2/team/app/manifests/", 9, Action::Answer(400, vec![], body)));
    let manifest = folder.store.manifest(&image).await.unwrap().unwrap();
    let error = repository.put_manifest(By::Tag("v1"), &manifest).await.unwrap_err();
    assert!(error.to_string().contains("MANIFEST_BLOB_UNKNOWN"), "{error}");
    assert_eq!(registry.seen("PUT /v2/team/app/manifests/v1").len(), 4, "but not for ever");
}

#[tokio::test]
async fn wrong_digests_are_found_out() {
    let (registry, client, repository) = start(Options { wrong_digest: true, ..Options::default() }).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 100)]).await;
    let error = push_image(&repository, &folder.store, &image, &[], 4).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    let error = client.get_manifest(&at(&registry, "team/app"), By::Digest(image)).await;
    assert!(error.is_ok(), "by digest the bytes alone count: {error:?}");
    let error = client.head_manifest(&at(&registry, "team/app"), By::Digest(image)).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    registry.fail(times("GET", 1, Action::Answer(200, vec![("Content-Type", media_type::MANIFEST.to_owned())], "{}")));
    let error = client.get_manifest(&at(&registry, "team/app"), By::Digest(image)).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_not_its_digest_is_not_sent() {
    let (registry, _, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let blob = folder.blob(1, 300_000).await;
    for wrong in [noise(2, 300_000), noise(1, 299_999), noise(1, 300_001)] {
        std::fs::write(folder.store.path(&blob.digest), wrong).unwrap();
        let error = repository.ensure_blob(&blob, &folder.store.source(&blob.digest), &[]).await.unwrap_err();
        assert!(matches!(error, Error::WrongDigest { .. } | Error::TooLarge { .. }), "{error}");
    }
    assert!(!registry.state().repositories.contains_key("team/app"));
}

#[tokio::test]
async fn a_slow_reader_is_waited_for_and_a_dead_one_is_not() {
    let registry = TestRegistry::start(Options::default()).await;
    // A busy machine stands still for a second now and then.
    let idle_timeout = Duration::from_millis(2500);
    let client = Client::new(Settings { idle_timeout, ..quick() }, Arc::new(Anonymous));
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    let folder = Folder::new();
    let blob = folder.blob(1, 40_000_000).await;
    registry.fail(times("PUT", 1, Action::ReadSlowly));
    let started = Instant::now();
    repository.ensure_blob(&blob, &folder.store.source(&blob.digest), &[]).await.unwrap();
    assert!(started.elapsed() > idle_timeout, "longer than the idle limit: {:?}", started.elapsed());
    assert_eq!(client.counters().of(RequestKind::UploadFinish), 1);

    let other = folder.blob(2, 20_000_000).await;
    registry.fail(times("PUT", 1, Action::Hang));
    repository.ensure_blob(&other, &folder.store.source(&other.digest), &[]).await.unwrap();
    assert!(registry.state().repositories["team/app"].blobs.contains_key(&other.digest));
}

#[tokio::test]
async fn a_registry_that_goes_away_and_comes_back_is_waited_for() {
    let (mut registry, _, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 3_000_000), (2, 3_000_000)]).await;
    repository.head_manifest(By::Tag("x")).await.unwrap();
    registry.fail(times("PUT", 2, Action::ReadSlowly));
    let push = async { push_image(&repository, &folder.store, &image, &[], 2).await };
    let away = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        registry.stop().await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        registry.come_back().await;
    };
    let (pushed, ()) = tokio::join!(push, away);
    pushed.unwrap();
    assert!(registry.state().repositories["team/app"].manifests.contains_key(&image));
}

#[tokio::test]
async fn a_registry_that_was_never_there_fails_fast_for_all() {
    let (mut registry, _, repository) = start(Options::default()).await;
    registry.stop().await;
    let started = Instant::now();
    let questions = (0..100).map(|number| {
        let repository = repository.clone();
        async move { repository.head_manifest(By::Tag(&format!("t{number}"))).await }
    });
    let answers = futures::future::join_all(questions).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }) && error.help().is_some(), "{error}");
    }
}

#[tokio::test]
async fn a_registry_that_says_nothing_costs_its_budget_once() {
    let (registry, _, repository) = start(Options::default()).await;
    registry.fail(times("HEAD", 1000, Action::Hang));
    let started = Instant::now();
    let tags: Vec<String> = (0..50).map(|number| format!("t{number}")).collect();
    let answers = futures::future::join_all(tags.iter().map(|tag| repository.head_manifest(By::Tag(tag)))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Unreachable { .. }))));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(registry.seen("HEAD").len(), 1);
}

#[tokio::test]
async fn a_full_disk_over_there_is_told() {
    let (registry, client, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 1000)]).await;
    let body = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":"no space left on device"}]}"#;
    registry.fail(times("PUT /v2/team/app/blobs/uploads/", 99, Action::Answer(500, vec![], body)));
    let error = push_image(&repository, &folder.store, &image, &[], 1).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { .. }) && error.to_string().contains("500"), "{error}");
    assert!(error.help().unwrap().contains("disk"), "{:?}", error.help());
    assert!(client.counters().of(RequestKind::UploadFinish) <= 6, "{:?}", client.counters().counts());
    registry.state().faults.clear();
    registry.fail(times("PUT /v2/team/app/blobs/uploads/", 99, Action::Answer(507, vec![], "")));
    let error = push_image(&repository, &folder.store, &image, &[], 1).await.unwrap_err();
    assert_eq!(error.status(), Some(507), "{error}");
    assert!(!registry.state().repositories.contains_key("team/app"));
}

#[tokio::test]
async fn downloads_that_break_go_on_where_they_broke() {
    let (registry, client, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 2_000_000)]).await;
    push_image(&repository, &folder.store, &image, &[], 2).await.unwrap();
    registry.fail(times("GET /v2/team/app/blobs/", 3, Action::BreakAnswer(300_000)));
    let layout = tempfile::tempdir().unwrap();
    let to = super::Repository::layout(layout.path());
    copy_image(&repository, &to, &image, 2).await.unwrap();
    let received = client.counters().counts().blob_bytes_received;
    assert!(received < 2_010_000, "nothing is read twice: {received}");
    let blob = Descriptor::of(media_type::LAYER_TAR, &noise(1, 2_000_000));
    assert_eq!(to.read_blob(&blob, u64::MAX).await.unwrap(), noise(1, 2_000_000));

    registry.state().repositories.get_mut("team/app").unwrap().blobs.insert(blob.digest, noise(9, 2_000_000));
    let error = repository.read_blob(&blob, u64::MAX).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
}

#[tokio::test]
async fn an_immutable_tag_that_stands_right_is_success() {
    let (registry, _, repository) = start(Options { immutable: true, ..Options::default() }).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 100)]).await;
    push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    let manifest = folder.store.manifest(&image).await.unwrap().unwrap();
    repository.put_manifest(By::Tag("v1"), &manifest).await.unwrap();
    repository.put_manifest(By::Tag("v1"), &manifest).await.unwrap();
    let mut other = Manifest::image(Descriptor::of(media_type::CONFIG, b"{}"), vec![]);
    other.annotations.insert("a".to_owned(), "b".to_owned());
    let blob = Descriptor::of(media_type::CONFIG, b"{}");
    repository.ensure_blob(&blob, &super::super::BlobSource::Bytes("{}".into()), &[]).await.unwrap();
    let error = repository.put_manifest(By::Tag("v1"), &other.to_raw()).await.unwrap_err();
    assert_eq!(error.status(), Some(400), "{error}");
    assert_eq!(registry.state().repositories["team/app"].tags["v1"], image);
}

#[tokio::test]
async fn a_manifest_that_is_too_large_is_not_read() {
    let (registry, _, repository) = start(Options::default()).await;
    let huge: &'static str = " ".repeat(5 * 1024 * 1024).leak();
    registry.fail(times("GET", 1, Action::Answer(200, vec![("Content-Type", media_type::MANIFEST.to_owned())], huge)));
    let error = repository.get_manifest(By::Tag("x")).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}
