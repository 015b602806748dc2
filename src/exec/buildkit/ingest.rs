//! The result: what of it is an image, and an OCI layout that arrives as a tar and is unpacked into a store on the fly.

use std::fs;
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use super::error::BuildError;
use crate::digest::Digest;
use crate::oci::media_type::is_index;
use crate::oci::{Descriptor, Index, MAX_MANIFEST_SIZE, Manifest};
use crate::platform::Platform;
use crate::registry::{ContentStore, Lent};

/// The annotation by which BuildKit marks what is no image in an index. Source: BuildKit, docs/attestations/attestation-storage.md.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// An `index.json` is as long as a manifest may be.
const LONGEST_INDEX: u64 = MAX_MANIFEST_SIZE as u64;

/// Unpacks the blobs of a layout into `store`, each checked against its digest, and returns the bytes of its `index.json`.
/// A blob that is there already is not written again.
pub(super) fn unpack(tar: impl Read, store: &ContentStore) -> Result<Vec<u8>, BuildError> {
    let folder = store.root().join("blobs/sha256");
    fs::create_dir_all(&folder).map_err(|source| BuildError::Store { path: folder.clone(), source })?;
    let broken = |source: io::Error| BuildError::protocol(format!("its result is not a tar archive: {source}"));
    let mut index = None;
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            continue;
        }
        let path = entry.path_bytes().into_owned();
        if let Some(hex) = path.strip_prefix(b"blobs/sha256/") {
            let digest: Digest = format!("sha256:{}", String::from_utf8_lossy(hex))
                .parse()
                .map_err(|error| BuildError::protocol(format!("a blob of its result: {error}")))?;
            let size = entry.header().size().map_err(broken)?;
            store_blob(&mut entry, store, digest, size)?;
        } else if path == b"index.json" {
            let mut bytes = Vec::new();
            entry.by_ref().take(LONGEST_INDEX).read_to_end(&mut bytes).map_err(broken)?;
            index = Some(bytes);
        }
    }
    index.ok_or_else(|| BuildError::protocol("its result has no index.json"))
}

fn store_blob(blob: &mut impl Read, store: &ContentStore, digest: Digest, size: u64) -> Result<(), BuildError> {
    let path = store.path(&digest);
    if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() == size) {
        return Ok(());
    }
    let failed = |source| BuildError::Store { path: path.clone(), source };
    let broken = |source| BuildError::protocol(format!("the blob {digest} broke off: {source}"));
    let mut file =
        tempfile::Builder::new().prefix(".partial-").tempfile_in(path.parent().unwrap_or(&path)).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = blob.read(&mut buffer).map_err(broken)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(failed)?;
    }
    let found = Digest::from_bytes(hasher.finalize().into());
    if found != digest {
        return Err(BuildError::protocol(format!("the blob {digest} of its result has the digest {found}")));
    }
    set_readable(file.as_file()).map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn set_readable(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Where a result begins.
pub(super) enum Root {
    /// With the bytes of the `index.json` of an archive.
    Archive(Vec<u8>),
    /// With what the exporter says that it wrote.
    Image(Box<Descriptor>),
}

/// Finds the manifest for `platform`, descending through indexes in `store`. What attests it comes beside it.
pub(super) fn find_image(
    root: Root,
    store: &ContentStore,
    platform: &Platform,
) -> Result<(Descriptor, Vec<Descriptor>), BuildError> {
    let mut attestations = Vec::new();
    let mut bytes = match root {
        Root::Archive(bytes) => bytes,
        Root::Image(image) if !is_index(&image.media_type) => {
            return Ok((Descriptor::new(image.media_type, image.digest, image.size), attestations));
        }
        Root::Image(index) => read(&index.digest, store)?,
    };
    // The layout's own index, and one more where the result has attestations.
    for _ in 0..3 {
        let index: Index = serde_json::from_slice(&bytes)
            .map_err(|error| BuildError::protocol(format!("an index of its result: {error}")))?;
        let (attesting, images): (Vec<_>, Vec<_>) =
            index.manifests.into_iter().partition(|entry| entry.annotations.contains_key(ATTESTATION));
        attestations.extend(attesting);
        let image = images
            .into_iter()
            .find(|entry| entry.platform.as_ref().is_none_or(|found| found.normalized().as_ref() == Some(platform)))
            .ok_or_else(|| BuildError::protocol(format!("its result has no image for {platform}")))?;
        if !is_index(&image.media_type) {
            return Ok((image, attestations));
        }
        bytes = read(&image.digest, store)?;
    }
    Err(BuildError::protocol("its result nests indexes without end"))
}

/// Those blobs of a manifest that are lent. Every other one must be in the store: what BuildKit leaves out is known before anything is
/// published.
pub(super) fn lent_blobs(manifest: &Descriptor, store: &ContentStore, offered: &Lent) -> Result<Lent, BuildError> {
    let contents: Manifest = serde_json::from_slice(&read(&manifest.digest, store)?)
        .map_err(|error| BuildError::protocol(format!("the manifest {} of its result: {error}", manifest.digest)))?;
    let mut lent = Lent::default();
    for blob in contents.blobs() {
        match offered.get(&blob.digest) {
            Some(from) => lent.insert(blob.clone(), from.clone()),
            None if store.holds(blob) => {}
            None => {
                return Err(BuildError::protocol(format!("it did not send the blob {} of its result", blob.digest)));
            }
        }
    }
    Ok(lent)
}

fn read(digest: &Digest, store: &ContentStore) -> Result<Vec<u8>, BuildError> {
    let path = store.path(digest);
    match fs::read(&path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(BuildError::protocol(format!("it did not send the manifest {digest} of its result")))
        }
        Err(source) => Err(BuildError::Store { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn blob(content: &[u8]) -> String {
        format!("blobs/sha256/{}", Digest::of(content).hex())
    }

    fn entry(media_type: &str, content: &[u8], rest: &str) -> String {
        let (digest, size) = (Digest::of(content), content.len());
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}{rest}}}"#)
    }

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    #[test]
    fn blobs_land_under_their_digest_and_the_manifest_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let (layer, manifest) = (&b"layer"[..], &b"{}"[..]);
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(MANIFEST, manifest, ""));
        let (layer_path, manifest_path) = (blob(layer), blob(manifest));
        let tar = archive(&[
            ("blobs/", b""),
            (&layer_path, layer),
            (&manifest_path, manifest),
            ("index.json", index.as_bytes()),
            ("oci-layout", b"{}"),
        ]);
        let found = unpack(&tar[..], &store).unwrap();
        assert_eq!(found, index.as_bytes());
        assert_eq!(fs::read(folder.path().join(&layer_path)).unwrap(), layer);
        let (image, attestations) = find_image(Root::Archive(found), &store, &"linux/arm64".parse().unwrap()).unwrap();
        assert_eq!((image.digest, image.size), (Digest::of(manifest), 2));
        assert!(attestations.is_empty());
        let names: Vec<_> = fs::read_dir(folder.path().join("blobs/sha256")).unwrap().collect();
        assert_eq!(names.len(), 2, "nothing else is left behind");
        // A second time over what is there.
        unpack(&tar[..], &store).unwrap();
    }

    #[test]
    fn attestations_are_told_from_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let platform = r#","platform":{"os":"linux","architecture":"arm64"}"#;
        let other = r#","platform":{"os":"linux","architecture":"amd64"}"#;
        let note = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
        let inner = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
            entry(MANIFEST, b"amd", other),
            entry(MANIFEST, b"arm", platform),
            entry(MANIFEST, b"note", note)
        );
        let path = blob(inner.as_bytes());
        let outer = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entry(crate::oci::media_type::INDEX, inner.as_bytes(), "")
        );
        let tar = archive(&[(&path, inner.as_bytes()), ("index.json", outer.as_bytes())]);
        let index = unpack(&tar[..], &store).unwrap();
        let (image, attestations) =
            find_image(Root::Archive(index.clone()), &store, &"linux/arm64".parse().unwrap()).unwrap();
        assert_eq!(image.digest, Digest::of(b"arm"));
        assert_eq!(attestations[0].digest, Digest::of(b"note"));
        assert!(find_image(Root::Archive(index), &store, &"linux/riscv64".parse().unwrap()).is_err());
    }

    #[test]
    fn a_blob_with_other_bytes_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let path = blob(b"right");
        let tar = archive(&[(&path, b"wrong"), ("index.json", b"{}")]);
        assert!(matches!(unpack(&tar[..], &store), Err(BuildError::Protocol { .. })));
        assert_eq!(fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 0);
    }

    #[test]
    fn an_archive_that_breaks_off_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let tar = archive(&[(&blob(b"x"), b"x")]);
        assert!(unpack(&tar[..], &store).is_err(), "no index");
        assert!(unpack(&tar[..700], &store).is_err(), "cut");
    }
}
