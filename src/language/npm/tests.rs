//! Workspaces, what stays of others, doubts.

use crate::language::testing::{Memory, ask, dropped};
use crate::path::RelPath;
use crate::project::Language;

const NPM: Language = Language::Npm;
const ROOT: (&str, &str) =
    ("package.json", r#"{"name": "root", "private": true, "workspaces": ["packages/*", "!packages/gone"]}"#);

/// A workspace `web` with this manifest and this source, `ui`, which needs `icons`, and `api`, which nobody needs.
fn repository(web: &'static str, source: &'static str) -> Memory {
    Memory::new([
        ROOT,
        ("package-lock.json", "{}"),
        (".npmrc", ""),
        ("babel.config.js", ""),
        ("packages/web/package.json", web),
        ("packages/web/src/index.tsx", source),
        ("packages/web/src/index.test.tsx", ""),
        ("packages/ui/package.json", r#"{"name": "@acme/ui", "dependencies": {"icons": "*"}}"#),
        ("packages/ui/button.jsx", ""),
        ("packages/icons/package.json", r#"{"name": "icons"}"#),
        ("packages/icons/i.mjs", ""),
        ("packages/icons/i.svg", ""),
        ("packages/api/package.json", r#"{"name": "api", "bin": "x.js"}"#),
        ("packages/api/server.ts", ""),
        ("packages/api/page.html", ""),
        ("packages/gone/package.json", r#"{"name": "gone"}"#),
        ("packages/gone/x.js", ""),
        ("scripts/release.js", ""),
    ])
}

const ALL: &str = "packages/api/server.ts packages/icons/i.mjs packages/ui/button.jsx";
const API: &str = "packages/api/server.ts";

#[test]
fn dependencies_between_workspaces() {
    for (web, left_out) in [
        (r#"{"name": "web"}"#, ALL),
        (r#"{"name": "web", "dependencies": {"@acme/ui": "*"}}"#, API),
        (r#"{"name": "web", "devDependencies": {"@acme/ui": "workspace:^"}}"#, API),
        (r#"{"name": "web", "peerDependencies": {"@acme/ui": "1"}}"#, API),
        (r#"{"name": "web", "dependencies": {"x": "file:../ui"}}"#, API),
        (r#"{"name": "web", "dependencies": {"x": "link:../ui"}}"#, API),
        (r#"{"name": "web", "dependencies": {"x": "workspace:@acme/ui@*"}}"#, API),
        (r#"{"name": "web", "dependencies": {"icons": "*"}}"#, "packages/api/server.ts packages/ui/button.jsx"),
        (r#"{"name": "web", "dependencies": {"gone": "*", "react": "18"}}"#, ALL),
    ] {
        assert_eq!(dropped(&repository(web, ""), NPM, &["packages/web"]), left_out, "{web}");
    }
    let memory = repository(r#"{"name": "web", "dependencies": {"@acme/ui": "*"}}"#, "");
    let closure = ask(&memory, NPM, &["web"]).unwrap();
    let of = |path: &str| closure.reasons.of(&RelPath::new(path.as_bytes()).unwrap()).unwrap_or_default();
    assert_eq!(of("packages/icons/i.svg"), "needed by web via @acme/ui");
    assert_eq!(of("babel.config.js"), "");
}

#[test]
fn what_is_imported_counts_declared_or_not() {
    for (source, left_out) in [
        ("import { Button } from '@acme/ui/button'", API),
        ("const ui = require(\"@acme/ui\")", API),
        ("import x from '../../ui/button'", API),
        ("import x from '../../../scripts/release'", ALL),
        ("import x from './near'", ALL),
    ] {
        assert_eq!(dropped(&repository(r#"{"name": "web"}"#, source), NPM, &["web"]), left_out, "{source}");
    }
}

#[test]
fn pnpm_tsconfig_and_scripts_at_install() {
    let memory = Memory::new([
        ("package.json", "{}"),
        ("pnpm-workspace.yaml", "packages:\n  - 'apps/**'\n"),
        ("apps/web/package.json", r#"{"name": "web"}"#),
        ("apps/web/tsconfig.json", r#"{"references": [{"path": "../deep/lib"}]} // x"#),
        ("apps/deep/lib/package.json", r#"{"name": "lib"}"#),
        ("apps/deep/lib/l.ts", ""),
        (
            "apps/native/package.json",
            r#"{"name": "native", "scripts": {"postinstall": "node build.js"}, "dependencies": {"gyp": "*"}}"#,
        ),
        ("apps/native/build.js", ""),
        ("apps/gyp/package.json", r#"{"name": "gyp"}"#),
        ("apps/gyp/g.js", ""),
        ("apps/rest/package.json", r#"{"name": "rest", "scripts": {"build": "x"}}"#),
        ("apps/rest/r.js", ""),
        ("apps/rest/node_modules/x/package.json", r#"{"name": "x"}"#),
        ("apps/rest/node_modules/x/x.js", ""),
    ]);
    assert_eq!(dropped(&memory, NPM, &["apps/web"]), "apps/rest/r.js");
}

#[test]
fn doubts_and_problems() {
    let memory = Memory::new([ROOT, ("packages/web/package.json", "{")]);
    assert!(ask(&memory, NPM, &["web"]).unwrap().whole.unwrap().starts_with("`packages/web/package.json`: "));
    let memory = repository(r#"{"name": "web"}"#, "");
    assert_eq!(ask(&memory, NPM, &["wob"]).unwrap_err(), "missing-package: `wob` is no npm workspace of the context");
}
