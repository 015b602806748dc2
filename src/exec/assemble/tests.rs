//! The builder as a whole, without any other builder: determinism, bases, flags that old engines do not know, refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::digest::{ContentHash, Digest};
use crate::fingerprint::{FileEntry, FileKind, FileSet};
use crate::name::ImageName;
use crate::path::RelPath;
use crate::problem::{Code, Source};
use crate::project::{Compression, Output};
use crate::registry::{ContentStore, Repository};
use crate::workspace::{Origin, Snapshot};

const FILES: &[(&str, &str)] = &[
    ("app/main", "main"),
    ("app/lib/one.py", "one"),
    ("app/lib/one.pyc", "compiled"),
    ("app/lib/deep/two.py", "two"),
    ("app/lib/deep/two.pyc", "compiled"),
    ("readme.md", "readme"),
];

struct Bench {
    folder: tempfile::TempDir,
    snapshot: Snapshot,
}

impl Bench {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With more files.
    fn with(more: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut entries = BTreeMap::new();
        for (path, text) in FILES.iter().map(|(path, text)| (*path, text.as_bytes())).chain(more.iter().copied()) {
            let place = folder.path().join("context").join(path);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, text).unwrap();
            let path = RelPath::new(path.as_bytes()).unwrap();
            let hash = ContentHash::from_bytes(*blake3::hash(text).as_bytes());
            let kind = FileKind::File { hash, size: text.len() as u64 };
            let mut parent = path.parent();
            while let Some(folder) = parent.filter(|folder| !folder.is_root()) {
                parent = folder.parent();
                entries.insert(folder.clone(), FileEntry { path: folder, kind: FileKind::Folder, mode: 0o755 });
            }
            entries.insert(path.clone(), FileEntry { path, kind, mode: 0o644 });
        }
        let files = Arc::new(FileSet::new(entries.into_values().collect()));
        let origin = Arc::new(Origin::Folder(folder.path().join("context")));
        Self { snapshot: Snapshot::new(files, origin), folder }
    }

    fn store(&self, name: &str) -> ContentStore {
        ContentStore::new(self.folder.path().join(name))
    }

    fn request(&self, dockerfile: &str) -> Request {
        Request {
            image: ImageName::new("tested"),
            platform: "linux/arm64".parse().unwrap(),
            build_platform: "linux/amd64".parse().unwrap(),
            dockerfile: Source::new("Dockerfile", dockerfile),
            target: None,
            args: BTreeMap::new(),
            sensitive: BTreeSet::new(),
            contexts: BTreeMap::from([(String::new(), ContextSource::Snapshot(self.snapshot.clone()))]),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            bases: BTreeMap::new(),
            output: Output::default(),
            epoch: 0,
        }
    }

    async fn build_in(&self, request: Request, store: &str, cache: Cache) -> Result<Built, AssembleError> {
        assemble(request, self.store(store), Arc::new(cache), CancellationToken::new()).await
    }

    async fn build(&self, request: Request) -> Result<Built, AssembleError> {
        self.build_in(request, "store", Cache::in_memory()).await
    }

    fn json(&self, digest: &str) -> serde_json::Value {
        let path = self.store("store").path(&digest.parse().unwrap());
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The names in all layers that are in the store, one list for each.
    fn names(&self, built: &Built) -> Vec<Vec<String>> {
        let manifest = self.json(&built.digest.to_string());
        let layers = manifest["layers"].as_array().unwrap().iter();
        let read = |layer: &serde_json::Value| {
            let path = self.store("store").path(&layer["digest"].as_str().unwrap().parse().unwrap());
            let bytes = std::fs::read(path).unwrap();
            let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
            let name = |entry: std::io::Result<tar::Entry<'_, _>>| entry.unwrap().path().unwrap().display().to_string();
            archive.entries().unwrap().map(name).collect()
        };
        layers.map(read).collect()
    }
}

fn code(result: Result<Built, AssembleError>) -> (Code, String) {
    match result {
        Err(AssembleError::Refused(problem) | AssembleError::NeedsBuildkit(problem)) => {
            (problem.code, problem.labels[0].location.to_string())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_digest_is_the_same_everywhere() {
    let bench = Bench::new();
    let text = "FROM scratch\nCOPY --chown=7 app /app\nWORKDIR /app\nENV A=1\nCMD [\"./main\"]\n";
    let one = bench.build(bench.request(text)).await.unwrap();
    let other = Bench::new();
    let two = other.build(other.request(text)).await.unwrap();
    assert_eq!(one.digest, two.digest);
    // The digest is part of the format: whoever changes it changes `layer::FORMAT` too.
    assert_eq!(one.digest.short(), "b4a3fcad99a9");
    let zstd = Output { compression: Compression::Zstd, ..Output::default() };
    let built = bench.build(Request { output: zstd, ..bench.request(text) }).await.unwrap();
    let layers = &bench.json(&built.digest.to_string())["layers"];
    assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
}

#[tokio::test]
async fn a_base_is_read_only_if_something_is_put_on_it() {
    let bench = Bench::new();
    let base = bench
        .build_in(bench.request("FROM scratch\nCOPY app /usr/app\nENV B=base\n"), "elsewhere", Cache::in_memory())
        .await
        .unwrap();
    let source = || BaseSource {
        place: Place::Repository(Repository::layout(bench.folder.path().join("elsewhere"))),
        digest: base.digest,
    };
    let request = |text: &str| Request {
        bases: BTreeMap::from([(("base:1".to_owned(), "linux/arm64".parse().unwrap()), source())]),
        ..bench.request(text)
    };

    let settings = bench.build(request("FROM base:1\nENV C=$B\nCMD [\"x\"]\n")).await.unwrap();
    let manifest = bench.json(&settings.digest.to_string());
    let layer: Digest = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    assert!(settings.lent.get(&layer).is_some());
    assert!(!bench.store("store").contains(&layer), "nobody has to read it");
    let config = bench.json(bench.json(&settings.digest.to_string())["config"]["digest"].as_str().unwrap());
    assert_eq!(config["config"]["Env"].as_array().unwrap().last().unwrap(), "C=base");
    assert_eq!(config["architecture"], "arm64");

    let linked = bench.build(request("FROM base:1\nCOPY --link readme.md /usr/app/\n")).await.unwrap();
    assert!(!bench.store("store").contains(&layer), "nor for `--link`");
    assert_eq!(bench.json(&linked.digest.to_string())["layers"].as_array().unwrap().len(), 2);

    let copied = bench.build(request("FROM base:1\nCOPY readme.md /usr/app/\n")).await.unwrap();
    assert!(bench.store("store").contains(&layer));
    assert_eq!(bench.names(&copied)[1], ["usr/", "usr/app/", "usr/app/readme.md"]);
    let reached = bench.build(request("FROM scratch\nCOPY --from=base:1 /usr/app/main /m\n")).await.unwrap();
    assert_eq!(bench.names(&reached), [["m"]]);
    assert!(matches!(bench.build(bench.request("FROM base:1\n")).await, Err(AssembleError::UnknownBase { .. })));
}

#[tokio::test]
async fn what_was_read_and_written_is_kept_in_the_folder() {
    let bench = Bench::new();
    let cache = bench.folder.path().join("cache");
    let text = "FROM scratch\nCOPY app /app\n";
    let one = bench.build_in(bench.request(text), "one", Cache::in_folder(&cache)).await.unwrap();
    // The files are not looked at again.
    std::fs::remove_dir_all(bench.folder.path().join("context")).unwrap();
    let two = bench.build_in(bench.request(text), "two", Cache::in_folder(&cache)).await.unwrap();
    assert_eq!(one.digest, two.digest);
    for entry in std::fs::read_dir(bench.folder.path().join("one/blobs/sha256")).unwrap() {
        assert!(bench.folder.path().join("two/blobs/sha256").join(entry.unwrap().file_name()).exists());
    }
}

#[tokio::test]
async fn a_changed_input_is_noticed() {
    for (text, add) in [("mean", false), ("longer", false), ("mean", true)] {
        let bench = Bench::new();
        std::fs::write(bench.folder.path().join("context/app/main"), text).unwrap();
        let verb = if add { "ADD" } else { "COPY" };
        let built = bench.build(bench.request(&format!("FROM scratch\n{verb} app/main /m\n"))).await;
        assert!(matches!(built, Err(AssembleError::Input(_))), "{built:?}");
        let kept = std::fs::read_dir(bench.folder.path().join("store/blobs/sha256")).map_or(0, Iterator::count);
        assert_eq!(kept, 0, "nothing half written stays");
    }
}

#[tokio::test]
async fn patterns_choose_what_is_copied() {
    let bench = Bench::new();
    for (line, names) in [
        (
            "COPY --exclude=**/*.pyc app /a/",
            vec!["a/", "a/lib/", "a/lib/deep/", "a/lib/deep/two.py", "a/lib/one.py", "a/main"],
        ),
        ("COPY --exclude=lib app /a/", vec!["a/", "a/main"]),
        ("COPY --exclude=* --exclude=!lib/one.py app /a/", vec!["a/", "a/lib/", "a/lib/one.py"]),
        ("COPY --parents app/main readme.md /p/", vec!["p/", "p/app/", "p/app/main", "p/readme.md"]),
        (
            "COPY --parents app/**/*.py /p/",
            vec!["p/", "p/app/", "p/app/lib/", "p/app/lib/deep/", "p/app/lib/deep/two.py", "p/app/lib/one.py"],
        ),
        (
            "COPY --parents app/./lib/deep /p/",
            vec!["p/", "p/lib/", "p/lib/deep/", "p/lib/deep/two.py", "p/lib/deep/two.pyc"],
        ),
    ] {
        let built = bench.build(bench.request(&format!("FROM scratch\n{line}\n"))).await.unwrap();
        assert_eq!(bench.names(&built)[0], names, "{line}");
    }
}

#[tokio::test]
async fn refusals_have_a_place() {
    let bench = Bench::new();
    for (lines, expected, place) in [
        ("COPY missing /", Code::SourceMissing, "Dockerfile:2:1"),
        ("COPY --parents app/missing /", Code::SourceMissing, "Dockerfile:2:1"),
        ("COPY readme.md /x\nCOPY app /x", Code::BadDestination, "Dockerfile:3:1"),
        ("COPY --chmod=u*x readme.md /x", Code::DockerfileSyntax, "Dockerfile:2:1"),
        ("EXPOSE eighty", Code::DockerfileSyntax, "Dockerfile:2:8"),
        ("COPY readme.md /\nRUN make", Code::NeedsBuildkit, "Dockerfile:3:1"),
        ("ADD https://example.invalid/x /", Code::NeedsBuildkit, "Dockerfile:2:1"),
    ] {
        let result = bench.build(bench.request(&format!("FROM scratch\n{lines}\n"))).await;
        assert_eq!(code(result), (expected, place.to_owned()), "{lines}");
    }
}

#[tokio::test]
async fn a_broken_archive_is_refused() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_mode(0o644);
    header.set_size(0);
    archive.append_link(&mut header, "name", "missing").unwrap();
    let bench = Bench::with(&[("broken.tar", &archive.into_inner().unwrap())]);
    let result = bench.build(bench.request("FROM scratch\nADD broken.tar /\n")).await;
    assert_eq!(code(result), (Code::BadArchive, "Dockerfile:2:1".to_owned()));
}

#[tokio::test]
async fn a_cancelled_build_stops() {
    let bench = Bench::new();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let request = bench.request("FROM scratch\nCOPY app /app\n");
    let built = assemble(request, bench.store("store"), Arc::new(Cache::in_memory()), cancel).await;
    assert!(matches!(built, Err(AssembleError::Cancelled)), "{built:?}");
}

#[tokio::test]
async fn labels_and_annotations_are_added() {
    let bench = Bench::new();
    let mut request = bench.request("FROM scratch\nLABEL a=file b=file\n");
    request.labels = BTreeMap::from([("a".to_owned(), "manifest".to_owned())]);
    request.annotations = ["x", "manifest:y", "index:z"].map(|key| (key.to_owned(), "v".to_owned())).into();
    let built = bench.build(request).await.unwrap();
    let manifest = bench.json(&built.digest.to_string());
    assert_eq!(manifest["annotations"], serde_json::json!({ "x": "v", "y": "v" }));
    let config = bench.json(manifest["config"]["digest"].as_str().unwrap());
    assert_eq!(config["config"]["Labels"], serde_json::json!({ "a": "manifest", "b": "file" }));
    assert_eq!(config["created"], "1970-01-01T00:00:00Z");
}

#[test]
fn whiteouts_and_replaced_folders_are_in_the_layer() {
    use super::files::Files;
    use super::layer::{Layer, Style};
    use super::node::{Meta, Node};
    let path = |text: &str| RelPath::new(text.as_bytes()).unwrap();
    let file = |text: &str| Node::bytes(text.as_bytes(), Meta { mode: 0o644, uid: 0, gid: 0 });
    let mut below = Files::default();
    for name in ["d/a", "d/b", "e/x"] {
        below.put(path(name).parent().unwrap(), Node::folder(Meta { mode: 0o711, uid: 1, gid: 2 }));
        below.put(path(name), file(name));
    }
    let mut files = Files::on(&Arc::new(below));
    files.remove(&path("d/a"));
    files.put(path("e"), file("now a file"));
    assert!(files.get(&path("e/x")).is_none());
    let folder = tempfile::tempdir().unwrap();
    let style = Style { method: super::compress::Method::new(Compression::Uncompressed, None), epoch: 5 };
    let written = Layer::of(&files).write(folder.path(), style, &CancellationToken::new()).unwrap();
    assert_eq!(written.blob.digest, written.diff_id);
    let mut tar = Vec::new();
    std::fs::File::open(folder.path().join(Digest::hex(&written.diff_id))).unwrap().read_to_end(&mut tar).unwrap();
    let mut archive = tar::Archive::new(&tar[..]);
    let about = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        (entry.path().unwrap().into_owned(), header.mode().unwrap(), header.uid().unwrap(), header.mtime().unwrap())
    });
    let row = |name: &str, mode, uid| (Path::new(name).to_owned(), mode, uid, 5);
    assert_eq!(about.collect::<Vec<_>>(), [row("d/", 0o711, 1), row("d/.wh.a", 0, 0), row("e", 0o644, 0)]);
}
