//! A manifest to try commands on, and something that plays the builder.

use std::path::Path;
use std::process::Command as Program;

use clap::Parser as _;

use super::apply::apply;
use super::plan::{Planned, make_plan, make_sound_plan, plan};
use super::prune::prune;
use super::sizes::sizes;
use super::tag::tag;
use super::update::update;
use crate::cli::args::{ApplyArguments, Arguments, Command};
use crate::cli::cloud::Cloud;
use crate::cli::exit::{Exit, Failure};
use crate::cli::settings::Settings;
use crate::digest::Digest;
use crate::event::Receipt;
use crate::fingerprint::Document;
use crate::name::ImageName;
use crate::oci::{Descriptor, ImageConfig, Manifest, media_type};
use crate::registry::testing::TestRegistry;
use crate::registry::{BlobSource, By};

/// When the images of tests were published: in 2020.
pub(super) const LONG_AGO: i64 = 1_600_000_000;

/// A manifest in a git repository of its own.
pub(super) struct Shop {
    folder: tempfile::TempDir,
    cloud: Option<Cloud>,
}

impl Shop {
    pub(super) fn new(manifest: &str) -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap(), cloud: None };
        shop.write("deploy.yaml", manifest);
        shop.write("Dockerfile", "FROM scratch\nCOPY a.txt /\n");
        shop.write("a.txt", "one");
        shop.write(".gitignore", ".orchestrate\n");
        shop.git(&["init", "-q", "-b", "main"]);
        shop
    }

    /// The same with another AWS than that of this machine.
    #[cfg(feature = "aws")]
    pub(super) fn at(mut self, aws: crate::aws::Aws) -> Self {
        self.cloud = Some(Cloud { aws });
        self
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        std::fs::write(self.root().join(path), text).unwrap();
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let fixed = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"];
        let output = Program::new("git").args(fixed).args(arguments).current_dir(self.root()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A clone of a branch, cut off at a depth, under another name of the branch.
    pub(super) fn clone_of(&self, branch: &str, depth: u32, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", self.root().display());
        let depth = depth.to_string();
        let clone = ["clone", "-q", "--depth", &depth, "-b", branch, &url, "."];
        let output = Program::new("git").args(clone).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let shop = Self { folder, cloud: self.cloud.clone() };
        if branch != name {
            shop.git(&["branch", "-q", "-m", name]);
        }
        shop
    }

    /// A commit with this content.
    pub(super) fn commit(&self, content: &str) -> String {
        self.write("a.txt", content);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", content]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The same, made at a time in seconds since 1970.
    pub(super) fn commit_at(&self, content: &str, time: i64) -> String {
        let commit = self.commit(content);
        let date = format!("{time} +0000");
        let output = Program::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@t",
                "commit",
                "-q",
                "--amend",
                "--no-edit",
                "--allow-empty",
            ])
            .args(["--date", &date])
            .env("GIT_COMMITTER_DATE", &date)
            .current_dir(self.root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{commit}");
        self.git(&["rev-parse", "HEAD"])
    }

    pub(super) fn settings(&self, words: &[&str]) -> (Settings, Arguments) {
        let root = self.root().to_str().unwrap();
        let words: Vec<&str> = ["orchestrate", "-q", "-C", root].iter().chain(words).copied().collect();
        let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
        let mut settings = Settings::new(&arguments.common).unwrap_or_else(|failure| panic!("{failure:?}"));
        settings.environment.retain(|name, _| name == "PATH" || name == "HOME");
        settings.locked = false;
        if let Some(cloud) = &self.cloud {
            settings.cloud = cloud.clone();
        }
        (settings, arguments)
    }

    pub(super) async fn run(&self, words: &[&str]) -> Result<Exit, Failure> {
        let (settings, arguments) = self.settings(words);
        match &arguments.command {
            Command::Apply(arguments) => apply(&settings, arguments).await,
            Command::Plan(arguments) => plan(&settings, arguments).await,
            Command::Tag(arguments) => tag(&settings, arguments).await,
            Command::Prune(arguments) => prune(&settings, arguments).await,
            Command::Update(arguments) => update(&settings, arguments).await,
            Command::Sizes => sizes(&settings).await,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn done(&self, words: &[&str]) -> Receipt {
        let exit = self.run(words).await.unwrap_or_else(|failure| panic!("{words:?}: {failure:?}"));
        let receipt = self.receipt();
        assert_eq!(exit, Exit::Done, "{receipt:#?}");
        receipt
    }

    pub(super) fn receipt(&self) -> Receipt {
        serde_json::from_slice(&std::fs::read(self.root().join(".orchestrate/receipt.json")).unwrap()).unwrap()
    }

    pub(super) fn events(&self) -> String {
        std::fs::read_to_string(self.root().join(".orchestrate/events.jsonl")).unwrap()
    }

    pub(super) async fn planned(&self, words: &[&str]) -> (Planned, Settings, ApplyArguments) {
        let words: Vec<&str> = ["apply"].iter().chain(words).copied().collect();
        let (settings, arguments) = self.settings(&words);
        let Command::Apply(arguments) = arguments.command else { unreachable!() };
        let planned = make_sound_plan(&settings, &arguments.choose, &[]).await;
        (planned.unwrap_or_else(|failure| panic!("{failure:?}")), settings, arguments)
    }

    /// Saves a plan.
    pub(super) async fn done_planning(&self, path: &str) {
        std::fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
        assert_eq!(self.run(&["plan", "--out", path]).await.unwrap(), Exit::Done);
    }

    /// Puts an image with this content where the key of `image` says that it is built, with a record unless it is forged.
    pub(super) async fn publish(&self, words: &[&str], image: &str, content: &str, sound: bool) -> Digest {
        self.put(words, image, content, sound, Some(LONG_AGO)).await
    }

    /// The same with a record of this date.
    pub(super) async fn publish_at(&self, words: &[&str], image: &str, content: &str, date: Option<i64>) -> Digest {
        self.put(words, image, content, true, date).await
    }

    async fn put(&self, words: &[&str], image: &str, content: &str, sound: bool, date: Option<i64>) -> Digest {
        let (settings, arguments) = self.settings(&[&["plan"], words].concat());
        let Command::Plan(arguments) = arguments.command else { unreachable!() };
        let planned =
            make_plan(&settings, &arguments.choose, &[]).await.unwrap_or_else(|failure| panic!("{failure:?}"));
        let name = ImageName::new(image);
        let step = planned.plan.step(&name).unwrap();
        let home = &step.destinations[0];
        let repository = planned.repositories.get(&home.registry, &home.repository);
        let config =
            serde_json::to_vec(&ImageConfig { architecture: "amd64".into(), os: "linux".into(), ..Default::default() });
        let (config, layer) = (config.unwrap(), content.as_bytes().to_vec());
        let described = Descriptor::of(media_type::CONFIG, &config);
        let layers = vec![Descriptor::of(media_type::LAYER_TAR, &layer)];
        for (blob, bytes) in [(&described, config), (&layers[0], layer)] {
            repository.ensure_blob(blob, &BlobSource::Bytes(bytes.into()), &[]).await.unwrap();
        }
        let raw = Manifest::image(described, layers).to_raw();
        repository.put_manifest(By::Digest(raw.digest()), &raw).await.unwrap();
        let tag = step.key.tag();
        if sound {
            let work = &planned.prepared.images[&name];
            let prints = work.platforms.iter().map(|(platform, work)| (platform.clone(), work.fingerprint.clone()));
            let document =
                Document::new(image, raw.digest(), None, &prints.collect(), &std::collections::BTreeMap::new());
            let document = Document { published: date, ..document };
            repository.attach_record(&raw.descriptor(), &[&tag], &document.to_bytes()).await.unwrap();
        }
        repository.put_manifest(By::Tag(&tag), &raw).await.unwrap();
        raw.digest()
    }
}

pub(super) fn message(failed: Result<Exit, Failure>) -> (Exit, String) {
    match failed {
        Err(Failure::Message { exit, message, help }) => (exit, format!("{message}\n{}", help.unwrap_or_default())),
        other => panic!("{other:?}"),
    }
}

pub(super) fn tags(registry: &TestRegistry, repository: &str) -> std::collections::BTreeMap<String, Digest> {
    let state = registry.state();
    let tags = state.repositories.get(repository).map(|repo| repo.tags.clone()).unwrap_or_default();
    tags.into_iter().filter(|(tag, _)| !tag.starts_with("key-") && !tag.starts_with("sha256-")).collect()
}

pub(super) fn one_image(registry: &TestRegistry) -> String {
    format!(
        "version: 1\nproject: shop\nregistries:\n  local: {{ kind: oci, url: \"http://{}\" }}\ndefaults: {{ platforms: [linux/amd64] }}\n\
images:\n  app:\n    dockerfile: Dockerfile\n    push: [{{ registry: local, repository: app, tags: [\"v-{{{{git.short}}}}\", latest] }}]\n",
        registry.host
    )
}
