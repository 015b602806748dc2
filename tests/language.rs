//! `inputs: { go: ... }` against `go list -deps`, and `{ cargo: ... }` against `cargo metadata`: the same files, over many shapes
//! of modules and workspaces; and what is left is enough for these commands.
//!
//! Needs the go command for Go. Without it those tests are skipped, and say so.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

#[path = "support/real.rs"]
mod real;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use orchestrate::fingerprint::FileKind;
use orchestrate::problem::Source;
use orchestrate::project::{Context, Inputs, Language, LanguageInputs, Located, Modes, PackageName};
use orchestrate::workspace::{ContextFiles, ContextRequest, Workspace};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// A module, a package of it, and how it is built.
struct Shape<'a> {
    name: &'a str,
    files: Vec<(&'a str, &'a str)>,
    package: &'a str,
    /// Where `go list` runs.
    folder: &'a str,
    platform: &'a str,
    tags: &'a [&'a str],
    cgo: bool,
}

impl<'a> Shape<'a> {
    fn new(name: &'a str, package: &'a str, files: &[(&'a str, &'a str)]) -> Self {
        Self { name, package, files: files.to_vec(), folder: ".", platform: "linux/arm64", tags: &[], cgo: false }
    }
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }
}

/// The Go files that the snapshot holds, but for those that no package could have.
fn ours(root: &Path, shape: &Shape<'_>, exact: bool) -> Result<BTreeSet<String>, String> {
    let files = narrowed(root, shape, exact)?;
    let ignored = |path: &str| path.split('/').any(|name| name.starts_with(['_', '.']) || name == "testdata");
    let paths = files.snapshot.files().entries().iter().map(|entry| entry.path.to_string());
    Ok(paths.filter(|path| path.ends_with(".go") && !ignored(path)).collect())
}

fn narrowed(root: &Path, shape: &Shape<'_>, exact: bool) -> Result<ContextFiles, String> {
    let location = Source::new("deploy.yaml", "go: .").at(0, 2);
    let path = format!("{}/{}", shape.folder, shape.package.trim_start_matches("./"));
    let package = PackageName { written: shape.package.to_owned(), path };
    let inputs = Inputs {
        languages: vec![LanguageInputs {
            language: Language::Go,
            packages: vec![Located { value: package, location: location.clone() }],
            tags: exact.then(|| shape.tags.iter().map(|tag| (*tag).to_owned()).collect()),
            cgo: exact.then_some(shape.cgo),
        }],
        ..Inputs::default()
    };
    ask(root, &inputs, shape.platform)
}

/// What the build sees of the folder; an error is a problem, or a warning that nothing could be left out.
fn ask(root: &Path, inputs: &Inputs, platform: &str) -> Result<ContextFiles, String> {
    let request = ContextRequest {
        context: &Context::Folder(".".to_owned()),
        ignore: None,
        reads: None,
        inputs,
        platform: &platform.parse().unwrap(),
        modes: Modes::Git,
        location: &Source::new("deploy.yaml", "context: .").at(0, 7),
    };
    let answer = Workspace::open(root).unwrap().files(&[request]).remove(0);
    let files = answer.map_err(|problems| problems.sorted()[0].message.clone())?;
    match files.warnings.sorted().first() {
        Some(warning) => Err(warning.message.clone()),
        None => Ok(files),
    }
}

/// Writes what a build would get.
fn write_out(files: &ContextFiles, to: &Path) {
    for entry in files.snapshot.files().entries() {
        let place = entry.path.below(to);
        if matches!(entry.kind, FileKind::Folder) {
            fs::create_dir_all(place).unwrap();
            continue;
        }
        let mut bytes = Vec::new();
        files.snapshot.open(&entry.path).unwrap().read_to_end(&mut bytes).unwrap();
        fs::write(place, bytes).unwrap();
    }
}

/// The Go files that `go list -deps` names: those that are compiled, and those that are embedded.
fn theirs(root: &Path, shape: &Shape<'_>) -> BTreeSet<String> {
    let (os, architecture) = shape.platform.split_once('/').unwrap();
    let output = Command::new("go")
        .args(["list", "-e", "-deps", "-json=Dir,Standard,GoFiles,CgoFiles,EmbedFiles,Error"])
        .arg(format!("-tags={}", shape.tags.join(",")))
        .arg(shape.package)
        .current_dir(root.join(shape.folder))
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("GOFLAGS", "")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOOS", os)
        .env("GOARCH", architecture)
        .env("CGO_ENABLED", if shape.cgo { "1" } else { "0" })
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", shape.name, String::from_utf8_lossy(&output.stderr));
    let mut files = BTreeSet::new();
    for package in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<serde_json::Value>() {
        let package = package.unwrap();
        if package["Standard"] == true {
            continue;
        }
        let Some(folder) = package["Dir"].as_str() else { continue };
        for key in ["GoFiles", "CgoFiles", "EmbedFiles"] {
            for file in package[key].as_array().into_iter().flatten() {
                let path = Path::new(folder).join(file.as_str().unwrap());
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if path.ends_with(".go") {
                    files.insert(path);
                }
            }
        }
    }
    files
}

fn has_go(test: &str) -> bool {
    let there = Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    if !there {
        real::skip(test, "no go command; scripts/install-test-tools installs it");
    }
    there
}

fn compare(shape: &Shape<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write(&root, &shape.files);
    let theirs = theirs(&root, shape);
    assert!(!theirs.is_empty(), "{}: go list names no file", shape.name);
    let exact = ours(&root, shape, true).unwrap();
    assert_eq!(exact, theirs, "{}", shape.name);
    // Without tags and cgo in the manifest there may be more, and never less.
    let wide = ours(&root, shape, false).unwrap();
    assert!(wide.is_superset(&theirs), "{}: {:?}", shape.name, theirs.difference(&wide));
    // Go itself finds the same in what is left.
    let left = tempfile::tempdir().unwrap();
    let left = left.path().canonicalize().unwrap();
    write_out(&narrowed(&root, shape, true).unwrap(), &left);
    assert_eq!(self::theirs(&left, shape), theirs, "{}: of what is left", shape.name);
}

const MOD: (&str, &str) = ("go.mod", "module example.com/app\n\ngo 1.19\n");

#[expect(clippy::too_many_lines, reason = "a table")]
fn plain_shapes() -> Vec<Shape<'static>> {
    vec![
        Shape::new(
            "two commands and what they share",
            "./cmd/thumb",
            &[
                MOD,
                (
                    "cmd/thumb/main.go",
                    "package main\nimport (\n\"fmt\"\n\"example.com/app/internal/img\"\n)\nfunc main() { fmt.Println(img.X) }\n",
                ),
                ("cmd/api/main.go", "package main\nimport \"example.com/app/internal/db\"\nfunc main() { db.F() }\n"),
                (
                    "internal/img/img.go",
                    "package img\nimport \"example.com/app/internal/img/resize\"\nvar X = resize.X\n",
                ),
                ("internal/img/resize/resize.go", "package resize\nvar X = 1\n"),
                ("internal/img/unused/unused.go", "package unused\n"),
                ("internal/db/db.go", "package db\nfunc F() {}\n"),
                ("README.md", "x"),
            ],
        ),
        Shape::new(
            "tests are no part of a package",
            "./a",
            &[
                MOD,
                ("a/a.go", "package a\n"),
                ("a/a_test.go", "package a\nimport \"example.com/app/helper\"\nvar _ = helper.X\n"),
                ("a/b_test.go", "package a_test\nimport _ \"example.com/app/helper\"\n"),
                ("a/a_linux_test.go", "package a\n"),
                ("helper/h.go", "package helper\nvar X = 1\n"),
            ],
        ),
        Shape::new(
            "names of files",
            "./a",
            &[
                MOD,
                ("a/a.go", "package a\n"),
                ("a/a_linux.go", "package a\nimport _ \"example.com/app/lin\"\n"),
                ("a/a_windows.go", "package a\nimport _ \"example.com/app/win\"\n"),
                ("a/a_arm64.go", "package a\n"),
                ("a/a_amd64.go", "package a\nimport _ \"example.com/app/amd\"\n"),
                ("a/a_linux_arm64.go", "package a\n"),
                ("a/a_darwin_arm64.go", "package a\n"),
                ("a/linux.go", "package a\n"),
                ("a/windows.go", "package a\n"),
                ("a/a_unix.go", "package a\n"),
                ("a/x_windows.y.go", "package a\n"),
                ("lin/x.go", "package lin\n"),
                ("win/x.go", "package win\n"),
                ("amd/x.go", "package amd\n"),
            ],
        ),
        Shape::new(
            "constraints",
            "./a",
            &[
                MOD,
                ("a/a.go", "package a\n"),
                ("a/b.go", "//go:build linux && !cgo\n\npackage a\nimport _ \"example.com/app/yes\"\n"),
                (
                    "a/c.go",
                    "// Copyright\n\n//go:build windows || darwin\n\n// Package a\npackage a\nimport _ \"example.com/app/no\"\n",
                ),
                ("a/d.go", "//go:build unix\npackage a\n"),
                ("a/e.go", "//go:build ignore\n\npackage main\nimport _ \"example.com/app/no\"\n"),
                ("a/f.go", "//go:build go1.18\n\npackage a\n"),
                ("a/g.go", "/*\n//go:build windows\n*/\n\npackage a\n"),
                ("a/h.go", "package a\n\n//go:build windows\n"),
                ("a/i.go", "//go:build (linux || windows) && (arm64 || !arm64)\n\npackage a\n"),
                ("yes/x.go", "package yes\n"),
                ("no/x.go", "package no\n"),
            ],
        ),
        Shape::new(
            "constraints of old",
            "./a",
            &[
                MOD,
                ("a/a.go", "package a\n"),
                ("a/b.go", "// +build windows darwin\n\npackage a\n"),
                ("a/c.go", "// +build windows linux,arm64\n// +build !cgo\n\npackage a\n"),
                ("a/d.go", "// +build windows\npackage a\n"),
                ("a/e.go", "//+build !linux\n\npackage a\n"),
                ("a/f.go", "//go:build linux\n// +build windows\n\npackage a\n"),
                ("a/g.go", "// +build linux\n\n// +build windows\npackage a\n"),
            ],
        ),
        Shape::new(
            "embedded Go files",
            "./a",
            &[
                MOD,
                (
                    "a/a.go",
                    "package a\n\nimport \"embed\"\n\n//go:embed templates/*.go gen other.txt\n//go:embed \"two words/x.go\"\nvar F embed.FS\n",
                ),
                ("a/other.txt", "x"),
                ("a/templates/one.go", "package one\nimport _ \"example.com/app/b\"\n"),
                ("a/templates/two.txt", "x"),
                ("a/templates/deep/three.go", "package three\n"),
                ("a/gen/g.go", "package g\n"),
                ("a/gen/more/g_test.go", "package g\n"),
                ("a/two words/x.go", "package x\n"),
                ("a/not/x.go", "package x\n"),
                ("b/b.go", "package b\n"),
            ],
        ),
        Shape::new(
            "embedded in a string, with a blank import",
            "./a",
            &[
                MOD,
                ("a/a.go", "package a\n\nimport _ \"embed\"\n\nvar (\n\t//go:embed tool/main.go\n\tsource string\n)\n"),
                ("a/tool/main.go", "package main\nfunc main() {}\n"),
                ("a/tool/other.go", "package main\n"),
                ("a/b.go", "package a\n//go:embed nothing.go\n"),
            ],
        ),
        Shape::new(
            "imports in all forms",
            "./a",
            &[
                MOD,
                (
                    "a/a.go",
                    "/* x */ package /* y */ a // z\n\nimport x \"example.com/app/named\"; import . \"example.com/app/dot\"\nimport (\n\t_ `example.com/app/blank`\n\t// \"example.com/app/no\"\n\t/* \"example.com/app/no\" */ \"example.com/app/plain\"; \"unsafe\"\n)\nimport ()\nvar _ = x.X\nvar _ = \"import \\\"example.com/app/no\\\"\"\nvar _ unsafe.Pointer\n",
                ),
                ("named/x.go", "package named\nvar X = 1\n"),
                ("dot/x.go", "package dot\n"),
                ("blank/x.go", "package blank\n"),
                ("plain/x.go", "package plain\n"),
                ("no/x.go", "package no\n"),
            ],
        ),
        Shape::new(
            "names that the go command ignores",
            "./a",
            &[
                MOD,
                ("a/a.go", "package a\n"),
                ("a/_b.go", "package a\nimport _ \"example.com/app/no\"\n"),
                ("a/.c.go", "package a\n"),
                ("a/testdata/d.go", "package d\n"),
                ("_x/x.go", "package x\n"),
                ("no/x.go", "package no\n"),
            ],
        ),
        Shape::new(
            "the root package",
            ".",
            &[
                MOD,
                ("main.go", "package main\nimport _ \"example.com/app/sub\"\nfunc main() {}\n"),
                ("sub/x.go", "package sub\n"),
                ("sub/sub/x.go", "package sub\n"),
            ],
        ),
        Shape::new(
            "all below",
            "./cmd/...",
            &[
                MOD,
                ("cmd/a/main.go", "package main\nimport _ \"example.com/app/x\"\nfunc main() {}\n"),
                ("cmd/b/c/main.go", "package main\nfunc main() {}\n"),
                ("cmd/testdata/x.go", "package x\n"),
                ("cmd/_no/x.go", "package x\n"),
                ("cmd/only_test/x_test.go", "package x\n"),
                ("cmd/win/x_windows.go", "package win\n"),
                ("cmd/own/go.mod", "module example.com/own\n"),
                ("cmd/own/x.go", "package own\n"),
                ("x/x.go", "package x\n"),
                ("y/y.go", "package y\n"),
            ],
        ),
        Shape::new(
            "a package that is imported by itself alone",
            "./a/b",
            &[MOD, ("a/a.go", "package a\nimport _ \"example.com/app/a/b\"\n"), ("a/b/b.go", "package b\n")],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn shapes_of_modules() -> Vec<Shape<'static>> {
    vec![
        Shape::new(
            "vendored modules",
            "./a",
            &[
                (
                    "go.mod",
                    "module example.com/app\n\ngo 1.19\n\nrequire example.com/dep v1.0.0\nrequire example.com/more v1.0.0\n",
                ),
                ("a/a.go", "package a\nimport _ \"example.com/dep/used\"\n"),
                ("b/b.go", "package b\nimport _ \"example.com/more\"\n"),
                (
                    "vendor/modules.txt",
                    "# example.com/dep v1.0.0\n## explicit; go 1.19\nexample.com/dep/inner\nexample.com/dep/used\n# example.com/more v1.0.0\n## explicit; go 1.19\nexample.com/more\n",
                ),
                ("vendor/example.com/dep/used/x.go", "package used\nimport _ \"example.com/dep/inner\"\n"),
                ("vendor/example.com/dep/used/x_windows.go", "package used\n"),
                ("vendor/example.com/dep/inner/x.go", "package inner\n"),
                ("vendor/example.com/more/x.go", "package more\n"),
            ],
        ),
        Shape::new(
            "a module that is replaced by a folder",
            "./a",
            &[
                (
                    "go.mod",
                    "module example.com/app\n\ngo 1.19\n\nrequire (\n\texample.com/lib v0.0.0\n\texample.com/lib/v2 v2.0.0\n)\n\nreplace example.com/lib => ./third/lib\nreplace example.com/lib/v2 v2.0.0 => ./third/lib2\n",
                ),
                ("a/a.go", "package a\nimport _ \"example.com/lib\"\nimport _ \"example.com/lib/v2/x\"\n"),
                ("third/lib/go.mod", "module example.com/lib\n\ngo 1.19\n"),
                ("third/lib/lib.go", "package lib\nimport _ \"example.com/lib/used\"\n"),
                ("third/lib/used/x.go", "package used\n"),
                ("third/lib/unused/x.go", "package unused\n"),
                ("third/lib2/go.mod", "module example.com/lib/v2\n\ngo 1.19\n"),
                ("third/lib2/x/x.go", "package x\n"),
                ("third/lib2/y/y.go", "package y\n"),
            ],
        ),
        Shape {
            folder: "app",
            ..Shape::new(
                "a replaced module beside the main one",
                "./a",
                &[
                    (
                        "app/go.mod",
                        "module example.com/app\n\ngo 1.19\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n",
                    ),
                    ("app/a/a.go", "package a\nimport _ \"example.com/lib/used\"\n"),
                    ("app/b/b.go", "package b\n"),
                    ("lib/go.mod", "module example.com/lib\n\ngo 1.19\n"),
                    ("lib/used/x.go", "package used\n"),
                    ("lib/lib.go", "package lib\n"),
                ],
            )
        },
        Shape {
            folder: "app",
            ..Shape::new(
                "a workspace",
                "./a",
                &[
                    ("go.work", "go 1.19\n\nuse (\n\t./app\n\t./lib // shared\n)\n"),
                    ("app/go.mod", "module example.com/app\n\ngo 1.19\n"),
                    ("app/a/a.go", "package a\nimport _ \"example.com/lib/used\"\n"),
                    ("lib/go.mod", "module example.com/lib\n\ngo 1.19\n"),
                    ("lib/used/x.go", "package used\nimport _ \"example.com/lib/more\"\n"),
                    ("lib/more/x.go", "package more\n"),
                    ("lib/lib.go", "package lib\n"),
                    ("other/go.mod", "module example.com/other\n"),
                    ("other/x.go", "package other\n"),
                ],
            )
        },
        Shape {
            folder: "app",
            ..Shape::new(
                "a workspace that replaces",
                "./a",
                &[
                    ("go.work", "go 1.19\n\nuse ./app\nreplace example.com/lib => ./forks/lib\n"),
                    ("app/go.mod", "module example.com/app\n\ngo 1.19\n\nrequire example.com/lib v0.0.0\n"),
                    ("app/a/a.go", "package a\nimport _ \"example.com/lib\"\n"),
                    ("forks/lib/go.mod", "module example.com/lib\n\ngo 1.19\n"),
                    ("forks/lib/x.go", "package lib\n"),
                    ("forks/lib/y/y.go", "package y\n"),
                ],
            )
        },
        Shape::new(
            "a module within the module",
            "./a",
            &[
                (
                    "go.mod",
                    "module example.com/app\n\ngo 1.19\n\nrequire example.com/app/tools v0.0.0\nreplace example.com/app/tools => ./tools\n",
                ),
                ("a/a.go", "package a\nimport _ \"example.com/app/tools/x\"\nimport _ \"example.com/app/toolsy\"\n"),
                ("tools/go.mod", "module example.com/app/tools\n\ngo 1.19\n"),
                ("tools/x/x.go", "package x\n"),
                ("tools/y/y.go", "package y\n"),
                ("toolsy/y.go", "package toolsy\n"),
            ],
        ),
        Shape {
            folder: "services/api",
            ..Shape::new(
                "a module below the context",
                "./cmd",
                &[
                    ("services/api/go.mod", "module \"api\" // no dot\n\ngo 1.19\n"),
                    ("services/api/cmd/main.go", "package main\nimport _ \"api/internal/x\"\nfunc main() {}\n"),
                    ("services/api/internal/x/x.go", "package x\n"),
                    ("services/web/go.mod", "module web\n"),
                    ("services/web/main.go", "package main\n"),
                ],
            )
        },
    ]
}

fn shapes_of_builds() -> Vec<Shape<'static>> {
    let cgo: &[(&str, &str)] = &[
        MOD,
        ("a/a.go", "package a\n"),
        ("a/c.go", "package a\n\n// #include \"x.h\"\nimport \"C\"\nimport _ \"example.com/app/on\"\n"),
        ("a/x.c", "int x;\n"),
        ("a/x.h", "extern int x;\n"),
        ("a/x_arm64.s", "\n"),
        ("a/on.go", "//go:build cgo\n\npackage a\n"),
        ("a/off.go", "//go:build !cgo\n\npackage a\nimport _ \"example.com/app/off\"\n"),
        ("on/x.go", "package on\n"),
        ("off/x.go", "package off\n"),
    ];
    let tags: &[(&str, &str)] = &[
        MOD,
        ("a/a.go", "package a\n"),
        ("a/b.go", "//go:build lambda.norpc || dev\n\npackage a\nimport _ \"example.com/app/yes\"\n"),
        ("a/c.go", "//go:build !dev\n\npackage a\nimport _ \"example.com/app/maybe\"\n"),
        ("yes/x.go", "package yes\n"),
        ("maybe/x.go", "package maybe\n"),
    ];
    let systems: &[(&str, &str)] = &[
        MOD,
        ("a/a.go", "package a\n"),
        ("a/a_windows.go", "package a\n"),
        ("a/a_linux.go", "package a\n"),
        ("a/a_386.go", "package a\n"),
        ("a/b.go", "//go:build unix\n\npackage a\n"),
        ("a/c.go", "//go:build windows && amd64\n\npackage a\n"),
        ("a/d.go", "// +build !windows\n\npackage a\n"),
    ];
    vec![
        Shape { cgo: true, ..Shape::new("cgo is on", "./a", cgo) },
        Shape::new("cgo is off", "./a", cgo),
        Shape { tags: &["dev"], ..Shape::new("a tag", "./a", tags) },
        Shape::new("no tag", "./a", tags),
        Shape { platform: "windows/amd64", ..Shape::new("Windows", "./a", systems) },
        Shape { platform: "linux/386", ..Shape::new("another architecture", "./a", systems) },
        Shape { platform: "linux/amd64", ..Shape::new("amd64", "./a", systems) },
    ]
}

#[test]
fn go_files_are_those_of_go_list() {
    if !has_go("go_files_are_those_of_go_list") {
        return;
    }
    let shapes: Vec<Shape<'_>> =
        plain_shapes().into_iter().chain(shapes_of_modules()).chain(shapes_of_builds()).collect();
    assert!(shapes.len() >= 25, "{}", shapes.len());
    shapes.iter().for_each(compare);
}

/// A module of packages that import each other at random, with names and constraints at random.
fn random_module(random: &mut StdRng) -> Vec<(String, String)> {
    const PACKAGES: usize = 9;
    let names = [
        "a.go",
        "b_linux.go",
        "c_windows.go",
        "d_arm64.go",
        "e_linux_amd64.go",
        "f_test.go",
        "_g.go",
        "linux.go",
        "i_unix.go",
        "j_android.go",
        "k_x.go",
    ];
    let tags = ["linux", "windows", "arm64", "amd64", "cgo", "one", "two", "unix", "go1.1", "ignore", "gc"];
    let mut files = vec![(MOD.0.to_owned(), MOD.1.to_owned())];
    for package in 0..PACKAGES {
        for name in names {
            if name != "a.go" && !random.random_bool(0.4) {
                continue;
            }
            let mut text = String::new();
            if name != "a.go" && random.random_bool(0.5) {
                let mut term = || {
                    let not = if random.random_bool(0.3) { "!" } else { "" };
                    format!("{not}{}", tags.choose(random).unwrap())
                };
                let (a, b, c) = (term(), term(), term());
                let lines = [
                    format!("//go:build {a}\n\n"),
                    format!("//go:build {a} && ({b} || {c})\n"),
                    format!("//go:build {a} || {b} && !({c})\n\n"),
                    format!("// +build {a} {b},{c}\n\n"),
                    format!("// +build {a}\n// +build {b} {c}\n\n"),
                    format!("// +build {a}\n"),
                ];
                text.push_str(lines.choose(random).unwrap());
            }
            let _ = writeln!(text, "package p{package}");
            for other in package + 1..PACKAGES {
                if random.random_bool(0.12) {
                    let _ = writeln!(text, "import _ \"example.com/app/p{other}\"");
                }
            }
            if random.random_bool(0.1) {
                text.push_str("import \"embed\"\n//go:embed data *_windows.go\nvar F embed.FS\n");
                files.push((format!("p{package}/data/x.go"), "package data\n".to_owned()));
                files.push((format!("p{package}/z_windows.go"), format!("package p{package}\n")));
            }
            if random.random_bool(0.1) {
                text.push_str("import \"C\"\n");
            }
            files.push((format!("p{package}/{name}"), text));
        }
    }
    files
}

#[test]
fn random_modules_agree_with_go_list() {
    if !has_go("random_modules_agree_with_go_list") {
        return;
    }
    let rounds = std::env::var("ORCHESTRATE_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut random = StdRng::seed_from_u64(20_261_121);
    for round in 0..rounds {
        let files = random_module(&mut random);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let name = format!("round {round}");
        let mut shape = Shape::new(&name, "./p0", &files);
        shape.platform = ["linux/arm64", "linux/amd64", "windows/amd64"][round % 3];
        shape.cgo = random.random_bool(0.5);
        shape.tags = [&[][..], &["one"], &["one", "two"]][round % 3];
        compare(&shape);
    }
}

/// Runs cargo in a folder.
fn cargo(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--quiet"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The packages from which `root` is built, by `cargo metadata`: all features, no development dependencies.
fn packages_of_cargo(folder: &Path, root: &str) -> BTreeSet<String> {
    let metadata = cargo(folder, &["metadata", "--format-version=1", "--all-features"]);
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap();
    let name = |id: &serde_json::Value| {
        let packages = list(&metadata["packages"]);
        packages.iter().find(|package| package["id"] == *id).unwrap()["name"].as_str().unwrap().to_owned()
    };
    let nodes = list(&metadata["resolve"]["nodes"]);
    let mut found = BTreeSet::from([root.to_owned()]);
    let mut queue = vec![root.to_owned()];
    while let Some(package) = queue.pop() {
        let node = nodes.iter().find(|node| name(&node["id"]) == package).unwrap();
        for dependency in list(&node["deps"]) {
            let counts = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            let other = name(&dependency["pkg"]);
            if counts && found.insert(other.clone()) {
                queue.push(other);
            }
        }
    }
    found
}

/// A workspace of packages that depend on each other at random, in all the ways there are.
fn random_workspace(random: &mut StdRng) -> Vec<(String, String)> {
    const PACKAGES: usize = 8;
    let mut root = "[workspace]\nmembers = ['crates/*']\nresolver = '2'\n[workspace.dependencies]\n".to_owned();
    for package in 0..PACKAGES {
        let _ = writeln!(root, "p{package} = {{ path = 'crates/p{package}' }}");
    }
    let mut files = vec![("Cargo.toml".to_owned(), root)];
    for package in 0..PACKAGES {
        let mut text = format!("[package]\nname = 'p{package}'\nversion = '0.1.0'\nedition = '2021'\n");
        for other in package + 1..PACKAGES {
            if !random.random_bool(0.25) {
                continue;
            }
            let tables = [
                "dependencies",
                "dev-dependencies",
                "build-dependencies",
                "target.'cfg(unix)'.dependencies",
                "target.'cfg(windows)'.dependencies",
                "target.'cfg(unix)'.dev-dependencies",
            ];
            let forms = ["path = '../pX'", "workspace = true", "path = '../pX', package = 'pX'"];
            let (table, form) = (tables.choose(random).unwrap(), forms.choose(random).unwrap());
            let key = if form.contains("package") { format!("other{other}") } else { format!("p{other}") };
            let optional = if !table.contains("dev") && random.random_bool(0.3) { ", optional = true" } else { "" };
            let form = form.replace("pX", &format!("p{other}"));
            let _ = writeln!(text, "[{table}.{key}]\n{}{}", form.replace(", ", "\n"), optional.replace(", ", "\n"));
        }
        if random.random_bool(0.3) {
            text.push_str("[[bin]]\nname = 'tool'\n[[test]]\nname = 'it'\n");
            files.push((format!("crates/p{package}/src/bin/tool.rs"), "fn main() {}\n".to_owned()));
            files.push((format!("crates/p{package}/tests/it.rs"), String::new()));
        }
        if random.random_bool(0.3) {
            files.push((format!("crates/p{package}/build.rs"), "fn main() {}\n".to_owned()));
        }
        let main = random.random_bool(0.5);
        files.push((format!("crates/p{package}/src/lib.rs"), "mod inner;\n".to_owned()));
        files.push((format!("crates/p{package}/src/inner.rs"), String::new()));
        if main {
            files.push((format!("crates/p{package}/src/main.rs"), "fn main() {}\n".to_owned()));
        }
        files.push((format!("crates/p{package}/Cargo.toml"), text));
    }
    files
}

#[test]
fn random_workspaces_agree_with_cargo_metadata() {
    let mut random = StdRng::seed_from_u64(20_261_122);
    for round in 0..20 {
        let files = random_workspace(&mut random);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        write(&root, &files);
        let theirs = packages_of_cargo(&root, "p0");
        let location = Source::new("deploy.yaml", "cargo: p0").at(7, 2);
        let package = PackageName { written: "p0".to_owned(), path: "p0".to_owned() };
        let packages = vec![Located { value: package, location }];
        let language = LanguageInputs { language: Language::Cargo, packages, tags: None, cgo: None };
        let inputs = Inputs { languages: vec![language], ..Inputs::default() };
        let files = ask(&root, &inputs, "linux/arm64").unwrap();
        let paths = files.snapshot.files().entries().iter().map(|entry| entry.path.to_string());
        let inner =
            paths.filter_map(|path| Some(path.strip_prefix("crates/")?.strip_suffix("/src/inner.rs")?.to_owned()));
        assert_eq!(inner.collect::<BTreeSet<String>>(), theirs, "round {round}");
        // Cargo itself is content with what is left, and takes it for the same workspace.
        let left = tempfile::tempdir().unwrap();
        write_out(&files, left.path());
        assert_eq!(packages_of_cargo(left.path(), "p0"), theirs, "round {round}: of what is left");
        if round < 3 {
            cargo(left.path(), &["check", "--package=p0", "--all-features"]);
        }
    }
}
