//! The quickstart on a machine that has nothing: no Docker, no git, no registry, no network.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "support/real.rs"]
mod real;

const HANDLERS: [&str; 6] = ["api", "charge", "notify", "report", "resize", "sweep"];

/// A copy of the example, and the program without anything around it.
struct Quickstart {
    folder: tempfile::TempDir,
}

impl Quickstart {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
        copy(&from, &folder.path().join("quickstart"));
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("quickstart")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrate"));
        command.args(["-C", "quickstart"]).args(arguments).current_dir(self.folder.path()).env_clear();
        let nothing = self.folder.path().join("nothing");
        command.env("PATH", &nothing).env("HOME", &nothing).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        command.output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    }

    /// What the tag `latest` of an image points at.
    fn latest(&self, name: &str) -> String {
        let index = std::fs::read(self.layout(name).join("index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let named = |entry: &&serde_json::Value| entry["annotations"]["org.opencontainers.image.ref.name"] == "latest";
        index["manifests"].as_array().unwrap().iter().find(named).unwrap()["digest"].as_str().unwrap().to_owned()
    }

    fn layout(&self, name: &str) -> PathBuf {
        self.root().join(".orchestrate/images").join(name)
    }
}

/// The example as it is in the repository, without what runs of it left.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == ".orchestrate" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Lines of `plan --json`: each image's action and executor.
fn actions(quickstart: &Quickstart) -> BTreeMap<String, (String, String)> {
    let plan = quickstart.run(&["plan", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let images = plan["images"].as_array().unwrap().iter();
    images.map(|step| (text(&step["name"]), (text(&step["action"]), text(&step["executor"])))).collect()
}

#[test]
fn it_needs_nothing_and_its_second_run_does_nothing() {
    let quickstart = Quickstart::new();
    let planned = actions(&quickstart);
    assert_eq!(planned.len(), 7);
    assert!(planned.values().all(|(action, executor)| action == "build" && executor == "assemble"), "{planned:?}");
    quickstart.done(&["apply"]);
    for name in HANDLERS {
        assert!(quickstart.layout(name).join("oci-layout").is_file(), "{name}");
    }
    let again = quickstart.done(&["apply"]);
    assert!(again.contains("done: 7 kept"), "{again}");
    quickstart.done(&["plan", "--exit-code"]);

    let main = quickstart.root().join("handlers/resize/main.say");
    std::fs::write(&main, "#!/bin/say\nresize: changed.\n").unwrap();
    let planned = actions(&quickstart);
    let building: Vec<&String> =
        planned.iter().filter(|(_, (action, _))| action == "build").map(|(name, _)| name).collect();
    assert_eq!(building, ["resize"]);
    let text = quickstart.done(&["plan"]);
    assert!(text.contains("handlers/resize/main.say"), "{text}");
    assert!(quickstart.done(&["apply"]).contains("1 built"));
}

/// A copy at another place gives the same digests.
#[test]
fn it_gives_the_same_digests_everywhere() {
    let digests = [Quickstart::new(), Quickstart::new()].map(|quickstart| {
        quickstart.done(&["apply"]);
        HANDLERS.map(|name| quickstart.latest(name))
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_run_instruction_is_named_as_the_reason_for_buildkit() {
    let quickstart = Quickstart::new();
    let path = quickstart.root().join("handlers/Dockerfile");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("ENV HANDLER", "RUN [\"/bin/say\", \"main.say\"]\nENV HANDLER")).unwrap();
    assert_eq!(actions(&quickstart)["api"], ("build".to_owned(), "buildkit".to_owned()));
    assert_eq!(actions(&quickstart)["runtime"], ("build".to_owned(), "assemble".to_owned()));
    let text = quickstart.done(&["plan"]);
    assert!(text.contains("buildkit because of RUN (handlers/Dockerfile:6:1)"), "{text}");
    let refused = quickstart.run(&["apply"]);
    assert_eq!(refused.status.code(), Some(3), "there is no BuildKit here");
}

/// Other tools take the layouts, and Docker runs what is in them.
#[test]
fn other_tools_take_the_layouts() {
    let Some(real) = real::real("other_tools_take_the_layouts") else { return };
    let quickstart = Quickstart::new();
    quickstart.done(&["apply"]);
    let source = format!("oci:{}:latest", quickstart.layout("resize").display());
    let tool = |program: &str, arguments: &[&str]| {
        let output =
            Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    let inspected: serde_json::Value = serde_json::from_str(&tool("skopeo", &["inspect", &source])).unwrap();
    assert_eq!(inspected["Os"], "linux");
    assert_eq!(inspected["Layers"].as_array().unwrap().len(), 4);

    let repository = real.repository("quickstart");
    let target = format!("{}/{repository}:latest", real.registry);
    tool("skopeo", &["copy", "--all", "--dest-tls-verify=false", &source, &format!("docker://{target}")]);
    let said = |platform: &str| tool("docker", &["run", "--rm", "--network", "none", "--platform", platform, &target]);
    let expected = "resize: makes pictures small.\nAcme, since 1949.\n";
    let native = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    assert_eq!(said(native), expected);
    if Path::new("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists() {
        assert_eq!(said("linux/arm64"), expected);
    } else {
        eprintln!("arm64 is not run: this machine has no binfmt handler for it");
    }
    tool("docker", &["image", "rm", "--force", &target]);

    // umoci takes one platform's image, so it is given that.
    let single = quickstart.folder.path().join("single");
    tool("skopeo", &["copy", &source, &format!("oci:{}:latest", single.display())]);
    if which("umoci") {
        let unpacked = quickstart.folder.path().join("unpacked");
        let image = format!("{}:latest", single.display());
        tool("umoci", &["unpack", "--rootless", "--image", &image, &unpacked.display().to_string()]);
        let footer = std::fs::read_to_string(unpacked.join("rootfs/var/task/footer.txt")).unwrap();
        assert_eq!(footer, "Acme, since 1949.\n");
    } else {
        eprintln!("umoci is not asked: it is not installed");
    }
}

/// The developer's loop: what is here runs, and nothing is published.
#[test]
fn an_image_is_run_as_it_is_here() {
    let Some(_) = real::real("an_image_is_run_as_it_is_here") else { return };
    let quickstart = Quickstart::new();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrate"));
        command.arg("-C").arg(quickstart.root()).args(arguments);
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    let name = format!("orchestrate-quickstart-{}:x", std::process::id());
    let (said, about, status) = run(&["run", "sweep", "--tag", &name]);
    assert_eq!((said.as_str(), status), ("sweep: removes what is old.\nAcme, since 1949.\n", Some(0)), "{about}");
    assert!(!quickstart.layout("sweep").exists(), "nothing is published");
    std::fs::write(quickstart.root().join("handlers/sweep/main.say"), "#!/bin/say\nchanged\n").unwrap();
    let (said, about, _) = run(&["run", "sweep", "--tag", &name]);
    assert_eq!(said, "changed\n", "{about}");
    let (said, about, _) = run(&["load", "sweep", "--tag", &name]);
    assert_eq!(said, format!("{name}\n"));
    assert!(about.contains("done: 2 kept"), "{about}");
    let removed = Command::new("docker").args(["image", "rm", "--force", &name]).output().unwrap();
    assert!(removed.status.success());
    let none = quickstart.run(&["run", "sweep"]);
    assert_eq!(none.status.code(), Some(3));
}

fn which(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
