//! From a request to an image in a folder of blobs.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::base::{Base, BaseSource, Layers};
use super::cache::Cache;
use super::compress::Method;
use super::config::Image;
use super::error::{AssembleError, Fault};
use super::files::Files;
use super::layer::{Layer, Style};
use super::stage::{Stage, StageLayer, Surroundings};
use crate::digest::Digest;
use crate::dockerfile::{self, Analysis, BaseConfig, Kind, Origin, StageUse};
use crate::name::ImageName;
use crate::oci::{Descriptor, History, Manifest, media_type};
use crate::platform::Platform;
use crate::problem::{Code, Problem, Problems, Source};
use crate::project::Output;
use crate::registry::{ContentStore, Lent};
use crate::workspace::Snapshot;

/// What is to be built, completely: equal requests give equal images, byte for byte.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image, for messages.
    pub image: ImageName,
    /// What it is built for.
    pub platform: Platform,
    /// What `BUILDPLATFORM` says.
    pub build_platform: Platform,
    /// The Dockerfile.
    pub dockerfile: Source,
    /// The stage; the last one if `None`.
    pub target: Option<String>,
    /// Build args, those that are kept out of the key too.
    pub args: BTreeMap<String, String>,
    /// Those of the args whose values are shown nowhere, so not in the history either.
    pub sensitive: BTreeSet<String>,
    /// Contexts by name; `""` is the default one.
    pub contexts: BTreeMap<String, ContextSource>,
    /// Labels that are added to those of the Dockerfile, which they overrule.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest; those whose key begins with `index:` are left to who writes the index.
    pub annotations: BTreeMap<String, String>,
    /// Images from outside the Dockerfile, by their reference as in FROM and `--from` after expansion, and by platform.
    pub bases: BTreeMap<(String, Platform), BaseSource>,
    /// How layers are compressed.
    pub output: Output,
    /// The time of all that is made, in seconds since 1970. Never a clock's.
    pub epoch: u32,
}

/// What a context is.
#[derive(Clone, Debug)]
pub enum ContextSource {
    /// Files.
    Snapshot(Snapshot),
    /// An image that stands for the name.
    Image(BaseSource),
}

/// An image that was built; its configuration, manifest and own layers are in the store.
#[derive(Clone, Debug)]
pub struct Built {
    /// The digest of the manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The layers of bases, which need not be in the store, and the repositories that have them.
    pub lent: Lent,
}

/// Builds an image of which no needed stage runs a program.
///
/// New blobs go to `store`, among them layers of bases that had to be read. Must be called within a tokio runtime.
///
/// # Errors
/// What BuildKit would refuse too; what only BuildKit can do; a context that changed; a base that cannot be had; `cancel`.
pub async fn assemble(
    request: Request,
    store: ContentStore,
    cache: Arc<Cache>,
    cancel: CancellationToken,
) -> Result<Built, AssembleError> {
    let runtime = Handle::current();
    let work = move || {
        let layers = Layers::new(&store, &cache, runtime);
        let builder = Builder { request: &request, layers: &layers, cancel: &cancel, bases: RefCell::default() };
        builder.build()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(built) => built,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(AssembleError::Cancelled),
    }
}

struct Builder<'a> {
    request: &'a Request,
    layers: &'a Layers<'a>,
    cancel: &'a CancellationToken,
    /// Loaded bases by reference or context name, and platform.
    bases: RefCell<BTreeMap<(String, Platform), Base>>,
}

impl Builder<'_> {
    fn build(&self) -> Result<Built, AssembleError> {
        let analysis = self.analyze()?;
        if let Some((what, location)) = &analysis.first_run {
            let problem = Problem::error(Code::NeedsBuildkit, format!("{what} needs BuildKit"))
                .at(location, "")
                .help("leave `executor` out");
            return Err(AssembleError::NeedsBuildkit(Box::new(problem)));
        }
        let mut stages: Vec<Stage> = Vec::new();
        for stage in &analysis.stages {
            let built = self.stage(stage, &analysis, &mut stages)?;
            stages.push(built);
        }
        let target = stages.pop().expect("an analysis has the target's stage at least");
        self.finish(target)
    }

    fn analyze(&self) -> Result<Analysis, AssembleError> {
        let file = dockerfile::parse(&self.request.dockerfile).map_err(|problems| refused(&problems))?;
        let contexts: BTreeSet<String> =
            self.request.contexts.keys().filter(|name| !name.is_empty()).cloned().collect();
        let failure = RefCell::new(None);
        let known = |text: &str, platform: &Platform| {
            let base = self.base(text, platform).map_err(|error| failure.replace(Some(error))).ok()?;
            let config = &base.known.image.config;
            let env = config.env.iter().filter_map(|line| line.split_once('='));
            Some(BaseConfig {
                env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                onbuild: config.on_build.clone(),
                workdir: config.working_dir.clone(),
            })
        };
        let request = dockerfile::Request {
            target: self.request.target.as_deref(),
            target_location: None,
            platform: &self.request.platform,
            build_platform: &self.request.build_platform,
            args: &self.request.args,
            contexts: &contexts,
            base_env: &known,
        };
        let analysis = dockerfile::analyze(&file, &request);
        failure.take().map_or_else(|| analysis.map_err(|problems| refused(&problems)), Err)
    }

    /// The base that a reference or the name of a context means.
    fn base(&self, text: &str, platform: &Platform) -> Result<Base, AssembleError> {
        let key = (text.to_owned(), platform.clone());
        if let Some(base) = self.bases.borrow().get(&key) {
            return Ok(base.clone());
        }
        let base = self.load(text, platform)?;
        self.bases.borrow_mut().insert(key, base.clone());
        Ok(base)
    }

    fn load(&self, text: &str, platform: &Platform) -> Result<Base, AssembleError> {
        let source = match self.request.contexts.get(text) {
            Some(ContextSource::Image(source)) => source,
            _ => {
                let known = self.request.bases.get(&(text.to_owned(), platform.clone()));
                known.ok_or_else(|| AssembleError::UnknownBase { reference: text.to_owned() })?
            }
        };
        let load = || self.layers.runtime.block_on(Base::load(source, platform)).map(Arc::new);
        let known = self.layers.cache.known.get((source.digest, platform.clone()), load)?;
        Ok(Base { known, place: source.place.clone() })
    }

    fn stage(&self, stage: &StageUse, analysis: &Analysis, earlier: &mut [Stage]) -> Result<Stage, AssembleError> {
        let refuse = |fault: Fault| fault.at(&stage.location);
        let mut built = match &stage.base {
            Origin::Scratch => Stage::scratch(Image::empty(&stage.platform)),
            Origin::Stage(index) => earlier[*index].clone(),
            Origin::Image(index) => Stage::from_base(&self.base(&analysis.references[*index].text, &stage.platform)?),
            Origin::Context(name) => match self.request.contexts.get(name) {
                Some(ContextSource::Image(_)) => Stage::from_base(&self.base(name, &stage.platform)?),
                _ => {
                    let why = "a folder as the base of a stage needs BuildKit";
                    let problem = Problem::error(Code::NeedsBuildkit, why).at(&stage.location, "");
                    return Err(AssembleError::NeedsBuildkit(Box::new(problem)));
                }
            },
        }
        .begin();
        let created = self.created();
        let secrets: Vec<&String> =
            self.request.sensitive.iter().filter_map(|name| self.request.args.get(name)).collect();
        let is_hidden =
            |value: &str| secrets.iter().any(|secret| !secret.is_empty() && value.contains(secret.as_str()));
        let around = Surroundings { layers: self.layers, created: &created, is_hidden: &is_hidden };
        for step in &stage.steps {
            if self.cancel.is_cancelled() {
                return Err(AssembleError::Cancelled);
            }
            let from = match step.instruction.kind {
                Kind::Copy(_) | Kind::Add(_) => self.origin(&step.from, analysis, earlier).map_err(refuse)?,
                _ => None,
            };
            built.step(step, from.as_ref(), &around)?;
        }
        Ok(built)
    }

    /// What COPY and ADD take their files from; `None` where there is nothing.
    fn origin(&self, origin: &Origin, analysis: &Analysis, earlier: &mut [Stage]) -> Result<Option<Arc<Files>>, Fault> {
        Ok(match origin {
            Origin::Scratch => Some(Arc::default()),
            Origin::Stage(index) => Some(earlier[*index].files(self.layers)?),
            Origin::Image(index) => {
                let used = &analysis.references[*index];
                Some(self.layers.files(&self.base(&used.text, &used.platform)?)?)
            }
            Origin::Context(name) => match self.request.contexts.get(name) {
                None => None,
                Some(ContextSource::Snapshot(snapshot)) => Some(Arc::new(Files::of_snapshot(snapshot.clone()))),
                Some(ContextSource::Image(_)) => Some(self.layers.files(&self.base(name, &self.request.platform)?)?),
            },
        })
    }

    fn created(&self) -> String {
        let time =
            jiff::Timestamp::new(i64::from(self.request.epoch), 0).expect("32 bits of seconds are within jiff's years");
        time.to_string()
    }

    /// Writes layers, configuration and manifest of the target.
    fn finish(&self, target: Stage) -> Result<Built, AssembleError> {
        let Stage { mut image, layers, .. } = target;
        let output = &self.request.output;
        let style =
            Style { method: Method::new(output.compression, output.level), epoch: u64::from(self.request.epoch) };
        let mut blobs = Vec::new();
        let mut lent = Lent::default();
        image.rootfs.diff_ids.clear();
        for layer in layers {
            match layer {
                StageLayer::Base(base, index) => {
                    let blob = &base.known.layers[index];
                    blobs.push(blob.clone());
                    image.rootfs.diff_ids.push(base.known.image.rootfs.diff_ids[index]);
                    if let Some(lender) = base.place.lender(&blob.digest) {
                        lent.insert(blob.clone(), lender.clone());
                    }
                }
                StageLayer::Own(layer) => {
                    let written = self.write(&layer, style)?;
                    blobs.push(written.blob);
                    image.rootfs.diff_ids.push(written.diff_id);
                }
            }
        }
        image.config.labels.extend(self.request.labels.clone());
        let created = self.created();
        complete_history(&mut image.history, blobs.len(), &created);
        image.created = Some(created);
        "layers".clone_into(&mut image.rootfs.kind);
        let config = serde_json::to_vec(&image).expect("a configuration holds only text and numbers");
        let mut manifest = Manifest::image(Descriptor::of(media_type::CONFIG, &config), blobs);
        manifest.annotations = annotations(&self.request.annotations);
        let raw = manifest.to_raw();
        self.layers.runtime.block_on(async {
            self.layers.store.write(&config).await?;
            self.layers.store.write(raw.bytes()).await
        })?;
        let Descriptor { digest, media_type, size, .. } = raw.descriptor();
        Ok(Built { digest, media_type, size, lent })
    }

    fn write(&self, layer: &Layer, style: Style) -> Result<super::layer::Written, AssembleError> {
        let store = self.layers.store;
        let folder = store.root().join("blobs/sha256");
        self.layers.cache.layer(layer.key(style), store, || {
            let mut layer = layer.clone();
            self.layers.pack(layer.files_mut())?;
            layer.write(&folder, style, self.cancel)
        })
    }
}

/// The problems of a Dockerfile as one error: the first of them, which is the first in the text.
fn refused(problems: &Problems) -> AssembleError {
    let first = problems.sorted().first().map(|problem| (*problem).clone());
    AssembleError::Refused(Box::new(first.expect("who refuses says why")))
}

/// Where a base has fewer entries in its history than layers, entries are added for the rest, as BuildKit does.
fn complete_history(history: &mut Vec<History>, layers: usize, created: &str) {
    let with_layer = history.iter().filter(|entry| !entry.empty_layer).count();
    for _ in with_layer..layers {
        history.push(History {
            created: Some(created.to_owned()),
            created_by: None,
            comment: Some("buildkit.exporter.image.v0".to_owned()),
            empty_layer: false,
        });
    }
}

/// The annotations of the manifest: those without a prefix and those with `manifest:`.
fn annotations(all: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let others = ["index:", "manifest-descriptor:", "index-descriptor:"];
    all.iter()
        .filter(|(key, _)| !others.iter().any(|prefix| key.starts_with(prefix)))
        .map(|(key, value)| (key.strip_prefix("manifest:").unwrap_or(key).to_owned(), value.clone()))
        .collect()
}
