//! A checkout of its own, a registry of its own, and the program in it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use orchestrate::plan::{Action, Plan};

use crate::proxy::Proxy;
use crate::real;
use crate::registry::Registry;
use crate::run::{Run, Watched};

/// One test's place.
pub struct Place {
    folder: tempfile::TempDir,
    /// Its registry.
    pub registry: Registry,
    /// What stands between the program and the registry, if something does.
    pub proxy: Option<Proxy>,
    profile: Option<&'static str>,
}

impl Place {
    /// The repository's own five Lambdas, committed. `None` where the test is to be skipped.
    pub fn five_lambdas(test: &str) -> Option<Self> {
        Self::new(test, Some("local"), false, five_lambdas)
    }

    /// The same, with a [`Proxy`] before the registry.
    pub fn five_lambdas_behind_a_proxy(test: &str) -> Option<Self> {
        Self::new(test, Some("local"), true, five_lambdas)
    }

    /// The chain of bases, committed. `None` where the test is to be skipped.
    pub fn base_chain(test: &str) -> Option<Self> {
        Self::new(test, None, false, |root| copy(&repository().join("examples/base-chain"), root))
    }

    /// A checkout of these files; `REGISTRY` in deploy.yaml is the registry's address. `None` where the test is to be skipped.
    pub fn of(test: &str, files: &[(&str, &str)]) -> Option<Self> {
        Self::new(test, None, false, |root| these(files, root))
    }

    /// The same, with a [`Proxy`] before the registry.
    pub fn of_behind_a_proxy(test: &str, files: &[(&str, &str)]) -> Option<Self> {
        Self::new(test, None, true, |root| these(files, root))
    }

    fn new(test: &str, profile: Option<&'static str>, proxied: bool, fill: impl Fn(&Path)) -> Option<Self> {
        real::real(test)?;
        let folder = tempfile::Builder::new().prefix("orchestrate-real-").tempdir().unwrap();
        let registry = Registry::start(&folder.path().join("registry"));
        let proxy = proxied.then(|| Proxy::start(registry.address()));
        let place = Self { folder, registry, proxy, profile };
        fs::create_dir(place.root()).unwrap();
        fill(&place.root());
        let manifest = place.read("deploy.yaml");
        let manifest = manifest.replace("127.0.0.1:5000", place.address()).replace("REGISTRY", place.address());
        place.write("deploy.yaml", &manifest);
        place.git(&["init", "-q", "-b", "main"]);
        place.commit("the beginning");
        Some(place)
    }

    /// Where the program finds the registry.
    pub fn address(&self) -> &str {
        self.proxy.as_ref().map_or(self.registry.address(), Proxy::address)
    }

    /// The checkout.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    /// A place beside the checkout.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program as the user `nobody`, to be run in a folder. Only root can.
    pub fn nobody(&self, folder: &Path) -> Command {
        self.open_to_all();
        // Nobody may look into the folder of the build.
        let copy = self.beside("program");
        if !copy.exists() {
            fs::copy(env!("CARGO_BIN_EXE_orchestrate"), &copy).unwrap();
        }
        let mut command = Command::new(found("setpriv"));
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(copy);
        command.current_dir(folder).env_remove("CI").env_remove("DOCKER_CONFIG");
        command
    }

    /// Lets other users in.
    fn open_to_all(&self) {
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A file of the checkout.
    pub fn read(&self, path: &str) -> String {
        let path = self.root().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes a file of the checkout.
    pub fn write(&self, path: &str, text: &str) {
        put(&self.root().join(path), text);
    }

    /// Replaces a part of a file, which must have it.
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}:\n{text}");
        self.write(path, &text.replace(from, to));
    }

    /// Runs git in the checkout.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.root(), arguments)
    }

    /// Commits everything; gives the first seven digits.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "--short=7", "HEAD"]).trim().to_owned()
    }

    /// The program, to be run in the checkout.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(&self.root());
        command.args(arguments);
        if let Some(profile) = self.profile {
            command.args(["--profile", profile]);
        }
        command
    }

    /// Runs the program in the checkout to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments))
    }

    /// Starts the program in the checkout, to be watched.
    pub fn watch(&self, arguments: &[&str]) -> Watched {
        Watched::start(self.command(arguments))
    }

    /// `apply --json`, which must succeed.
    pub fn apply(&self) -> Run {
        self.run(&["apply", "--json"]).exits(0)
    }

    /// The plan, made now.
    pub fn plan(&self) -> Plan {
        self.run(&["plan", "--json"]).exits(0).plan()
    }

    /// What a container of `repository:tag` prints.
    pub fn container(&self, reference: &str) -> String {
        let reference = format!("{}/{reference}", self.address());
        let said = docker(&["run", "--rm", "--quiet", "--pull=always", &reference]);
        docker(&["image", "rm", &reference]);
        said
    }
}

/// The names of the images of a plan with an action.
pub fn with(plan: &Plan, action: Action) -> Vec<&str> {
    plan.images.iter().filter(|step| step.action == action).map(|step| step.name.as_str()).collect()
}

/// The program, to be run in a folder.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrate"));
    // What continuous integration sets changes defaults.
    command.current_dir(folder).env_remove("CI");
    command
}

/// Runs git, with no settings of the user's.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    Run::of(command).exits(0).stdout
}

/// Runs docker.
pub fn docker(arguments: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.args(arguments);
    Run::of(command).exits(0).stdout
}

/// A PATH without docker: a folder with links to what else the program runs.
pub fn path_without_docker(folder: &Path) -> OsString {
    fs::create_dir_all(folder).unwrap();
    std::os::unix::fs::symlink(found("git"), folder.join("git")).unwrap();
    folder.into()
}

/// The first file of this name on PATH.
fn found(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let place = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    place.unwrap_or_else(|| panic!("no {name} on PATH"))
}

/// Whether root runs the tests.
pub fn is_root() -> bool {
    let mut command = Command::new("id");
    command.arg("-u");
    Run::of(command).exits(0).stdout.trim() == "0"
}

/// As Docker calls this machine's.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// The repository that is tested.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn these(files: &[(&str, &str)], root: &Path) {
    for (path, text) in files {
        put(&root.join(path), text);
    }
    let say = format!("examples/five-lambdas/runtime/say-{}", architecture());
    fs::copy(repository().join(say), root.join("say")).unwrap();
}

fn five_lambdas(root: &Path) {
    fs::copy(repository().join("deploy.yaml"), root.join("deploy.yaml")).unwrap();
    copy(&repository().join("examples/five-lambdas"), &root.join("examples/five-lambdas"));
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Copies a folder with all below it but state folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_name() == ".orchestrate" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
