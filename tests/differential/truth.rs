//! BuildKit's own answer: what a build of the whole context gives, and which of its steps ran.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use orchestrate::digest::Digest;
use orchestrate::dockerfile::BaseConfig;
use orchestrate::exec::buildkit::{Address, BuildError, BuildProgress, Buildkit, ContextSource, Request, SecretSource};
use orchestrate::fingerprint::FileSet;
use orchestrate::name::ImageName;
use orchestrate::oci::ImageConfig;
use orchestrate::platform::Platform;
use orchestrate::problem::Source;
use orchestrate::project::Output;
use orchestrate::registry::{Anonymous, ContentStore};
use orchestrate::workspace::Snapshot;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::case::{Base, Case};
use crate::context;
use crate::judge::Feature;
use crate::keys::Outside;

/// How often a build is tried that a busy engine gives up.
const TRIES: usize = 4;

/// What came of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An image.
    Built {
        /// Its digest.
        digest: Digest,
        /// The steps that ran; the others were cached.
        ran: Vec<String>,
    },
    /// BuildKit refused.
    Failed {
        /// Why.
        why: String,
        /// Whether what it stumbled over was made by the build itself: files of a stage, a command. No plan can know that.
        inside: bool,
    },
}

impl Outcome {
    fn without_dockerfile() -> Self {
        Self::Failed { why: "there is no Dockerfile".to_owned(), inside: false }
    }
}

/// A connection to BuildKit, and the images from outside.
pub struct Engine {
    runtime: Runtime,
    buildkit: Buildkit,
    store: ContentStore,
    bases: BTreeMap<Base, (Digest, BaseConfig)>,
    /// What the front end knows of what not all know.
    pub knows: BTreeSet<Feature>,
    _folder: tempfile::TempDir,
}

impl Engine {
    /// Connects, and builds the images from outside.
    pub fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let address = Address::DialStdio { builder: None };
        let buildkit = runtime.block_on(Buildkit::connect(address, Arc::new(Anonymous))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::new(folder.path().join("store"));
        let mut engine =
            Self { runtime, buildkit, store, bases: BTreeMap::new(), knows: BTreeSet::new(), _folder: folder };
        engine.make_bases();
        let features = [Feature::Exclude, Feature::Parents, Feature::AnyName];
        engine.knows = features.into_iter().filter(|feature| engine.has(*feature)).collect();
        engine
    }

    fn make_bases(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::copy("/bin/busybox", root.join("sh")).expect("the shapes run commands in /bin/busybox");
        fs::set_permissions(root.join("sh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(root.join("more"), "more").unwrap();
        let links =
            "RUN [\"/bin/sh\", \"-c\", \"for x in cat ls echo true; do /bin/busybox ln -s sh /bin/$x; done\"]\n";
        let shell = format!("FROM scratch\nCOPY sh /bin/sh\nCOPY sh /bin/busybox\n{links}");
        let texts = [
            (Base::Shell, shell.clone()),
            (Base::OtherShell, format!("{shell}COPY more /\n")),
            (
                Base::Triggers,
                "FROM scratch\nCOPY more /\nENV FOLDER=src\nWORKDIR /work\nONBUILD COPY lib/a.js /onbuild/\n\
                 ONBUILD ENV ADDED=1\n"
                    .to_owned(),
            ),
        ];
        let case = Case::new(root, String::new());
        for (base, text) in texts {
            let context = context::named(&case, ".");
            let request = request("base", Source::new("Dockerfile", text), context);
            let Outcome::Built { digest, .. } = self.build(request) else { panic!("{base:?} cannot be built") };
            let config = self.config(digest);
            let env = config.config.env.iter().filter_map(|pair| pair.split_once('='));
            let config = BaseConfig {
                env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                onbuild: config.config.on_build.clone(),
                workdir: config.config.working_dir.clone().unwrap_or_default(),
            };
            self.bases.insert(base, (digest, config));
        }
    }

    fn has(&self, feature: Feature) -> bool {
        let probe = feature.probe();
        let folder = tempfile::tempdir().unwrap();
        if feature == Feature::AnyName {
            fs::write(folder.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
        }
        let context = context::named(&Case::new(folder.path(), String::new()), ".");
        let built = self.build(request("probe", Source::new("Dockerfile", probe.dockerfile()), context));
        probe.answer(matches!(built, Outcome::Built { .. }))
    }

    fn config(&self, digest: Digest) -> ImageConfig {
        let read = |digest: &Digest| fs::read(self.store.path(digest)).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&read(&digest)).unwrap();
        let config = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
        serde_json::from_slice(&read(&config)).unwrap()
    }

    /// What the images from outside of a case are.
    pub fn outside(&self, case: &Case) -> Outside {
        let known = |(reference, base): (&String, &Base)| (reference.parse().unwrap(), self.bases[base].clone());
        case.spec.outside.iter().map(known).collect()
    }

    /// Builds the image of a case, from the whole context or (`narrowed`) from what the program would send of it.
    pub fn truth(&self, case: &Case, narrowed: Option<&BTreeMap<String, Snapshot>>) -> Outcome {
        let Ok(text) = fs::read_to_string(case.root.join(&case.spec.dockerfile)) else {
            return Outcome::without_dockerfile();
        };
        let nothing = || Snapshot::new(Arc::new(FileSet::new(Vec::new())), context::main(case).origin().clone().into());
        let snapshot = |name: &str, whole: &dyn Fn() -> Snapshot| match narrowed {
            Some(narrowed) => narrowed.get(name).cloned().unwrap_or_else(nothing),
            None => whole(),
        };
        let source = Source::new(case.spec.dockerfile.as_str(), text);
        let mut request = request("x", source, snapshot("", &|| context::main(case)));
        let mut steps = Vec::new();
        for (name, folder) in &case.spec.contexts {
            let folder = snapshot(name, &|| context::named(case, folder));
            request.contexts.insert(name.clone(), ContextSource::Folder(folder));
        }
        for (reference, base) in &case.spec.outside {
            let source = ContextSource::Store { store: self.store.clone(), digest: self.bases[base].0 };
            request.contexts.insert(reference.clone(), source);
        }
        for (name, folder) in &case.spec.bases {
            match self.base(case, folder) {
                Outcome::Built { digest, ran } => {
                    steps.extend(ran);
                    let source = ContextSource::Store { store: self.store.clone(), digest };
                    request.contexts.insert(name.clone(), source);
                }
                failed @ Outcome::Failed { .. } => return failed,
            }
        }
        // A volatile value is the same before and after: what it does is no change.
        let args = case.spec.args.iter().filter_map(|(name, arg)| {
            let value = arg.value.clone()?;
            Some((name.clone(), if arg.volatile { "volatile".to_owned() } else { value }))
        });
        request.args = args.collect();
        let labels = case.spec.labels.iter().map(|(name, (value, volatile))| {
            (name.clone(), if *volatile { "volatile".to_owned() } else { value.clone() })
        });
        request.labels = labels.collect();
        request.target.clone_from(&case.spec.target);
        request.platform = case.spec.platform.parse().unwrap();
        let secret = |(id, path): (&String, &String)| (id.clone(), SecretSource::File(case.root.join(path)));
        request.secrets = case.spec.secrets.iter().map(secret).collect();
        match self.build(request) {
            Outcome::Built { digest, ran } => {
                steps.extend(ran);
                Outcome::Built { digest, ran: steps }
            }
            failed @ Outcome::Failed { .. } => failed,
        }
    }

    /// Whether the docker command refuses the image of a case. It looks at the context more closely than BuildKit asks it to: a folder
    /// before a wildcard without a match is not sent, and then it is missing.
    pub fn is_refused_by_docker(&self, case: &Case) -> bool {
        if !case.spec.parts.is_empty() || !case.spec.bases.is_empty() {
            return false;
        }
        let mut command = std::process::Command::new("docker");
        command.args(["buildx", "build", "--quiet", "--no-cache", "--output=type=tar,dest=/dev/null", "--file"]);
        command.arg(case.root.join(&case.spec.dockerfile));
        for (name, arg) in &case.spec.args {
            command.args(arg.value.iter().map(|value| format!("--build-arg={name}={value}")));
        }
        for (name, folder) in &case.spec.contexts {
            command.arg(format!("--build-context={name}={}", case.root.join(folder).display()));
        }
        for (reference, base) in &case.spec.outside {
            let (digest, store) = (self.bases[base].0, self.store.root().display());
            command.arg(format!("--build-context={reference}=oci-layout://{store}@{digest}"));
        }
        command.args(case.spec.target.iter().map(|target| format!("--target={target}")));
        let output = command.arg(case.root.join(&case.spec.context)).output().unwrap();
        !output.status.success()
    }

    fn base(&self, case: &Case, folder: &str) -> Outcome {
        let path = format!("{folder}/Dockerfile");
        let Ok(text) = fs::read_to_string(case.root.join(&path)) else {
            return Outcome::without_dockerfile();
        };
        let mut request = request("base", Source::new(path, text), context::of_base(case, folder));
        request.platform = case.spec.platform.parse().unwrap();
        self.build(request)
    }

    fn build(&self, request: Request) -> Outcome {
        for _ in 1..TRIES {
            match self.try_to_build(request.clone()) {
                // An engine that is busy gives up, or loses what it is about to export; that says nothing about the build.
                Outcome::Failed { why, .. } if why.contains("context deadline exceeded") => {}
                Outcome::Failed { why, .. } if why.contains("content digest sha256:") && why.contains("not found") => {}
                outcome => return outcome,
            }
        }
        self.try_to_build(request)
    }

    fn try_to_build(&self, request: Request) -> Outcome {
        let (sender, mut events) = mpsc::unbounded_channel();
        let build = self.buildkit.build(request, &self.store, sender, CancellationToken::new());
        let built = match self.runtime.block_on(build) {
            Ok(built) => built,
            Err(BuildError::Failed { message, vertex, .. }) => {
                let inside = vertex.is_some_and(|step| step.contains("--from=") || step.contains("] RUN "));
                return Outcome::Failed { why: message, inside };
            }
            Err(error) => panic!("BuildKit gave no answer: {error}"),
        };
        let mut ran = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let BuildProgress::Finished { name, cached: false, .. } = event
                && is_step(&name)
            {
                ran.push(name);
            }
        }
        Outcome::Built { digest: built.digest, ran }
    }
}

/// Whether this is a step of the Dockerfile; the rest is work that each build does anew: `[internal] load build context`,
/// `[context other] load from client`, `[1/2] FROM ...`, `exporting to oci image format`.
pub fn is_step(name: &str) -> bool {
    let Some((place, what)) = name.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { return false };
    if place.starts_with("context ") {
        return false;
    }
    let numbered = place.rsplit(' ').next().is_some_and(|number| number.contains('/') && !number.starts_with("linux"));
    numbered && !what.starts_with("FROM ")
}

fn request(image: &str, dockerfile: Source, context: Snapshot) -> Request {
    Request {
        image: ImageName::new(image),
        platform: Platform::of_this_machine(),
        dockerfile,
        context,
        contexts: BTreeMap::new(),
        shared: BTreeMap::new(),
        args: BTreeMap::new(),
        target: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        secrets: BTreeMap::new(),
        masks: orchestrate::exec::buildkit::Masks::default(),
        ssh: BTreeMap::new(),
        entitlements: std::collections::BTreeSet::new(),
        cache_from: Vec::new(),
        cache_to: Vec::new(),
        no_cache: false,
        lent: orchestrate::registry::Lent::default(),
        output: Output::default(),
        source_date_epoch: Some(0),
        timeout: Duration::from_secs(120),
    }
}
