//! No secret value leaves the program: not in its output, nor in a plan, a record, a receipt or an event.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::place::Place;
use crate::published::publish;

const FROM_ENVIRONMENT: &str = "hunter2-from-the-environment";
const FROM_FILE: &str = "hunter3-from-an-args-file";
const OF_A_SECRET: &str = "hunter4-of-a-secret";
const OF_A_SECRET_FILE: &str = "hunter5-of-a-secret-file";
const IN_A_VAR: &str = "hunter6-in-a-var";

const MANIFEST: &str = r#"version: 1
project: shop
env: [LICENCE]
vars: { pin: { env: PIN } }
registries:
  disk: { kind: layout, path: .orchestrate/images }
defaults: { platforms: [linux/amd64], executor: buildkit }
images:
  api:
    args_file: build.env
    args:
      LICENCE: { value: "{{env.LICENCE}}", sensitive: true }
      ENTRY: { value: "{{vars.pin}}", sensitive: true }
    secrets:
      npm: { env: NPM_TOKEN }
      pem: { file: private.pem }
    push: { repository: api, tags: [latest] }
"#;

fn place() -> Place {
    Place::new()
        .file("deploy.yaml", MANIFEST)
        .file("build.env", &format!("DB_PASSWORD={FROM_FILE}\n"))
        .file("private.pem", OF_A_SECRET_FILE)
        .file(
            "Dockerfile",
            "FROM scratch\nARG LICENCE\nARG ENTRY\nARG DB_PASSWORD\nCOPY main /\nENV L=${LICENCE} E=${ENTRY} D=${DB_PASSWORD}\n",
        )
        .file("main", "main\n")
        .variable("LICENCE", FROM_ENVIRONMENT)
        .variable("NPM_TOKEN", OF_A_SECRET)
        .variable("PIN", IN_A_VAR)
        .committed()
}

/// Fails if a secret value occurs in `text`.
fn clean(what: &str, text: &[u8]) {
    for secret in [FROM_ENVIRONMENT, FROM_FILE, OF_A_SECRET, OF_A_SECRET_FILE, IN_A_VAR] {
        let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {what}:\n{}", String::from_utf8_lossy(text));
    }
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Everything that the commands say and write, with an image that is built nowhere and with one that is published.
#[test]
fn nothing_tells_a_secret() {
    let place = place();
    let commands: &[&[&str]] = &[
        &["check"],
        &["check", "--json"],
        &["show"],
        &["show", "--json"],
        &["graph", "--json"],
        &["plan", "--offline"],
        &["plan", "--verbose"],
        &["plan", "--json"],
        &["plan", "--out", "saved.plan"],
        &["inputs", "api"],
        &["inputs", "api", "--json"],
        &["apply", "--json", "--buildkit", "unix:///nowhere.sock"],
    ];
    let all = |place: &Place, commands: &[&[&str]]| {
        for arguments in commands {
            let ran = place.run(arguments);
            assert!(ran.code == Some(0) || arguments.contains(&"--buildkit"), "{arguments:?}: {}", ran.stderr);
            clean(&arguments.join(" "), ran.stdout.as_bytes());
            clean(&arguments.join(" "), ran.stderr.as_bytes());
        }
    };
    all(&place, commands);
    publish(&place);
    all(&place, &[&["plan", "--json"], &["apply", "--json"], &["why", "api"], &["why", "api", "--json"]]);
    clean("the saved plan", place.read("saved.plan").as_bytes());
    let mut written = Vec::new();
    files(&place.path(".orchestrate"), &mut written);
    assert!(written.iter().any(|path| path.ends_with("events.jsonl")), "{written:?}");
    for path in written {
        clean(&path.display().to_string(), &fs::read(&path).unwrap());
    }
}

/// A file as it is, and unpacked if it is compressed.
fn contents(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let mut unpacked = Vec::new();
    let packed = GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).is_ok();
    if packed { vec![bytes, unpacked] } else { vec![bytes] }
}

/// What is really published: the image takes the args, its record says that they count, and neither shows them.
#[test]
fn no_image_and_no_record_tells_a_secret() {
    let place = place();
    place.write("deploy.yaml", &place.read("deploy.yaml").replace(", executor: buildkit", ""));
    place.write("Dockerfile", "FROM scratch\nARG LICENCE\nARG ENTRY\nARG DB_PASSWORD\nCOPY main /\n");
    let applied = place.run(&["apply", "--json"]).exits(0);
    clean("apply --json", applied.stdout.as_bytes());
    clean("apply --json", applied.stderr.as_bytes());
    let mut written = Vec::new();
    files(&place.path(".orchestrate"), &mut written);
    let mut records = 0;
    for path in &written {
        for bytes in contents(path) {
            clean(&path.display().to_string(), &bytes);
            records += usize::from(bytes.windows(9).any(|window| window == b"sensitive") && bytes.starts_with(b"{"));
        }
    }
    assert!(records > 0, "the record says that sensitive args count: {written:?}");
    let place = place.variable("LICENCE", "another value");
    let why = place.run(&["why", "api"]).exits(0);
    clean("why", why.stdout.as_bytes());
    assert!(why.stdout.contains("LICENCE"), "another value is another key: {}", why.stdout);
}

#[test]
fn a_mistake_beside_a_secret_does_not_show_it() {
    let place = place();
    let text = place.read("deploy.yaml").replace("sensitive: true }", "sensitive: true, wrong: x }");
    place.write("deploy.yaml", &text);
    place.write("build.env", &format!("DB_PASSWORD={FROM_FILE}\n{FROM_FILE}\n"));
    for arguments in [&["check"][..], &["check", "--json"]] {
        let ran = place.run(arguments).exits(2);
        clean("check", ran.stdout.as_bytes());
        clean("check", ran.stderr.as_bytes());
    }
}
