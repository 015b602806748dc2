//! The BuildKit executor against a real engine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orchestrate::digest::{ContentHash, Digest};
use orchestrate::exec::buildkit::{
    Address, BuildError, BuildProgress, Buildkit, Built, ContextSource, MTIME_SECONDS, Masks, Request, SecretSource,
};
use orchestrate::fingerprint::{FileEntry, FileKind, FileSet};
use orchestrate::name::ImageName;
use orchestrate::oci::Descriptor;
use orchestrate::path::RelPath;
use orchestrate::platform::Platform;
use orchestrate::problem::Source;
use orchestrate::project::{Compression, Output};
use orchestrate::registry::{
    Anonymous, ContentStore, Credential, CredentialError, Credentials, Lent, Repository, Secret,
};
use orchestrate::workspace::{Origin, Snapshot};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[path = "support/judge.rs"]
mod judge;
#[path = "support/real.rs"]
mod real;

/// Two folders: one for contexts, one for blobs.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("context")).unwrap();
        Self { folder }
    }

    fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    fn store(&self) -> ContentStore {
        ContentStore::new(self.folder.path().join("store"))
    }

    fn write(&self, path: impl AsRef<Path>, content: &[u8]) -> PathBuf {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A static busybox as /bin/sh, for Dockerfiles with RUN.
    fn busybox(&self) {
        let path = self.context().join("sh");
        fs::copy("/bin/busybox", &path).expect("these tests run commands in /bin/busybox");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn request(&self, dockerfile: &str) -> Request {
        Request {
            image: ImageName::new("tested"),
            platform: Platform::of_this_machine(),
            dockerfile: Source::new("docker/Dockerfile.test", dockerfile),
            context: snapshot(&self.context()),
            contexts: BTreeMap::new(),
            shared: BTreeMap::new(),
            args: BTreeMap::new(),
            target: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            secrets: BTreeMap::new(),
            masks: Masks::default(),
            ssh: BTreeMap::new(),
            entitlements: std::collections::BTreeSet::new(),
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            no_cache: false,
            lent: Lent::default(),
            output: Output::default(),
            source_date_epoch: Some(1_700_000_000),
            timeout: Duration::from_secs(120),
        }
    }
}

/// All that lies below `root`, with git's modes.
fn snapshot(root: &Path) -> Snapshot {
    let mut entries = Vec::new();
    let mut folders = vec![(root.to_owned(), RelPath::root())];
    while let Some((folder, at)) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = at.join(entry.file_name().as_bytes());
            let metadata = entry.metadata().unwrap();
            let (kind, mode) = if metadata.is_dir() {
                folders.push((entry.path(), path.clone()));
                (FileKind::Folder, 0o755)
            } else if metadata.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned();
                (FileKind::Link { target }, 0o777)
            } else {
                let content = fs::read(entry.path()).unwrap();
                let hash = ContentHash::from_bytes(*blake3::hash(&content).as_bytes());
                let executable = metadata.permissions().mode() & 0o100 != 0;
                (FileKind::File { hash, size: metadata.len() }, if executable { 0o755 } else { 0o644 })
            };
            entries.push(FileEntry { path, kind, mode });
        }
    }
    Snapshot::new(Arc::new(FileSet::new(entries)), Arc::new(Origin::Folder(root.to_owned())))
}

fn nobody() -> Arc<dyn Credentials> {
    Arc::new(Anonymous)
}

async fn connected() -> Buildkit {
    Buildkit::connect(Address::DialStdio { builder: None }, nobody()).await.unwrap()
}

async fn built(
    buildkit: &Buildkit,
    request: Request,
    place: &Place,
) -> (Result<Built, BuildError>, Vec<BuildProgress>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let built = buildkit.build(request, &place.store(), sender, CancellationToken::new()).await;
    let mut events = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        events.push(event);
    }
    (built, events)
}

fn logs(events: &[BuildProgress]) -> Vec<&str> {
    let mut lines = Vec::new();
    for event in events {
        if let BuildProgress::Log { text, .. } = event {
            lines.push(text.as_str());
        }
    }
    lines
}

fn blob(store: &ContentStore, digest: Digest) -> Vec<u8> {
    let bytes = fs::read(store.path(&digest)).unwrap();
    assert_eq!(Digest::of(&bytes), digest);
    bytes
}

fn json(store: &ContentStore, digest: Digest) -> serde_json::Value {
    serde_json::from_slice(&blob(store, digest)).unwrap()
}

/// What the layers of an image hold, by path: kind and mode, content or link target, and time.
fn files(store: &ContentStore, manifest: Digest) -> BTreeMap<Vec<u8>, (String, Vec<u8>, u64)> {
    let manifest = json(store, manifest);
    let mut files = BTreeMap::new();
    for layer in manifest["layers"].as_array().unwrap() {
        let bytes = blob(store, layer["digest"].as_str().unwrap().parse().unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let kind = match header.entry_type() {
                tar::EntryType::Directory => 'd',
                tar::EntryType::Symlink => 'l',
                _ => 'f',
            };
            let path = entry.path_bytes().trim_ascii_end().to_vec();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            if let Some(link) = entry.link_name_bytes() {
                content = link.into_owned();
            }
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let about = format!("{kind}{:o}", header.mode().unwrap() & 0o7777);
            files.insert(path, (about, content, header.mtime().unwrap()));
        }
    }
    files
}

#[tokio::test]
async fn what_is_built_is_the_snapshot_and_nothing_else() {
    if real::real("what_is_built_is_the_snapshot_and_nothing_else").is_none() {
        return;
    }
    let place = Place::new();
    place.write("a/file", b"one");
    place.write("a-b/file", b"two");
    let script = place.write("a/run", b"#!/bin/sh\n");
    fs::set_permissions(script, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir_all(place.context().join("empty/inside")).unwrap();
    symlink("a/file", place.context().join("link")).unwrap();
    symlink("/nowhere", place.context().join("dangling")).unwrap();
    // An ignore file of the snapshot is a file like others: it was applied before.
    place.write(".dockerignore", b"*\n");
    let buildkit = connected().await;
    let mut request = place.request("FROM scratch\nCOPY . /\n");
    place.write("later", b"not in the snapshot");
    request.labels.insert("a.label".to_owned(), "v".to_owned());
    request.annotations.insert("manifest:an.annotation".to_owned(), "v".to_owned());
    request.annotations.insert("index:another".to_owned(), "v".to_owned());
    let (result, events) = built(&buildkit, request.clone(), &place).await;
    let image = result.unwrap();
    assert_eq!(image.media_type, "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(image.size, blob(&place.store(), image.digest).len() as u64);
    assert!(image.attestations.is_empty());
    let names = |event: &BuildProgress| match event {
        BuildProgress::Finished { name, error: None, .. } => Some(name.clone()),
        _ => None,
    };
    let names: Vec<_> = events.iter().filter_map(names).collect();
    assert!(names.iter().any(|name| name.contains("COPY . /")), "{names:?}");

    let manifest = json(&place.store(), image.digest);
    assert_eq!(manifest["annotations"], serde_json::json!({"an.annotation": "v"}));
    let config = json(&place.store(), manifest["config"]["digest"].as_str().unwrap().parse().unwrap());
    assert_eq!(config["config"]["Labels"], serde_json::json!({"a.label": "v"}));
    let found = files(&place.store(), image.digest);
    let expected: [(&str, &str, &[u8]); 10] = [
        (".dockerignore", "f644", b"*\n"),
        ("a-b/", "d755", b""),
        ("a-b/file", "f644", b"two"),
        ("a/", "d755", b""),
        ("a/file", "f644", b"one"),
        ("a/run", "f755", b"#!/bin/sh\n"),
        ("dangling", "l777", b"/nowhere"),
        ("empty/", "d755", b""),
        ("empty/inside/", "d755", b""),
        ("link", "l777", b"a/file"),
    ];
    let time = u64::try_from(MTIME_SECONDS).unwrap();
    let expected =
        expected.map(|(path, kind, content)| (path.as_bytes().to_vec(), (kind.to_owned(), content.to_vec())));
    let without_time = found.iter().map(|(path, (kind, content, _))| (path.clone(), (kind.clone(), content.clone())));
    assert_eq!(without_time.collect::<BTreeMap<_, _>>(), BTreeMap::from(expected));
    for (path, (kind, _, modified)) in &found {
        let path = String::from_utf8_lossy(path);
        assert!(kind.starts_with('d') || *modified == time, "{path} is of {modified}");
    }

    // The same again, without BuildKit's cache: the same digest.
    request.no_cache = true;
    let (again, _) = built(&buildkit, request, &place).await;
    assert_eq!(again.unwrap().digest, image.digest);
}

#[tokio::test]
async fn only_changed_files_are_sent_and_a_same_size_edit_is_one() {
    if real::real("only_changed_files_are_sent_and_a_same_size_edit_is_one").is_none() {
        return;
    }
    let place = Place::new();
    for number in 0..50 {
        place.write(format!("d/{number}"), format!("content {number}").as_bytes());
    }
    let edited = place.write("d/edited", b"first");
    let modified = fs::metadata(&edited).unwrap().modified().unwrap();
    let buildkit = connected().await;
    let dockerfile = "FROM scratch\nCOPY d /d\n";
    let (first, _) = built(&buildkit, place.request(dockerfile), &place).await;
    let first = first.unwrap();
    assert_eq!(
        (first.files_sent, files(&place.store(), first.digest)[&b"d/edited"[..]].1.as_slice()),
        (51, &b"first"[..])
    );

    fs::write(&edited, b"other").unwrap();
    fs::File::options().write(true).open(&edited).unwrap().set_modified(modified).unwrap();
    let (second, _) = built(&buildkit, place.request(dockerfile), &place).await;
    let second = second.unwrap();
    assert_eq!((second.files_sent, second.bytes_sent), (1, 5));
    assert_eq!(files(&place.store(), second.digest)[&b"d/edited"[..]].1, b"other");

    let (third, _) = built(&buildkit, place.request(dockerfile), &place).await;
    let third = third.unwrap();
    assert_eq!((third.files_sent, third.digest), (0, second.digest));
}

#[tokio::test]
async fn only_what_the_dockerfile_copies_is_sent() {
    if real::real("only_what_the_dockerfile_copies_is_sent").is_none() {
        return;
    }
    let place = Place::new();
    for path in ["src/a.go", "src/b.txt", "other/c", "real/d"] {
        place.write(path, path.as_bytes());
    }
    symlink("real", place.context().join("link")).unwrap();
    let dockerfile = "FROM scratch\nCOPY src/*.go /src/\nCOPY link/d /d\n";
    let (image, _) = built(&connected().await, place.request(dockerfile), &place).await;
    let image = image.unwrap();
    let found = files(&place.store(), image.digest);
    let paths: Vec<_> = found.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    assert_eq!(paths, ["d", "src/", "src/a.go"]);
    assert_eq!(image.files_sent, 3, "src/a.go, src/b.txt and real/d");
}

#[tokio::test]
async fn names_need_not_be_utf8() {
    if real::real("names_need_not_be_utf8").is_none() {
        return;
    }
    let place = Place::new();
    place.write(OsStr::from_bytes(b"d/\xff\xfe"), b"x");
    place.write("d/\u{fc} +%41", b"y");
    let (image, _) = built(&connected().await, place.request("FROM scratch\nCOPY d /d\n"), &place).await;
    if let Err(BuildError::Failed { message, .. }) = &image
        && message.contains(judge::ONLY_UTF8)
    {
        eprintln!("this engine takes no names but UTF-8 in a context");
        return;
    }
    let found = files(&place.store(), image.unwrap().digest);
    assert_eq!(found[&b"d/\xff\xfe"[..]].1, b"x");
    assert_eq!(found["d/\u{fc} +%41".as_bytes()].1, b"y");
}

#[tokio::test]
async fn another_platform_needs_no_emulation_to_copy() {
    if real::real("another_platform_needs_no_emulation_to_copy").is_none() {
        return;
    }
    let place = Place::new();
    place.write("x", b"x");
    let buildkit = connected().await;
    for (platform, architecture) in [("linux/arm64", "arm64"), ("linux/amd64", "amd64")] {
        let mut request = place.request("FROM scratch\nCOPY x /\n");
        request.platform = platform.parse().unwrap();
        let image = built(&buildkit, request, &place).await.0.unwrap();
        let manifest = json(&place.store(), image.digest);
        let config = json(&place.store(), manifest["config"]["digest"].as_str().unwrap().parse().unwrap());
        assert_eq!(config["architecture"], architecture);
    }
}

#[tokio::test]
async fn secrets_reach_the_step_and_no_log() {
    if real::real("secrets_reach_the_step_and_no_log").is_none() {
        return;
    }
    let place = Place::new();
    place.busybox();
    let path = place.folder.path().join("secret");
    fs::write(&path, "very-secret").unwrap();
    let mut request = place.request(
        "FROM scratch\nCOPY sh /bin/sh\nRUN --mount=type=secret,id=s read x < /run/secrets/s; echo \"it is $x\"; echo ${#x} > /length\n",
    );
    request.no_cache = true;
    request.secrets.insert("s".to_owned(), SecretSource::File(path));
    let (image, events) = built(&connected().await, request, &place).await;
    let found = files(&place.store(), image.unwrap().digest);
    assert_eq!(found[&b"length"[..]].1, b"11\n");
    assert_eq!(logs(&events), ["it is ***"]);
}

#[tokio::test]
async fn values_of_sensitive_args_are_in_nothing_that_is_shown() {
    if real::real("values_of_sensitive_args_are_in_nothing_that_is_shown").is_none() {
        return;
    }
    let place = Place::new();
    place.busybox();
    let value = r#"correct horse's "battery""#;
    let mut request =
        place.request("FROM scratch\nCOPY sh /bin/sh\nARG PW\nRUN set -x; echo \"pw $PW\"; nosuchcommand \"$PW\"\n");
    request.no_cache = true;
    request.args.insert("PW".to_owned(), value.to_owned());
    request.masks.add(value);
    let (failed, events) = built(&connected().await, request, &place).await;
    let failed = failed.unwrap_err();
    let shown = format!("{failed}\n{failed:?}\n{events:?}");
    assert!(logs(&events).contains(&"pw ***"), "{shown}");
    assert!(!shown.contains("battery"), "{shown}");
    let named = |event: &BuildProgress| matches!(event, BuildProgress::Started { name, .. } if name.contains("***"));
    assert!(events.iter().any(named), "BuildKit puts values into the names of steps: {shown}");
}

#[tokio::test]
async fn a_named_context_is_a_folder_of_its_own() {
    if real::real("a_named_context_is_a_folder_of_its_own").is_none() {
        return;
    }
    let place = Place::new();
    let other = Place::new();
    place.write("x", b"main");
    other.write("x", b"other");
    other.write(".dockerignore", b"x\n");
    let mut request = place.request("FROM scratch\nCOPY x /main\nCOPY --from=other-one x /other\n");
    request.contexts.insert("other-one".to_owned(), ContextSource::Folder(snapshot(&other.context())));
    let image = built(&connected().await, request, &place).await.0.unwrap();
    let found = files(&place.store(), image.digest);
    assert_eq!((found[&b"main"[..]].1.as_slice(), found[&b"other"[..]].1.as_slice()), (&b"main"[..], &b"other"[..]));
}

/// A base with a shell and a layer that no other has.
async fn a_base(buildkit: &Buildkit) -> (Place, Built) {
    let place = Place::new();
    place.busybox();
    place.write("unique", unique().as_bytes());
    let request = place.request("FROM scratch\nCOPY sh /bin/sh\nCOPY unique /\n");
    let base = built(buildkit, request, &place).await.0.unwrap();
    (place, base)
}

#[tokio::test]
async fn a_base_comes_from_a_store_and_was_never_pushed() {
    if real::real("a_base_comes_from_a_store_and_was_never_pushed").is_none() {
        return;
    }
    let buildkit = connected().await;
    let (place, base) = a_base(&buildkit).await;

    let dependent = Place::new();
    let mut request = dependent.request("ARG BASE=nowhere.example/none\nFROM ${BASE}\nRUN echo built > /result\n");
    request.args.insert("BASE".to_owned(), "our-base".to_owned());
    let source = ContextSource::Store { store: place.store(), digest: base.digest };
    request.contexts.insert("our-base".to_owned(), source);
    let image = built(&buildkit, request, &dependent).await.0.unwrap();
    // A newer BuildKit annotates layers that it made in a build with times.
    let layers = |store: &ContentStore, digest| -> Vec<serde_json::Value> {
        json(store, digest)["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect()
    };
    let (below, all) = (layers(&place.store(), base.digest), layers(&dependent.store(), image.digest));
    assert_eq!((&all[..2], all.len()), (&below[..], 3), "the base's layers come first, byte for byte");
    assert_eq!(files(&dependent.store(), image.digest)[&b"result"[..]].1, b"built\n");
}

#[tokio::test]
async fn a_base_that_is_lent_is_not_sent() {
    if real::real("a_base_that_is_lent_is_not_sent").is_none() {
        return;
    }
    let buildkit = connected().await;
    let (place, base) = a_base(&buildkit).await;
    let layers: Vec<Descriptor> = serde_json::from_value(json(&place.store(), base.digest)["layers"].clone()).unwrap();

    let dependent = Place::new();
    let mut request = dependent.request("FROM our-base\nRUN echo built > /result\n");
    let source = ContextSource::Store { store: place.store(), digest: base.digest };
    request.contexts.insert("our-base".to_owned(), source);
    for layer in &layers {
        request.lent.insert(layer.clone(), Repository::layout(place.store().root()));
    }
    let image = built(&buildkit, request.clone(), &dependent).await.0.unwrap();
    assert!(image.bytes_received < 10_000, "{} bytes came", image.bytes_received);
    for layer in &layers {
        assert!(image.lent.get(&layer.digest).is_some() && !dependent.store().contains(&layer.digest), "{layer:?}");
    }
    // The whole image is there once the lender has given what it lent.
    image.lent.fetch_into(&dependent.store()).await.unwrap();
    let found = files(&dependent.store(), image.digest);
    assert_eq!((&found[&b"result"[..]].1[..], found.contains_key(&b"unique"[..])), (&b"built\n"[..], true));

    // Nothing that is there is sent again; without a lender all comes, and the image is the same.
    let again = built(&buildkit, request.clone(), &dependent).await.0.unwrap();
    assert_eq!((again.digest, again.bytes_received), (image.digest, 0));
    request.lent = Lent::default();
    let whole = Place::new();
    let sent = built(&buildkit, request, &whole).await.0.unwrap();
    let size = layers.iter().map(|layer| layer.size).sum::<u64>();
    assert_eq!((sent.digest, sent.bytes_received), (image.digest, size + image.bytes_received));
}

fn unique() -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("{}-{now}", std::process::id())
}

#[tokio::test]
async fn a_failing_step_is_shown_with_its_place_and_its_last_lines() {
    if real::real("a_failing_step_is_shown_with_its_place_and_its_last_lines").is_none() {
        return;
    }
    let place = Place::new();
    place.busybox();
    let dockerfile = "# a comment\nFROM scratch\nCOPY sh /bin/sh\n\nRUN i=0; \\\n    while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; done; \\\n    echo oops >&2; exit 3\n";
    let (result, events) = built(&connected().await, place.request(dockerfile), &place).await;
    let Err(BuildError::Failed { message, vertex, location, log_tail }) = result else { panic!("{result:?}") };
    assert!(message.contains("exit code: 3"), "{message}");
    assert!(vertex.as_deref().is_some_and(|name| name.contains("RUN i=0")), "{vertex:?}");
    assert_eq!(location, Some((5, 7)));
    assert_eq!(log_tail.len(), 40);
    assert!(log_tail.contains(&"oops".to_owned()) && log_tail.contains(&"line 50".to_owned()), "{log_tail:?}");
    assert!(events.iter().any(|event| matches!(event, BuildProgress::Finished { error: Some(_), .. })));

    let (result, _) = built(&connected().await, place.request("FROM scratch\nCOPPY x /\n"), &place).await;
    let Err(BuildError::Failed { message, location, .. }) = result else { panic!("{result:?}") };
    assert!(message.contains("COPPY"), "{message}");
    assert_eq!(location, Some((2, 2)));
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_hashed_fails_the_build() {
    if real::real("a_file_that_changed_since_it_was_hashed_fails_the_build").is_none() {
        return;
    }
    let buildkit = connected().await;
    let changes: [fn(&Path); 5] = [
        |path| fs::write(path, "edit").unwrap(),
        |path| fs::write(path, "longer than it was").unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| {
            fs::rename(path, path.with_extension("away")).unwrap();
            symlink("x.away", path).unwrap();
        },
    ];
    for change in changes {
        let place = Place::new();
        let path = place.write("x", b"once");
        let request = place.request("FROM scratch\nCOPY x /\n");
        change(&path);
        let (result, _) = built(&buildkit, request, &place).await;
        let Err(BuildError::InputChanged { path: found }) = result else { panic!("{result:?}") };
        assert_eq!(found, path);
    }
}

#[tokio::test]
async fn a_build_that_is_cancelled_or_late_stops() {
    if real::real("a_build_that_is_cancelled_or_late_stops").is_none() {
        return;
    }
    let place = Place::new();
    place.busybox();
    let buildkit = connected().await;
    let unique = unique();
    let mut request =
        place.request(&format!("FROM scratch\nCOPY sh /bin/sh\nRUN echo {unique}; exec /bin/sh sleep 60\n"));
    // The binary is busybox under another name, so a step calls its parts through `sh`.
    request.dockerfile = Source::new("Dockerfile", request.dockerfile.text().replace("exec /bin/sh sleep", "sleep"));
    request.dockerfile = Source::new(
        "Dockerfile",
        request.dockerfile.text().replace("COPY sh /bin/sh\n", "COPY sh /bin/sh\nCOPY sh /bin/sleep\n"),
    );

    let (sender, mut events) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (buildkit, request, store, cancel) = (buildkit.clone(), request.clone(), place.store(), cancel.clone());
        async move { buildkit.build(request, &store, sender, cancel).await }
    });
    loop {
        let event = events.recv().await.expect("the step prints a line before it sleeps");
        if matches!(&event, BuildProgress::Log { text, .. } if *text == unique) {
            break;
        }
    }
    let start = Instant::now();
    cancel.cancel();
    assert!(matches!(running.await.unwrap(), Err(BuildError::Cancelled)));
    assert!(start.elapsed() < Duration::from_secs(1));

    request.timeout = Duration::from_secs(2);
    let (result, _) = built(&buildkit, request, &place).await;
    assert!(matches!(result, Err(BuildError::TimedOut { .. })), "{result:?}");

    // The step really ends: no process sleeps in the engine any more.
    let deadline = Instant::now() + Duration::from_secs(10);
    while processes_with(&unique) > 0 {
        assert!(Instant::now() < deadline, "the step goes on after it was cancelled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn processes_with(text: &str) -> usize {
    let command_line = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let lines = fs::read_dir("/proc").unwrap().flatten().map(command_line);
    lines.filter(|line| String::from_utf8_lossy(line).contains(text) && !line.is_empty()).count()
}

#[tokio::test]
async fn many_builds_share_a_connection() {
    if real::real("many_builds_share_a_connection").is_none() {
        return;
    }
    let buildkit = connected().await;
    let mut builds = tokio::task::JoinSet::new();
    for number in 0..8 {
        let buildkit = buildkit.clone();
        builds.spawn(async move {
            let place = Place::new();
            place.write("x", format!("{number}").as_bytes());
            place.write("large", &vec![number; 3_000_000]);
            let image = built(&buildkit, place.request("FROM scratch\nCOPY . /\n"), &place).await.0.unwrap();
            assert_eq!(files(&place.store(), image.digest)[&b"large"[..]].1, vec![number; 3_000_000]);
            image.digest
        });
    }
    let digests: std::collections::HashSet<Digest> = builds.join_all().await.into_iter().collect();
    assert_eq!(digests.len(), 8);
}

/// The lines of a Dockerfile for a size.
type Lines = fn(usize) -> String;

/// Images whose files get their times while they are built: what they are, and a Dockerfile for a size.
const TIMED: [(&str, Lines); 4] = [
    ("COPY of 500 files", |_| "COPY files /files\n".to_owned()),
    ("RUN that writes 800 files", |size| {
        format!("RUN mkdir /d; i=0; while [ $i -lt {} ]; do echo $i > /d/$i; i=$((i+1)); done\n", 20 * size)
    }),
    ("RUN that writes 40 MB", |size| grow("/data", size)),
    ("10 RUNs that write 2 MB each", |size| (0..10).map(|number| grow(&format!("/data{number}"), size / 20)).collect()),
];

#[tokio::test]
async fn a_context_that_ten_builds_share_is_sent_once() {
    if real::real("a_context_that_ten_builds_share_is_sent_once").is_none() {
        return;
    }
    let place = Place::new();
    place.busybox();
    let large = [unique().into_bytes(), vec![7; 8 << 20]].concat();
    place.write("large", &large);
    let all = snapshot(&place.context());
    let buildkit = connected().await;
    for (attempt, expected) in [(0, all.files().entries().len() as u64), (1, 0)] {
        let mut builds = tokio::task::JoinSet::new();
        for number in 0..10 {
            let (buildkit, all, own) = (buildkit.clone(), all.clone(), Place::new());
            let dockerfile =
                format!("FROM scratch\nCOPY sh /bin/sh\nCOPY large /large\nRUN echo {attempt}-{number} > /number\n");
            let mut request = place.request(&dockerfile);
            request.shared.insert(String::new(), all);
            builds.spawn(async move {
                let image = built(&buildkit, request, &own).await.0.unwrap();
                let found = files(&own.store(), image.digest);
                assert_eq!(found[&b"number"[..]].1, format!("{attempt}-{number}\n").as_bytes());
                (image.files_sent, found[&b"large"[..]].1.len())
            });
        }
        let sent = builds.join_all().await;
        assert_eq!(sent.iter().map(|(files, _)| files).sum::<u64>(), expected);
        assert!(sent.iter().all(|(_, length)| *length == large.len()));
    }
}

/// A RUN that writes so many MB.
fn grow(path: &str, megabytes: usize) -> String {
    format!("RUN i=0; while [ $i -lt {megabytes} ]; do cat /noise >> {path}; i=$((i+1)); done\n")
}

/// Built twice from nothing, an image has the same digest. `bench/epoch` measures what that costs, with
/// `ORCHESTRATE_MEASURE_EPOCH` builds of each kind.
#[tokio::test]
async fn what_is_built_twice_is_the_same_and_what_that_costs() {
    if real::real("what_is_built_twice_is_the_same_and_what_that_costs").is_none() {
        return;
    }
    let rounds: Option<usize> = std::env::var("ORCHESTRATE_MEASURE_EPOCH").ok().map(|text| text.parse().unwrap());
    let place = Place::new();
    place.busybox();
    let noise: Vec<u8> =
        (0_u64..1 << 17).flat_map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).to_le_bytes()).collect();
    place.write("noise", &noise);
    for number in 0..500 {
        place.write(format!("files/{number}"), &noise[number * 100..number * 100 + 4000]);
    }
    let buildkit = connected().await;
    let kinds = if rounds.is_some() { &TIMED[..] } else { &TIMED[..2] };
    for (what, lines) in kinds {
        let text = |size| {
            let links = "RUN [\"/bin/sh\", \"-c\", \"/bin/busybox --install -s /bin || true\"]\n";
            format!("FROM scratch\nCOPY sh /bin/sh\nCOPY sh /bin/busybox\n{links}COPY noise /\n{}", lines(size))
        };
        let request = |epoch: Option<i64>, no_cache, size| Request {
            source_date_epoch: epoch,
            no_cache,
            ..place.request(&text(size))
        };
        let Some(rounds) = rounds else {
            let one = built(&buildkit, request(Some(0), true, 5), &place).await.0.unwrap();
            let two = built(&buildkit, request(Some(0), true, 5), &place).await.0.unwrap();
            assert_eq!(one.digest, two.digest, "{what}");
            continue;
        };
        for (how, no_cache) in [("from nothing", true), ("all in the cache", false)] {
            let mut seconds = [Vec::new(), Vec::new()];
            for round in 0..=rounds {
                for (times, epoch) in seconds.iter_mut().zip([None, Some(0)]) {
                    let began = Instant::now();
                    built(&buildkit, request(epoch, no_cache, 40), &place).await.0.unwrap();
                    // The first round fills the cache.
                    times.extend((round > 0).then(|| began.elapsed().as_secs_f64()));
                }
            }
            let [without, with] = seconds.map(|mut times| {
                times.sort_by(f64::total_cmp);
                times[times.len() / 2]
            });
            println!("| {what} | {how} | {without:.2} | {with:.2} | {:.2} |", with / without);
        }
    }
}

#[tokio::test]
async fn compression_and_provenance_are_as_asked_for() {
    if real::real("compression_and_provenance_are_as_asked_for").is_none() {
        return;
    }
    let place = Place::new();
    place.write("x", b"x");
    let buildkit = connected().await;
    for (compression, media_type) in [
        (Compression::Zstd, "application/vnd.oci.image.layer.v1.tar+zstd"),
        (Compression::Uncompressed, "application/vnd.oci.image.layer.v1.tar"),
        (Compression::Gzip, "application/vnd.oci.image.layer.v1.tar+gzip"),
    ] {
        let mut request = place.request("FROM scratch\nCOPY x /\n");
        request.output = Output { compression, ..Output::default() };
        let image = built(&buildkit, request, &place).await.0.unwrap();
        assert_eq!(json(&place.store(), image.digest)["layers"][0]["mediaType"], media_type);
    }
    let mut request = place.request("FROM scratch\nCOPY x /\n");
    request.output.provenance = true;
    let image = built(&buildkit, request, &place).await.0.unwrap();
    let [attestation] = image.attestations.as_slice() else { panic!("{image:?}") };
    assert_eq!(attestation.annotations["vnd.docker.reference.digest"], image.digest.to_string());
    assert_eq!(blob(&place.store(), attestation.digest).len() as u64, attestation.size);
}

/// One user for every host.
struct Ada;

impl Credentials for Ada {
    fn for_host<'a>(
        &'a self,
        _: &'a str,
        _: orchestrate::registry::Need,
    ) -> futures::future::BoxFuture<'a, Result<Option<Credential>, CredentialError>> {
        let credential = Credential::Password { username: "ada".to_owned(), password: Secret::new("lovelace") };
        Box::pin(std::future::ready(Ok(Some(credential))))
    }
}

#[tokio::test]
async fn a_base_of_a_private_registry_is_pulled_with_our_credentials() {
    if real::real("a_base_of_a_private_registry_is_pulled_with_our_credentials").is_none() {
        return;
    }
    let place = Place::new();
    place.write("unique", unique().as_bytes());
    let registry = PrivateRegistry::start(&place);
    let base = built(&connected().await, place.request("FROM scratch\nCOPY unique /\n"), &place).await.0.unwrap();
    let manifest = json(&place.store(), base.digest);
    let blobs = manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]);
    for blob in blobs.map(|blob| blob["digest"].as_str().unwrap().parse().unwrap()) {
        registry.put_blob(&place.store(), blob);
    }
    registry.put_manifest(&base, &place.store());

    let mut request = place.request("FROM base\nCOPY unique /again\n");
    let reference = format!("{}/base@{}", registry.host, base.digest);
    request.contexts.insert("base".to_owned(), ContextSource::Image(reference));
    request.no_cache = true;
    let refused = built(&connected().await, request.clone(), &place).await.0;
    assert!(matches!(refused, Err(BuildError::Failed { .. })), "{refused:?}");

    let address = Address::DialStdio { builder: None };
    let buildkit = Buildkit::connect(address, Arc::new(Ada)).await.unwrap();
    let image = built(&buildkit, request, &place).await.0.unwrap();
    assert_eq!(json(&place.store(), image.digest)["layers"].as_array().unwrap().len(), 2);
}

/// A registry that knows `ada` with the password `lovelace` alone.
struct PrivateRegistry {
    host: String,
    process: std::process::Child,
}

impl PrivateRegistry {
    fn start(place: &Place) -> Self {
        let folder = place.folder.path();
        // bcrypt of the password, as `htpasswd -nbB ada lovelace` prints it.
        fs::write(folder.join("users"), "ada:$2y$05$MqSgCzk0sq25Q6iJuajx2eV.NYx6k15BSK0cpEZfP8iqvv9ur3hXS\n").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {0}/registry }} }}\nhttp: {{ addr: {host} }}\nauth: {{ htpasswd: {{ realm: test, path: {0}/users }} }}\n",
            folder.display()
        );
        fs::write(folder.join("registry.yml"), config).unwrap();
        let process = std::process::Command::new("docker-registry")
            .args(["serve".as_ref(), folder.join("registry.yml").as_os_str()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("docker-registry can be started");
        let registry = Self { host, process };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(&registry.host).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    fn put_blob(&self, store: &ContentStore, digest: Digest) {
        let (head, _) = self.send("POST", "/v2/base/blobs/uploads/", "", &[]);
        let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a place to upload to");
        let path = location.trim().trim_start_matches("http://").trim_start_matches(&self.host);
        let (head, _) = self.send(
            "PUT",
            &format!("{path}&digest={digest}"),
            "Content-Type: application/octet-stream\r\n",
            &blob(store, digest),
        );
        assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    }

    fn put_manifest(&self, image: &Built, store: &ContentStore) {
        let header = format!("Content-Type: {}\r\n", image.media_type);
        let bytes = blob(store, image.digest);
        let (head, _) = self.send("PUT", &format!("/v2/base/manifests/{}", image.digest), &header, &bytes);
        assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (String, Vec<u8>) {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(&self.host).unwrap();
        // The authorization is `ada:lovelace` in base64.
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic YWRhOmxvdmVsYWNl\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
    }
}

impl Drop for PrivateRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_socket_is_an_address_too() {
    if real::real("a_socket_is_an_address_too").is_none() {
        return;
    }
    let place = Place::new();
    place.write("x", b"x");
    // What a buildkitd listens on, here with the engine's BuildKit behind it.
    let path = place.folder.path().join("buildkitd.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let proxy = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut dial = tokio::process::Command::new("docker")
            .args(["buildx", "dial-stdio"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut pipes = tokio::io::join(dial.stdout.take().unwrap(), dial.stdin.take().unwrap());
        let _ = tokio::io::copy_bidirectional(&mut socket, &mut pipes).await;
    });
    let buildkit = Buildkit::connect(Address::Unix(path), nobody()).await.unwrap();
    assert!(built(&buildkit, place.request("FROM scratch\nCOPY x /\n"), &place).await.0.is_ok());

    // BuildKit goes away in the middle of a build.
    place.busybox();
    let request = place.request(&format!("FROM scratch\nCOPY sh /bin/sh\nRUN echo {}; read x < /dev/ptmx\n", unique()));
    let (sender, mut events) = mpsc::unbounded_channel();
    let running = tokio::spawn({
        let store = place.store();
        async move { buildkit.build(request, &store, sender, CancellationToken::new()).await }
    });
    while !matches!(events.recv().await.expect("the step prints a line"), BuildProgress::Log { .. }) {}
    proxy.abort();
    let result = running.await.unwrap();
    assert!(matches!(result, Err(BuildError::Unavailable { .. })), "{result:?}");
}

#[tokio::test]
async fn an_agent_of_this_machine_is_in_the_step() {
    if real::real("an_agent_of_this_machine_is_in_the_step").is_none() {
        return;
    }
    let place = Place::new();
    place.busybox();
    let path = place.folder.path().join("agent.sock");
    let _agent = tokio::net::UnixListener::bind(&path).unwrap();
    let dockerfile =
        "FROM scratch\nCOPY sh /bin/sh\nRUN --mount=type=ssh [ -S $SSH_AUTH_SOCK ] && echo there > /answer\n";
    let mut request = place.request(dockerfile);
    request.no_cache = true;
    request.ssh.insert("default".to_owned(), path.to_str().unwrap().to_owned());
    let image = built(&connected().await, request, &place).await.0.unwrap();
    assert_eq!(files(&place.store(), image.digest)[&b"answer"[..]].1, b"there\n");

    let mut request = place.request(dockerfile);
    request.no_cache = true;
    request.ssh.insert("default".to_owned(), "/nowhere/agent.sock".to_owned());
    let Err(BuildError::Agent { why, .. }) = built(&connected().await, request, &place).await.0 else { panic!() };
    assert!(why.contains("/nowhere/agent.sock"), "{why}");
}

#[tokio::test]
async fn a_step_may_use_the_network_of_the_machine_where_it_is_allowed() {
    if real::real("a_step_may_use_the_network_of_the_machine_where_it_is_allowed").is_none() {
        return;
    }
    let place = Place::new();
    place.busybox();
    let dockerfile =
        "FROM scratch\nCOPY sh /bin/sh\nRUN --network=host [ -e /sys/class/net/lo ] && echo host > /answer\n";
    let mut request = place.request(dockerfile);
    request.no_cache = true;
    let buildkit = connected().await;
    let refused = built(&buildkit, request.clone(), &place).await.0;
    let Err(BuildError::Failed { message, .. }) = &refused else { panic!("{refused:?}") };
    assert!(message.contains("network.host"), "{message}");
    request.entitlements.insert("network.host".to_owned());
    let image = built(&buildkit, request, &place).await.0.unwrap();
    assert_eq!(files(&place.store(), image.digest)[&b"answer"[..]].1, b"host\n");
}

#[tokio::test]
async fn a_secret_that_is_not_there_fails_the_build() {
    if real::real("a_secret_that_is_not_there_fails_the_build").is_none() {
        return;
    }
    let place = Place::new();
    place.busybox();
    let dockerfile = "FROM scratch\nCOPY sh /bin/sh\nRUN --mount=type=secret,id=s echo > /x\n";
    let mut request = place.request(dockerfile);
    request.no_cache = true;
    request.secrets.insert("s".to_owned(), SecretSource::Env("ORCHESTRATE_TEST_SURELY_UNSET".to_owned()));
    let Err(BuildError::Secret { id, why }) = built(&connected().await, request, &place).await.0 else { panic!() };
    assert_eq!(id, "s");
    assert!(why.contains("ORCHESTRATE_TEST_SURELY_UNSET"), "{why}");
}

#[tokio::test]
async fn a_builder_that_is_not_there_is_said_to_be_missing() {
    if real::real("a_builder_that_is_not_there_is_said_to_be_missing").is_none() {
        return;
    }
    let address = Address::DialStdio { builder: Some("surely-none".to_owned()) };
    let error = Buildkit::connect(address, nobody()).await.unwrap_err();
    let BuildError::Unavailable { why, .. } = &error else { panic!("{error:?}") };
    assert!(why.contains("surely-none"), "{why}");
}

/// The name of a variable that tells the next test that it runs without docker on its PATH.
const WITHOUT_DOCKER: &str = "ORCHESTRATE_TEST_WITHOUT_DOCKER";

#[tokio::test]
async fn without_docker_on_path_the_error_says_what_to_do() {
    if std::env::var_os(WITHOUT_DOCKER).is_none() {
        let own = std::env::current_exe().unwrap();
        let mut child = std::process::Command::new(own);
        child.args(["--exact", "without_docker_on_path_the_error_says_what_to_do"]);
        let output = child.env("PATH", "/nowhere").env(WITHOUT_DOCKER, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let error = Buildkit::connect(Address::DialStdio { builder: None }, nobody()).await.unwrap_err();
    let BuildError::Unavailable { why, help, .. } = &error else { panic!("{error:?}") };
    assert_eq!(why, "there is no `docker` on PATH");
    assert!(help.contains("install Docker"), "{help}");
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_said_to_be_missing() {
    let error = Buildkit::connect(Address::Unix("/nowhere/b.sock".into()), nobody()).await.unwrap_err();
    let BuildError::Unavailable { address, why, .. } = &error else { panic!("{error:?}") };
    assert_eq!(address, "unix:///nowhere/b.sock");
    assert!(why.contains("No such file"), "{why}");
    assert!(error.help().is_some());
}
