use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::daemon::Daemon;
use super::error::Error;
use super::name::By;
use super::store::ContentStore;
use crate::digest::Digest;
use crate::oci::{Descriptor, Index, RawManifest};
use crate::storage::{TagKind, tag_kind};

/// The annotation that names an entry of index.json.
///
/// Source: OCI image specification, annotations.md. skopeo and podman read it as the tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An OCI image layout on disk: one repository without a registry.
///
/// Tags are the entries of index.json that have a name; it is replaced by rename, under a lock, so that readers always see one whole
/// state and two writers lose nothing of each other's. A manifest written by its digest alone is a file without an entry.
///
/// Source: OCI image specification, image-layout.md.
#[derive(Clone, Debug)]
pub struct Layout {
    store: ContentStore,
    /// What people tag is loaded into this daemon too, and stands only where the daemon has it.
    daemon: Option<Daemon>,
}

impl Layout {
    /// The layout in the folder `root`; it is made when something is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { store: ContentStore::durable(root), daemon: None }
    }

    /// The layout behind a repository of the local Docker daemon: it keeps keys and records, for which the daemon has no place.
    pub fn of_daemon(root: impl Into<PathBuf>, daemon: Daemon) -> Self {
        Self { store: ContentStore::durable(root), daemon: Some(daemon) }
    }

    /// The daemon, where `tag` is one that it is to know.
    fn daemon_for(&self, tag: &str) -> Option<&Daemon> {
        self.daemon.as_ref().filter(|_| tag_kind(tag) == TagKind::Given)
    }

    /// Its blobs and manifests.
    pub const fn store(&self) -> &ContentStore {
        &self.store
    }

    /// Where a tag points, or whether a digest is there.
    ///
    /// # Errors
    /// If index.json or the manifest cannot be read.
    pub async fn head_manifest(&self, by: By<'_>) -> Result<Option<Descriptor>, Error> {
        match by {
            By::Digest(digest) => Ok(self.store.manifest(&digest).await?.map(|manifest| manifest.descriptor())),
            By::Tag(tag) => {
                let index = self.read_index().await?;
                let entry = index.manifests.into_iter().find(|entry| name_of(entry) == Some(tag));
                let Some(entry) = entry else { return Ok(None) };
                if let (Some(daemon), Some(manifest)) =
                    (self.daemon_for(tag), self.store.manifest(&entry.digest).await?)
                    && !daemon.holds(tag, &manifest).await?
                {
                    return Ok(None);
                }
                Ok(Some(Descriptor::new(entry.media_type, entry.digest, entry.size)))
            }
        }
    }

    /// A manifest with its digest verified.
    ///
    /// # Errors
    /// If it cannot be read or is not what its digest says, or a tag points at nothing.
    pub async fn get_manifest(&self, by: By<'_>) -> Result<Option<RawManifest>, Error> {
        let digest = match by {
            By::Digest(digest) => digest,
            By::Tag(_) => match self.head_manifest(by).await? {
                Some(descriptor) => descriptor.digest,
                None => return Ok(None),
            },
        };
        let manifest = self.store.manifest(&digest).await?;
        match (manifest, by) {
            (None, By::Tag(_)) => Err(Error::Missing {
                place: self.store.root().display().to_string(),
                what: format!("manifest {digest}"),
            }),
            (manifest, _) => Ok(manifest),
        }
    }

    /// Writes a manifest and, by a tag, the entry that names it.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub async fn put_manifest(&self, by: By<'_>, manifest: &RawManifest) -> Result<(), Error> {
        self.store.write(manifest.bytes()).await?;
        let By::Tag(tag) = by else { return Ok(()) };
        if let Some(daemon) = self.daemon_for(tag) {
            daemon.load(tag, manifest, &self.store).await?;
        }
        let mut entry = manifest.descriptor();
        entry.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
        self.update(move |index| {
            let tag = entry.annotations[REF_NAME].as_str();
            index.manifests.retain(|other| name_of(other) != Some(tag));
            index.manifests.push(entry);
            true
        })
        .await
        .map(|_| ())
    }

    /// Lists a manifest that has no tag, so that what refers to an image is found.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub async fn list(&self, entry: Descriptor) -> Result<(), Error> {
        let listed = self.update(move |index| {
            let known = index.manifests.iter().any(|other| other.digest == entry.digest);
            if !known {
                index.manifests.push(entry);
            }
            !known
        });
        listed.await.map(|_| ())
    }

    /// Removes a tag, or a manifest with all its tags; `false` if there was none.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub async fn delete_manifest(&self, by: By<'_>) -> Result<bool, Error> {
        let (tag, digest) = match by {
            By::Tag(tag) => {
                if let Some(daemon) = self.daemon_for(tag) {
                    daemon.untag(tag).await?;
                }
                (Some(tag.to_owned()), None)
            }
            By::Digest(digest) => (None, Some(digest)),
        };
        let changed = self
            .update(move |index| {
                let before = index.manifests.len();
                index.manifests.retain(|entry| match &tag {
                    Some(tag) => name_of(entry) != Some(tag),
                    None => Some(entry.digest) != digest,
                });
                index.manifests.len() < before
            })
            .await?;
        let Some(path) = digest.map(|digest| self.store.path(&digest)).filter(|path| path.exists()) else {
            return Ok(changed);
        };
        tokio::fs::remove_file(&path).await.map_err(|error| Error::file("remove", path, error)).map(|()| true)
    }

    /// All tags, sorted.
    ///
    /// # Errors
    /// If index.json cannot be read.
    pub async fn tags(&self) -> Result<Vec<String>, Error> {
        let index = self.read_index().await?;
        let mut tags: Vec<String> = index.manifests.iter().filter_map(name_of).map(str::to_owned).collect();
        tags.sort();
        tags.dedup();
        Ok(tags)
    }

    /// The manifests of index.json that refer to `subject`, with their artifact types and annotations.
    ///
    /// # Errors
    /// If something cannot be read.
    pub async fn referrers(&self, subject: Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>, Error> {
        let mut found: Vec<Descriptor> = Vec::new();
        for entry in self.read_index().await?.manifests {
            let Some(manifest) = self.store.manifest(&entry.digest).await? else { continue };
            if let Ok(crate::oci::Contents::Manifest(contents)) = manifest.contents()
                && contents.subject.is_some_and(|of| of.digest == subject)
                && (artifact_type.is_none() || contents.artifact_type.as_deref() == artifact_type)
                && found.iter().all(|other| other.digest != entry.digest)
            {
                let artifact_type = contents.artifact_type;
                found.push(Descriptor { artifact_type, annotations: contents.annotations, ..manifest.descriptor() });
            }
        }
        Ok(found)
    }

    async fn read_index(&self) -> Result<Index, Error> {
        let root = self.store.root().to_owned();
        blocking(move || read_index(&root)).await
    }

    /// Changes index.json under the lock; it is written only if `change` says that it did.
    async fn update(&self, change: impl FnOnce(&mut Index) -> bool + Send + 'static) -> Result<bool, Error> {
        let root = self.store.root().to_owned();
        blocking(move || {
            std::fs::create_dir_all(&root).map_err(|error| Error::file("create", &root, error))?;
            let path = root.join("index.lock");
            let lock = File::create(&path).map_err(|error| Error::file("write", &path, error))?;
            lock.lock().map_err(|error| Error::file("lock", &path, error))?;
            let mut index = read_index(&root)?;
            let changed = change(&mut index);
            if changed {
                let marker = root.join("oci-layout");
                if !marker.exists() {
                    replace(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
                }
                replace(&root.join("index.json"), index.to_raw().bytes())?;
            }
            Ok(changed)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.expect("file work does not panic")
}

fn name_of(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(REF_NAME).map(String::as_str)
}

fn read_index(root: &Path) -> Result<Index, Error> {
    let path = root.join("index.json");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Index::new(Vec::new())),
        Err(error) => return Err(Error::file("read", path, error)),
    };
    serde_json::from_slice(&bytes).map_err(|error| Error::file("read", path, std::io::Error::other(error)))
}

/// Writes a file whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let wrong = |error| Error::file("write", path, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".partial-").tempfile_in(folder).map_err(wrong)?;
    file.write_all(bytes).map_err(wrong)?;
    super::store::readable(file.path()).map_err(wrong)?;
    // Before the name: after a crash the old state or the new one stands there, never an empty file.
    file.as_file().sync_all().map_err(wrong)?;
    file.persist(path).map_err(|error| wrong(error.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Manifest, media_type};

    fn manifest(name: &str) -> RawManifest {
        let mut manifest = Manifest::image(Descriptor::of(media_type::CONFIG, b"{}"), vec![]);
        manifest.annotations.insert("name".to_owned(), name.to_owned());
        manifest.to_raw()
    }

    #[tokio::test]
    async fn tags_move_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("deep/layout"));
        assert_eq!(layout.tags().await.unwrap(), Vec::<String>::new());
        assert_eq!(layout.head_manifest(By::Tag("a")).await.unwrap(), None);
        let (one, two) = (manifest("one"), manifest("two"));
        layout.put_manifest(By::Tag("a"), &one).await.unwrap();
        layout.put_manifest(By::Tag("b"), &one).await.unwrap();
        layout.put_manifest(By::Tag("a"), &two).await.unwrap();
        assert_eq!(layout.tags().await.unwrap(), ["a", "b"]);
        assert_eq!(layout.get_manifest(By::Tag("a")).await.unwrap(), Some(two.clone()));
        assert_eq!(layout.get_manifest(By::Digest(one.digest())).await.unwrap(), Some(one.clone()));
        assert!(layout.delete_manifest(By::Tag("b")).await.unwrap());
        assert!(!layout.delete_manifest(By::Tag("b")).await.unwrap());
        assert!(layout.delete_manifest(By::Digest(two.digest())).await.unwrap());
        assert_eq!(layout.tags().await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writers_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let writers = (0..32).map(|number| {
            let layout = Layout::new(folder.path());
            tokio::spawn(async move {
                layout.put_manifest(By::Tag(&format!("t{number:02}")), &manifest(&number.to_string())).await.unwrap();
            })
        });
        futures::future::join_all(writers).await;
        assert_eq!(Layout::new(folder.path()).tags().await.unwrap().len(), 32);
    }

    #[tokio::test]
    async fn a_blob_that_lost_its_bytes_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::durable(folder.path());
        let bytes = bytes::Bytes::from_static(b"the bytes of a layer");
        let blob = Descriptor::of(media_type::LAYER_TAR, &bytes);
        for left in [&b""[..], b"the bytes"] {
            store.write(&bytes).await.unwrap();
            assert!(store.holds(&blob));
            std::fs::write(store.path(&blob.digest), left).unwrap();
            assert!(!store.holds(&blob));
            store.fetch(&blob, &crate::registry::BlobSource::Bytes(bytes.clone())).await.unwrap();
            assert_eq!(std::fs::read(store.path(&blob.digest)).unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn a_changed_manifest_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let one = manifest("one");
        layout.put_manifest(By::Tag("a"), &one).await.unwrap();
        std::fs::write(layout.store().path(&one.digest()), manifest("two").bytes()).unwrap();
        assert!(matches!(layout.get_manifest(By::Tag("a")).await, Err(Error::WrongDigest { .. })));
    }
}
