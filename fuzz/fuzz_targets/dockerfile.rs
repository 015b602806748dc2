//! The Dockerfile front end must take any text: parse, analyze, select, without a panic or a hang.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use orchestrate::dockerfile::{BaseConfig, Request, analyze, parse, select};
use orchestrate::path::RelPath;
use orchestrate::platform::Platform;
use orchestrate::problem::Source;
use orchestrate::tree::{Node, NodeKind, Tree};

fuzz_target!(|data: &[u8]| {
    let source = Source::new("Dockerfile", String::from_utf8_lossy(data));
    let Ok(file) = parse(&source) else { return };
    let platform = Platform { os: "linux".into(), architecture: "arm64".into(), variant: String::new() };
    let args = BTreeMap::from([("A".to_owned(), "a".to_owned())]);
    let contexts = BTreeSet::from(["c".to_owned()]);
    let request = Request {
        target: None,
        target_location: None,
        platform: &platform,
        build_platform: &platform,
        args: &args,
        contexts: &contexts,
        base_env: &|text, _| text.starts_with('k').then(BaseConfig::default),
    };
    let Ok(analysis) = analyze(&file, &request) else { return };
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
});
