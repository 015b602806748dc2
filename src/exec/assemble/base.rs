//! Images that others build on, and where their layers can be had. Their layers are read only if an instruction has to know
//! what they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use super::archive;
use super::cache::Cache;
use super::config::Image;
use super::error::{AssembleError, Fault};
use super::files::Files;
use super::index::{self, Index};
use super::node::{Content, FileNode, PackWriter};
use super::sparse::Whole;
use crate::digest::Digest;
use crate::oci::{Contents, Descriptor, Manifest, RawManifest, media_type};
use crate::platform::Platform;
use crate::registry::{self, BlobSource, By, ContentStore, Lent, Repository};

/// A configuration is a small text; this is far above any.
const LARGEST_CONFIG: u64 = 8 * 1024 * 1024;

/// Where an image can be had.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a repository of a registry, or in an image layout.
    Repository(Repository),
    /// In a folder of blobs: a base that was just built. Layers of its own base may be elsewhere.
    Store(ContentStore, Arc<Lent>),
}

/// An image that is pinned by digest. The digest may be that of an index.
#[derive(Clone, Debug)]
pub struct BaseSource {
    /// Where it can be had.
    pub place: Place,
    /// What is taken.
    pub digest: Digest,
}

impl Place {
    async fn manifest(&self, digest: Digest) -> Result<RawManifest, AssembleError> {
        let found = match self {
            Self::Repository(repository) => repository.get_manifest(By::Digest(digest)).await?,
            Self::Store(store, _) => store.manifest(&digest).await?,
        };
        found.ok_or_else(|| registry::Error::Missing { place: self.to_string(), what: digest.to_string() }.into())
    }

    /// Where the bytes of one of its blobs are.
    pub fn blob(&self, digest: &Digest) -> BlobSource {
        match self {
            Self::Store(store, _) if store.contains(digest) => store.source(digest),
            Self::Store(store, lent) => lent.get(digest).map_or_else(|| store.source(digest), |from| from.blob(digest)),
            Self::Repository(repository) => repository.blob(digest),
        }
    }

    /// The repository that has one of its blobs; `None` if it lies in a folder.
    pub fn lender(&self, digest: &Digest) -> Option<&Repository> {
        match self {
            Self::Repository(repository) => Some(repository),
            Self::Store(_, lent) => lent.get(digest),
        }
    }

    async fn config(&self, config: &Descriptor) -> Result<Vec<u8>, AssembleError> {
        match self {
            Self::Repository(repository) => Ok(repository.read_blob(config, LARGEST_CONFIG).await?.to_vec()),
            Self::Store(store, _) => {
                let path = store.path(&config.digest);
                let bytes = tokio::fs::read(&path).await.map_err(AssembleError::io("read", &path))?;
                if Digest::of(&bytes) == config.digest {
                    return Ok(bytes);
                }
                Err(AssembleError::Config { digest: config.digest, why: "its bytes have another digest".to_owned() })
            }
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repository(repository) => repository.fmt(f),
            Self::Store(store, _) => store.root().display().fmt(f),
        }
    }
}

/// What a base's manifest and configuration say. The same wherever it was read.
#[derive(Debug)]
pub(super) struct Known {
    /// The digest of the manifest of one platform.
    pub digest: Digest,
    pub layers: Vec<Descriptor>,
    pub image: Image,
}

/// A base and where it can be had.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub known: Arc<Known>,
    pub place: Place,
}

impl Base {
    /// Reads manifest and configuration.
    pub(super) async fn load(source: &BaseSource, platform: &Platform) -> Result<Known, AssembleError> {
        let mut raw = source.place.manifest(source.digest).await?;
        let not_usable =
            |raw: &RawManifest, why: &str| AssembleError::Config { digest: raw.digest(), why: why.to_owned() };
        for _ in 0..3 {
            let contents = raw.contents().map_err(|error| not_usable(&raw, &error.to_string()))?;
            match contents {
                Contents::Manifest(manifest) => return Self::known(source, &raw, *manifest).await,
                Contents::Index(index) => {
                    let fits = |entry: &&Descriptor| {
                        entry.platform.as_ref().and_then(crate::oci::DescriptorPlatform::normalized).as_ref()
                            == Some(platform)
                    };
                    let entry = index.manifests.iter().find(fits);
                    let entry =
                        entry.ok_or_else(|| not_usable(&raw, &format!("the index has no image for {platform}")))?;
                    raw = source.place.manifest(entry.digest).await?;
                }
            }
        }
        Err(not_usable(&raw, "indexes are nested too deeply"))
    }

    async fn known(source: &BaseSource, raw: &RawManifest, manifest: Manifest) -> Result<Known, AssembleError> {
        let bytes = source.place.config(&manifest.config).await?;
        let wrong = |why: String| AssembleError::Config { digest: manifest.config.digest, why };
        let image: Image = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if image.rootfs.diff_ids.len() != manifest.layers.len() {
            let (layers, ids) = (manifest.layers.len(), image.rootfs.diff_ids.len());
            return Err(wrong(format!("it names {ids} layers and the manifest {layers}")));
        }
        Ok(Known { digest: raw.digest(), layers: manifest.layers.iter().map(as_oci).collect(), image })
    }
}

/// A layer with OCI's media type, as BuildKit writes it into its manifests; the blob stays.
fn as_oci(layer: &Descriptor) -> Descriptor {
    let media_type = match layer.media_type.as_str() {
        media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        "application/vnd.docker.image.rootfs.diff.tar" => media_type::LAYER_TAR,
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => media_type::LAYER_ZSTD,
        other => other,
    };
    Descriptor { urls: layer.urls.clone(), ..Descriptor::new(media_type, layer.digest, layer.size) }
}

/// Reads what the layers of bases hold. To be used on a thread that may wait.
pub(super) struct Layers<'a> {
    pub store: &'a ContentStore,
    pub cache: &'a Cache,
    pub runtime: Handle,
    /// Every layer of every base that was looked into.
    seen: Mutex<BTreeMap<Digest, (Descriptor, Place)>>,
}

impl<'a> Layers<'a> {
    pub(super) const fn new(store: &'a ContentStore, cache: &'a Cache, runtime: Handle) -> Self {
        Self { store, cache, runtime, seen: Mutex::new(BTreeMap::new()) }
    }

    /// The file system of a base.
    pub(super) fn files(&self, base: &Base) -> Result<Arc<Files>, Fault> {
        for layer in &base.known.layers {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entry(layer.digest).or_insert_with(|| (layer.clone(), base.place.clone()));
        }
        self.cache.files.get(base.known.digest, || {
            let mut files = Files::default();
            for layer in &base.known.layers {
                self.index(layer, &base.place)?.apply(layer.digest, &mut files)?;
            }
            Ok(Arc::new(files))
        })
    }

    fn index(&self, layer: &Descriptor, place: &Place) -> Result<Arc<Index>, Fault> {
        let name = format!("{}.json", layer.digest.hex());
        self.cache.indexes.get(layer.digest, || {
            let kept = self.cache.file("trees", &name).and_then(|path| std::fs::read(path).ok());
            let kept = kept.and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
            if let Some(index) = kept.filter(|index| index.version == index::VERSION) {
                return Ok(Arc::new(index));
            }
            let wrong = |error: std::io::Error| AssembleError::Layer { digest: layer.digest, why: error.to_string() };
            let index = Index::read(self.open(layer, place)?).map_err(wrong)?;
            self.cache.keep("trees", &name, &serde_json::to_vec(&index).expect("an index holds only text and numbers"));
            Ok(Arc::new(index))
        })
    }

    /// A layer's tar; the layer is brought into the store first, where it stays.
    fn open(&self, layer: &Descriptor, place: &Place) -> Result<Box<dyn Read + Send>, AssembleError> {
        self.runtime.block_on(self.store.fetch(layer, &place.blob(&layer.digest)))?;
        let path = self.store.path(&layer.digest);
        let file = File::open(&path).map_err(AssembleError::io("read", &path))?;
        archive::decompressed(Box::new(file)).map_err(AssembleError::io("read", &path))
    }

    /// Makes the content of these files readable: what lies in layers is taken out of them, each layer read once.
    pub(super) fn pack<'f>(&self, files: impl Iterator<Item = &'f mut FileNode>) -> Result<(), AssembleError> {
        let mut wanted: BTreeMap<Digest, BTreeMap<usize, Vec<&'f mut FileNode>>> = BTreeMap::new();
        for file in files {
            if let Content::Layer(digest, at) = file.content {
                wanted.entry(digest).or_default().entry(at).or_default().push(file);
            }
        }
        for (digest, mut entries) in wanted {
            let (layer, place) = {
                let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.get(&digest).cloned().expect("the layer of a file was looked into")
            };
            let wrong = |error: std::io::Error| AssembleError::Layer { digest, why: error.to_string() };
            let mut pack = PackWriter::new()?;
            let mut archive = tar::Archive::new(self.open(&layer, &place)?);
            for (at, entry) in archive.entries().map_err(wrong)?.enumerate() {
                let Some(files) = entries.remove(&at) else { continue };
                let mut entry = entry.map_err(wrong)?;
                let (_, mut whole) = Whole::of(&mut entry).map_err(wrong)?;
                let packed = pack.add(&mut whole).map_err(wrong)?;
                for file in files {
                    file.content = packed.content.clone();
                }
                if entries.is_empty() {
                    break;
                }
            }
            if let Some(at) = entries.keys().collect::<BTreeSet<_>>().first() {
                return Err(AssembleError::Layer { digest, why: format!("it has no entry {at}") });
            }
        }
        Ok(())
    }

    /// All bytes of a file.
    pub(super) fn read(&self, file: &FileNode) -> Result<Vec<u8>, Fault> {
        let mut file = file.clone();
        self.pack(std::iter::once(&mut file))?;
        super::owner::read_whole(&file)
    }
}
