//! Packages, what stays of others, doubts.

use crate::language::testing::{Memory, ask, dropped, paths};
use crate::path::RelPath;
use crate::project::Language;

const CARGO: Language = Language::Cargo;
const ROOT: &str = "[workspace]\nmembers = ['crates/*']\n[workspace.dependencies]\nlog = { path = 'crates/log' }\n";

fn workspace(api: &str) -> Memory {
    Memory::new([
        ("Cargo.toml", ROOT),
        ("crates/api/Cargo.toml", api),
        ("crates/api/src/main.rs", "fn main() {}"),
        ("crates/api/tests/it.rs", ""),
        ("crates/db/Cargo.toml", "[package]\nname = 'db'\n[dependencies]\nlog.workspace = true\n"),
        ("crates/db/src/lib.rs", ""),
        ("crates/db/src/schema.sql", ""),
        ("crates/log/Cargo.toml", "[package]\nname = 'log'\n"),
        ("crates/log/src/lib.rs", ""),
        ("crates/web/Cargo.toml", "[package]\nname = 'web'\n[[test]]\nname = 'it'\n"),
        ("crates/web/build.rs", ""),
        ("crates/web/src/main.rs", ""),
        ("crates/web/src/bin/tool/main.rs", ""),
        ("crates/web/src/bin/tool/part.rs", ""),
        ("crates/web/src/page.rs", ""),
        ("crates/web/src/page.html", ""),
        ("crates/web/tests/it.rs", ""),
        ("crates/web/tests/other.rs", ""),
        ("scripts/gen.rs", ""),
    ])
}

#[test]
fn dependencies_stay_and_targets_of_others_become_placeholders() {
    let memory = workspace(
        "[package]\nname = 'api'\n[dependencies]\ndb = { path = '../db' }\n[dev-dependencies]\nweb = { path = '../web' }\n",
    );
    let closure = ask(&memory, CARGO, &["crates/api"]).unwrap();
    assert_eq!(
        paths(&memory, &closure.dropped),
        "crates/web/src/bin/tool/part.rs crates/web/src/page.rs crates/web/tests/other.rs"
    );
    assert_eq!(
        paths(&memory, &closure.placeholders),
        "crates/web/build.rs crates/web/src/bin/tool/main.rs crates/web/src/main.rs crates/web/tests/it.rs"
    );
    let of = |path: &str| closure.reasons.of(&RelPath::new(path.as_bytes()).unwrap()).unwrap_or_default();
    assert_eq!(of("crates/api/src/main.rs"), "part of api");
    assert_eq!(of("crates/db/src/schema.sql"), "needed by api");
    assert_eq!(of("crates/log/src/lib.rs"), "needed by api via db");
    assert_eq!(of("scripts/gen.rs"), "");
    assert_eq!(ask(&memory, CARGO, &["api"]).unwrap(), closure, "by name");
}

#[test]
fn all_kinds_of_dependencies_but_those_of_tests() {
    for (manifest, needs_web) in [
        ("[build-dependencies]\nweb = { path = '../web' }", true),
        ("[target.'cfg(windows)'.dependencies]\nweb = { path = '../web' }", true),
        ("[dependencies]\nx = { package = 'web', path = '../web', optional = true }", true),
        ("[dependencies]\nweb = '1'", false),
        ("[target.x.dev-dependencies]\nweb = { path = '../web' }", false),
    ] {
        let memory = workspace(&format!("[package]\nname = 'api'\n{manifest}\n"));
        assert_eq!(!dropped(&memory, CARGO, &["api"]).contains("web"), needs_web, "{manifest}");
    }
}

#[test]
fn patches_and_inclusions_reach_other_packages() {
    let api = "[package]\nname = 'api'\n";
    let files = |root: &'static str, main: &'static str| {
        Memory::new([
            ("Cargo.toml", root),
            ("api/Cargo.toml", api),
            ("api/src/main.rs", main),
            ("third/rand/Cargo.toml", "[package]\nname = 'rand'\n"),
            ("third/rand/src/inner.rs", ""),
            ("web/Cargo.toml", "[package]\nname = 'web'\n"),
            ("web/src/page.rs", ""),
        ])
    };
    let patched = files("[workspace]\n[patch.crates-io]\nrand = { path = 'third/rand' }\n", "");
    assert_eq!(dropped(&patched, CARGO, &["api"]), "web/src/page.rs");
    for main in [
        "#[path = \"../../web/src/page.rs\"]\nmod page;",
        "include!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../web/src/page.rs\"));",
    ] {
        assert_eq!(dropped(&files("[workspace]\n", main), CARGO, &["api"]), "third/rand/src/inner.rs", "{main}");
    }
}

#[test]
fn vendored_packages_are_left_whole() {
    let memory = Memory::new([
        ("Cargo.toml", "[package]\nname = 'api'\n"),
        ("src/main.rs", ""),
        ("vendor/serde/Cargo.toml", "[package]\nname = 'serde'\n"),
        ("vendor/serde/.cargo-checksum.json", "{}"),
        ("vendor/serde/src/de.rs", ""),
        ("other/Cargo.toml", "[package]\nname = 'other'\n"),
        ("other/src/x.rs", ""),
    ]);
    assert_eq!(dropped(&memory, CARGO, &["api"]), "other/src/x.rs");
}

#[test]
fn doubts_and_problems() {
    let ask_of = |files: &[(&'static str, &'static str)], package: &str| {
        ask(&Memory::new(files.iter().copied()), CARGO, &[package])
    };
    let api = ("api/Cargo.toml", "[package]\nname = 'api'\n[dependencies]\nx = { path = '../../x' }\n");
    assert_eq!(
        ask_of(&[api], "api").unwrap().whole.unwrap(),
        "`api/Cargo.toml` depends on `../../x`, which is no package of the context"
    );
    assert!(
        ask_of(&[api, ("x/Cargo.toml", "[package")], "api").unwrap().whole.unwrap().starts_with("`x/Cargo.toml`: ")
    );
    assert_eq!(ask_of(&[api], "apo").unwrap_err(), "missing-package: `apo` is no Cargo package of the context");
}
