//! Two images of one recipe, file by file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};

use crate::digest::Digest;
use crate::exec::assemble::{Whole, decompressed};
use crate::oci::{Contents, Descriptor};
use crate::registry::ContentStore;

/// A path at which two file systems differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileDifference {
    /// Where, without a `/` at its beginning.
    pub path: String,
    /// What the first has there; `None` for nothing.
    pub one: Option<String>,
    /// What the second has there.
    pub other: Option<String>,
}

/// What the file systems of two images differ in, sorted by path. Times are not looked at.
///
/// # Errors
/// A blob that is not in the store or is no layer.
pub fn compare(store: &ContentStore, one: &Digest, other: &Digest) -> io::Result<Vec<FileDifference>> {
    let (one, other) = (layers(store, one)?, layers(store, other)?);
    // What both begin with has the same effect on both.
    let shared = one.iter().zip(&other).take_while(|(one, other)| one.digest == other.digest).count();
    let (one, other) = (effect(store, &one[shared..])?, effect(store, &other[shared..])?);
    let paths: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differing = paths.into_iter().filter(|path| one.get(*path) != other.get(*path));
    Ok(differing
        .map(|path| FileDifference { path: path.clone(), one: one.get(path).cloned(), other: other.get(path).cloned() })
        .collect())
}

fn layers(store: &ContentStore, manifest: &Digest) -> io::Result<Vec<Descriptor>> {
    let bytes = std::fs::read(store.path(manifest))?;
    let raw = crate::oci::RawManifest::from_bytes(bytes).map_err(io::Error::other)?;
    match raw.contents().map_err(io::Error::other)? {
        Contents::Manifest(manifest) => Ok(manifest.layers),
        Contents::Index(_) => Err(io::Error::other("an index where the manifest of one platform should be")),
    }
}

/// What layers, one upon the other, put at each path: kind, mode, owner and content in words. What they remove is `removed`.
///
/// Source: OCI image specification, "Image Layer Filesystem Changeset": `.wh.NAME` removes, `.wh..wh..opq` empties a folder.
fn effect(store: &ContentStore, layers: &[Descriptor]) -> io::Result<BTreeMap<String, String>> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for layer in layers {
        let blob = File::open(store.path(&layer.digest))?;
        let mut archive = tar::Archive::new(decompressed(Box::new(blob))?);
        let mut added: BTreeMap<String, String> = BTreeMap::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let (name, mut whole) = Whole::of(&mut entry)?;
            let path = String::from_utf8_lossy(&name).trim_matches('/').to_owned();
            let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let within = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            if name == ".wh..wh..opq" {
                files.retain(|path, _| !path.starts_with(&within));
                added.insert(path, "emptied".to_owned());
            } else if let Some(gone) = name.strip_prefix(".wh.") {
                let gone = format!("{within}{gone}");
                let below = format!("{gone}/");
                files.retain(|path, _| *path != gone && !path.starts_with(&below));
                added.insert(gone, "removed".to_owned());
            } else {
                let said = described(&mut whole)?;
                added.insert(path, said);
            }
        }
        files.extend(added);
    }
    Ok(files)
}

fn described<R: Read>(whole: &mut Whole<'_, '_, R>) -> io::Result<String> {
    let entry = whole.entry();
    let header = entry.header();
    let (kind, mode, uid, gid) = (header.entry_type(), header.mode()?, header.uid()?, header.gid()?);
    let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
    let what = match (kind, target) {
        (tar::EntryType::Directory, _) => "folder".to_owned(),
        (tar::EntryType::Symlink, Some(target)) => format!("link to {target}"),
        (tar::EntryType::Link, Some(target)) => format!("hard link to {target}"),
        (tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse, _) => {
            let mut hasher = blake3::Hasher::new();
            let size = io::copy(whole, &mut hasher)?;
            format!("{size} bytes ({})", &hasher.finalize().to_hex()[..12])
        }
        (kind, _) => format!("{kind:?}"),
    };
    Ok(format!("{what}, mode {mode:04o}, owner {uid}:{gid}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Manifest;

    /// An entry: a path, its text, its mode.
    type Entry<'a> = (&'a str, &'a str, u32);

    async fn image(store: &ContentStore, layers: &[&[Entry<'_>]]) -> Digest {
        let mut descriptors = Vec::new();
        for layer in layers {
            let mut builder = tar::Builder::new(Vec::new());
            for (path, text, mode) in *layer {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                header.set_mode(*mode);
                header.set_uid(0);
                header.set_gid(0);
                builder.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
            let bytes = builder.into_inner().unwrap();
            let size = bytes.len() as u64;
            let digest = store.write(&bytes).await.unwrap();
            descriptors.push(Descriptor::new("application/vnd.oci.image.layer.v1.tar", digest, size));
        }
        let config = store.write(b"{}").await.unwrap();
        let config = Descriptor::new("application/vnd.oci.image.config.v1+json", config, 2);
        store.write(Manifest::image(config, descriptors).to_raw().bytes()).await.unwrap()
    }

    async fn differing(one: &[&[Entry<'_>]], other: &[&[Entry<'_>]]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let (one, other) = (image(&store, one).await, image(&store, other).await);
        let found = compare(&store, &one, &other).unwrap();
        found.into_iter().map(|difference| difference.path).collect::<Vec<_>>().join(" ")
    }

    #[tokio::test]
    async fn what_differs_is_named() {
        let base: &[Entry<'_>] = &[("a", "1", 0o644), ("d/b", "2", 0o644), ("d/c", "3", 0o644)];
        assert_eq!(differing(&[base], &[base]).await, "");
        assert_eq!(differing(&[base, &[("x", "1", 0o644)]], &[base, &[("x", "2", 0o644)]]).await, "x");
        assert_eq!(differing(&[base, &[("x", "1", 0o644)]], &[base, &[("x", "1", 0o755)]]).await, "x");
        assert_eq!(
            differing(&[base, &[("x", "1", 0o644), ("y", "", 0o644)]], &[base, &[("x", "1", 0o644)]]).await,
            "y"
        );
        // The same in other layers is the same.
        let (first, second): (&[Entry<'_>], &[Entry<'_>]) = (&[("x", "1", 0o644)], &[("y", "2", 0o644)]);
        assert_eq!(differing(&[first, second], &[&[("x", "1", 0o644), ("y", "2", 0o644)]]).await, "");
        assert_eq!(differing(&[first, &[("x", "2", 0o644)]], &[&[("x", "2", 0o644)]]).await, "");
        // What is removed, alone or with its folder.
        assert_eq!(differing(&[base, &[(".wh.a", "", 0)]], &[base]).await, "a");
        assert_eq!(
            differing(&[first, base, &[(".wh.d", "", 0)]], &[first, base, &[("d/.wh..wh..opq", "", 0)]]).await,
            "d d/.wh..wh..opq"
        );
    }
}
