//! `inputs: { go: ... }` as a user sees it: one package edited, one image built, and the file named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The example `go-lambdas` in a folder of its own.
struct Example {
    folder: tempfile::TempDir,
}

impl Example {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/go-lambdas"), folder.path());
        Self { folder }
    }

    /// The same with a Dockerfile that compiles nothing, so that it builds anywhere.
    fn without_compiler(dockerfile: &str) -> Self {
        let example = Self::new();
        fs::write(example.path("Dockerfile"), dockerfile).unwrap();
        let manifest = fs::read_to_string(example.path("deploy.yaml")).unwrap();
        fs::write(example.path("deploy.yaml"), manifest.replace(", TOOLCHAIN: \"{{ref 'toolchain'}}\"", "")).unwrap();
        example
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let nothing = self.path("nothing");
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrate"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("PATH", &nothing).env("HOME", &nothing).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(arguments)).unwrap()
    }

    /// The keys of the images, by name.
    fn keys(&self) -> BTreeMap<String, String> {
        let plan = self.json(&["plan", "--offline", "--json"]);
        let pair = |image: &Value| (text(&image["name"]), text(&image["key"]));
        plan["images"].as_array().unwrap().iter().map(pair).collect()
    }

    /// The images that the plan builds.
    fn built(&self) -> Vec<Value> {
        let plan = self.json(&["plan", "--json"]);
        plan["images"].as_array().unwrap().iter().filter(|image| image["action"] == "build").cloned().collect()
    }

    /// The images whose keys differ from `before` once `edit` is done; it is undone.
    fn moved(&self, before: &BTreeMap<String, String>, path: &str) -> Vec<String> {
        let place = self.path(path);
        let old = fs::read(&place).unwrap();
        fs::write(&place, [&old[..], b"\n// edited\n"].concat()).unwrap();
        let now = self.keys();
        fs::write(&place, old).unwrap();
        now.into_iter().filter(|(name, key)| before[name] != *key).map(|(name, _)| name).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == ".orchestrate" || entry.file_name() == "usr" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

const ALL: [&str; 3] = ["media-lambda", "selection-lambda", "thumbnail-lambda"];

#[test]
fn keys_move_with_what_is_imported() {
    let example = Example::new();
    let before = example.keys();
    for (path, images) in [
        ("internal/img/fit.go", &["thumbnail-lambda"][..]),
        ("internal/pick/pick.go", &["selection-lambda"]),
        ("internal/store/store.go", &["media-lambda", "thumbnail-lambda"]),
        ("cmd/media-lambda/main.go", &["media-lambda"]),
        ("internal/page/page.go", &ALL),
        ("internal/page/templates/page.txt", &ALL),
        ("go.mod", &ALL),
        ("internal/img/fit_test.go", &[]),
        ("README.md", &[]),
    ] {
        assert_eq!(example.moved(&before, path), images, "{path}");
    }
    fs::write(example.path("internal/img/machine_windows.go"), "package img\n").unwrap();
    fs::create_dir_all(example.path("cmd/new-lambda")).unwrap();
    fs::write(example.path("cmd/new-lambda/main.go"), "package main\n").unwrap();
    assert_eq!(example.keys(), before, "a file for another system, and a package that nobody imports");
    fs::create_dir_all(example.path("empty")).unwrap();
    assert_ne!(example.keys(), before, "an empty folder is no package");
}

#[test]
fn the_plan_builds_one_image_and_names_the_file() {
    // What a compiler would see is the image itself.
    let example =
        Example::without_compiler("FROM scratch\nARG CMD_TARGET\nCOPY . /src\nWORKDIR /src/cmd/${CMD_TARGET}\n");
    example.done(&["apply"]);
    assert!(example.built().is_empty());
    fs::write(example.path("internal/img/fit.go"), "package img\n\nfunc Fit(string, int) string { return \"\" }\n")
        .unwrap();
    let built = example.built();
    assert_eq!(built.len(), 1);
    assert_eq!(built[0]["name"], "thumbnail-lambda");
    let reason = serde_json::json!({
        "kind": "file", "context": "", "path": "internal/img/fit.go", "change": "content",
        "because": "imported by ./cmd/thumbnail-lambda",
    });
    assert_eq!(built[0]["reasons"], serde_json::json!([reason]));
    assert!(built[0]["narrowed"]["dropped"].as_u64().unwrap() >= 4, "{}", built[0]["narrowed"]);
    let said = example.done(&["plan"]);
    assert!(said.contains("internal/img/fit.go changed (imported by ./cmd/thumbnail-lambda)"), "{said}");
    let why = example.done(&["why", "thumbnail-lambda"]);
    assert!(why.contains("internal/img/fit.go changed (imported by ./cmd/thumbnail-lambda)"), "{why}");

    fs::write(example.path("internal/page/templates/page.txt"), "{{.Title}}").unwrap();
    assert_eq!(example.built().len(), 3);
}

#[test]
fn inputs_say_who_imports_and_what_is_left_out() {
    let example = Example::new();
    let inputs = example.json(&["inputs", "thumbnail-lambda", "--offline", "--json"]);
    let because: BTreeMap<String, String> = inputs["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (text(&file["path"]), file["because"].as_array().unwrap().last().map(text).unwrap_or_default()))
        .collect();
    assert_eq!(because["internal/img/fit.go"], "imported by ./cmd/thumbnail-lambda");
    assert_eq!(because["internal/page/templates/page.txt"], "embedded by internal/page");
    assert_eq!(because["cmd/thumbnail-lambda/main.go"], "part of ./cmd/thumbnail-lambda");
    assert!(because["go.mod"].starts_with("COPY . (Dockerfile:"), "{}", because["go.mod"]);
    assert!(!because.contains_key("internal/pick/pick.go"));
    let dropped: Vec<String> = inputs["dropped"].as_array().unwrap().iter().map(|file| text(&file["path"])).collect();
    assert!(
        dropped.contains(&"internal/pick/pick.go".to_owned())
            && dropped.contains(&"internal/img/fit_test.go".to_owned())
    );
}

#[test]
fn narrowing_is_checked_by_building_twice() {
    let equal =
        "FROM scratch AS src\nCOPY . /src\nFROM scratch\nARG CMD_TARGET\nCOPY --from=src /src/cmd/${CMD_TARGET} /app\n";
    let example = Example::without_compiler(equal);
    let said = example.done(&["check", "--narrowing", "thumbnail-lambda", "--quiet"]);
    assert!(said.starts_with("thumbnail-lambda: equal, though "), "{said}");
    assert!(!example.path(".orchestrate/images").exists(), "nothing is published");

    let example = Example::without_compiler("FROM scratch\nARG CMD_TARGET\nCOPY internal /lib\n");
    let output = example.run(&["check", "--narrowing", "thumbnail-lambda", "--narrowing", "media-lambda", "--json"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = &said["narrowing"][0];
    assert_eq!((&one["image"], &one["equal"]), (&Value::from("thumbnail-lambda"), &Value::from(false)));
    let paths: Vec<String> = one["differences"].as_array().unwrap().iter().map(|found| text(&found["path"])).collect();
    assert!(paths.contains(&"lib/pick/pick.go".to_owned()), "{paths:?}");
    assert!(paths.iter().all(|path| path.ends_with(".go") || path == "lib/pick"), "{paths:?}");
}

#[test]
fn what_cannot_be_narrowed_is_said_and_built_whole() {
    let example = Example::without_compiler("FROM scratch\nARG CMD_TARGET\nCOPY . /src\n");
    fs::write(example.path("internal/img/fit.go"), "package img\nimport _ \"example.com/go-lambdas/gen\"\n").unwrap();
    let output = example.run(&["plan", "--offline", "--json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let why = "`internal/img/fit.go` imports `example.com/go-lambdas/gen`, which is not there";
    // Lines are broken anywhere.
    let unbroken = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '│').collect::<String>();
    assert!(said.contains("not-narrowed") && unbroken(&said).contains(&unbroken(why)), "{said}");
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let narrowed = |name: &str| {
        let mut images = plan["images"].as_array().unwrap().iter();
        images.find(|image| image["name"] == name).unwrap()["narrowed"].clone()
    };
    assert_eq!(narrowed("thumbnail-lambda"), Value::Null);
    assert!(narrowed("media-lambda")["dropped"].as_u64().unwrap() > 0);
}
