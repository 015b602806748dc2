//! The shape of the source tree: which module may import which, how long a file may grow.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of the table in src/lib.rs, lowest first. A module imports strictly lower rows only.
const ROWS: &[&[&str]] = &[
    &["digest", "name", "path", "platform", "problem"],
    &["pattern", "reference", "tree"],
    &["dockerfile", "ignore", "lock", "oci", "project"],
    &["fingerprint", "graph", "language", "manifest"],
    &["plan", "storage"],
    &["event", "functions"],
    &["registry", "report", "workspace"],
    &["aws"],
    &["exec", "observe"],
    &["apply"],
    &["cli"],
];

/// The longest that a file may be, counted to its first `#[cfg(test)]`.
const LONGEST: usize = 450;

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The first names after `crate::` in a text, also within braces: `use crate::{a::B, c}`.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        match rest.strip_prefix('{') {
            None => found.push(name(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (index, character) in group.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.push(name(&group[index..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn imports_point_down() {
    let row: BTreeMap<&str, usize> =
        ROWS.iter().enumerate().flat_map(|(index, names)| names.iter().map(move |name| (*name, index))).collect();
    let mut wrong = Vec::new();
    for path in sources() {
        let module = module_of(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(own) = row.get(module.as_str()) else {
            wrong.push(format!("{}: the module is in no row of tests/architecture.rs", path.display()));
            continue;
        };
        for import in imports(&fs::read_to_string(&path).unwrap()) {
            if import == module {
                continue;
            }
            match row.get(import.as_str()) {
                Some(other) if other < own => {}
                Some(_) => wrong.push(format!("{}: `{module}` imports `{import}`, which is not lower", path.display())),
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_in_the_library_is_this_table() {
    let library = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for (index, names) in ROWS.iter().enumerate() {
        let line = format!("//! {index}  {}", names.join(" "));
        assert!(library.contains(&line), "src/lib.rs lacks the line `{line}`");
    }
}

#[test]
fn a_file_fits_in_a_head() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter_map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let tests_only = path.file_name().is_some_and(|name| name.to_string_lossy().contains("test"))
                || path.components().any(|part| part.as_os_str() == "testing" || part.as_os_str() == "tests");
            let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
            (lines > LONGEST && !tests_only).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn imports_are_found_in_groups_too() {
    assert_eq!(imports("use crate::a::B; use crate::{c::{D, E}, f}; crate::g()"), ["a", "c", "f", "g"]);
}
