//! The solve request: what BuildKit is told to do.

use std::collections::{BTreeMap, HashMap};

use bollard_buildkit_proto::moby::buildkit::v1 as api;
use bollard_buildkit_proto::pb;

use super::error::BuildError;
use super::request::{ContextSource, Request};
use crate::project::Compression;

/// The folders that BuildKit asks for by these names; the Dockerfile frontend's defaults.
pub(super) const CONTEXT: &str = "context";
pub(super) const DOCKERFILE: &str = "dockerfile";
/// The exporter of the result.
pub(super) const EXPORTER: &str = "oci";

/// The name by which BuildKit asks for the folder of a named context.
pub(super) fn folder_name(context: &str) -> String {
    format!("named-{context}")
}

/// The name by which BuildKit asks for the store of the `index`th named context.
pub(super) fn store_name(index: usize) -> String {
    format!("store{index}")
}

/// The file name of a Dockerfile whose name is a path.
pub(super) fn file_name(dockerfile: &str) -> &str {
    dockerfile.rsplit('/').next().unwrap_or(dockerfile)
}

/// The request for `request`, of a job and in a session with these ids; of the sessions of the contexts that it shares too, by their names.
pub(super) fn solve_request(
    request: &Request,
    job: &str,
    session: &str,
    shared: &BTreeMap<String, String>,
) -> Result<api::SolveRequest, BuildError> {
    Ok(api::SolveRequest {
        r#ref: job.to_owned(),
        session: session.to_owned(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: frontend_attributes(request, shared),
        frontend_inputs: inputs(shared),
        // The older form of `exporters`, which BuildKit of every age reads.
        exporter_deprecated: EXPORTER.to_owned(),
        exporter_attrs_deprecated: exporter_attributes(request),
        cache: Some(api::CacheOptions {
            imports: request.cache_from.iter().map(|text| cache_entry(text)).collect::<Result<_, _>>()?,
            exports: request.cache_to.iter().map(|text| cache_entry(text)).collect::<Result<_, _>>()?,
            ..api::CacheOptions::default()
        }),
        entitlements: request.entitlements.iter().cloned().collect(),
        // Not kept among BuildKit's past builds, which takes it a tenth of a build with small layers.
        internal: true,
        ..api::SolveRequest::default()
    })
}

/// Source: BuildKit's Dockerfile frontend, `frontend/dockerui/config.go` and `frontend/dockerui/namedcontext.go`.
fn frontend_attributes(request: &Request, shared: &BTreeMap<String, String>) -> HashMap<String, String> {
    let mut attributes = HashMap::new();
    let mut set = |key: String, value: String| attributes.insert(key, value);
    set("filename".to_owned(), file_name(request.dockerfile.name()).to_owned());
    set("platform".to_owned(), request.platform.to_string());
    if let Some(target) = &request.target {
        set("target".to_owned(), target.clone());
    }
    if request.no_cache {
        set("no-cache".to_owned(), String::new());
    }
    for (name, value) in &request.args {
        set(format!("build-arg:{name}"), value.clone());
    }
    if let Some(epoch) = request.source_date_epoch {
        set("build-arg:SOURCE_DATE_EPOCH".to_owned(), epoch.to_string());
    }
    for (name, value) in &request.labels {
        set(format!("label:{name}"), value.clone());
    }
    for (index, (name, source)) in request.contexts.iter().enumerate() {
        let value = match source {
            ContextSource::Folder(_) if shared.contains_key(name) => format!("input:{}", folder_name(name)),
            ContextSource::Folder(_) => format!("local:{}", folder_name(name)),
            ContextSource::Image(reference) => format!("docker-image://{reference}"),
            ContextSource::Store { digest, .. } => format!("oci-layout://{}@{digest}", store_name(index)),
        };
        set(format!("context:{name}"), value);
    }
    if !request.contexts.is_empty() {
        // Lets a frontend named by `# syntax=` have the named contexts.
        set("frontend.caps".to_owned(), "moby.buildkit.frontend.contexts+forward".to_owned());
    }
    if request.output.sbom {
        set("attest:sbom".to_owned(), String::new());
    }
    if request.output.provenance {
        set("attest:provenance".to_owned(), "mode=min".to_owned());
    }
    attributes
}

/// The contexts that others read too. The main one needs no more than its name; a front end that does not know inputs asks our session.
fn inputs(shared: &BTreeMap<String, String>) -> HashMap<String, pb::Definition> {
    let input = |(name, session): (&String, &String)| match name.as_str() {
        "" => (CONTEXT.to_owned(), super::shared::input(session, "[internal] load build context")),
        name => (folder_name(name), super::shared::input(session, &format!("[context {name}] load from client"))),
    };
    shared.iter().map(input).collect()
}

/// Source: BuildKit's README, "Export OCI image"; `exporter/containerimage/exptypes/keys.go`.
fn exporter_attributes(request: &Request) -> HashMap<String, String> {
    let mut attributes = HashMap::new();
    let mut set = |key: &str, value: &str| attributes.insert(key.to_owned(), value.to_owned());
    // Blob by blob into the store `export` of our session. BuildKit before 0.11 does not know it, and sends an archive.
    set("tar", "false");
    set("oci-mediatypes", "true");
    match request.output.compression {
        // Bases keep their own bytes, so that registries can share them.
        Compression::Gzip => set("compression", "gzip"),
        Compression::Zstd => set("compression", "zstd"),
        Compression::Uncompressed => set("compression", "uncompressed"),
    };
    if request.output.compression != Compression::Gzip {
        set("force-compression", "true");
    }
    if let Some(level) = request.output.level {
        set("compression-level", &level.to_string());
    }
    if request.source_date_epoch.is_some() {
        set("rewrite-timestamp", "true");
    }
    for (key, value) in &request.annotations {
        for key in annotation_attributes(key) {
            set(&key, value);
        }
    }
    attributes
}

/// The exporter's names for an annotation `[type[,type]:]key`. Types of an index give none: what is exported has no index.
///
/// Source: Docker's documentation, "Annotations", "Specify annotation level".
fn annotation_attributes(text: &str) -> Vec<String> {
    const KINDS: [&str; 4] = ["index", "index-descriptor", "manifest", "manifest-descriptor"];
    let kind = |kind: &str| KINDS.contains(&kind.split('[').next().unwrap_or(kind));
    match text.split_once(':') {
        Some((kinds, key)) if kinds.split(',').all(kind) => {
            let own = kinds.split(',').filter(|kind| kind.starts_with("manifest"));
            own.map(|kind| format!("annotation-{kind}.{key}")).collect()
        }
        _ => vec![format!("annotation.{text}")],
    }
}

/// Source: `docker buildx build --cache-from`: a text without `=` is a reference.
fn cache_entry(text: &str) -> Result<api::CacheOptionsEntry, BuildError> {
    let attributes = if text.contains('=') { text.to_owned() } else { format!("type=registry,ref={text}") };
    let mut attrs: HashMap<String, String> = attributes
        .split(',')
        .filter_map(|field| field.split_once('='))
        .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.to_owned()))
        .collect();
    let kind = attrs.remove("type").unwrap_or_default();
    if kind.is_empty() || kind == "local" {
        return Err(BuildError::Unsupported {
            what: format!("`{text}` is not a build cache that BuildKit can use through its API"),
            help: "use `type=registry,ref=...`, `type=inline`, `type=gha` or `type=s3`".to_owned(),
        });
    }
    Ok(api::CacheOptionsEntry { r#type: kind, attrs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::FileSet;
    use crate::problem::Source;
    use crate::workspace::{Origin, Snapshot};

    fn request(dockerfile: &str, text: &str) -> Request {
        let nothing = Snapshot::new(FileSet::new(Vec::new()).into(), Origin::Folder("/nowhere".into()).into());
        Request { dockerfile: Source::new(dockerfile, text), ..super::super::tests::request(nothing) }
    }

    fn has(attributes: &HashMap<String, String>, key: &str) -> Option<String> {
        attributes.get(key).cloned()
    }

    #[test]
    fn what_the_request_says_becomes_attributes() {
        let mut request = request("cmd/x/Dockerfile.light", "FROM scratch");
        request.args.insert("A".to_owned(), "1".to_owned());
        request.labels.insert("l".to_owned(), "v".to_owned());
        request.target = Some("run".to_owned());
        request.source_date_epoch = Some(7);
        let digest = crate::digest::Digest::of(b"");
        let store = ContextSource::Store { store: crate::registry::ContentStore::new("/s"), digest };
        request.contexts.insert("base".to_owned(), ContextSource::Image("h/r@d".to_owned()));
        request.contexts.insert("own".to_owned(), store);
        let solve = solve_request(&request, "job", "session", &BTreeMap::new()).unwrap();
        let front = &solve.frontend_attrs;
        assert_eq!(has(front, "filename").as_deref(), Some("Dockerfile.light"));
        assert_eq!(has(front, "build-arg:A").as_deref(), Some("1"));
        assert_eq!(has(front, "build-arg:SOURCE_DATE_EPOCH").as_deref(), Some("7"));
        assert_eq!(has(front, "label:l").as_deref(), Some("v"));
        assert_eq!(has(front, "target").as_deref(), Some("run"));
        assert_eq!(has(front, "context:base").as_deref(), Some("docker-image://h/r@d"));
        assert_eq!(has(front, "context:own"), Some(format!("oci-layout://store1@{digest}")));
        assert_eq!(has(front, "no-cache"), None);
        assert!(!front.keys().any(|key| key.starts_with("attest:")));
        let export = &solve.exporter_attrs_deprecated;
        assert_eq!(has(export, "rewrite-timestamp").as_deref(), Some("true"));
        assert_eq!(has(export, "force-compression"), None);
    }

    #[test]
    fn a_shared_context_is_an_input_and_its_session_alone_names_it() {
        let mut request = request("Dockerfile", "FROM scratch");
        let folder = ContextSource::Folder(request.context.clone());
        request.contexts.insert("more".to_owned(), folder.clone());
        request.contexts.insert("own".to_owned(), folder);
        let shared = BTreeMap::from([(String::new(), "one".to_owned()), ("more".to_owned(), "two".to_owned())]);
        let solve = |session| solve_request(&request, "job", session, &shared).unwrap();
        let (first, second) = (solve("session"), solve("another"));
        assert_eq!(first.frontend_inputs, second.frontend_inputs, "BuildKit solves equal inputs once");
        assert_eq!(has(&first.frontend_attrs, "context:more").as_deref(), Some("input:named-more"));
        assert_eq!(has(&first.frontend_attrs, "context:own").as_deref(), Some("local:named-own"));
        let mut names: Vec<_> = first.frontend_inputs.keys().cloned().collect();
        names.sort();
        assert_eq!(names, [CONTEXT, "named-more"]);
        assert_ne!(first.frontend_inputs[CONTEXT].def, first.frontend_inputs["named-more"].def);
        assert_eq!(solve_request(&request, "job", "session", &BTreeMap::new()).unwrap().frontend_inputs.len(), 0);
    }

    #[test]
    fn annotations_of_an_index_are_left_to_the_index() {
        assert_eq!(annotation_attributes("org.x"), ["annotation.org.x"]);
        assert_eq!(annotation_attributes("manifest:org.x"), ["annotation-manifest.org.x"]);
        assert_eq!(annotation_attributes("index,manifest:org.x"), ["annotation-manifest.org.x"]);
        assert_eq!(annotation_attributes("index:org.x"), [""; 0]);
        assert_eq!(annotation_attributes("org.x:y"), ["annotation.org.x:y"]);
    }

    #[test]
    fn caches_are_attributes_or_a_reference() {
        let entry = cache_entry("host/x:cache").unwrap();
        assert_eq!((entry.r#type.as_str(), entry.attrs["ref"].as_str()), ("registry", "host/x:cache"));
        let entry = cache_entry("type=registry,ref=h/x,mode=max").unwrap();
        assert_eq!((entry.r#type.as_str(), entry.attrs["mode"].as_str()), ("registry", "max"));
        assert!(matches!(cache_entry("type=local,dest=x"), Err(BuildError::Unsupported { .. })));
        assert!(matches!(cache_entry("ref=x"), Err(BuildError::Unsupported { .. })));
    }
}
