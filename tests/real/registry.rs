//! A registry of one test, and what stands in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use orchestrate::digest::Digest;
use orchestrate::oci::{Contents, RawManifest};

use crate::real::{Real, Request};

/// A `docker-registry` that ends with this value.
pub struct Registry {
    process: Child,
    real: Real,
}

/// Where each tag points: `repository:tag` and the manifest's digest.
pub type Tags = BTreeMap<String, Digest>;

impl Registry {
    /// Starts an empty registry that keeps its data and its log in `folder`.
    pub fn start(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{ level: info, formatter: text }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n  \
             delete: {{ enabled: true }}\nhttp:\n  addr: 127.0.0.1:0\n",
            folder.join("data").display()
        );
        fs::write(folder.join("config.yml"), config).unwrap();
        let (access, log) = (folder.join("access.log"), folder.join("log"));
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(File::create(&access).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("docker-registry cannot be run: {error}"));
        let began = Instant::now();
        let address = loop {
            let said = fs::read_to_string(&log).unwrap();
            if let Some((_, rest)) = said.split_once("listening on ") {
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
                if let Some(end) = end {
                    break rest[..end].to_owned();
                }
            }
            let running = process.try_wait().unwrap().is_none();
            assert!(running && began.elapsed() < Duration::from_secs(20), "docker-registry did not start:\n{said}");
            thread::sleep(Duration::from_millis(5));
        };
        let real = Real { docker_host: None, registry: address, registry_log: access };
        Self { process, real }
    }

    /// The registry is gone: nobody listens at its address.
    pub fn leave(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// It is back, at the same address and with all that it had.
    pub fn come_back(&mut self, folder: &Path) {
        let config = fs::read_to_string(folder.join("config.yml")).unwrap();
        fs::write(folder.join("config.yml"), config.replace("127.0.0.1:0", self.address())).unwrap();
        let access = File::options().append(true).open(folder.join("access.log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(folder.join("config.yml")).stdin(Stdio::null()).stdout(access).stderr(Stdio::null());
        self.process = command.spawn().unwrap();
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.real.registry
    }

    /// How far the access log reaches now.
    pub fn mark(&self) -> usize {
        self.real.mark()
    }

    /// All requests after `mark` but those of this module.
    pub fn requests_since(&self, mark: usize) -> Vec<Request> {
        let mut requests = self.real.requests_since(mark, "/v2/");
        requests.retain(|request| !request.path.starts_with("/v2/settle-"));
        requests
    }

    /// The requests after `mark` that change something.
    pub fn writes_since(&self, mark: usize) -> Vec<Request> {
        let mut requests = self.requests_since(mark);
        requests.retain(|request| request.method != "GET" && request.method != "HEAD");
        requests
    }

    /// The tags of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let (status, body) = self.real.get(&format!("/v2/{repository}/tags/list"));
        assert_eq!(status, 200, "{repository}: {body}");
        let mut tags = strings(&body, "tags");
        tags.sort();
        tags
    }

    /// The tags of a repository that people know: neither keys nor records.
    pub fn people_tags(&self, repository: &str) -> Vec<String> {
        let mut tags = self.tags(repository);
        tags.retain(|tag| is_for_people(tag));
        tags
    }

    /// The layers of the image that a tag points at.
    pub fn layers(&self, repository: &str, tag: &str) -> Vec<Digest> {
        let (status, bytes) = self.real.fetch(&format!("/v2/{repository}/manifests/{tag}"));
        assert_eq!(status, 200, "{repository}:{tag}");
        match RawManifest::from_bytes(bytes).unwrap().contents().unwrap() {
            Contents::Manifest(manifest) => manifest.layers.iter().map(|layer| layer.digest).collect(),
            Contents::Index(_) => panic!("{repository}:{tag} is an index"),
        }
    }

    /// Every tag of every repository, each of which must resolve to a whole image: every manifest, config and layer is there and is what
    /// its digest says, and so is what a record refers to.
    pub fn whole(&self) -> Tags {
        self.whole_where(|_| true)
    }

    fn whole_where(&self, fits: impl Fn(&str) -> bool) -> Tags {
        let (status, body) = self.real.get("/v2/_catalog?n=1000");
        assert_eq!(status, 200, "{body}");
        let mut found = Tags::new();
        for repository in strings(&body, "repositories") {
            let (status, body) = self.real.get(&format!("/v2/{repository}/tags/list"));
            if status == 404 {
                continue; // Blobs alone: nothing is tagged yet.
            }
            let mut seen = BTreeSet::new();
            for tag in strings(&body, "tags").into_iter().filter(|tag| fits(tag)) {
                let digest = self.whole_manifest(&repository, &tag, &mut seen);
                found.insert(format!("{repository}:{tag}"), digest);
            }
        }
        found
    }

    /// As [`Self::whole`], without keys, records and lists of referrers in what it gives.
    pub fn whole_for_people(&self) -> Tags {
        let mut tags = self.whole();
        tags.retain(|reference, _| is_for_people(reference.rsplit_once(':').unwrap().1));
        tags
    }

    /// As [`Self::whole_for_people`], and looks at nothing else.
    pub fn whole_for_people_alone(&self) -> Tags {
        self.whole_where(is_for_people)
    }

    fn whole_manifest(&self, repository: &str, reference: &str, seen: &mut BTreeSet<Digest>) -> Digest {
        // This registry writes a tag's file in place: who reads it in that moment hears 500, which says nothing of the tag.
        let path = format!("/v2/{repository}/manifests/{reference}");
        let mut answers = (0..20).map(|attempt| {
            std::thread::sleep(std::time::Duration::from_millis(if attempt == 0 { 0 } else { 100 }));
            self.real.fetch(&path)
        });
        let (status, bytes) = answers.find(|(status, _)| *status != 500).unwrap_or((500, Vec::new()));
        assert_eq!(status, 200, "{repository}: {reference} does not resolve");
        let digest = Digest::of(&bytes);
        assert!(!reference.contains(':') || reference == digest.to_string(), "{repository}: {reference} is {digest}");
        if !seen.insert(digest) {
            return digest;
        }
        let raw = RawManifest::from_bytes(bytes).unwrap();
        match raw.contents().unwrap() {
            Contents::Index(index) => {
                for child in index.manifests {
                    self.whole_manifest(repository, &child.digest.to_string(), seen);
                }
            }
            Contents::Manifest(manifest) => {
                if let Some(subject) = &manifest.subject {
                    self.whole_manifest(repository, &subject.digest.to_string(), seen);
                }
                for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
                    if seen.insert(blob.digest) {
                        let (status, bytes) = self.real.fetch(&format!("/v2/{repository}/blobs/{}", blob.digest));
                        assert_eq!(status, 200, "{repository}: {reference} lacks {}", blob.digest);
                        assert_eq!(Digest::of(&bytes), blob.digest, "{repository}: a blob of {reference}");
                    }
                }
            }
        }
        digest
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Neither a key, nor a record, nor a list of referrers.
fn is_for_people(tag: &str) -> bool {
    !tag.starts_with("key-") && !tag.starts_with("sha256-")
}

fn strings(json: &str, field: &str) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let items = value[field].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}
