//! A project on disk, and what its manifest says of the one image that is looked at.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The images from outside that Dockerfiles build on; the engine makes them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// A shell.
    Shell,
    /// The same with one more file.
    OtherShell,
    /// An environment, a working directory and ONBUILD triggers.
    Triggers,
}

/// A build arg.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Its value; `None` if it is not passed.
    pub value: Option<String>,
    /// The values that make sense for it.
    pub choices: Vec<String>,
    /// Passed and kept out of the key.
    pub volatile: bool,
}

/// What the manifest says of the image.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The Dockerfile, relative to the project.
    pub dockerfile: String,
    /// The context, relative to the project.
    pub context: String,
    /// The parts of an assembled context: from, to.
    pub parts: Vec<(String, String)>,
    /// Named contexts that are folders.
    pub contexts: BTreeMap<String, String>,
    /// References of images from outside.
    pub outside: BTreeMap<String, Base>,
    /// Images of the manifest that this one builds on: the folders that they are built from.
    pub bases: BTreeMap<String, String>,
    /// Build args.
    pub args: BTreeMap<String, Arg>,
    /// Labels, and whether each is volatile.
    pub labels: BTreeMap<String, (String, bool)>,
    /// The stage to build.
    pub target: Option<String>,
    /// The platform.
    pub platform: String,
    /// Secrets: files by id.
    pub secrets: BTreeMap<String, String>,
    /// Whether modes count as they are on disk.
    pub exact: bool,
}

impl Spec {
    /// The manifest's text. JSON is YAML.
    pub fn manifest(&self) -> String {
        let full = |value: &str, volatile: bool| json!({ "value": value, "volatile": volatile });
        let args = self.args.iter().filter_map(|(name, arg)| Some((name, full(arg.value.as_ref()?, arg.volatile))));
        let labels = self.labels.iter().map(|(name, (value, volatile))| (name, full(value, *volatile)));
        let part = |(from, to): &(String, String)| json!({ "from": from, "to": to });
        let context = match self.parts.as_slice() {
            [] => json!(self.context),
            parts => json!({ "paths": parts.iter().map(part).collect::<Vec<_>>() }),
        };
        let mut image = json!({
            "dockerfile": self.dockerfile,
            "context": context,
            "contexts": self.contexts,
            "args": args.collect::<BTreeMap<_, _>>(),
            "labels": labels.collect::<BTreeMap<_, _>>(),
            "platforms": [self.platform],
            "secrets": self.secrets,
        });
        if let Some(target) = &self.target {
            image["target"] = json!(target);
        }
        if self.exact {
            image["modes"] = json!("exact");
        }
        let base = |(name, folder): (&String, &String)| {
            (name.clone(), json!({ "context": folder, "platforms": [self.platform] }))
        };
        let bases: BTreeMap<String, Value> = self.bases.iter().map(base).collect();
        let manifest = json!({ "version": 1, "project": "p", "bases": bases, "images": { "x": image } });
        serde_json::to_string_pretty(&manifest).unwrap()
    }
}

/// A project on disk.
pub struct Case {
    /// Its folder.
    pub root: PathBuf,
    /// Its image.
    pub spec: Spec,
    /// Text that no other case has. It is in each file and in each document of a Dockerfile, so that BuildKit has built nothing of it.
    pub salt: String,
}

impl Case {
    /// An empty project, context `app`.
    pub fn new(root: &Path, salt: String) -> Self {
        let spec = Spec {
            dockerfile: "app/Dockerfile".to_owned(),
            context: "app".to_owned(),
            platform: orchestrate::platform::Platform::of_this_machine().to_string(),
            ..Spec::default()
        };
        fs::create_dir_all(root.join("app")).unwrap();
        Self { root: root.to_owned(), spec, salt }
    }

    /// A file whose content has the salt in it.
    pub fn write(&self, path: &str, content: &str) {
        self.text(path, &format!("{content}\n{}\n", self.salt));
    }

    /// A file as it is, but for the word `SALT`.
    pub fn text(&self, path: &str, content: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.replace("SALT", &self.salt)).unwrap();
    }

    /// A file with the x bit.
    pub fn script(&self, path: &str, content: &str) {
        self.write(path, content);
        self.mode(path, 0o755);
    }

    /// Sets permission bits.
    pub fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A link.
    pub fn link(&self, target: &str, path: &str) {
        symlink(target, self.root.join(path)).unwrap();
    }

    /// An empty folder.
    pub fn folder(&self, path: &str) {
        fs::create_dir_all(self.root.join(path)).unwrap();
    }

    /// An archive of two files.
    pub fn archive(&self, path: &str) {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in [("packed/a", "a"), ("packed/b", "b")] {
            let content = format!("{content} {}", self.salt);
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let mut file = fs::File::create(self.root.join(path)).unwrap();
        file.write_all(&builder.into_inner().unwrap()).unwrap();
    }

    /// The Dockerfile's text.
    pub fn dockerfile(&self, text: &str) {
        self.text(&self.spec.dockerfile, text);
    }

    /// Declares an arg, the first choice being its value.
    pub fn arg(&mut self, name: &str, choices: &[&str]) {
        let choices: Vec<String> = choices.iter().map(|choice| (*choice).to_owned()).collect();
        let arg = Arg { value: choices.first().cloned(), choices, volatile: false };
        self.spec.args.insert(name.to_owned(), arg);
    }

    /// Writes the manifest.
    pub fn save(&self) {
        fs::write(self.root.join("deploy.yaml"), self.spec.manifest()).unwrap();
    }

    /// The folders that are contexts of the build, relative to the project.
    pub fn contexts(&self) -> Vec<String> {
        let mut folders: Vec<String> = match self.spec.parts.as_slice() {
            [] => vec![self.spec.context.clone()],
            parts => parts.iter().map(|(from, _)| from.clone()).collect(),
        };
        folders.extend(self.spec.contexts.values().cloned());
        folders.extend(self.spec.bases.values().cloned());
        folders
    }

    /// The places below the contexts for which `keep` holds, sorted.
    pub fn places(&self, keep: impl Fn(&Path, &fs::Metadata) -> bool) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open: Vec<PathBuf> = self.contexts().iter().map(|folder| self.root.join(folder)).collect();
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                if path.file_name().is_some_and(|name| name == ".git" || name == ".orchestrate") {
                    continue;
                }
                if metadata.is_dir() {
                    open.push(path.clone());
                }
                if keep(&path, &metadata) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// The files that hold nothing but data.
    pub fn files(&self) -> Vec<PathBuf> {
        self.places(|path, metadata| metadata.is_file() && !self.is_script_of_the_build(path))
    }

    /// The folders below the contexts.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.places(|_, metadata| metadata.is_dir())
    }

    /// The links.
    pub fn links(&self) -> Vec<PathBuf> {
        self.places(|_, metadata| metadata.is_symlink())
    }

    /// Dockerfiles, ignore files and manifests: their text means something.
    pub fn is_script_of_the_build(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.contains("Dockerfile") || name == ".dockerignore" || name == "deploy.yaml"
    }

    /// A place for people: relative to the project.
    pub fn show(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}
