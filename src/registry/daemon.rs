//! The local Docker daemon's store, for development: what is tagged in a layout is loaded into it.
//!
//! Images are handed over as an archive that is both an OCI layout and what `docker save` writes, so that stores of both kinds take it.
//!
//! Source: Docker Engine API, "Import images" and "Inspect an image"; OCI image specification, image-layout.md.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::error::Error;
use super::store::ContentStore;
use crate::digest::Digest;
use crate::oci::{Contents, Descriptor, Index, RawManifest};

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 256 * 1024;
/// The unit of a tar archive, in bytes.
const BLOCK: usize = 512;
/// The annotation that names an image in an archive as containerd reads it.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A daemon and the name of a repository in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Daemon {
    http: Arc<Result<reqwest::Client, String>>,
    address: String,
    repository: String,
}

impl Daemon {
    /// The daemon at `host` as DOCKER_HOST has it: `unix:///path` or `tcp://host:port`.
    pub fn new(host: &str, repository: &str) -> Self {
        let builder = reqwest::Client::builder().no_proxy();
        let (builder, address) = match host.strip_prefix("unix://") {
            Some(path) => (builder.unix_socket(PathBuf::from(path)), "http://docker".to_owned()),
            None => (builder, host.replacen("tcp://", "http://", 1)),
        };
        let http = super::tls::config(super::tls::Trust::Nobody)
            .and_then(|tls| builder.tls_backend_preconfigured(tls).build().map_err(|error| error.to_string()));
        Self { http: Arc::new(http), address, repository: repository.to_owned() }
    }

    fn failed(&self, why: impl std::fmt::Display) -> Error {
        Error::Daemon { what: format!("docker:{}", self.repository), why: why.to_string() }
    }

    fn http(&self) -> Result<&reqwest::Client, Error> {
        (*self.http).as_ref().map_err(|why| self.failed(why))
    }

    /// Whether `tag` is this image in the daemon's store.
    ///
    /// # Errors
    /// If the daemon cannot be reached.
    pub async fn holds(&self, tag: &str, manifest: &RawManifest) -> Result<bool, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            id: String,
        }
        let url = format!("{}/images/{}:{tag}/json", self.address, self.repository);
        let answer = self.http()?.get(url).send().await.map_err(|error| self.failed(broken(&error)))?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(false);
        }
        let answer = answer.error_for_status().map_err(|error| self.failed(error))?;
        let bytes = answer.bytes().await.map_err(|error| self.failed(error))?;
        let inspected: Inspected = serde_json::from_slice(&bytes).map_err(|error| self.failed(error))?;
        // A store of containerd's kind goes by the manifest, the classic one by the configuration.
        let config = match manifest.contents() {
            Ok(Contents::Manifest(contents)) => Some(contents.config.digest.to_string()),
            _ => None,
        };
        Ok(inspected.id == manifest.digest().to_string() || Some(inspected.id) == config)
    }

    /// Loads an image of `store` under `tag`.
    ///
    /// # Errors
    /// If the store lacks something, or the daemon refuses or cannot be reached.
    pub async fn load(&self, tag: &str, manifest: &RawManifest, store: &ContentStore) -> Result<(), Error> {
        let name = format!("{}:{tag}", self.repository);
        let body = reqwest::Body::wrap_stream(archive(&name, tag, manifest, store).await?);
        let url = format!("{}/images/load?quiet=1", self.address);
        let request = self.http()?.post(url).header("Content-Type", "application/x-tar").body(body);
        let answer = request.send().await.map_err(|error| self.failed(broken(&error)))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| self.failed(error))?;
        // The answer is a stream of messages; an error comes as the last one of a 200.
        let error = text.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            message.get("error").or_else(|| message.get("message"))?.as_str().map(str::to_owned)
        });
        match error {
            Some(error) => Err(self.failed(error)),
            None if !status.is_success() => Err(self.failed(format!("the daemon answered {status}"))),
            None => Ok(()),
        }
    }

    /// Takes a name away; what else is called otherwise stays.
    ///
    /// # Errors
    /// If the daemon refuses or cannot be reached.
    pub async fn untag(&self, tag: &str) -> Result<(), Error> {
        let url = format!("{}/images/{}:{tag}?noprune=true", self.address, self.repository);
        let answer = self.http()?.delete(url).send().await.map_err(|error| self.failed(broken(&error)))?;
        match answer.status() {
            status if status.is_success() || status == reqwest::StatusCode::NOT_FOUND => Ok(()),
            status => Err(self.failed(format!("the daemon answered {status}"))),
        }
    }
}

fn broken(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    format!("cannot reach the daemon: {cause}")
}

type Pieces = Box<dyn Stream<Item = std::io::Result<Bytes>> + Send + Unpin>;

/// The archive, made while it is read.
async fn archive(
    name: &str,
    tag: &str,
    manifest: &RawManifest,
    store: &ContentStore,
) -> Result<impl Stream<Item = std::io::Result<Bytes>> + Send + 'static + use<>, Error> {
    let mut entry = manifest.descriptor();
    entry.annotations.insert(CONTAINERD_NAME.to_owned(), format!("docker.io/library/{name}"));
    entry.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
    if name.split('/').count() > 1 {
        entry.annotations.insert(CONTAINERD_NAME.to_owned(), format!("docker.io/{name}"));
    }
    let mut small: Vec<(String, Bytes)> = vec![
        ("oci-layout".to_owned(), Bytes::from_static(br#"{"imageLayoutVersion":"1.0.0"}"#)),
        ("index.json".to_owned(), Index::new(vec![entry]).to_raw().bytes().clone()),
    ];
    let mut blobs: Vec<Descriptor> = Vec::new();
    let mut queue = vec![manifest.clone()];
    while let Some(raw) = queue.pop() {
        small.push((path_of(&raw.digest()), raw.bytes().clone()));
        match raw.contents() {
            Ok(Contents::Index(index)) => {
                for child in index.manifests {
                    let missing = || Error::Missing {
                        place: store.root().display().to_string(),
                        what: format!("manifest {}", child.digest),
                    };
                    queue.push(store.manifest(&child.digest).await?.ok_or_else(missing)?);
                }
            }
            Ok(Contents::Manifest(contents)) => {
                if raw.digest() == manifest.digest() {
                    let layers: Vec<String> = contents.layers.iter().map(|layer| path_of(&layer.digest)).collect();
                    let saved = serde_json::json!([{ "Config": path_of(&contents.config.digest), "RepoTags": [name], "Layers": layers }]);
                    small.push(("manifest.json".to_owned(), Bytes::from(saved.to_string())));
                }
                for blob in contents.blobs() {
                    if blobs.iter().all(|other| other.digest != blob.digest) {
                        blobs.push(blob.clone());
                    }
                }
            }
            Err(why) => return Err(Error::NotAManifest { place: store.root().display().to_string(), why }),
        }
    }
    let small = stream::iter(small).flat_map(|(path, bytes)| {
        let (length, head) = (bytes.len(), header(&path, bytes.len() as u64));
        stream::iter([Ok(head), Ok(bytes), Ok(padding(length as u64))])
    });
    let store = store.clone();
    let large = stream::iter(blobs.into_iter().map(Ok)).and_then(move |blob| {
        let path = store.path(&blob.digest);
        async move {
            let file = tokio::fs::File::open(&path).await?;
            let head = stream::iter([Ok(header(&path_of(&blob.digest), blob.size))]);
            let end = stream::iter([Ok(padding(blob.size))]);
            Ok::<Pieces, std::io::Error>(Box::new(Box::pin(head.chain(pieces(file, blob.size)).chain(end))))
        }
    });
    let end = stream::iter([Ok(Bytes::from(vec![0; 2 * BLOCK]))]);
    Ok(Box::pin(small.chain(large.try_flatten()).chain(end)))
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The first `length` bytes of a file; a shorter one is an error.
fn pieces(file: tokio::fs::File, length: u64) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        file.read_exact(&mut piece).await?;
        let left = left - piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, left))))
    })
}

/// A header of the ustar format: a plain file that everybody may read, of no time.
fn header(path: &str, size: u64) -> Bytes {
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, path.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Bytes::copy_from_slice(&block)
}

fn padding(length: u64) -> Bytes {
    let rest = usize::try_from(length % BLOCK as u64).unwrap_or(0);
    Bytes::from(vec![0; (BLOCK - rest) % BLOCK])
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::oci::{Manifest, media_type};

    #[tokio::test]
    async fn the_archive_is_a_layout_and_what_docker_saves() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path());
        let (config, layer) = (b"{}".to_vec(), vec![7; 1000]);
        for bytes in [&config, &layer] {
            store.write(bytes).await.unwrap();
        }
        let layers = vec![Descriptor::of(media_type::LAYER_TAR, &layer)];
        let raw = Manifest::image(Descriptor::of(media_type::CONFIG, &config), layers).to_raw();
        store.write(raw.bytes()).await.unwrap();
        let stream = archive("team/app:v1", "v1", &raw, &store).await.unwrap();
        let bytes = stream.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        let bytes = bytes.await.unwrap();
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut found = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            found.insert(entry.path().unwrap().display().to_string(), content);
        }
        assert_eq!(found[&path_of(&Digest::of(&layer))], layer);
        assert_eq!(found[&path_of(&raw.digest())], &raw.bytes()[..]);
        let index: Index = serde_json::from_slice(&found["index.json"]).unwrap();
        assert_eq!(index.manifests[0].digest, raw.digest());
        assert_eq!(index.manifests[0].annotations[CONTAINERD_NAME], "docker.io/team/app:v1");
        let saved: serde_json::Value = serde_json::from_slice(&found["manifest.json"]).unwrap();
        assert_eq!(saved[0]["RepoTags"][0], "team/app:v1");
        assert!(found.contains_key(saved[0]["Layers"][0].as_str().unwrap()));
    }
}
