//! What `go list` cannot be asked: reasons, doubts, problems.

use super::super::closure::Closure;
use super::super::testing::{self, Memory};
use crate::path::RelPath;
use crate::project::Language;

fn ask(memory: &Memory, packages: &[&str]) -> Result<Closure, String> {
    testing::ask(memory, Language::Go, packages)
}

fn dropped(memory: &Memory, packages: &[&str]) -> String {
    testing::dropped(memory, Language::Go, packages)
}

fn whole(files: &[(&str, &str)]) -> String {
    let closure = ask(&Memory::new(files.iter().copied()), &["cmd"]).unwrap();
    assert!(closure.dropped.is_empty());
    closure.whole.unwrap()
}

const MOD: (&str, &str) = ("go.mod", "module example.com/app\ngo 1.22\n");

#[test]
fn the_reason_is_the_shortest_chain_of_imports() {
    let memory = Memory::new([
        MOD,
        ("cmd/thumb/main.go", "package main\nimport \"example.com/app/internal/img\"\nimport \"example.com/app/log\""),
        (
            "internal/img/img.go",
            "package img\nimport _ \"example.com/app/internal/img/codec\"\nimport _ \"embed\"\n//go:embed logo.png\n",
        ),
        ("internal/img/logo.png", "x"),
        ("internal/img/readme.md", "x"),
        (
            "internal/img/codec/c.go",
            "package codec\nimport _ \"example.com/app/log\"\nimport _ \"example.com/app/deep\"",
        ),
        ("deep/d.go", "package deep"),
        ("log/log.go", "package log"),
    ]);
    let reasons = ask(&memory, &["cmd/thumb"]).unwrap().reasons;
    let of = |path: &str| reasons.of(&RelPath::new(path.as_bytes()).unwrap()).unwrap_or_default();
    assert_eq!(of("cmd/thumb/main.go"), "part of ./cmd/thumb");
    assert_eq!(of("internal/img/img.go"), "imported by ./cmd/thumb");
    assert_eq!(of("internal/img/codec/c.go"), "imported by ./cmd/thumb via internal/img");
    assert_eq!(of("deep/d.go"), "imported by ./cmd/thumb via internal/img, internal/img/codec");
    assert_eq!(of("log/log.go"), "imported by ./cmd/thumb");
    assert_eq!(of("internal/img/logo.png"), "embedded by internal/img");
    assert_eq!(of("internal/img/readme.md"), "");
    assert_eq!(of("go.mod"), "");
}

#[test]
fn only_go_files_of_packages_are_dropped() {
    let memory = Memory::new([
        MOD,
        ("cmd/main.go", "package main"),
        ("cmd/main_test.go", "package main"),
        ("cmd/testdata/x.go", "package x"),
        ("other/x.go", "package x"),
        ("other/x.c", ""),
        ("other/data.json", ""),
        ("other/_x.go", ""),
        ("other/link.go", "->x.go"),
        ("web/app.js", ""),
        ("other.go/readme", ""),
    ]);
    assert_eq!(dropped(&memory, &["cmd"]), "cmd/main_test.go other/x.go");
}

#[test]
fn several_packages_and_several_modules() {
    let memory = Memory::new([
        ("a/go.mod", "module a"),
        ("a/main.go", "package main"),
        ("a/lib/x.go", "package lib"),
        ("b/go.mod", "module b"),
        ("b/main.go", "package main\nimport _ \"b/lib\""),
        ("b/lib/x.go", "package lib"),
        ("c/go.mod", "module c"),
        ("c/x.go", "package c"),
    ]);
    assert_eq!(dropped(&memory, &["a", "b"]), "a/lib/x.go c/x.go");
    assert_eq!(dropped(&memory, &["b/..."]), "a/lib/x.go a/main.go c/x.go");
}

#[test]
fn doubts_keep_everything() {
    let other = ("other/x.go", "package x");
    assert_eq!(
        whole(&[MOD, other, ("cmd/main.go", "package main\nimport _ \"example.com/app/gen\"")]),
        "`cmd/main.go` imports `example.com/app/gen`, which is not there: the build may generate it"
    );
    assert_eq!(whole(&[MOD, other, ("cmd/main.go", "package")]), "`cmd/main.go`: the package clause names nothing");
    assert_eq!(
        whole(&[MOD, other, ("cmd/main.go", "package main"), ("cmd/x.go", "->../x.go")]),
        "`cmd/x.go` is a link"
    );
    assert!(whole(&[MOD, other, ("cmd/main.go", "package main\nimport _ \"../x\"")]).contains("not one of a module"));
    assert_eq!(whole(&[("go.mod", "->x"), ("cmd/main.go", "package main")]), "`go.mod` is a link");
    let embeds = "package main\nimport _ \"embed\"\n//go:embed [\n";
    assert_eq!(whole(&[MOD, ("cmd/main.go", embeds)]), "`//go:embed [` in `cmd` cannot be understood");
}

#[test]
fn a_package_that_is_not_there_is_a_problem() {
    let refused =
        |files: &[(&str, &str)], package: &str| ask(&Memory::new(files.iter().copied()), &[package]).unwrap_err();
    let files =
        [MOD, ("cmd/main.go", "package main"), ("tests/x_test.go", "package x"), ("win/x_windows.go", "package x")];
    assert_eq!(
        refused(&files, "cmdd"),
        "missing-package: `cmdd` is no Go package of the context: there is no such folder"
    );
    for (package, why) in [
        ("cmd/main.go", "there is no such folder"),
        ("tests", "no Go file there belongs to a build for its platform"),
        ("win", "no Go file there belongs to a build for its platform"),
        ("nowhere/...", "there is no such folder"),
    ] {
        assert!(refused(&files, package).ends_with(why), "{package}");
    }
    assert!(refused(&[("cmd/main.go", "package main")], "cmd").ends_with("no folder above it has a `go.mod`"));
}

#[test]
fn what_downloaded_modules_may_import_stays() {
    let go_mod = "module github.com/acme/app\nrequire github.com/aws/sdk v1.0.0\nrequire github.com/fork/lib v1.0.0\n\
        require github.com/acme/app/libs/util v0.0.0\n\
        replace github.com/fork/lib => ./third/lib\nreplace github.com/acme/app/libs/util => ./libs/util\n";
    let files = |import: &'static str| {
        Memory::new([
            ("go.mod", go_mod),
            ("cmd/main.go", import),
            ("other/x.go", "package other"),
            ("third/lib/go.mod", "module github.com/fork/lib"),
            ("third/lib/x.go", "package lib\nimport _ \"github.com/fork/lib/y\""),
            ("third/lib/y/y.go", "package y"),
            ("libs/util/go.mod", "module github.com/acme/app/libs/util"),
            ("libs/util/u.go", "package util"),
        ])
    };
    // Nothing from elsewhere: what is replaced is not needed.
    assert_eq!(
        dropped(&files("package main\nimport _ \"fmt\""), &["cmd"]),
        "libs/util/u.go other/x.go third/lib/x.go third/lib/y/y.go"
    );
    // The module from elsewhere may be what wants the replaced one.
    assert_eq!(
        dropped(&files("package main\nimport _ \"github.com/aws/sdk/s3\""), &["cmd"]),
        "libs/util/u.go other/x.go"
    );
    // One of our own owner may import our other modules too, and one of this very repository even the main module.
    assert_eq!(dropped(&files("package main\nimport _ \"github.com/acme/shared\""), &["cmd"]), "other/x.go");
    let sdk = Memory::new([
        ("go.mod", "module github.com/acme/app\nrequire github.com/acme/app/sdk v1.0.0"),
        ("cmd/main.go", "package main\nimport _ \"github.com/acme/app/sdk\""),
        ("other/x.go", "package other"),
    ]);
    assert_eq!(dropped(&sdk, &["cmd"]), "");
}
