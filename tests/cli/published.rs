//! Images that stand in layouts as if an earlier run had published them: no builder and no server are needed.

use std::fs;

use orchestrate::digest::{Digest, Key};
use orchestrate::fingerprint::{Document, FORMAT};
use orchestrate::oci::{Descriptor, Manifest, media_type};
use orchestrate::registry::{BlobSource, By, Repository};
use serde_json::Value;

use crate::place::Place;

/// One image, published to two layouts, and one that is built on it.
pub const MANIFEST: &str = r#"version: 1
project: shop
registries:
  disk: { kind: layout, path: .orchestrate/images }
defaults: { platforms: [linux/amd64], executor: buildkit }
images:
  api:
    push: { repository: api, tags: ["api-{{git.short}}", "api-latest"] }
"#;

/// A committed folder with [`MANIFEST`].
pub fn shop() -> Place {
    Place::with_manifest(MANIFEST).committed()
}

/// Publishes every image of the plan under its key, as it would be now, in the layouts below `.orchestrate/images`; no tag moves.
/// Gives the digest of the last one.
pub fn publish(place: &Place) -> Digest {
    publish_on(place, None)
}

/// The same with a date in the records, in seconds since 1970.
pub fn publish_on(place: &Place, published: Option<i64>) -> Digest {
    let plan = place.run(&["plan", "--offline", "--json", "--allow-dirty"]).exits(0).json();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut last = None;
    for step in plan["images"].as_array().unwrap() {
        for destination in step["destinations"].as_array().unwrap() {
            let repository = destination["repository"].as_str().unwrap();
            let repository = Repository::layout(place.path(".orchestrate/images").join(repository));
            last = Some(runtime.block_on(put(&repository, step, published)));
        }
    }
    last.unwrap()
}

async fn put(repository: &Repository, step: &Value, published: Option<i64>) -> Digest {
    let key: Key = serde_json::from_value(step["key"].clone()).unwrap();
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let descriptor = Descriptor::of(media_type::CONFIG, config);
    repository.ensure_blob(&descriptor, &BlobSource::Bytes(config.to_vec().into()), &[]).await.unwrap();
    let mut manifest = Manifest::image(descriptor, Vec::new());
    manifest.annotations.insert("key".to_owned(), key.tag());
    let raw = manifest.to_raw();
    repository.put_manifest(By::Digest(raw.digest()), &raw).await.unwrap();
    let document = Document {
        format: FORMAT,
        image: step["name"].as_str().unwrap().to_owned(),
        key,
        pinned: None,
        digest: raw.digest(),
        commit: None,
        published,
        records: Vec::new(),
    };
    repository.attach_record(&raw.descriptor(), &[&key.tag()], &document.to_bytes()).await.unwrap();
    repository.put_manifest(By::Tag(&key.tag()), &raw).await.unwrap();
    raw.digest()
}

/// Takes away the manifest of a digest, so that whoever follows a tag to it fails.
pub fn damage(place: &Place, repository: &str, digest: Digest) {
    let path = place.path(&format!(".orchestrate/images/{repository}/blobs/sha256/{}", digest.hex()));
    fs::remove_file(path).unwrap();
}
