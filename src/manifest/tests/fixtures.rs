//! The fixtures under `tests/problems/` that need no more than the manifest.

use std::path::{Path, PathBuf};

use super::super::{Choices, Files, parse, resolve};
use super::support::choices;
use crate::problem::{Problems, Source};

/// The lines `# expect:` and the options of `# run: check`; `None` if the fixture needs another command.
fn head(text: &str) -> Option<(Vec<String>, Choices)> {
    let mut expected = Vec::new();
    let mut choices = choices();
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        if let Some(what) = line.strip_prefix("# expect: ") {
            expected.push(what.to_owned());
        }
        let Some(run) = line.strip_prefix("# run: ") else { continue };
        let mut words = run.split_whitespace();
        if words.next() != Some("check") {
            return None;
        }
        while let (Some(flag), Some(value)) = (words.next(), words.next()) {
            match (flag, value.split_once('=')) {
                ("--profile", _) => choices.profile = Some(value.to_owned()),
                ("--set", Some((name, value))) => choices.set.push((name.to_owned(), value.to_owned())),
                _ => return None,
            }
        }
    }
    (!expected.is_empty()).then_some((expected, choices))
}

fn problems_of(folder: &Path, text: &str, choices: &Choices) -> Problems {
    let read = |path: &str| match std::fs::read_to_string(folder.join(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    let glob = |_: &str| Ok(Vec::new());
    match parse(&Source::new("deploy.yaml", text)) {
        Err(problems) => problems,
        Ok(manifest) => match resolve(&manifest, choices, &Files { read: &read, glob: &glob }) {
            Ok(resolved) => resolved.warnings,
            Err(problems) => problems,
        },
    }
}

#[test]
fn every_fixture_of_the_manifest_gives_what_it_expects() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/problems");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let (mut seen, mut wrong) = (0, Vec::new());
    for folder in folders {
        let Ok(text) = std::fs::read_to_string(folder.join("deploy.yaml")) else { continue };
        let Some((mut expected, choices)) = head(&text) else { continue };
        // What needs the Dockerfiles or the graph is checked with the whole program.
        let elsewhere = expected.iter().any(|expected| {
            ["leak ", "ignore-pattern "].iter().any(|code| expected.starts_with(code))
                || expected.contains("Dockerfile:")
        });
        if elsewhere || !is_ours(&folder) {
            continue;
        }
        let found = problems_of(&folder, &text, &choices);
        let mut found: Vec<String> =
            found.sorted().iter().map(|problem| format!("{} {}", problem.code, problem.labels[0].location)).collect();
        expected.sort();
        found.sort();
        if found != expected {
            wrong.push(format!("{}: expected {expected:?}, found {found:?}", folder.display()));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 40, "only {seen} fixtures");
}

/// Whether the manifest alone can find the problem: its code is declared before those of the graph.
fn is_ours(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let codes = crate::problem::Code::ALL;
    let end = codes.iter().position(|code| *code == crate::problem::Code::Cycle).unwrap_or(codes.len());
    codes[..end].iter().any(|code| code.as_str() == name)
}
