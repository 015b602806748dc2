//! The real client over a registry in this process that misbehaves, and over a real one where there is one.

mod auth;
mod faults;
mod images;
mod operations;
mod real;
mod soak;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use rand::{RngCore, SeedableRng};

use super::testing::{Options, TestRegistry};
use super::{
    Anonymous, Client, ContentStore, DockerCredentials, DockerEnvironment, Repository, RepositoryName, Settings,
};
use crate::digest::Digest;
use crate::oci::{Descriptor, Index, Manifest, media_type};

/// Settings that do not make tests wait.
fn quick() -> Settings {
    Settings {
        certificates: None,
        idle_timeout: Duration::from_millis(800),
        first_contact: Duration::from_millis(300),
        outage: Duration::from_secs(4),
        first_pause: Duration::from_millis(5),
        chunk: 64 * 1024,
        ..Settings::default()
    }
}

fn anonymous() -> Client {
    Client::new(quick(), Arc::new(Anonymous))
}

/// `ada` at `host`.
fn logged_in(host: &str) -> Client {
    logged_in_by(host, r#"{"username": "ada", "password": "hunter2"}"#)
}

/// With an entry of `auths` for `host`.
fn logged_in_by(host: &str, auth: &str) -> Client {
    let config = format!(r#"{{"auths": {{"{host}": {auth}}}}}"#);
    let environment = DockerEnvironment { auth_config: Some(config), ..DockerEnvironment::default() };
    Client::new(quick(), Arc::new(DockerCredentials::load(environment).unwrap()))
}

fn at(registry: &TestRegistry, path: &str) -> RepositoryName {
    RepositoryName::new(&registry.host, path)
}

async fn start(options: Options) -> (TestRegistry, Client, Repository) {
    let registry = TestRegistry::start(options).await;
    let client = anonymous();
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    (registry, client, repository)
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A folder with content in it.
struct Folder {
    store: ContentStore,
    _folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: ContentStore::new(folder.path()), _folder: folder }
    }

    /// An image with layers of noise: `(seed, length)` each.
    async fn image(&self, layers: &[(u64, usize)]) -> Digest {
        let mut descriptors = Vec::new();
        let mut diff_ids = Vec::new();
        for (seed, length) in layers {
            let bytes = noise(*seed, *length);
            self.store.write(&bytes).await.unwrap();
            diff_ids.push(Digest::of(&bytes));
            descriptors.push(Descriptor::of(media_type::LAYER_TAR, &bytes));
        }
        let config = crate::oci::ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            rootfs: crate::oci::RootFs { diff_ids, ..Default::default() },
            ..Default::default()
        };
        let config = serde_json::to_vec(&config).unwrap();
        self.store.write(&config).await.unwrap();
        let manifest = Manifest::image(Descriptor::of(media_type::CONFIG, &config), descriptors).to_raw();
        self.store.write(manifest.bytes()).await.unwrap()
    }

    /// An index of images.
    async fn index(&self, images: &[(&str, Digest)]) -> Digest {
        let mut entries = Vec::new();
        for (platform, digest) in images {
            let manifest = self.store.manifest(digest).await.unwrap().unwrap();
            entries.push(manifest.descriptor().for_platform(&platform.parse().unwrap()));
        }
        self.store.write(Index::new(entries).to_raw().bytes()).await.unwrap()
    }

    /// A blob of noise.
    async fn blob(&self, seed: u64, length: usize) -> Descriptor {
        let bytes = noise(seed, length);
        self.store.write(&bytes).await.unwrap();
        Descriptor::of(media_type::LAYER_TAR, &bytes)
    }
}
