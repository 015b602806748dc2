use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::body::Payload;
use super::call::{Call, Read, Target};
use super::challenge::Scope;
use super::control::{Control, Doomed};
use super::counters::{Counters, RequestKind};
use super::credentials::Credentials;
use super::error::Error;
use super::name::{By, RepositoryName};
use super::reply::Reply;
use super::settings::Settings;
use super::transport::Transport;
use crate::digest::Digest;
use crate::oci::{Descriptor, Index, MAX_MANIFEST_SIZE, RawManifest, media_type};

/// How many pages of tags are read before we believe that there is no end.
const MAX_PAGES: usize = 10_000;
/// What a registry may say of content that it has taken a moment ago, or that another run writes at the very same time: distribution on a
/// file system reads files that are being written.
const UNSETTLED: [&str; 3] = ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "DIGEST_INVALID"];
/// How long it is waited then before the manifest is put again.
const UNSETTLED_PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];
/// The largest page of tags, in bytes.
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// A client for every registry: one for the whole program, cloned freely.
///
/// All operations repeat what can heal within the budget of the [`Settings`], authenticate when asked to, and verify digests.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Transport>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// What a registry said to a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whether it took notice of the manifest's `subject` (header `OCI-Subject`): then it has a referrers API.
    pub refers: bool,
}

impl Client {
    /// A client that is who `credentials` says.
    pub fn new(settings: Settings, credentials: Arc<dyn Credentials>) -> Self {
        Self::with_controls(settings, credentials, BTreeMap::new())
    }

    /// The same, with the clouds' own APIs for some hosts.
    pub fn with_controls(
        settings: Settings,
        credentials: Arc<dyn Credentials>,
        controls: BTreeMap<String, Arc<dyn Control>>,
    ) -> Self {
        Self(Arc::new(Transport::new(settings, credentials, controls)))
    }

    /// What was sent so far.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Where a tag points, or whether a digest is there; `None` if the manifest or the repository does not exist. One HEAD.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached.
    pub async fn head_manifest(&self, repository: &RepositoryName, by: By<'_>) -> Result<Option<Descriptor>, Error> {
        let reply = self.0.send(&manifest_call(RequestKind::ManifestHead, Method::HEAD, repository, by)).await?;
        if self.is_absent(repository, &reply).await? {
            return Ok(None);
        }
        let reply = successful(reply)?;
        let digest = match reply.header("docker-content-digest").map(str::parse::<Digest>) {
            Some(digest) => digest.map_err(|error| reply.nonsense(format!("`Docker-Content-Digest`: {error}")))?,
            None => match by {
                By::Digest(digest) => digest,
                // A registry that does not say where a tag points must be asked for the manifest itself.
                By::Tag(_) => {
                    return Ok(self.get_manifest(repository, by).await?.map(|manifest| manifest.descriptor()));
                }
            },
        };
        if let By::Digest(asked) = by
            && asked != digest
        {
            return Err(Error::WrongDigest {
                subject: format!("what {repository} has as {asked}"),
                expected: asked,
                found: digest.to_string(),
            });
        }
        let size = reply.header("content-length").and_then(|length| length.parse().ok());
        let (Some(size), Some(media_type)) = (size, reply.header("content-type")) else {
            return Ok(self.get_manifest(repository, by).await?.map(|manifest| manifest.descriptor()));
        };
        Ok(Some(Descriptor::new(media_type, digest, size)))
    }

    /// Whether an answer says that there is no such manifest. Some registries refuse what is not there (Artifactory and GHCR with 403, others with
    /// 401) although the login is good: where the repository's list of tags answers, or says that there is no such repository, it is.
    async fn is_absent(&self, repository: &RepositoryName, reply: &Reply) -> Result<bool, Error> {
        match reply.status() {
            StatusCode::NOT_FOUND => Ok(true),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let mut call = Call::new(RequestKind::Tags, Method::GET, repository, "tags/list?n=1");
                call.read = Read::Whole(MAX_PAGE);
                let list = self.0.send(&call).await?.status();
                Ok(list.is_success() || list == StatusCode::NOT_FOUND)
            }
            _ => Ok(false),
        }
    }

    /// A manifest's bytes, at most 4 MiB, with their digest verified; `None` if it or the repository does not exist. One GET.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or sends other bytes than their digest says.
    pub async fn get_manifest(&self, repository: &RepositoryName, by: By<'_>) -> Result<Option<RawManifest>, Error> {
        let mut call = manifest_call(RequestKind::ManifestGet, Method::GET, repository, by);
        call.read = Read::Whole(MAX_MANIFEST_SIZE);
        let reply = self.0.send(&call).await?;
        if self.is_absent(repository, &reply).await? {
            return Ok(None);
        }
        let reply = successful(reply)?;
        let place = || repository.to_string();
        let manifest = match reply.header("content-type") {
            Some(media_type) if media_type::is_index(media_type) || media_type::is_manifest(media_type) => {
                RawManifest::new(reply.body().clone(), media_type)
            }
            // Some stores answer with a type of their own; the manifest itself says what it is.
            _ => RawManifest::from_bytes(reply.body().clone())
                .map_err(|why| Error::NotAManifest { place: place(), why })?,
        };
        let told = reply.header("docker-content-digest").and_then(|digest| digest.parse::<Digest>().ok());
        let expected = match by {
            By::Digest(digest) => Some(digest),
            By::Tag(_) => told,
        };
        if let Some(expected) = expected.filter(|expected| *expected != manifest.digest()) {
            return Err(Error::WrongDigest {
                subject: format!("what {repository} sent for {by}"),
                expected,
                found: manifest.digest().to_string(),
            });
        }
        self.0.manifests.keep(&manifest);
        Ok(Some(manifest))
    }

    /// Writes a manifest under its digest, or under a tag, which thereby moves. One PUT.
    ///
    /// A registry that refuses to write a tag again (an immutable repository) is asked where it points: if to this very manifest,
    /// all is well.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or says that it stored something else.
    pub async fn put_manifest(
        &self,
        repository: &RepositoryName,
        by: By<'_>,
        manifest: &RawManifest,
    ) -> Result<Stored, Error> {
        let mut call = manifest_call(RequestKind::ManifestPut, Method::PUT, repository, by);
        let media_type = HeaderValue::try_from(manifest.media_type()).map_err(|_| Error::Nonsense {
            request: Box::new(call.request()),
            why: format!("`{}` is not a media type", manifest.media_type()),
        })?;
        call.headers.insert(CONTENT_TYPE, media_type);
        call.scopes = BTreeSet::from([Scope::push(&repository.path)]);
        call.payload = Payload::Bytes(manifest.bytes().clone());
        let mut reply = self.0.send(&call).await?;
        for pause in UNSETTLED_PAUSES {
            if reply.status().is_success() || !UNSETTLED.iter().any(|code| reply.answer().has_code(code)) {
                break;
            }
            tokio::time::sleep(pause).await;
            self.0.counters.retry();
            reply = self.0.send(&call).await?;
        }
        if matches!(by, By::Tag(_))
            && matches!(reply.status().as_u16(), 400 | 403 | 405 | 409 | 412)
            && let Ok(Some(standing)) = self.head_manifest(repository, by).await
            && standing.digest == manifest.digest()
        {
            return Ok(Stored { refers: false });
        }
        let reply = successful(reply)?;
        if let Some(told) = reply.header("docker-content-digest")
            && told != manifest.digest().to_string()
        {
            return Err(Error::WrongDigest {
                subject: format!("what {repository} stored as {by}"),
                expected: manifest.digest(),
                found: told.chars().take(80).collect(),
            });
        }
        self.0.manifests.keep(manifest);
        Ok(Stored { refers: reply.headers().contains_key("oci-subject") })
    }

    /// The cloud's own API for the registry at a host, where it has one.
    pub(super) fn control(&self, host: &str) -> Option<&Arc<dyn Control>> {
        self.0.controls.get(host)
    }

    /// Deletes a manifest, or a tag alone where the registry can do that; `false` if there was none.
    ///
    /// # Errors
    /// If the registry refuses (many do) or cannot be reached.
    pub async fn delete_manifest(&self, repository: &RepositoryName, by: By<'_>) -> Result<bool, Error> {
        if let Some(control) = self.control(&repository.host) {
            let doomed = match by {
                By::Tag(tag) => Doomed::Tag(tag.to_owned()),
                By::Digest(digest) => Doomed::Manifest(digest),
            };
            return Ok(control.delete(repository, &[doomed]).await? > 0);
        }
        let mut call = manifest_call(RequestKind::ManifestDelete, Method::DELETE, repository, by);
        call.scopes = BTreeSet::from([Scope::delete(&repository.path)]);
        let reply = self.0.send(&call).await?;
        if reply.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        successful(reply).map(|_| true)
    }

    /// All tags, sorted, each once; none if the repository does not exist. One GET for each page.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached, or its list has no end.
    pub async fn tags(&self, repository: &RepositoryName) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            // distribution answers `null` where a repository has lost its last tag.
            tags: Option<Vec<String>>,
        }
        let mut call = Call::new(RequestKind::Tags, Method::GET, repository, "tags/list?n=1000");
        call.read = Read::Whole(MAX_PAGE);
        let mut tags = BTreeSet::new();
        for _ in 0..MAX_PAGES {
            let reply = self.0.send(&call).await?;
            if reply.status() == StatusCode::NOT_FOUND && tags.is_empty() {
                return Ok(Vec::new());
            }
            let reply = successful(reply)?;
            let page: Page =
                serde_json::from_slice(reply.body()).map_err(|_| reply.nonsense("the list of tags is not JSON"))?;
            let before = tags.len();
            tags.extend(page.tags.unwrap_or_default());
            match reply.next_page() {
                Some(next) if tags.len() > before => call.target = Target::Url(next),
                _ => return Ok(tags.into_iter().collect()),
            }
        }
        Err(Error::TooLarge { subject: format!("the list of tags of {repository}"), limit: MAX_PAGES as u64 })
    }

    /// What refers to the manifest `subject`, of one artifact type or of all. Where the registry has no referrers API, the index under the tag
    /// `sha256-<hex>` is read, as the specification lays down.
    ///
    /// # Errors
    /// If the registry refuses or cannot be reached.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let found = match self.referrers_by_api(repository, subject, artifact_type).await? {
            Some(found) => found,
            None => {
                let tag = format!("sha256-{}", subject.hex());
                let index = self.get_manifest(repository, By::Tag(&tag)).await?;
                match index.map(|index| serde_json::from_slice::<Index>(index.bytes())) {
                    Some(Ok(index)) => index.manifests,
                    _ => Vec::new(),
                }
            }
        };
        let fits = |entry: &Descriptor| artifact_type.is_none() || entry.artifact_type.as_deref() == artifact_type;
        Ok(found.into_iter().filter(fits).collect())
    }

    /// The answer of the referrers API; `None` where there is none. A host that has none is asked once.
    pub(super) async fn referrers_by_api(
        &self,
        repository: &RepositoryName,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let host = self.0.host(&repository.host)?;
        if host.referrers.load(Relaxed) == 1 {
            return Ok(None);
        }
        let path = match artifact_type {
            Some(kind) => {
                let kind: String = url::form_urlencoded::byte_serialize(kind.as_bytes()).collect();
                format!("referrers/{subject}?artifactType={kind}")
            }
            None => format!("referrers/{subject}"),
        };
        let mut call = Call::new(RequestKind::Referrers, Method::GET, repository, path);
        call.headers.insert(ACCEPT, HeaderValue::from_static(media_type::INDEX));
        call.read = Read::Whole(MAX_MANIFEST_SIZE);
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let reply = self.0.send(&call).await?;
            if matches!(reply.status().as_u16(), 400 | 404 | 405 | 501) {
                // A repository that does not exist yet says nothing about the API.
                if !reply.answer().has_code("NAME_UNKNOWN") {
                    host.referrers.store(1, Relaxed);
                }
                return Ok(None);
            }
            let reply = successful(reply)?;
            let Ok(index) = serde_json::from_slice::<Index>(reply.body()) else {
                // A server that answers everything with a page for people has no such API either.
                host.referrers.store(1, Relaxed);
                return Ok(None);
            };
            host.referrers.store(2, Relaxed);
            found.extend(index.manifests);
            match reply.next_page() {
                Some(next) => call.target = Target::Url(next),
                None => break,
            }
        }
        Ok(Some(found))
    }
}

impl Reply {
    /// The address of the next page (RFC 8288, `rel="next"`).
    fn next_page(&self) -> Option<url::Url> {
        let link = self.header("link")?;
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.contains("next").then_some(())?;
        self.url().join(address).ok()
    }
}

fn manifest_call(kind: RequestKind, method: Method, repository: &RepositoryName, by: By<'_>) -> Call {
    let mut call = Call::new(kind, method, repository, format!("manifests/{by}"));
    call.headers.insert(ACCEPT, HeaderValue::from_static(media_type::ACCEPT));
    call
}

pub(super) fn successful(reply: Reply) -> Result<Reply, Error> {
    if reply.status().is_success() { Ok(reply) } else { Err(reply.refused()) }
}
