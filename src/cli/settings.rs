//! Arguments and environment, lowered once to what the program works with.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::args::Common;
use super::cloud::Cloud;
use super::exit::Failure;
use crate::report::Style;

/// What every command works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the manifest, absolute.
    pub root: PathBuf,
    /// The manifest's name in that folder.
    pub file: String,
    /// The profile.
    pub profile: Option<String>,
    /// `--set`, split at the first `=`.
    pub set: Vec<(String, String)>,
    /// `--only`.
    pub only: Vec<String>,
    /// `--with-dependents`.
    pub with_dependents: bool,
    /// JSON on stdout.
    pub json: bool,
    /// No pin may be added to the lock.
    pub locked: bool,
    /// Ask no registry.
    pub offline: bool,
    /// How much weight is built at once.
    pub jobs: u32,
    /// Say less.
    pub quiet: bool,
    /// Say more.
    pub verbose: bool,
    /// How stdout is drawn.
    pub out: Style,
    /// How stderr is drawn.
    pub err: Style,
    /// Whether stderr is a terminal that can be redrawn.
    pub live: bool,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// AWS.
    pub cloud: Cloud,
    /// The number of the AWS account, where it was asked for before the manifest is resolved.
    pub account: Option<String>,
}

impl Settings {
    /// Lowers the flags.
    ///
    /// # Errors
    /// `-C` or `--file` name nothing that is there, or `--set` has no `=`.
    pub fn new(common: &Common) -> Result<Self, Failure> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let here = std::env::current_dir()
            .map_err(|error| Failure::surroundings(format!("cannot tell the current folder: {error}"), None))?;
        let directory = common.directory.as_ref().map_or_else(|| here.clone(), |directory| here.join(directory));
        let path = directory.join(&common.file);
        let (Some(parent), Some(file)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Err(Failure::wrong(
                format!("`{}` is not a file name", common.file.display()),
                "name a file with -f",
            ));
        };
        let root = parent.canonicalize().map_err(|error| {
            Failure::wrong(format!("cannot open the folder `{}`: {error}", parent.display()), "check -C and -f")
        })?;
        let set = common.set.iter().map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Failure::wrong(format!("`--set {pair}` has no `=`"), "write --set name=value")),
        });
        let ci = environment.get("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0");
        let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
        let no_color = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0)).clamp(40, 160);
        let live = std::io::stderr().is_terminal() && environment.get("TERM").is_none_or(|term| term != "dumb");
        Ok(Self {
            root,
            file: file.to_owned(),
            profile: common.profile.clone(),
            set: set.collect::<Result<_, _>>()?,
            only: common.only.clone(),
            with_dependents: common.with_dependents,
            json: common.json,
            locked: common.locked || (ci && !common.no_locked),
            offline: common.offline,
            jobs: common.jobs.unwrap_or(cores.saturating_mul(2)).max(1),
            quiet: common.quiet,
            verbose: common.verbose,
            out: Style { color: !no_color && std::io::stdout().is_terminal(), width },
            err: Style { color: !no_color && std::io::stderr().is_terminal(), width },
            live: live && !common.quiet,
            cloud: Cloud::new(&environment),
            environment,
            account: None,
        })
    }
}
