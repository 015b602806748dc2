use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

use super::body::{BlobSource, wrong_digest};
use super::error::Error;
use crate::digest::Digest;
use crate::oci::{Descriptor, MAX_MANIFEST_SIZE, RawManifest};

/// A folder of blobs and manifests by digest: `blobs/sha256/<hex>`, as in an OCI image layout.
///
/// Executors hand over in it what they built. A file appears under its digest whole or not at all, so any number of processes may
/// write to one store.
#[derive(Clone, Debug)]
pub struct ContentStore {
    root: PathBuf,
    /// Whether what is written must outlive a crash of the machine.
    durable: bool,
}

impl ContentStore {
    /// A store in the folder `root`; its folders are made when something is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), durable: false }
    }

    /// A store whose content is on the disk before it gets its name: what a crash leaves is whole or not there.
    pub fn durable(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), durable: true }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the content with this digest is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Whether the content is there.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Whether this blob is there in its whole length: a crash or a full disk may have left less of it. Its bytes are verified where they are read.
    pub fn holds(&self, blob: &Descriptor) -> bool {
        self.path(&blob.digest).metadata().is_ok_and(|file| file.is_file() && file.len() == blob.size)
    }

    /// Begins to write content of which the digest is known only in the end.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub async fn writer(&self) -> Result<ContentWriter, Error> {
        let folder = self.root.join("blobs/sha256");
        tokio::fs::create_dir_all(&folder).await.map_err(|error| Error::file("create", &folder, error))?;
        let temporary = tempfile::Builder::new()
            .prefix(".partial-")
            .tempfile_in(&folder)
            .map_err(|error| Error::file("write to", &folder, error))?;
        let (file, path) = temporary.into_parts();
        Ok(ContentWriter {
            store: self.clone(),
            file: tokio::fs::File::from_std(file),
            path,
            hasher: Sha256::new(),
            size: 0,
        })
    }

    /// Writes content that is in memory; nothing is done if it is there.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub async fn write(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        if self.path(&digest).metadata().is_ok_and(|file| file.is_file() && file.len() == bytes.len() as u64) {
            return Ok(digest);
        }
        let mut writer = self.writer().await?;
        writer.write(bytes).await?;
        writer.finish().await.map(|(digest, _)| digest)
    }

    /// Writes a stream that must be `blob`.
    ///
    /// # Errors
    /// If the stream fails or is something else, or the folder cannot be written to.
    pub async fn save(
        &self,
        blob: &Descriptor,
        mut stream: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    ) -> Result<(), Error> {
        let mut writer = self.writer().await?;
        while let Some(chunk) = stream.next().await {
            writer.write(&chunk?).await?;
        }
        let subject = format!("what was written to `{}`", self.root.display());
        let found = Digest::from_bytes(writer.hasher.clone().finalize().into());
        wrong_digest(&subject, blob.digest, found)?;
        writer.finish().await.map(|_| ())
    }

    /// Brings a blob from elsewhere into the store, unless it is there. A file of the same disk gets a second name, once its bytes
    /// were verified.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn fetch(&self, blob: &Descriptor, from: &BlobSource) -> Result<(), Error> {
        if self.holds(blob) {
            return Ok(());
        }
        if let BlobSource::File(path) = from
            && let Some(linked) = self.link(path)
        {
            // Through the new name, so that what is verified is what stays, whatever becomes of the old one.
            let mut stream = BlobSource::File(linked.to_path_buf()).open(blob, 0, blob.size).await?;
            while let Some(chunk) = stream.next().await {
                chunk?;
            }
            if self.durable {
                let synced = std::fs::File::open(&linked).and_then(|file| file.sync_all());
                synced.map_err(|error| Error::file("write", &*linked, error))?;
            }
            let target = self.path(&blob.digest);
            return linked.persist(&target).map_err(|error| Error::file("write", &target, error.error));
        }
        self.save(blob, from.open(blob, 0, blob.size).await?).await
    }

    /// A second name for a file, in the folder of blobs and not yet under a digest; `None` where the disk does not allow it.
    fn link(&self, path: &Path) -> Option<tempfile::TempPath> {
        let folder = self.root.join("blobs/sha256");
        std::fs::create_dir_all(&folder).ok()?;
        let linked =
            tempfile::Builder::new().prefix(".partial-").make_in(folder, |name| std::fs::hard_link(path, name));
        linked.ok().map(tempfile::NamedTempFile::into_temp_path)
    }

    /// Where to read a blob from.
    pub fn source(&self, digest: &Digest) -> BlobSource {
        BlobSource::File(self.path(digest))
    }

    /// A manifest or an index, with its digest verified; `None` if it is not there.
    ///
    /// # Errors
    /// If it cannot be read, is larger than a manifest may be, has another digest, or is no manifest.
    pub async fn manifest(&self, digest: &Digest) -> Result<Option<RawManifest>, Error> {
        let path = self.path(digest);
        match tokio::fs::metadata(&path).await {
            Ok(metadata) if metadata.len() > MAX_MANIFEST_SIZE as u64 => {
                let subject = format!("the manifest `{}`", path.display());
                return Err(Error::TooLarge { subject, limit: MAX_MANIFEST_SIZE as u64 });
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", path, error)),
        }
        let bytes = tokio::fs::read(&path).await.map_err(|error| Error::file("read", &path, error))?;
        wrong_digest(&format!("`{}`", path.display()), *digest, Digest::of(&bytes))?;
        let place = || self.root.display().to_string();
        RawManifest::from_bytes(bytes).map(Some).map_err(|why| Error::NotAManifest { place: place(), why })
    }
}

/// Content on its way into a [`ContentStore`]. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub struct ContentWriter {
    store: ContentStore,
    file: tokio::fs::File,
    path: tempfile::TempPath,
    hasher: Sha256,
    size: u64,
}

impl ContentWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).await.map_err(|error| Error::file("write", &*self.path, error))
    }

    /// Puts the content under its digest, and says it and the size in bytes.
    ///
    /// # Errors
    /// If it cannot be written or renamed.
    pub async fn finish(mut self) -> Result<(Digest, u64), Error> {
        self.file.flush().await.map_err(|error| Error::file("write", &*self.path, error))?;
        let digest = Digest::from_bytes(self.hasher.finalize().into());
        let target = self.store.path(&digest);
        if target.metadata().is_ok_and(|file| file.len() == self.size) {
            return Ok((digest, self.size));
        }
        readable(&self.path).map_err(|error| Error::file("write", &*self.path, error))?;
        if self.store.durable {
            // The rename may reach the disk before the bytes do: after a crash an empty file would have the name.
            self.file.sync_all().await.map_err(|error| Error::file("write", &*self.path, error))?;
        }
        self.path.persist(&target).map_err(|error| Error::file("write", &target, error.error))?;
        if self.store.durable
            && let Some(folder) = target.parent()
        {
            let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| Error::file("write to", folder, error))?;
        }
        Ok((digest, self.size))
    }
}

/// Temporary files are made for their owner alone; what is kept is for everybody, as other tools leave it.
#[cfg(unix)]
pub(super) fn readable(path: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
pub(super) fn readable(_: &Path) -> std::io::Result<()> {
    Ok(())
}
