//! The embedded builder against BuildKit: the same Dockerfiles on the same snapshot, file systems and configurations compared.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod cells;
mod context;
mod flatten;
#[path = "../support/judge.rs"]
mod judge;
mod named;
#[path = "../support/real.rs"]
mod real;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use orchestrate::digest::Digest;
use orchestrate::exec::assemble::{self, AssembleError, BaseSource, Cache, Place};
use orchestrate::exec::buildkit::{self, Address, Buildkit};
use orchestrate::name::ImageName;
use orchestrate::platform::Platform;
use orchestrate::problem::Source;
use orchestrate::project::Output;
use orchestrate::registry::{Anonymous, ContentStore};
use orchestrate::workspace::Snapshot;
use tokio_util::sync::CancellationToken;

const EPOCH: u32 = 1_700_000_000;

/// How often a build is tried again of which BuildKit has lost a part.
const TRIES: usize = 3;

/// What both builders must come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Equal,
    Refused,
    /// The one or the other, but both the same.
    Either,
}

/// What both builders are given.
struct Bench {
    folder: tempfile::TempDir,
    snapshot: Snapshot,
    cache: Arc<Cache>,
    /// Bases by the name of their context.
    bases: BTreeMap<String, Digest>,
    /// What BuildKit was seen to do.
    known: tokio::sync::OnceCell<named::Known>,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = folder.path().join("context");
        context::write(&context);
        let snapshot = context::snapshot(&context);
        let mut bench = Self {
            folder,
            snapshot,
            cache: Arc::new(Cache::in_memory()),
            bases: BTreeMap::new(),
            known: tokio::sync::OnceCell::new(),
        };
        for (name, dockerfile) in cases::BASES {
            let built = bench.assemble(dockerfile, &bench.bases_store()).await;
            let built = built.unwrap_or_else(|error| panic!("{name}: {}", explain(&error)));
            bench.bases.insert((*name).to_owned(), built);
        }
        bench
    }

    fn bases_store(&self) -> PathBuf {
        self.folder.path().join("bases")
    }

    fn args() -> BTreeMap<String, String> {
        [("GIVEN", "given"), ("DEST", "/from-arg/")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    async fn assemble(&self, dockerfile: &str, store: &Path) -> Result<Digest, AssembleError> {
        self.assemble_for(Platform::of_this_machine(), dockerfile, store).await
    }

    async fn assemble_for(&self, platform: Platform, dockerfile: &str, store: &Path) -> Result<Digest, AssembleError> {
        let mut contexts = BTreeMap::from([(String::new(), assemble::ContextSource::Snapshot(self.snapshot.clone()))]);
        contexts.insert(cells::FOLDER.to_owned(), assemble::ContextSource::Snapshot(self.snapshot.clone()));
        for (name, digest) in &self.bases {
            let source = BaseSource {
                place: Place::Store(ContentStore::new(self.bases_store()), Arc::default()),
                digest: *digest,
            };
            contexts.insert(name.clone(), assemble::ContextSource::Image(source));
        }
        let request = assemble::Request {
            image: ImageName::new("tested"),
            platform,
            build_platform: Platform::of_this_machine(),
            dockerfile: Source::new("Dockerfile", dockerfile),
            target: None,
            args: Self::args(),
            sensitive: std::collections::BTreeSet::new(),
            contexts,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            bases: BTreeMap::new(),
            output: Output::default(),
            epoch: EPOCH,
        };
        let store = ContentStore::new(store);
        let built = assemble::assemble(request, store, Arc::clone(&self.cache), CancellationToken::new()).await?;
        Ok(built.digest)
    }

    async fn buildkit(&self, buildkit: &Buildkit, dockerfile: &str) -> Result<Digest, String> {
        self.buildkit_for(Platform::of_this_machine(), buildkit, dockerfile).await
    }

    async fn buildkit_for(&self, platform: Platform, buildkit: &Buildkit, dockerfile: &str) -> Result<Digest, String> {
        let contexts = self.bases.iter().map(|(name, digest)| {
            let source =
                buildkit::ContextSource::Store { store: ContentStore::new(self.bases_store()), digest: *digest };
            (name.clone(), source)
        });
        let folder = (cells::FOLDER.to_owned(), buildkit::ContextSource::Folder(self.snapshot.clone()));
        let contexts = contexts.chain([folder]);
        let request = buildkit::Request {
            image: ImageName::new("tested"),
            platform,
            dockerfile: Source::new("Dockerfile", dockerfile),
            context: self.snapshot.clone(),
            contexts: contexts.filter(|(name, _)| dockerfile.contains(name.as_str())).collect(),
            shared: BTreeMap::new(),
            args: Self::args(),
            target: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            secrets: BTreeMap::new(),
            masks: buildkit::Masks::default(),
            ssh: BTreeMap::new(),
            entitlements: std::collections::BTreeSet::new(),
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            no_cache: false,
            lent: orchestrate::registry::Lent::default(),
            output: Output::default(),
            source_date_epoch: Some(i64::from(EPOCH)),
            timeout: Duration::from_secs(60),
        };
        let store = ContentStore::new(self.folder.path().join("buildkit"));
        let mut tries = 1..=TRIES;
        loop {
            let (sender, _receiver) = tokio::sync::mpsc::unbounded_channel();
            let built = buildkit.build(request.clone(), &store, sender, CancellationToken::new()).await;
            let failed = match built {
                Ok(built) => return Ok(built.digest),
                Err(error) => format!("{error:?}"),
            };
            // It lost content of its own between a build and its export: that says nothing about the Dockerfile.
            let lost = failed.contains("content digest sha256:") && failed.contains("exporting to oci");
            if !lost || tries.next().is_none() {
                return Err(failed);
            }
        }
    }

    /// What differs between the two for one Dockerfile; nothing where both refuse it and may.
    async fn differences(&self, buildkit: &Buildkit, dockerfile: &str, outcome: Outcome) -> Vec<String> {
        let ours_store = self.folder.path().join("ours");
        let (ours, theirs) = tokio::join!(self.assemble(dockerfile, &ours_store), self.buildkit(buildkit, dockerfile));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                let ours = flatten::image(&[&ours_store, &self.bases_store()], ours);
                let theirs = flatten::image(&[&self.folder.path().join("buildkit"), &self.bases_store()], theirs);
                let known = named::Known::of(self, buildkit).await;
                let mut found = flatten::compare(&ours, &theirs, |difference| known.names(dockerfile, difference));
                if outcome == Outcome::Refused {
                    found.push("nobody refuses it".to_owned());
                }
                found
            }
            (Err(ours), Err(_)) if outcome != Outcome::Equal => without_place(&ours),
            (Err(ours), Err(theirs)) => {
                vec![format!("both refuse it: {}\n    BuildKit: {theirs:.600}", explain(&ours))]
            }
            (Ok(_), Err(theirs)) => vec![format!("only BuildKit refuses it: {theirs:.600}")],
            (Err(ours), Ok(_)) => vec![format!("only we refuse it: {}", explain(&ours))],
        }
    }
}

/// A refusal must say where it is.
fn without_place(error: &AssembleError) -> Vec<String> {
    match error {
        AssembleError::Refused(problem) if !problem.labels.is_empty() => Vec::new(),
        other => vec![format!("refused without a place: {}", explain(other))],
    }
}

fn explain(error: &AssembleError) -> String {
    match error {
        AssembleError::Refused(problem) | AssembleError::NeedsBuildkit(problem) => {
            let place = problem.labels.first().map(|label| label.location.to_string()).unwrap_or_default();
            format!("{} ({}) at {place}", problem.message, problem.code)
        }
        error => error.to_string(),
    }
}

/// Cases that are built at once.
const AT_ONCE: usize = 10;

/// Compares all cases; gives the report about those that differ, and their number.
async fn compared(bench: &Bench, buildkit: &Buildkit, cases: &[(String, String, Outcome)]) -> (String, usize) {
    let only = std::env::var("ORCHESTRATE_TEST_CASE").ok();
    let chosen = cases.iter().filter(|(name, ..)| only.as_deref().is_none_or(|only| name.contains(only)));
    let runs = futures::stream::iter(chosen.map(|(name, dockerfile, outcome)| async move {
        (name, dockerfile, bench.differences(buildkit, dockerfile, *outcome).await)
    }));
    let found: Vec<_> = runs.buffered(AT_ONCE).collect().await;
    let mut report = String::new();
    for (name, dockerfile, lines) in &found {
        for line in lines {
            report.push_str(&format!("{name}: {line}\n    in {dockerfile:?}\n"));
        }
    }
    (report, found.iter().filter(|(.., lines)| !lines.is_empty()).count())
}

async fn connect() -> Buildkit {
    Buildkit::connect(Address::DialStdio { builder: None }, Arc::new(Anonymous)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_gives_what_buildkit_gives() {
    if real::real("every_case_gives_what_buildkit_gives").is_none() {
        return;
    }
    let (bench, buildkit) = (Bench::new().await, connect().await);
    let owned = |name: &str, text: &str, outcome| (name.to_owned(), text.to_owned(), outcome);
    let mut all: Vec<(String, String, Outcome)> = Vec::new();
    let known = named::Known::of(&bench, &buildkit).await;
    let judged = |(name, _): &&(&str, &str)| {
        !(known.rooted_archives && named::ROOTED_ARCHIVES.contains(name))
            && (known.symbolic || !named::SYMBOLIC.contains(name))
    };
    all.extend(cases::EQUAL.iter().filter(judged).map(|(name, text)| owned(name, text, Outcome::Equal)));
    all.extend(cases::REFUSED.iter().filter(judged).map(|(name, text)| owned(name, text, Outcome::Refused)));
    all.extend(cases::generated(40).iter().map(|(name, text)| owned(name, text, Outcome::Either)));
    let (report, differing) = compared(&bench, &buildkit, &all).await;
    assert!(differing == 0, "{differing} of {} cases differ:\n{report}", all.len());
    eprintln!("{} cases, 0 differences", all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_gives_what_buildkit_gives() {
    if real::real("every_cell_gives_what_buildkit_gives").is_none() {
        return;
    }
    let (bench, buildkit) = (Bench::new().await, connect().await);
    let mut all = Vec::new();
    for row in cells::ROWS {
        let dockerfile = cells::dockerfile(row);
        let known = match row.needs.map(judge::Feature::probe) {
            None => true,
            Some(probe) => probe.answer(bench.buildkit(&buildkit, probe.dockerfile()).await.is_ok()),
        };
        if known {
            all.push((row.name(), dockerfile, Outcome::Equal));
        } else {
            // What an engine does not know cannot be compared with it; that we can do it is tested all the same.
            let ours = bench.assemble(&dockerfile, &bench.folder.path().join("ours")).await;
            assert!(ours.is_ok(), "{}: {}", row.name(), ours.map_err(|error| explain(&error)).unwrap_err());
            eprintln!("{}: not known to this BuildKit", row.name());
        }
    }
    let (report, differing) = compared(&bench, &buildkit, &all).await;
    eprintln!("{}", cells::table());
    assert!(differing == 0, "{differing} of {} rows differ:\n{report}", all.len());
}

/// Other platforms than the machine's need nothing that it lacks.
#[tokio::test(flavor = "multi_thread")]
async fn other_platforms_give_what_buildkit_gives() {
    if real::real("other_platforms_give_what_buildkit_gives").is_none() {
        return;
    }
    let (bench, buildkit) = (Bench::new().await, connect().await);
    let dockerfile = "FROM --platform=$BUILDPLATFORM scratch AS built\nARG TARGETARCH\nCOPY a.txt /$TARGETARCH/\n\
        FROM scratch\nARG TARGETOS TARGETARCH TARGETVARIANT TARGETPLATFORM BUILDARCH\nCOPY --from=built / /\n\
        COPY dir /$TARGETOS-$TARGETARCH$TARGETVARIANT-from-$BUILDARCH/\nLABEL platform=$TARGETPLATFORM\n";
    for platform in ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/386", "linux/riscv64"] {
        let platform: Platform = platform.parse().unwrap();
        let (ours, theirs) = (bench.folder.path().join("ours"), bench.folder.path().join("buildkit"));
        let built = bench.assemble_for(platform.clone(), dockerfile, &ours).await.unwrap();
        let by_buildkit = bench.buildkit_for(platform.clone(), &buildkit, dockerfile).await.unwrap();
        let known = named::Known::of(&bench, &buildkit).await;
        let named = |difference: &flatten::Difference| known.names(dockerfile, difference);
        let found = flatten::compare(&flatten::image(&[&ours], built), &flatten::image(&[&theirs], by_buildkit), named);
        assert!(found.is_empty(), "{platform}: {}", found.join("\n"));
    }
}

/// No legal combination of instruction, flag and source is without a case, and no instruction.
#[test]
fn the_table_is_whole() {
    let cells: usize = cells::ROWS.iter().map(|row| cells::sources(row).count()).sum();
    assert_eq!(cells, cells::legal().count(), "{}", cells::table());
    for instruction in cells::INSTRUCTIONS {
        let word = format!("\n{instruction} ");
        let count = cases::EQUAL.iter().filter(|(_, text)| format!("\n{text}").contains(&word)).count();
        assert!(count > 0, "no case has {instruction}");
    }
    assert!(cases::EQUAL.len() + cases::REFUSED.len() >= 150);
}
