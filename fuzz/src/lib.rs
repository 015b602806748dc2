//! What the fuzz targets do with bytes. `tests/corpus.rs` of the main package includes this file, so that the corpus is replayed through
//! the very same functions by a stable compiler.

use std::collections::{BTreeMap, BTreeSet};

use orchestrate::digest::Key;
use orchestrate::dockerfile::{self, BaseConfig, Request, analyze, select};
use orchestrate::ignore::{Ignore, State};
use orchestrate::manifest::{self, Choices, Files, GitFacts, Resolved};
use orchestrate::path::RelPath;
use orchestrate::platform::Platform;
use orchestrate::problem::{self, Problems, Source};
use orchestrate::tree::{Node, NodeKind, Tree};

/// Takes any bytes, and panics where something is wrong.
pub type Target = fn(&[u8]);

/// The targets by their names: those of `fuzz_targets/` and of the corpora.
pub const TARGETS: [(&str, Target); 3] = [("dockerfile", dockerfile), ("ignore", ignore), ("manifest", manifest)];

/// The most problems that are drawn: each shows lines of the source.
const MOST_DRAWN: usize = 20;

/// Problems can be said: their places lie in their sources.
fn say(problems: &Problems) {
    let sorted = problems.sorted();
    for problem in &sorted {
        for label in &problem.labels {
            let _ = label.location.line_column();
        }
    }
    if sorted.len() <= MOST_DRAWN {
        let _ = problem::render(problems, false, 100);
    }
}

fn linux(architecture: &str) -> Platform {
    Platform { os: "linux".into(), architecture: architecture.into(), variant: String::new() }
}

/// The Dockerfile front end: parse, analyze for a target or none, select. A text of several parts, split at NUL, is a Dockerfile, the name of
/// a target and the triggers of a base.
pub fn dockerfile(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0).map(String::from_utf8_lossy);
    let source = Source::new("Dockerfile", parts.next().unwrap_or_default());
    let target = parts.next();
    let onbuild: Vec<String> =
        parts.next().into_iter().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let file = match dockerfile::parse(&source) {
        Ok(file) => file,
        Err(problems) => return say(&problems),
    };
    let (platform, build_platform) = (linux("arm64"), linux("amd64"));
    let args = BTreeMap::from([("A".to_owned(), "a".to_owned())]);
    let contexts = BTreeSet::from(["c".to_owned()]);
    let base = BaseConfig {
        env: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned()), ("E".to_owned(), "d/b".to_owned())]),
        onbuild,
        workdir: "/w".to_owned(),
        ..BaseConfig::default()
    };
    let request = Request {
        target: target.as_deref(),
        target_location: None,
        platform: &platform,
        build_platform: &build_platform,
        args: &args,
        contexts: &contexts,
        base_env: &|text, _| (!text.starts_with('u')).then(|| base.clone()),
    };
    let analysis = match analyze(&file, &request) {
        Ok(analysis) => analysis,
        Err(problems) => return say(&problems),
    };
    say(&analysis.warnings);
    let node = |path: &str, kind| Node { path: RelPath::new(path.as_bytes()).expect("a path"), kind };
    let tree = Tree::new(vec![
        node("a", NodeKind::File),
        node("d", NodeKind::Folder),
        node("d/b", NodeKind::File),
        node("l", NodeKind::Link(b"d".as_slice().into())),
        node("o", NodeKind::Link(b"o".as_slice().into())),
    ]);
    for reads in analysis.reads.values() {
        let selection = select(&tree, reads);
        assert!(selection.len() <= tree.nodes().len());
    }
}

/// The ignore matcher: a walker that prunes must agree with the plain question. A NUL divides the file from the path that is asked about.
pub fn ignore(data: &[u8]) {
    let (text, name) = match data.iter().position(|b| *b == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, b"a/b/c".as_slice()),
    };
    let file = match Ignore::parse(&Source::new(".dockerignore", String::from_utf8_lossy(text))) {
        Ok(file) => file,
        Err(problems) => return say(&problems),
    };
    let Some(path) = RelPath::new(name).filter(|path| !path.is_root()) else { return };
    let mut state = State::default();
    let mut pruned = false;
    for (at, _) in name.iter().enumerate().filter(|(_, b)| **b == b'/') {
        let folder = RelPath::new(&name[..at]).expect("the start of a path up to a slash is a path");
        let (verdict, inner) = file.folder(&folder, &state);
        pruned |= verdict.is_ignored() && !file.may_keep_below(&folder);
        state = inner;
    }
    let walked = pruned || file.child(&path, &state).is_ignored();
    assert_eq!(walked, file.matched(&path).is_ignored());
}

/// A manifest, resolved without and with its first profile, shown, and its tags rendered as if the key were known. Nothing is read: the
/// files that it names are made up. Resolving twice gives the same.
pub fn manifest(data: &[u8]) {
    let source = Source::new("deploy.yaml", String::from_utf8_lossy(data));
    let (manifest, problems) = match manifest::parse_all(&source) {
        Ok(parsed) => parsed,
        Err(problems) => return say(&problems),
    };
    say(&problems);
    let env = manifest.environment().into_iter().filter(|name| !name.starts_with('U'));
    let choices = Choices {
        profile: None,
        set: Vec::new(),
        git: Some(GitFacts {
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            short: "0123456".to_owned(),
            branch: Some("feature/x".to_owned()),
            tag: None,
            dirty: false,
            date: "2026-01-31".to_owned(),
        }),
        env: env.map(|name| (name.to_owned(), "value".to_owned())).collect(),
        aws_account: manifest.needs_aws_account(None).then(|| "123456789012".to_owned()),
        host_platform: linux("amd64"),
    };
    let profile = manifest.profiles().first().map(|name| (*name).to_owned());
    for profile in std::iter::once(None).chain(profile.map(Some)) {
        let choices = Choices { profile, ..choices.clone() };
        let shown = resolved(&manifest, &choices);
        assert_eq!(shown, resolved(&manifest, &choices));
    }
}

/// What `orchestrate show` would print.
fn resolved(manifest: &manifest::Manifest, choices: &Choices) -> String {
    let read = |path: &str| match path.rsplit('.').next() {
        Some("missing") => Ok(None),
        Some("broken") => Err("is broken".to_owned()),
        Some("yaml" | "json") => Ok(Some("[{ name: a, version: 1.10 }, { name: b }]".to_owned())),
        _ => Ok(Some("A=1\nB='two words'\n# comment\n".to_owned())),
    };
    let glob = |pattern: &str| match pattern.len() % 4 {
        0 => Err("is no pattern".to_owned()),
        at => Ok(["a/Dockerfile", "b/c/Dockerfile", "\u{e9}/Dockerfile"][..at]
            .iter()
            .map(|path| (*path).to_owned())
            .collect()),
    };
    let Resolved { project, warnings } = manifest::resolve_all(manifest, choices, &Files { read: &read, glob: &glob });
    say(&warnings);
    assert!(project.images.len() <= 10_000, "{} images", project.images.len());
    let key = Key::from_bytes([0xab; 32]);
    let rules = project.images.values().flat_map(|image| &image.destinations).flat_map(|destination| &destination.tags);
    for rule in rules {
        if let Ok(tags) = manifest::render_tag(rule, Some(&key), Some("2026-01-31")) {
            assert!(tags.iter().all(|tag| !tag.is_empty() && tag.len() <= 128));
        }
    }
    manifest::to_yaml(&manifest::show(&project)).expect("what is resolved can be shown")
}
