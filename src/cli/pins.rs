//! What comes from outside: its pins, and the configurations of outside bases.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use futures::stream::{self, StreamExt as _};

use super::exit::{Exit, Failure};
use super::load::{BaseConfigs, Loaded, Wired, unreadable};
use super::registries::Registries;
use super::settings::Settings;
use crate::digest::Digest;
use crate::dockerfile::{BaseConfig, Remote, RemoteKind};
use crate::graph::{FrontendUse, OutsideUse, Recipe};
use crate::lock::Lock;
use crate::observe;
use crate::platform::Platform;
use crate::problem::{Code, Location, Problem, Problems};
use crate::reference::Reference;
use crate::registry::Client;

/// The name of the lock file, beside the manifest.
pub const LOCK: &str = "deploy.lock";

/// Reads the lock.
///
/// # Errors
/// It is no lock.
pub fn read_lock(loaded: &Loaded) -> Result<Lock, Failure> {
    match loaded.workspace.read_source(LOCK).map_err(|error| unreadable(&error))? {
        Some(source) => Ok(Lock::parse(&source)?),
        None => Ok(Lock::default()),
    }
}

/// What the images of the run do, on each of their platforms.
fn selected(wired: &Wired) -> impl Iterator<Item = &Recipe> {
    let recipes = wired.recipes.iter().filter(|(name, _)| wired.selection.all.contains(*name));
    recipes.flat_map(|(_, platforms)| platforms.values())
}

/// All uses of outside images by the images of the run.
fn outside(wired: &Wired) -> impl Iterator<Item = &OutsideUse> {
    selected(wired).flat_map(|recipe| &recipe.outside)
}

/// What the lock did not have yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Added {
    /// An image from outside, on a platform.
    Image(Reference, Platform, Digest),
    /// A front end that `# syntax=` names.
    Frontend(Reference, Digest),
    /// What ADD fetches, by address.
    Remote(String, String),
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reference, platform, digest) => {
                write!(f, "{reference} for {platform} is not in {LOCK} yet: taken as {}", digest.short())
            }
            Self::Frontend(reference, digest) => {
                write!(f, "{reference} (# syntax) is not in {LOCK} yet: taken as {}", digest.short())
            }
            Self::Remote(url, pin) => write!(f, "{url} is not in {LOCK} yet: taken as {pin}"),
        }
    }
}

/// Pins in `lock` what the images of the run take from outside and the lock has not yet.
///
/// # Errors
/// A pin may not be added, or cannot be found.
pub async fn pin(
    wired: &Wired,
    lock: &mut Lock,
    registries: &Registries,
    settings: &Settings,
) -> Result<Vec<Added>, Failure> {
    let images: BTreeMap<(Reference, Platform), &OutsideUse> = outside(wired)
        .filter(|used| used.reference.digest.is_none() && lock.pin(&used.reference, &used.platform).is_none())
        .map(|used| ((used.reference.clone(), used.platform.clone()), used))
        .collect();
    let fetched: BTreeMap<&str, &Remote> = selected(wired)
        .flat_map(|recipe| &recipe.analysis.remotes)
        .filter(|remote| remote.moves() && lock.remote(&remote.url).is_none())
        .map(|remote| (remote.url.as_str(), remote))
        .collect();
    let frontends: BTreeMap<&Reference, &FrontendUse> = selected(wired)
        .filter_map(|recipe| recipe.frontend.as_ref())
        .filter(|used| used.reference.digest.is_none() && lock.frontend(&used.reference).is_none())
        .map(|used| (&used.reference, used))
        .collect();
    if settings.locked || settings.offline {
        let why = if settings.locked { "--locked forbids to add one" } else { "--offline forbids to ask for it" };
        let missing = |what: String, location: &Location| {
            Problem::error(Code::MissingPin, format!("{what} has no pin in {LOCK}, and {why}"))
                .at(location, "")
                .help("run `orchestrate update` and commit the lock")
        };
        let images =
            images.values().map(|used| missing(format!("`{}` for {}", used.reference, used.platform), &used.location));
        let fetched = fetched.values().map(|remote| missing(format!("`{}`", remote.url), &remote.location));
        let frontends =
            frontends.values().map(|used| missing(format!("the front end `{}`", used.reference), &used.location));
        let problems: Problems = images.chain(frontends).chain(fetched).collect();
        return problems.or(Vec::new()).map_err(Failure::from);
    }
    let client = &registries.client;
    let mut added = Vec::new();
    let mut found = stream::iter(images.into_keys().map(|(reference, platform)| async move {
        let digest = observe::pin_of(client, &reference, &platform).await;
        (reference, platform, digest)
    }))
    .buffer_unordered(16);
    while let Some((reference, platform, digest)) = found.next().await {
        let digest = digest.map_err(|error| cannot_ask(&error))?;
        added.push(Added::Image(reference, platform, digest));
    }
    for reference in frontends.into_keys() {
        let digest = observe::digest_of(client, reference).await.map_err(|error| cannot_ask(&error))?;
        added.push(Added::Frontend(reference.clone(), digest));
    }
    let mut found = stream::iter(fetched.into_values().map(|remote| pin_of_remote(client, remote))).buffer_unordered(4);
    while let Some(pinned) = found.next().await {
        let (url, pin) = pinned?;
        added.push(Added::Remote(url, pin));
    }
    added.sort();
    for pin in &added {
        match pin {
            Added::Image(reference, platform, digest) => lock.set(reference.clone(), platform.clone(), *digest),
            Added::Frontend(reference, digest) => lock.set_frontend(reference.clone(), *digest),
            Added::Remote(url, pin) => lock.set_remote(url, pin),
        }
    }
    Ok(added)
}

/// What an address that ADD fetches from holds now.
///
/// # Errors
/// It cannot be asked.
pub async fn pin_of_remote(client: &Client, remote: &Remote) -> Result<(String, String), Failure> {
    let pin = match remote.kind {
        RemoteKind::Http => observe::pin_of_file(client, &remote.url).await.map(|digest| digest.to_string()),
        RemoteKind::Git => observe::pin_of_repository(&remote.url).await,
    };
    let help =
        format!("it is needed at {}; `ADD --checksum` or a commit in the address pins it for good", remote.location);
    let pin = pin.map_err(|error| Failure::surroundings(error.to_string(), Some(help)))?;
    Ok((remote.url.clone(), pin))
}

fn cannot_ask(error: &observe::OutsideError) -> Failure {
    let help = match error {
        observe::OutsideError::Registry { error, .. } => error.help(),
        _ => Some("check the reference, or the platforms of the image".to_owned()),
    };
    Failure::surroundings(error.to_string(), help)
}

/// The configurations of all outside bases, asked for once for each digest and kept in the cache.
pub async fn configs(
    wired: &Wired,
    lock: &Lock,
    registries: &Registries,
    loaded: &Loaded,
    settings: &Settings,
) -> Result<BaseConfigs, Failure> {
    let wanted: BTreeMap<(Reference, Platform), Digest> = outside(wired)
        .filter(|used| used.place.ends_with("FROM"))
        .filter_map(|used| {
            let digest = used.reference.digest.or_else(|| lock.pin(&used.reference, &used.platform))?;
            Some(((used.reference.clone(), used.platform.clone()), digest))
        })
        .collect();
    let mut configs = BaseConfigs::new();
    for ((reference, platform), digest) in wanted {
        let path = config_file(loaded, digest, &platform);
        let kept =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<crate::oci::ImageConfig>(&bytes).ok());
        let config = match kept {
            Some(config) => config,
            None if settings.offline => {
                return Err(Failure::Message {
                    exit: Exit::Surroundings,
                    message: format!(
                        "the configuration of `{reference}` is not known, and --offline forbids to ask for it"
                    ),
                    help: Some("plan once without --offline; it is kept".to_owned()),
                });
            }
            None => {
                let config = observe::config_of(&registries.client, &reference, digest, &platform).await;
                let config = config.map_err(|error| cannot_ask(&error))?;
                // A cache: where it cannot be written, it is asked for again.
                if let Ok(bytes) = serde_json::to_vec(&config) {
                    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
                    let _ = folder.and_then(|()| std::fs::write(&path, bytes));
                }
                config
            }
        };
        configs.insert((reference, platform), base_config(&config));
    }
    Ok(configs)
}

/// Where the configuration of an outside base is kept. The digest may be that of an index, so the platform is part of the name.
pub fn config_file(loaded: &Loaded, digest: Digest, platform: &Platform) -> PathBuf {
    let platform = platform.to_string().replace('/', "-");
    loaded.workspace.state_folder().join("cache").join("configs").join(format!("{}-{platform}.json", digest.hex()))
}

fn base_config(config: &crate::oci::ImageConfig) -> BaseConfig {
    let env = config.config.env.iter().filter_map(|pair| pair.split_once('='));
    BaseConfig {
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        onbuild: config.config.on_build.clone(),
        workdir: config.config.working_dir.clone().unwrap_or_default(),
    }
}
