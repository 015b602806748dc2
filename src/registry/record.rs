//! Records: what an image was made from, kept beside it in its repository.

use std::io::{Read as _, Write as _};
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};

use super::body::BlobSource;
use super::error::Error;
use super::name::By;
use super::referral::entry_of;
use super::repository::Repository;
use super::transfer::read_back;
use crate::digest::Digest;
use crate::oci::{Contents, Descriptor, Manifest, RawManifest, media_type};

/// The annotation of a record's manifest that says for which key tags it is, parted by blanks: equal images may have several keys.
const KEY: &str = "dev.orchestrate.key";
/// The largest record, compressed or not, in bytes.
const MAX_RECORD: u64 = 256 * 1024 * 1024;
/// The level of compression: part of the format, since it decides the record's digest.
const LEVEL: u32 = 6;

impl Repository {
    /// Attaches a record to the image `subject`: an artifact manifest that refers to it. Where the registry has no referrers API, and in a
    /// layout, it also gets the tag `<key tag>.record` for each of `key_tags`. Written and read back; the same record again changes nothing.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the layout cannot be written to.
    pub async fn attach_record(&self, subject: &Descriptor, key_tags: &[&str], record: &[u8]) -> Result<Digest, Error> {
        self.attach_record_from(subject, key_tags, record, &[]).await
    }

    /// As [`attach_record`](Self::attach_record); `mount_from` are paths of repositories on the same host that may have the same record.
    ///
    /// # Errors
    /// As [`attach_record`](Self::attach_record).
    pub async fn attach_record_from(
        &self,
        subject: &Descriptor,
        key_tags: &[&str],
        record: &[u8],
        mount_from: &[String],
    ) -> Result<Digest, Error> {
        let (layer, config) = (Bytes::from(compress(record)), Bytes::from_static(b"{}"));
        let manifest = record_manifest(subject, key_tags, &config, &layer);
        self.ensure_blob(&manifest.config, &BlobSource::Bytes(config), mount_from).await?;
        let (blob, source) = (&manifest.layers[0], BlobSource::Bytes(layer));
        if mount_from.is_empty() {
            // It names the time of the publication: it is never there.
            self.send_blob(blob, &source).await?;
        } else {
            self.ensure_blob(blob, &source, mount_from).await?;
        }
        let raw = manifest.to_raw();
        let mut stored = false;
        if !self.has_no_referrers()? {
            stored = true;
            let refers = self.put_manifest(By::Digest(raw.digest()), &raw).await?.refers;
            remember_referrers(self, refers)?;
            if refers {
                read_back(self, &raw).await?;
                return Ok(raw.digest());
            }
        }
        for tag in key_tags.iter().map(|tag| record_tag(tag)) {
            match self.put_manifest(By::Tag(&tag), &raw).await {
                Ok(_) => stored = true,
                // Somebody else's record stands there, and tags cannot be written again: the list of referrers has ours.
                Err(Error::Refused { .. }) if self.head_manifest(By::Tag(&tag)).await?.is_some() => {}
                Err(error) => return Err(error),
            }
        }
        if !stored {
            self.put_manifest(By::Digest(raw.digest()), &raw).await?;
        }
        read_back(self, &raw).await?;
        if let Self::Remote { .. } = self {
            let entry = entry_of(&raw, media_type::RECORD, manifest.annotations.clone());
            self.list_referrer(subject.digest, entry).await?;
        }
        Ok(raw.digest())
    }

    /// Whether it is known already that the registry has no referrers API. A layout never has one.
    fn has_no_referrers(&self) -> Result<bool, Error> {
        Ok(match self {
            Self::Remote { client, name } => client.0.host(&name.host)?.referrers.load(Relaxed) == 1,
            Self::Layout(_) => true,
        })
    }

    /// The image of which a record stands under the record tag of a key, where there is no referrers API: who published last, or is about to.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the layout cannot be read.
    pub async fn claimed_by(&self, key_tag: &str) -> Result<Option<Digest>, Error> {
        if let Self::Remote { client, name } = self
            && client.0.host(&name.host)?.referrers.load(Relaxed) == 2
        {
            return Ok(None);
        }
        let raw = self.get_manifest(By::Tag(&record_tag(key_tag))).await?;
        Ok(raw.and_then(|raw| match raw.contents() {
            Ok(Contents::Manifest(manifest)) => manifest.subject.map(|subject| subject.digest),
            _ => None,
        }))
    }

    /// The record of the image `image` for one key tag. `None` if there is none that is sound: a record that refers to another image, is of
    /// another key, or cannot be read is as good as absent.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or the layout cannot be read.
    pub async fn read_record(&self, image: Digest, key_tag: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Self::Remote { client, name } = self {
            let found = client.referrers_by_api(name, image, Some(media_type::RECORD)).await?.unwrap_or_default();
            if let Some(record) = self.sound_among(found, image, key_tag).await? {
                return Ok(Some(record));
            }
        }
        if let Some(record) = self.sound_record(By::Tag(&record_tag(key_tag)), image, key_tag).await? {
            return Ok(Some(record));
        }
        // The tag may have been taken by the record of another image of the same key.
        match self {
            Self::Remote { client, name } if client.0.host(&name.host)?.referrers.load(Relaxed) == 1 => {
                let listed = self.referrers(image, media_type::RECORD).await?;
                self.sound_among(listed, image, key_tag).await
            }
            _ => Ok(None),
        }
    }

    async fn sound_among(
        &self,
        found: Vec<Descriptor>,
        image: Digest,
        key_tag: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut digests: Vec<Digest> = found
            .into_iter()
            .filter(|entry| entry.annotations.get(KEY).is_none_or(|keys| names(keys, key_tag)))
            .map(|entry| entry.digest)
            .collect();
        digests.sort();
        for digest in digests {
            if let Some(record) = self.sound_record(By::Digest(digest), image, key_tag).await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    async fn sound_record(&self, by: By<'_>, image: Digest, key_tag: &str) -> Result<Option<Vec<u8>>, Error> {
        let manifest = match self.get_manifest(by).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) | Err(Error::NotAManifest { .. } | Error::WrongDigest { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(layer) = record_layer(&manifest, image, key_tag) else { return Ok(None) };
        unpack(self, &layer).await
    }
}

/// Keeps in mind whether a host has a referrers API: one that has says `OCI-Subject` to a manifest with a subject.
///
/// Source: OCI distribution specification 1.1, "Pushing Manifests with Subject".
pub(super) fn remember_referrers(repository: &Repository, refers: bool) -> Result<(), Error> {
    if let Repository::Remote { client, name } = repository {
        let known = &client.0.host(&name.host)?.referrers;
        if refers {
            known.store(2, Relaxed);
        } else {
            let _ = known.compare_exchange(0, 1, Relaxed, Relaxed);
        }
    }
    Ok(())
}

/// A record's blob, unpacked; `None` if it cannot be read as one.
pub(super) async fn unpack(repository: &Repository, layer: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
    match repository.read_blob(layer, MAX_RECORD).await {
        Ok(bytes) => Ok(decompress(&bytes)),
        Err(Error::Missing { .. } | Error::WrongDigest { .. } | Error::TooLarge { .. }) => Ok(None),
        Err(Error::File { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the annotation [`KEY`] names a key tag.
fn names(keys: &str, key_tag: &str) -> bool {
    keys.split(' ').any(|key| key == key_tag)
}

/// The tag of a record where there is no referrers API.
fn record_tag(key_tag: &str) -> String {
    format!("{key_tag}.record")
}

fn record_manifest(subject: &Descriptor, key_tags: &[&str], config: &[u8], layer: &[u8]) -> Manifest {
    let mut manifest = Manifest::image(
        Descriptor::of(media_type::EMPTY, config),
        vec![Descriptor::of(media_type::RECORD_GZIP, layer)],
    );
    manifest.artifact_type = Some(media_type::RECORD.to_owned());
    manifest.subject = Some(Descriptor::new(&subject.media_type, subject.digest, subject.size));
    manifest.annotations.insert(KEY.to_owned(), key_tags.join(" "));
    manifest
}

/// The layer of a record's manifest, if that is one of `image` for `key_tag`.
fn record_layer(manifest: &RawManifest, image: Digest, key_tag: &str) -> Option<Descriptor> {
    let Ok(Contents::Manifest(contents)) = manifest.contents() else { return None };
    let of_key = contents.annotations.get(KEY).is_some_and(|keys| names(keys, key_tag));
    of_key.then(|| record_layer_of_any_key(manifest, image)).flatten()
}

/// The layer of a record's manifest, if that is one of `image`.
pub(super) fn record_layer_of_any_key(manifest: &RawManifest, image: Digest) -> Option<Descriptor> {
    let Ok(Contents::Manifest(contents)) = manifest.contents() else { return None };
    let sound = contents.artifact_type.as_deref() == Some(media_type::RECORD)
        && contents.subject.is_some_and(|subject| subject.digest == image);
    contents.layers.into_iter().next().filter(|layer| sound && layer.media_type == media_type::RECORD_GZIP)
}

/// The same bytes for the same record: no time, no name of a file.
fn compress(record: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(record).and_then(|()| encoder.finish()).expect("memory takes all that is written")
}

fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut record = Vec::new();
    GzDecoder::new(bytes).take(MAX_RECORD + 1).read_to_end(&mut record).ok()?;
    (record.len() as u64 <= MAX_RECORD).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_compressed_the_same_way_each_time() {
        let record = br#"{"format":1,"files":[]}"#.repeat(100);
        let packed = compress(&record);
        assert_eq!(packed, compress(&record));
        assert_eq!(&packed[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        assert_eq!(decompress(&packed).unwrap(), record);
        assert_eq!(decompress(b"no gzip"), None);
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = compress(&vec![0; usize::try_from(MAX_RECORD).unwrap() + 1]);
        assert!(bomb.len() < 1_000_000);
        assert_eq!(decompress(&bomb), None);
    }

    #[tokio::test]
    async fn a_layout_keeps_records_and_refuses_forged_ones() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::layout(folder.path());
        let image = Descriptor::of(media_type::MANIFEST, b"image");
        repository.attach_record(&image, &["key-1"], b"made from this").await.unwrap();
        let again = repository.attach_record(&image, &["key-1"], b"made from this").await.unwrap();
        assert_eq!(repository.tags().await.unwrap(), ["key-1.record"]);
        assert_eq!(repository.read_record(image.digest, "key-1").await.unwrap().unwrap(), b"made from this");
        assert_eq!(repository.read_record(image.digest, "key-2").await.unwrap(), None);
        let referrers = repository.referrers(image.digest, media_type::RECORD).await.unwrap();
        assert_eq!(referrers.iter().map(|entry| entry.digest).collect::<Vec<_>>(), [again]);

        let record = repository.get_manifest(By::Tag("key-1.record")).await.unwrap().unwrap();
        repository.put_manifest(By::Tag("key-2.record"), &record).await.unwrap();
        assert_eq!(repository.read_record(image.digest, "key-2").await.unwrap(), None, "the record of another key");
        let other = Digest::of(b"another image");
        assert_eq!(repository.read_record(other, "key-1").await.unwrap(), None, "the record of another image");
    }
}
