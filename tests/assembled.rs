//! Images that are assembled from bases in a registry: what is read, mounted and sent.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

#[path = "support/real.rs"]
mod real;

use real::Real;

/// A folder with a manifest.
struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            project.write(path, text.as_bytes());
        }
        project
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrate"));
        command.args(arguments).current_dir(self.0.path()).env_remove("CI");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it where no Docker can be reached.
    fn without_docker(&self, arguments: &[&str]) -> String {
        let mut command = self.command(arguments);
        text(&command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap())
    }

    fn apply(&self) -> String {
        text(&self.run(&["apply"]))
    }
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// Publishes a base with a large layer, as somebody else would, and gives its reference.
fn outside_base(real: &Real, repository: &str) -> String {
    let dockerfile = "FROM scratch\nCOPY big /opt/big\nCOPY etc /etc\nENV FROM_BASE=yes\n";
    let manifest = format!(
        "version: 1\nproject: outside\nregistries: {{ r: {{ kind: oci, url: \"http://{}\" }} }}\n\
         images: {{ base: {{ push: [{{ registry: r, repository: {repository}, tags: [\"1\"] }}] }} }}\n",
        real.registry
    );
    let project = Project::new(&[
        ("Dockerfile", dockerfile),
        ("deploy.yaml", &manifest),
        ("etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:7:8::/:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
    ]);
    project.write("big", &noise(3 << 20));
    project.without_docker(&["apply"]);
    format!("{}/{repository}:1", real.registry)
}

fn manifest(real: &Real, images: &str) -> String {
    format!(
        "version: 1\nproject: p\nregistries:\n  r: {{ kind: oci, url: \"http://{}\" }}\n  \
         disk: {{ kind: layout, path: .orchestrate/images }}\n{images}",
        real.registry
    )
}

fn skopeo(arguments: &[&str]) -> serde_json::Value {
    let output = Command::new("skopeo").args(arguments).output().unwrap();
    serde_json::from_str(&text(&output)).unwrap()
}

#[test]
fn a_base_is_mounted_and_not_read_where_nothing_needs_it() {
    let Some(real) = real::real("a_base_is_mounted_and_not_read_where_nothing_needs_it") else { return };
    let (base, own) = (real.repository("outside"), real.repository("assembled"));
    let reference = outside_base(&real, &base);
    let images = format!(
        "images:\n  api:\n    push: [{{ registry: r, repository: {own}, tags: [latest] }}, {{ registry: disk, repository: api, tags: [latest] }}]\n"
    );
    let dockerfile = format!("FROM {reference}\nCOPY --link --chown=7:8 main /app/main\nENV MORE=$FROM_BASE\n");
    let project =
        Project::new(&[("deploy.yaml", &manifest(&real, &images)), ("Dockerfile", &dockerfile), ("main", "main\n")]);
    let mark = real.mark();
    project.without_docker(&["apply"]);
    let asked = real.requests_since(mark, &format!("/v2/{base}/"));
    let large = asked.iter().filter(|request| request.method == "GET" && request.path.contains("/blobs/"));
    // The configuration is read for the plan and for the build; the layers are, once, for the layout on disk.
    assert!(large.count() <= 4, "{asked:?}");
    let own_requests = real.requests_since(mark, &format!("/v2/{own}/"));
    let mounts = own_requests.iter().filter(|request| request.path.contains("mount=") && request.status == 201).count();
    assert_eq!(mounts, 2, "{own_requests:?}");
    let target = format!("docker://{}/{own}:latest", real.registry);
    let inspected = skopeo(&["inspect", "--tls-verify=false", &target]);
    assert_eq!(inspected["Layers"].as_array().unwrap().len(), 3);
    assert!(inspected["Env"].as_array().unwrap().contains(&"MORE=yes".into()));
    let disk = format!("oci:{}/.orchestrate/images/api:latest", project.0.path().display());
    assert_eq!(skopeo(&["inspect", &disk])["Layers"], inspected["Layers"]);
    // Somebody else's image was published by the run as the plan said: a second one has nothing to do.
    assert!(project.apply().contains("done: 1 kept"));
}

#[test]
fn names_are_looked_up_in_the_base() {
    let Some(real) = real::real("names_are_looked_up_in_the_base") else { return };
    let (base, own) = (real.repository("outside"), real.repository("assembled"));
    let reference = outside_base(&real, &base);
    let images = format!("images:\n  api:\n    push: [{{ registry: r, repository: {own}, tags: [latest] }}]\n");
    let dockerfile = format!("FROM {reference}\nCOPY --chown=app main /app/main\n");
    let project =
        Project::new(&[("deploy.yaml", &manifest(&real, &images)), ("Dockerfile", &dockerfile), ("main", "main\n")]);
    project.without_docker(&["apply"]);
    let target = format!("docker://{}/{own}:latest", real.registry);
    let folder = tempfile::tempdir().unwrap();
    let copy = format!("oci:{}:x", folder.path().display());
    text(&Command::new("skopeo").args(["copy", "--src-tls-verify=false", &target, &copy]).output().unwrap());
    let last = skopeo(&["inspect", &copy])["Layers"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    let layer = fs::read(folder.path().join("blobs/sha256").join(last.trim_start_matches("sha256:"))).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&layer[..]));
    let owners: Vec<(String, u64, u64)> = archive
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .map(|entry| {
            (entry.path().unwrap().display().to_string(), entry.header().uid().unwrap(), entry.header().gid().unwrap())
        })
        .collect();
    assert_eq!(owners, [("app/".to_owned(), 7, 8), ("app/main".to_owned(), 7, 8)]);
}

/// A base that is published nowhere, on one from outside: its layers are lent to what is assembled on it, and brought to BuildKit.
#[test]
fn an_unpublished_base_lends_what_it_was_lent() {
    let Some(real) = real::real("an_unpublished_base_lends_what_it_was_lent") else { return };
    let (base, own) = (real.repository("outside"), real.repository("assembled"));
    let reference = outside_base(&real, &base);
    let images = format!(
        "bases:\n  middle: {{ dockerfile: Dockerfile.middle }}\nimages:\n  assembled:\n    dockerfile: Dockerfile.top\n    \
         args: {{ BASE: \"{{{{ref 'middle'}}}}\" }}\n    push: [{{ registry: r, repository: {own}, tags: [assembled] }}]\n  \
         built:\n    executor: buildkit\n    dockerfile: Dockerfile.top\n    args: {{ BASE: \"{{{{ref 'middle'}}}}\" }}\n    \
         push: [{{ registry: r, repository: {own}, tags: [built] }}]\n"
    );
    let project = Project::new(&[
        ("deploy.yaml", &manifest(&real, &images)),
        ("Dockerfile.middle", &format!("FROM {reference}\nENV MIDDLE=1\n")),
        ("Dockerfile.top", "ARG BASE\nFROM ${BASE}\nCOPY main /app/\n"),
        ("main", "main\n"),
    ]);
    project.apply();
    let layers = |tag: &str| {
        let target = format!("docker://{}/{own}:{tag}", real.registry);
        let inspected = skopeo(&["inspect", "--tls-verify=false", &target]);
        inspected["Layers"].as_array().unwrap().clone()
    };
    // BuildKit writes the layers anew, with other bytes.
    assert_eq!((layers("assembled").len(), layers("built").len()), (3, 3));
    let outside = skopeo(&["inspect", "--tls-verify=false", &format!("docker://{reference}")]);
    assert_eq!(layers("assembled")[..2], outside["Layers"].as_array().unwrap()[..]);
}

/// The peak of a process's memory, in bytes; it is asked until the process is gone.
fn peak_of(mut command: Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        if let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find(|line| line.starts_with("VmHWM:"))
        {
            let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            peak = peak.max(kilobytes * 1024);
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Memory depends on blocks and cores, not on the size of a file.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_a_file() {
    let manifest = "version: 1\nproject: p\nregistries: { disk: { kind: layout, path: .orchestrate/images } }\n\
                    images: { big: { push: [{ registry: disk, repository: big, tags: [latest] }] } }\n";
    let peaks = [3_u64 << 20, 300 << 20].map(|size| {
        let project = Project::new(&[("deploy.yaml", manifest), ("Dockerfile", "FROM scratch\nCOPY big /big\n")]);
        let file = fs::File::create(project.0.path().join("big")).unwrap();
        file.set_len(size).unwrap();
        let peak = peak_of(project.command(&["apply"]));
        assert!(Path::new(&project.0.path().join(".orchestrate/images/big/index.json")).exists());
        peak
    });
    let [small, large] = peaks;
    assert!(large < small + (64 << 20), "{small} bytes for 3 MiB, {large} for 300 MiB");
    assert!(large < 200 << 20, "{large}");
}
