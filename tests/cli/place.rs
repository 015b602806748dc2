//! A folder of its own for each test, the program run in it, and what it said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long any command may take before its test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The root of this repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A temporary folder, with nothing of this machine's environment.
pub struct Place {
    folder: tempfile::TempDir,
    /// Where commands run.
    root: PathBuf,
    /// What commands have in their environment besides.
    variables: Vec<(&'static str, &'static str)>,
}

impl Place {
    /// An empty folder.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("work");
        fs::create_dir(&root).unwrap();
        Self { folder, root, variables: Vec::new() }
    }

    /// A folder with one manifest and a Dockerfile that copies it.
    pub fn with_manifest(manifest: &str) -> Self {
        Self::new().file("deploy.yaml", manifest).file("Dockerfile", "FROM scratch\nCOPY deploy.yaml /\n")
    }

    /// A copy of a folder of this repository, as git would check it out.
    pub fn copy_of(path: &str) -> Self {
        let place = Self::new();
        copy(&repository().join(path), &place.root);
        place
    }

    /// Sets an environment variable for all commands.
    pub fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// Writes a file.
    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Where a file is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The whole folder as the first commit of a repository: the same files give the same commit.
    pub fn committed(self) -> Self {
        self.git(&["init", "-q", "-b", "main"]);
        self.commit();
        self
    }

    /// A commit of everything.
    pub fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "commit"]);
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&self.root);
        self.environment(&mut command);
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("NO_COLOR", "1")
            .env("TERM", "dumb")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_OPTIONAL_LOCKS", "0");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Somebody")
                .env(format!("GIT_{who}_EMAIL"), "somebody@example.com")
                .env(format!("GIT_{who}_DATE"), "2026-01-31T12:00:00Z");
        }
    }

    /// The program, to be run here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrate"));
        command.args(arguments).current_dir(&self.root);
        self.environment(&mut command);
        command.envs(self.variables.iter().copied());
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_command(self.command(arguments), arguments.join(" "))
    }

    /// Runs the program in a folder of this one.
    pub fn run_in(&self, folder: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.current_dir(self.root.join(folder));
        self.run_command(command, arguments.join(" "))
    }

    /// Runs a command that was made ready.
    pub fn run_command(&self, command: Command, shown: String) -> Ran {
        let output = output_within(command, PATIENCE).unwrap_or_else(|| panic!("`{shown}` takes too long"));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            command: shown,
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            folder: self.folder.path().canonicalize().unwrap(),
        }
    }
}

/// What a command says, or `None` where it had to be ended because it takes longer than `patience`.
pub fn output_within(mut command: Command, patience: Duration) -> Option<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        })
    };
    let stdout = read(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = read(child.stderr.take().map(|stream| Box::new(stream) as _));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > patience {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Some(Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() })
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(from).unwrap(), to).unwrap();
        } else if kind.is_dir() {
            // The state that a run leaves behind is not part of the repository.
            if entry.file_name() != ".orchestrate" {
                copy(&from, &to);
            }
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// What a run of the program gave.
pub struct Ran {
    command: String,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// What people read.
    pub stderr: String,
    folder: PathBuf,
}

impl Ran {
    /// Fails unless the exit code is this one.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "`{}`:\n{}{}", self.command, self.stdout, self.stderr);
        self
    }

    /// Stdout as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("`{}`: {error}:\n{}{}", self.command, self.stdout, self.stderr))
    }

    /// `code file:line:column` of every problem of a run with `--json`, in the order given. A plan has its warnings on stderr.
    pub fn problems(&self) -> Vec<String> {
        let json = self.json();
        let Some(list) = json["problems"].as_array() else {
            let drawn = regex::Regex::new(r"(?m)^([a-z]+(?:-[a-z]+)*)\n\n[^╭]*╭─\[([^\]]+)\]").unwrap();
            return drawn.captures_iter(&self.stderr).map(|found| format!("{} {}", &found[1], &found[2])).collect();
        };
        let one = |problem: &Value| {
            let (code, place) = (problem["code"].as_str().unwrap(), &problem["places"][0]);
            format!("{code} {}:{}:{}", place["file"].as_str().unwrap(), place["line"], place["column"])
        };
        list.iter().map(one).collect()
    }

    /// Everything, for a snapshot.
    pub fn transcript(&self) -> String {
        let mut text = format!("$ orchestrate {}\nexit: {}\n", self.command, self.code.unwrap_or(-1));
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                text.push_str(&format!("----- {name} -----\n{stream}"));
            }
        }
        text.replace(&self.folder.display().to_string(), "[FOLDER]")
    }
}

/// Compares runs with the snapshot of the test, what differs between machines and days replaced.
macro_rules! snapshot {
    ($($ran:expr),+ $(,)?) => {{
        let transcript = [$($ran.transcript()),+].join("\n");
        insta::with_settings!({ filters => $crate::place::filters(), omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(transcript);
        });
    }};
}
pub(crate) use snapshot;

/// What differs between machines, days and versions.
pub fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"sha256:[0-9a-f]{64}", "sha256:[DIGEST]"),
        (r"sha256:[0-9a-f]{12}\b", "sha256:[SHORT]"),
        (r"key-[0-9a-f]{32}", "key-[KEY]"),
        (r"\b[0-9a-f]{64}\b", "[HASH]"),
        (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
        // Which of several requests fails first is up to the network.
        (r"manifests/\S+ of", "manifests/[TAG] of"),
        (r"orchestrate \d+\.\d+\.\d+", "orchestrate [VERSION]"),
        (r"\b\d+(\.\d+)? ?m?s\b", "[TIME]"),
        (r"\b\d+ attempts\b", "[N] attempts"),
    ]
}
