//! An image as one stream that `docker load` takes.

use std::fs::File;
use std::io::{self, Write};

use serde_json::json;

use super::store::ContentStore;
use crate::digest::Digest;
use crate::oci::{Contents, Descriptor, Index, Manifest, RawManifest};
use crate::reference::Reference;

/// The name under which containerd's image store keeps an image; written out, `docker.io` too.
///
/// Source: containerd, `images.AnnotationImageName`.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// Writes the image `digest` of `store` (one platform's manifest) as a tar: an OCI image layout, with the `manifest.json` that older
/// engines read instead. `name` is what it will be called.
///
/// # Errors
/// If the store lacks something, or the stream cannot be written.
pub fn write_archive(store: &ContentStore, digest: &Digest, name: &Reference, to: impl Write) -> io::Result<()> {
    let bytes = std::fs::read(store.path(digest))?;
    let raw = RawManifest::from_bytes(bytes).map_err(io::Error::other)?;
    let Contents::Manifest(manifest) = raw.contents().map_err(io::Error::other)? else {
        return Err(io::Error::other("an index holds several images, and one is to be written"));
    };
    let Manifest { config, layers, .. } = *manifest;
    let mut entry = raw.descriptor();
    entry.annotations.insert(IMAGE_NAME.to_owned(), name.to_string());
    let path = |blob: &Descriptor| format!("blobs/sha256/{}", blob.digest.hex());
    let docker = json!([{ "Config": path(&config), "RepoTags": [name.familiar()], "Layers": layers.iter().map(path).collect::<Vec<_>>() }]);

    let mut tar = tar::Builder::new(to);
    append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    append(&mut tar, "index.json", Index::new(vec![entry]).to_raw().bytes())?;
    append(&mut tar, "manifest.json", docker.to_string().as_bytes())?;
    append(&mut tar, &format!("blobs/sha256/{}", digest.hex()), raw.bytes())?;
    let mut written = std::collections::BTreeSet::new();
    for blob in std::iter::once(&config).chain(&layers).filter(|blob| written.insert(blob.digest)) {
        let mut file = File::open(store.path(&blob.digest))?;
        tar.append_data(&mut header(file.metadata()?.len()), path(blob), &mut file)?;
    }
    tar.into_inner()?.flush()
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> io::Result<()> {
    tar.append_data(&mut header(bytes.len() as u64), path, bytes)
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(size);
    header
}
