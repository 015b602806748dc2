use super::super::testing::Options;
use super::super::testing::{real_registry, skipped};
use super::super::{BlobSource, By, Client, Mount, Repository, RepositoryName, copy_image, push_image};
use super::{Folder, anonymous, start};
use crate::digest::Digest;
use crate::oci::{Descriptor, media_type};

/// What every registry must be able to do, in a repository that does not exist yet; `mounts`: whether it mounts blobs.
pub(super) async fn all_operations(client: &Client, name: &RepositoryName, mounts: bool) {
    let repository = Repository::remote(client, name.clone());
    let nothing = Digest::of(b"nothing");
    assert_eq!(client.head_manifest(name, By::Tag("v1")).await.unwrap(), None);
    assert_eq!(client.get_manifest(name, By::Digest(nothing)).await.unwrap(), None);
    assert!(!client.blob_exists(name, nothing).await.unwrap());
    assert_eq!(client.tags(name).await.unwrap(), Vec::<String>::new());
    assert_eq!(client.referrers(name, nothing, Some(media_type::RECORD)).await.unwrap(), []);

    let folder = Folder::new();
    let amd = folder.image(&[(1, 3_000_000), (2, 1), (5, 0)]).await;
    let arm = folder.image(&[(3, 200_000), (2, 1)]).await;
    let index = folder.index(&[("linux/amd64", amd), ("linux/arm64", arm)]).await;
    let pushed = push_image(&repository, &folder.store, &index, &[], 4).await.unwrap();
    assert_eq!(pushed.manifests, 3);
    let manifest = client.get_manifest(name, By::Digest(index)).await.unwrap().unwrap();
    assert_eq!(manifest.media_type(), media_type::INDEX);
    for tag in ["v1", "v2", "latest"] {
        client.put_manifest(name, By::Tag(tag), &manifest).await.unwrap();
    }
    assert_eq!(client.tags(name).await.unwrap(), ["latest", "v1", "v2"]);
    assert_eq!(client.head_manifest(name, By::Tag("v1")).await.unwrap(), Some(manifest.descriptor()));
    assert_eq!(client.head_manifest(name, By::Digest(amd)).await.unwrap().unwrap().digest, amd);
    let layer = Descriptor::of(media_type::LAYER_TAR, &super::noise(1, 3_000_000));
    assert_eq!(repository.read_blob(&layer, u64::MAX).await.unwrap(), super::noise(1, 3_000_000));

    let second = RepositoryName::new(&name.host, format!("{}-second", name.path));
    let mount = client.mount_blob(&second, &name.path, layer.digest).await.unwrap();
    match mount {
        Mount::Mounted => assert!(mounts),
        Mount::Upload(session) if !mounts => client.cancel_upload(&second, session).await,
        other => panic!("{other:?}"),
    }
    let copy = Repository::remote(client, second.clone());
    let copied = copy_image(&repository, &copy, &index, 4).await.unwrap();
    assert_eq!((copied.bytes_sent, copied.manifests), (0, 3), "{copied:?}");
    let Mount::Upload(session) = client.mount_blob(&second, &name.path, nothing).await.unwrap() else {
        panic!("what is nowhere cannot be mounted")
    };
    let late = super::noise(9, 70_000);
    let blob = Descriptor::of(media_type::LAYER_TAR, &late);
    client.upload_blob(&second, &blob, &BlobSource::Bytes(late.clone().into()), Some(session)).await.unwrap();
    assert!(client.blob_exists(&second, blob.digest).await.unwrap());
    let wrong = Descriptor { digest: nothing, ..blob };
    client.upload_blob(&second, &wrong, &BlobSource::Bytes(late.into()), None).await.unwrap_err();

    let image = client.head_manifest(name, By::Digest(index)).await.unwrap().unwrap();
    repository.attach_record(&image, &["key-1"], b"made from this").await.unwrap();
    repository.attach_record(&image, &["key-1"], b"made from this").await.unwrap();
    assert_eq!(repository.read_record(index, "key-1").await.unwrap().unwrap(), b"made from this");
    assert_eq!(repository.read_record(amd, "key-1").await.unwrap(), None);

    assert!(client.delete_manifest(&second, By::Digest(index)).await.unwrap());
    assert!(!client.delete_manifest(&second, By::Digest(index)).await.unwrap());
    assert_eq!(client.head_manifest(&second, By::Digest(index)).await.unwrap(), None);
}

#[tokio::test]
async fn the_registry_in_this_process_can_do_everything() {
    let (_registry, client, repository) = start(Options::default()).await;
    let Repository::Remote { name, .. } = &repository else { unreachable!() };
    all_operations(&client, name, true).await;
}

/// Against distribution's own registry. Skipped loudly where there is none.
#[tokio::test]
async fn a_real_registry_can_do_everything() {
    let Some(host) = real_registry("registry::a_real_registry_can_do_everything") else { return };
    let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let name = RepositoryName::new(host, format!("registry-test/{unique}-{}", std::process::id()));
    all_operations(&anonymous(), &name, true).await;
}

#[tokio::test]
async fn tags_come_in_pages() {
    let (registry, client, repository) = start(Options { page: 7, ..Options::default() }).await;
    let folder = Folder::new();
    let image = folder.image(&[(1, 10)]).await;
    push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    let tags: Vec<String> = (0..40).map(|number| format!("t{number:02}")).collect();
    for tag in &tags {
        registry.state().repositories.get_mut("team/app").unwrap().tags.insert(tag.clone(), image);
    }
    assert_eq!(repository.tags().await.unwrap(), tags);
    assert_eq!(client.counters().of(super::super::RequestKind::Tags), 6);
}

/// skopeo reads the layouts that we write.
#[tokio::test]
async fn skopeo_reads_a_layout() {
    let folder = Folder::new();
    let image = folder.image(&[(1, 10_000)]).await;
    let root = tempfile::tempdir().unwrap();
    let layout = Repository::layout(root.path());
    push_image(&layout, &folder.store, &image, &[], 4).await.unwrap();
    let manifest = layout.get_manifest(By::Digest(image)).await.unwrap().unwrap();
    layout.put_manifest(By::Tag("v1"), &manifest).await.unwrap();
    layout.attach_record(&manifest.descriptor(), &["key-1"], b"made from this").await.unwrap();
    let reference = format!("oci:{}:v1", root.path().display());
    let inspected = std::process::Command::new("skopeo").args(["inspect", "--raw", &reference]).output();
    let Ok(inspected) = inspected else {
        return skipped("registry::skopeo_reads_a_layout", "skopeo is not installed");
    };
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));
    assert_eq!(inspected.stdout, &manifest.bytes()[..]);
    let copy = root.path().join("copy");
    let arguments = ["--insecure-policy", "copy", "-q", &reference, &format!("dir:{}", copy.display())];
    let copied = std::process::Command::new("skopeo").args(arguments).output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    assert_eq!(std::fs::read(copy.join(Digest::of(&super::noise(1, 10_000)).hex())).unwrap(), super::noise(1, 10_000));
}
