use super::super::testing::{Auth, Mounts, Options, TestRegistry};
use super::super::{
    BlobSource, By, ContentStore, Error, Lent, Repository, RequestKind, copy_image, push_blobs, push_image,
};
use super::{Folder, anonymous, at, noise, start};
use crate::digest::Digest;
use crate::oci::{Descriptor, media_type};

#[tokio::test]
async fn a_second_push_asks_once_and_sends_nothing() {
    let (_registry, client, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 1000), (2, 2000)]).await;
    let first = push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    assert_eq!((first.blobs_sent, first.manifests, first.existing), (3, 1, 0));
    assert_eq!(first.bytes_sent, client.counters().counts().blob_bytes_sent);
    let before = client.counters().total();
    let second = push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    assert_eq!((second.blobs_sent, second.manifests, second.existing), (0, 0, 1));
    assert_eq!(client.counters().total() - before, 1);
}

#[tokio::test]
async fn the_manifest_comes_last_and_is_read_back() {
    let (registry, _, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let amd = folder.image(&[(1, 1000)]).await;
    let arm = folder.image(&[(2, 1000)]).await;
    let index = folder.index(&[("linux/amd64", amd), ("linux/arm64", arm)]).await;
    push_image(&repository, &folder.store, &index, &[], 4).await.unwrap();
    let lines: Vec<String> = registry.state().log.iter().map(|logged| logged.line.clone()).collect();
    let last: Vec<&str> = lines[lines.len() - 2..].iter().map(String::as_str).collect();
    let path = format!("/v2/team/app/manifests/{index}");
    assert_eq!(last, [format!("PUT {path}"), format!("GET {path}")]);
    assert_eq!(registry.state().repositories["team/app"].manifests.len(), 3);
    assert!(registry.state().repositories["team/app"].tags.is_empty(), "no tag moves");
}

#[tokio::test]
async fn what_the_store_lacks_is_said_before_anything_is_published() {
    let (registry, _, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 1000)]).await;
    std::fs::remove_file(folder.store.path(&Digest::of(&super::noise(1, 1000)))).unwrap();
    let error = push_image(&repository, &folder.store, &image, &[], 4).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    let error = push_image(&repository, &folder.store, &Digest::of(b"nothing"), &[], 4).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(registry.seen("PUT /v2/team/app/manifests").is_empty());
}

#[tokio::test]
async fn images_that_share_layers_send_them_once_to_all_repositories() {
    for (mounts, sent) in [(Mounts::Yes, 5_000_000), (Mounts::Upload, 6 * 5_000_000)] {
        let registry = TestRegistry::start(Options { mounts, ..Options::default() }).await;
        let client = anonymous();
        let folder = Folder::new();
        let image = folder.image(&[(1, 5_000_000)]).await;
        let pushes = (0..6).map(|number| {
            let repository = Repository::remote(&client, at(&registry, &format!("app{number}")));
            let store = folder.store.clone();
            async move { push_image(&repository, &store, &image, &[], 4).await }
        });
        for pushed in futures::future::join_all(pushes).await {
            pushed.unwrap();
        }
        let bytes = client.counters().counts().blob_bytes_sent;
        assert!((sent..sent + 10_000).contains(&bytes), "{bytes} of {sent}");
    }
}

#[tokio::test]
async fn a_copy_on_one_host_sends_no_byte_and_to_another_streams() {
    let (registry, client, from) = start(Options::default()).await;
    let other = TestRegistry::start(Options::default()).await;
    let folder = Folder::new();
    let amd = folder.image(&[(1, 900_000), (2, 10)]).await;
    let arm = folder.image(&[(3, 900_000), (2, 10)]).await;
    let index = folder.index(&[("linux/amd64", amd), ("linux/arm64", arm)]).await;
    push_image(&from, &folder.store, &index, &[], 4).await.unwrap();
    let (sent, received) = (client.counters().counts().blob_bytes_sent, client.counters().counts().blob_bytes_received);

    let near = Repository::remote(&client, at(&registry, "prod/app"));
    let copied = copy_image(&from, &near, &index, 4).await.unwrap();
    assert_eq!((copied.blobs_sent, copied.manifests), (0, 3));
    assert_eq!(client.counters().counts().blob_bytes_sent, sent);

    let far = Repository::remote(&client, at(&other, "prod/app"));
    let copied = copy_image(&from, &far, &index, 4).await.unwrap();
    assert_eq!(copied.manifests, 3);
    assert_eq!(client.counters().counts().blob_bytes_received - received, copied.bytes_sent);
    assert_eq!(other.state().repositories["prod/app"].blobs, registry.state().repositories["team/app"].blobs);

    let folder = tempfile::tempdir().unwrap();
    let layout = Repository::layout(folder.path());
    copy_image(&far, &layout, &index, 4).await.unwrap();
    let third = Repository::remote(&anonymous(), at(&other, "third"));
    copy_image(&layout, &third, &index, 4).await.unwrap();
    assert_eq!(other.state().repositories["third"].blobs, registry.state().repositories["team/app"].blobs);
}

#[tokio::test]
async fn what_may_be_mounted_is_not_asked_for_first() {
    for (mounts, heads) in [(Mounts::Yes, 0), (Mounts::Upload, 3)] {
        let (registry, client, from) = start(Options { mounts, ..Options::default() }).await;
        let folder = Folder::new();
        let image = folder.image(&[(1, 1000), (2, 1000)]).await;
        push_image(&from, &folder.store, &image, &[], 1).await.unwrap();
        let before = client.counters().of(RequestKind::BlobHead);
        let to = Repository::remote(&client, at(&registry, "prod/app"));
        copy_image(&from, &to, &image, 1).await.unwrap();
        assert_eq!(client.counters().of(RequestKind::BlobHead) - before, heads, "{mounts:?}");
        assert!(registry.state().uploads.is_empty());
    }
}

#[tokio::test]
async fn one_record_stands_for_two_keys() {
    for referrers in [true, false] {
        let (registry, client, repository) = start(Options { referrers, ..Options::default() }).await;
        let folder = Folder::new();
        let image = folder.image(&[(1, 10)]).await;
        push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
        let image = repository.manifest_bytes(image).await.unwrap().unwrap().descriptor();
        for _ in 0..2 {
            let before = client.counters().of(RequestKind::ManifestPut);
            repository.attach_record(&image, &["key-1", "key-2"], b"made from this").await.unwrap();
            let puts = client.counters().of(RequestKind::ManifestPut) - before;
            assert!(puts <= if referrers { 1 } else { 4 }, "{puts}");
        }
        let cold = Repository::remote(&anonymous(), at(&registry, "team/app"));
        for key in ["key-1", "key-2"] {
            assert_eq!(cold.read_record(image.digest, key).await.unwrap().unwrap(), b"made from this");
        }
        assert_eq!(cold.read_record(image.digest, "key-").await.unwrap(), None);
    }
}

#[tokio::test]
async fn retagging_is_one_request() {
    let (_registry, client, repository) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 10)]).await;
    push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    let manifest = repository.get_manifest(By::Digest(image)).await.unwrap().unwrap();
    let before = client.counters().total();
    for number in 0..100 {
        repository.put_manifest(By::Tag(&format!("t{number}")), &manifest).await.unwrap();
    }
    assert_eq!(client.counters().total() - before, 100);
    assert_eq!(repository.tags().await.unwrap().len(), 100);
}

#[tokio::test]
async fn records_are_found_by_referrers_or_by_their_tag() {
    for referrers in [true, false] {
        let (registry, client, repository) = start(Options { referrers, ..Options::default() }).await;
        let folder = Folder::new();
        let digest = folder.image(&[(1, 10)]).await;
        push_image(&repository, &folder.store, &digest, &[], 4).await.unwrap();
        let image = repository.head_manifest(By::Digest(digest)).await.unwrap().unwrap();
        assert_eq!(repository.read_record(digest, "key-1").await.unwrap(), None);
        repository.attach_record(&image, &["key-1"], b"one").await.unwrap();
        repository.attach_record(&image, &["key-2"], b"two").await.unwrap();
        // Where there is no API, the list of referrers is kept under a tag, as the specification lays down.
        let list = format!("sha256-{}", digest.hex());
        let tags: &[&str] = if referrers { &[] } else { &["key-1.record", "key-2.record", &list] };
        assert_eq!(repository.tags().await.unwrap(), tags);
        assert!([&b"one"[..], b"two"].contains(&&repository.any_record(digest).await.unwrap().unwrap()[..]));
        assert_eq!(repository.read_record(digest, "key-1").await.unwrap().unwrap(), b"one");
        let before = client.counters().total();
        assert_eq!(repository.read_record(digest, "key-2").await.unwrap().unwrap(), b"two");
        assert_eq!(client.counters().total() - before, if referrers { 3 } else { 2 });
        assert_eq!(repository.read_record(digest, "key-3").await.unwrap(), None);
        let found = repository.referrers(digest, media_type::RECORD).await.unwrap();
        assert_eq!(found.len(), 2);
        let asked = u64::try_from(registry.seen("/referrers/").len()).unwrap();
        assert_eq!(client.counters().of(RequestKind::Referrers), asked);
        if !referrers {
            assert_eq!(asked, 1, "a registry without the API is asked once");
        }
    }
}

#[tokio::test]
async fn a_forged_record_counts_as_absent() {
    let (registry, _, repository) = start(Options { referrers: false, ..Options::default() }).await;
    let folder = Folder::new();
    let (good, other) = (folder.image(&[(1, 10)]).await, folder.image(&[(2, 10)]).await);
    for image in [good, other] {
        push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    }
    let image = repository.head_manifest(By::Digest(other)).await.unwrap().unwrap();
    repository.attach_record(&image, &["key-1"], b"of another image").await.unwrap();
    assert_eq!(repository.read_record(good, "key-1").await.unwrap(), None);
    let manifest = folder.store.manifest(&good).await.unwrap().unwrap();
    repository.put_manifest(By::Tag("key-2.record"), &manifest).await.unwrap();
    assert_eq!(repository.read_record(good, "key-2").await.unwrap(), None, "an image is no record");

    let image = repository.head_manifest(By::Digest(good)).await.unwrap().unwrap();
    repository.attach_record(&image, &["key-3"], b"sound").await.unwrap();
    for blob in registry.state().repositories.get_mut("team/app").unwrap().blobs.values_mut() {
        blob.reverse();
    }
    assert_eq!(repository.read_record(good, "key-3").await.unwrap(), None, "its bytes were changed");
}

/// What an image's store lacks is taken from who lends it: mounted on the same host, streamed to another and to a disk.
#[tokio::test]
async fn a_lent_layer_is_mounted_or_streamed() {
    let (registry, _, base) = start(Options::default()).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 50_000), (2, 300)]).await;
    push_image(&base, &folder.store, &image, &[], 4).await.unwrap();
    let layer = Descriptor::of(media_type::LAYER_TAR, &noise(1, 50_000));
    std::fs::remove_file(folder.store.path(&layer.digest)).unwrap();
    let mut lent = Lent::default();
    lent.insert(layer.clone(), base.clone());

    let near = Repository::remote(&anonymous(), at(&registry, "team/near"));
    let sent =
        push_blobs(&near, (&folder.store, &lent), &image, &[], 4).await.unwrap().put_manifests(&near).await.unwrap();
    assert_eq!((sent.mounted, sent.blobs_sent), (1, 2), "{sent:?}");
    assert!(!folder.store.contains(&layer.digest), "nothing is downloaded");
    let disk = tempfile::tempdir().unwrap();
    let layout = Repository::layout(disk.path());
    let sent = push_blobs(&layout, (&folder.store, &lent), &image, &[], 4)
        .await
        .unwrap()
        .put_manifests(&layout)
        .await
        .unwrap();
    assert_eq!(sent.blobs_sent, 3);
    assert_eq!(std::fs::read(ContentStore::new(disk.path()).path(&layer.digest)).unwrap(), noise(1, 50_000));
    lent.fetch_into(&folder.store).await.unwrap();
    assert!(folder.store.contains(&layer.digest));
}

#[cfg(unix)]
#[tokio::test]
async fn a_blob_on_the_same_disk_gets_a_second_name_and_only_if_it_is_the_blob() {
    use std::os::unix::fs::MetadataExt as _;
    let (folder, other) = (Folder::new(), Folder::new());
    let blob = folder.blob(3, 10_000).await;
    other.store.fetch(&blob, &folder.store.source(&blob.digest)).await.unwrap();
    let names = |store: &ContentStore| std::fs::metadata(store.path(&blob.digest)).unwrap().nlink();
    assert_eq!((names(&folder.store), names(&other.store)), (2, 2));

    let changed = folder.blob(4, 10_000).await;
    std::fs::write(folder.store.path(&changed.digest), noise(5, 10_000)).unwrap();
    let error = other.store.fetch(&changed, &folder.store.source(&changed.digest)).await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    let left = std::fs::read_dir(other.store.root().join("blobs/sha256")).unwrap().count();
    assert_eq!(left, 1, "nothing half taken stays");
}

/// Artifactory and GHCR refuse what is not there.
#[tokio::test]
async fn a_refusal_of_what_is_not_there_is_an_absence_where_the_login_is_good() {
    for missing in [401, 403, 404] {
        let registry = TestRegistry::start(Options { missing, ..Options::default() }).await;
        let repository = Repository::remote(&anonymous(), at(&registry, "team/app"));
        assert_eq!(repository.head_manifest(By::Tag("a")).await.unwrap(), None, "no repository yet");
        let empty = Descriptor::of(media_type::EMPTY, b"{}");
        repository.ensure_blob(&empty, &BlobSource::Bytes(bytes::Bytes::from_static(b"{}")), &[]).await.unwrap();
        let raw = crate::oci::Manifest::image(empty.clone(), vec![empty]).to_raw();
        repository.put_manifest(By::Tag("there"), &raw).await.unwrap();
        assert_eq!(repository.head_manifest(By::Tag("a")).await.unwrap(), None, "{missing}");
        assert_eq!(repository.get_manifest(By::Digest(Digest::of(b"no"))).await.unwrap(), None, "{missing}");
        assert!(repository.head_manifest(By::Tag("there")).await.unwrap().is_some());
    }
    // A login that may not even list is refused, not taken for an absence.
    let registry = TestRegistry::start(Options { auth: Auth::Basic, missing: 403, ..Options::default() }).await;
    let nobody = Repository::remote(&anonymous(), at(&registry, "team/app"));
    assert!(nobody.head_manifest(By::Tag("a")).await.is_err());
}
