//! What an editor shows for `deploy.yaml`: the real yaml-language-server with the committed schema.
//!
//! `scripts/install-test-tools editors` installs it. Without it these tests are skipped, and say so, unless
//! `ORCHESTRATE_TEST_EDITORS` is set: then they fail.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[path = "support/real.rs"]
mod real;

/// How long the server may take for one answer; its first loads the schema.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_good_manifest_has_no_diagnostics() {
    let Some(mut editor) = Editor::start("a_good_manifest_has_no_diagnostics") else { return };
    for path in ["tests/editors/good.yaml", "deploy.yaml", "examples/base-chain/deploy.yaml"] {
        let document = editor.open(path, &read(path));
        let diagnostics = editor.diagnostics(&document);
        assert!(diagnostics.is_empty(), "{path}: {diagnostics:#?}");
        // Silence alone would also come of a schema that was not found.
        assert_ne!(editor.hover(&document, place(&read(path), "project:")), "", "{path}: the schema is not in force");
    }
}

#[test]
fn a_typo_is_flagged_where_it_stands() {
    let Some(mut editor) = Editor::start("a_typo_is_flagged_where_it_stands") else { return };
    let path = "tests/editors/bad.yaml";
    let text = read(path);
    let document = editor.open(path, &text);
    let flagged: BTreeSet<(usize, usize)> = editor
        .diagnostics(&document)
        .iter()
        .map(|diagnostic| {
            let start = &diagnostic["range"]["start"];
            (number(&start["line"]) + 1, number(&start["character"]) + 1)
        })
        .collect();
    let expected: BTreeSet<(usize, usize)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.ends_with("# flagged"))
        .map(|(index, line)| (index + 1, line.len() - line.trim_start().len() + 1))
        .collect();
    assert_eq!(expected.len(), 5);
    assert_eq!(flagged, expected, "(line, column) of diagnostics and of the lines marked `# flagged`");
}

#[test]
fn completion_offers_the_keys() {
    let Some(mut editor) = Editor::start("completion_offers_the_keys") else { return };
    let head = "# yaml-language-server: $schema=../../schema/deploy.schema.json\nversion: 1\n";

    let document = editor.open("tests/editors/unsaved-top.yaml", head);
    let offered = editor.complete(&document, (2, 0));
    for key in ["project", "registries", "defaults", "vars", "bases", "variants", "images", "profiles"] {
        assert!(offered.contains(key), "no `{key}` at the top: {offered:?}");
    }
    assert!(!offered.contains("version"), "`version` is there already: {offered:?}");

    let text = format!("{head}images:\n  api:\n    variant: light\n    \n");
    let document = editor.open("tests/editors/unsaved-image.yaml", &text);
    let offered = editor.complete(&document, (5, 4));
    for key in ["dockerfile", "target", "context", "args", "platforms", "matrix", "inputs", "push", "deploy", "secrets"]
    {
        assert!(offered.contains(key), "no `{key}` in an image: {offered:?}");
    }

    let text = format!("{head}registries:\n  local:\n    kind: \n");
    let document = editor.open("tests/editors/unsaved-kind.yaml", &text);
    let offered = editor.complete(&document, (4, 10));
    for kind in ["ecr", "ecr-public", "oci", "layout"] {
        assert!(offered.contains(kind), "no `{kind}` among the kinds: {offered:?}");
    }
}

#[test]
fn hovering_shows_the_description() {
    let Some(mut editor) = Editor::start("hovering_shows_the_description") else { return };
    let path = "tests/editors/good.yaml";
    let text = read(path);
    let document = editor.open(path, &text);
    for key in
        ["version:", "registries:", "bases:", "variants:", "images:", "profiles:", "dockerfile:", "push:", "deploy:"]
    {
        let shown = editor.hover(&document, place(&text, key));
        // A title alone, or the link to the schema alone, would be no help.
        assert!(shown.split_whitespace().count() > 4, "`{key}` shows {shown:?}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The line and column, from 0, of the first `word` that begins a line but for blanks.
fn place(text: &str, word: &str) -> (usize, usize) {
    text.lines()
        .enumerate()
        .find(|(_, line)| line.trim_start().starts_with(word))
        .map(|(index, line)| (index, line.len() - line.trim_start().len() + 1))
        .unwrap_or_else(|| panic!("no line begins with `{word}`"))
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a number")).expect("a small number")
}

/// The language server, and our end of its conversation.
struct Editor {
    server: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// The last diagnostics of each document are taken from here.
    seen: Vec<(String, Vec<Value>)>,
    last_id: u64,
}

impl Editor {
    /// The server after the handshake, or `None` if `test` is to be skipped.
    fn start(test: &str) -> Option<Self> {
        let Some(program) = language_server() else {
            assert!(
                std::env::var_os("ORCHESTRATE_TEST_EDITORS").is_none(),
                "no yaml-language-server; run scripts/install-test-tools editors"
            );
            real::skip(test, "no yaml-language-server");
            return None;
        };
        assert!(root().join("schema/deploy.schema.json").is_file(), "schema/deploy.schema.json is missing");
        let mut server = Command::new(&program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let input = server.stdin.take().expect("stdin is a pipe");
        let output = BufReader::new(server.stdout.take().expect("stdout is a pipe"));
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            let mut output = output;
            while let Some(message) = receive(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut editor = Self { server, input, messages, seen: Vec::new(), last_id: 0 };
        let folder = json!({ "uri": uri(root()), "name": "orchestrate" });
        editor.request(
            "initialize",
            &json!({
                "processId": std::process::id(),
                "rootUri": folder["uri"],
                "workspaceFolders": [folder],
                "capabilities": {
                    "workspace": { "configuration": true },
                    "textDocument": {
                        "hover": { "contentFormat": ["markdown"] },
                        "completion": { "completionItem": { "snippetSupport": true } },
                    },
                },
            }),
        );
        editor.notify("initialized", &json!({}));
        Some(editor)
    }

    /// Opens `text` as the file at `path`, which need not exist. Returns its URI.
    fn open(&mut self, path: &str, text: &str) -> String {
        let uri = uri(&root().join(path));
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.notify("textDocument/didOpen", &json!({ "textDocument": document }));
        uri
    }

    /// What the server flags in an opened document.
    fn diagnostics(&mut self, document: &str) -> Vec<Value> {
        let start = Instant::now();
        loop {
            if let Some(index) = self.seen.iter().rposition(|(uri, _)| uri == document) {
                return self.seen.swap_remove(index).1;
            }
            let message = self.next(start);
            self.handle(&message);
        }
    }

    /// The labels offered at a place.
    fn complete(&mut self, document: &str, place: (usize, usize)) -> BTreeSet<String> {
        let answer = self.request("textDocument/completion", &at(document, place));
        let items = answer["items"].as_array().or(answer.as_array()).cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["label"].as_str()).map(ToOwned::to_owned).collect()
    }

    /// The text shown at a place, without the line that names the schema; empty if there is none.
    fn hover(&mut self, document: &str, place: (usize, usize)) -> String {
        let answer = self.request("textDocument/hover", &at(document, place));
        let text = answer["contents"]["value"].as_str().unwrap_or_default();
        text.lines().filter(|line| !line.starts_with("Source:")).collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    fn request(&mut self, method: &str, parameters: &Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }));
        let start = Instant::now();
        loop {
            let message = self.next(start);
            if message["id"] == json!(id) && message.get("method").is_none() {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.handle(&message);
        }
    }

    fn notify(&mut self, method: &str, parameters: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": parameters }));
    }

    /// Answers the server's own requests and keeps its diagnostics.
    fn handle(&mut self, message: &Value) {
        let parameters = &message["params"];
        if message["method"] == "textDocument/publishDiagnostics" {
            let document = parameters["uri"].as_str().expect("diagnostics name a document").to_owned();
            let diagnostics = parameters["diagnostics"].as_array().cloned().unwrap_or_default();
            self.seen.retain(|(uri, _)| *uri != document);
            self.seen.push((document, diagnostics));
        } else if message["method"] == "workspace/configuration" {
            let sections = parameters["items"].as_array().cloned().unwrap_or_default();
            let settings: Vec<Value> =
                sections.iter().map(|item| if item["section"] == "yaml" { settings() } else { json!({}) }).collect();
            self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": settings }));
        } else if message.get("method").is_some() && message.get("id").is_some() {
            self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": null }));
        }
    }

    fn next(&mut self, start: Instant) -> Value {
        let left = PATIENCE.saturating_sub(start.elapsed());
        self.messages.recv_timeout(left).expect("the language server answers")
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("write to the language server");
        self.input.flush().expect("write to the language server");
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // It has no state to save. It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The server's settings: all checks on, and no schema from anywhere else.
fn settings() -> Value {
    json!({ "validate": true, "hover": true, "completion": true, "schemaStore": { "enable": false } })
}

fn at(document: &str, (line, character): (usize, usize)) -> Value {
    json!({ "textDocument": { "uri": document }, "position": { "line": line, "character": character } })
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// One message: headers, a blank line, as many bytes as they said.
fn receive(output: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut header = String::new();
        if output.read_line(&mut header).ok()? == 0 {
            return None;
        }
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("Content-Length:") {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let mut body = vec![0; length?];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// Where the server is: beside these tests, else in PATH.
fn language_server() -> Option<PathBuf> {
    let own = root().join("tests/editors/node_modules/.bin/yaml-language-server");
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&in_path).map(|folder| folder.join("yaml-language-server"));
    if own.is_file() { Some(own) } else { places.find(|place| place.is_file()) }
}
