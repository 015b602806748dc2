//! The command line as typed. Parsing only validates; [`Settings`](super::settings::Settings) lowers it once.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::exit::Failure;
use crate::exec::buildkit::Address;

/// Builds, publishes and deploys the many container images of one repository, doing only what their contents demand.
///
/// Write a deploy.yaml, ask `orchestrate plan` what would happen and why, and let `orchestrate apply` do it. An image is built only
/// if its inputs changed; everything else that its tags need is a manifest PUT in the registry.
#[derive(Debug, Parser)]
#[command(name = "orchestrate", version, max_term_width = 110, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done · 1 a build, push or deploy failed · 2 the command line or a file is wrong · \
3 no daemon, credentials or network · 4 the saved plan is stale · 5 plan --exit-code: there are changes · 130 interrupted"
)]
pub struct Arguments {
    /// Flags that every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// The manifest
    #[arg(short, long, global = true, value_name = "FILE", default_value = "deploy.yaml", help_heading = "Common")]
    pub file: PathBuf,
    /// Work as if started in this folder
    #[arg(short = 'C', long, global = true, value_name = "DIR", help_heading = "Common")]
    pub directory: Option<PathBuf>,
    /// Overlay this profile of the manifest
    #[arg(long, global = true, value_name = "NAME", help_heading = "Common")]
    pub profile: Option<String>,
    /// Set a variable (`k=v`) or an arg (`args.K=v`)
    #[arg(long, global = true, value_name = "K=V", help_heading = "Common")]
    pub set: Vec<String>,
    /// Only these images: names, globs or groups (may be repeated)
    #[arg(long, global = true, value_name = "PATTERN", help_heading = "Common")]
    pub only: Vec<String>,
    /// With --only: also every image that builds on them
    #[arg(long, global = true, requires = "only", help_heading = "Common")]
    pub with_dependents: bool,
    /// Write JSON to stdout
    #[arg(long, global = true, help_heading = "Common")]
    pub json: bool,
    /// Refuse to add pins to deploy.lock (the default when CI is set)
    #[arg(long, global = true, conflicts_with = "no_locked", help_heading = "Common")]
    pub locked: bool,
    /// Add missing pins even when CI is set
    #[arg(long, global = true, help_heading = "Common")]
    pub no_locked: bool,
    /// Ask no registry: every image counts as not published
    #[arg(long, global = true, help_heading = "Common")]
    pub offline: bool,
    /// How many builds run at once, counted by weight [default: twice the number of cores]
    #[arg(short, long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Common")]
    pub jobs: Option<u32>,
    /// Say less
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Common")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = "Common")]
    pub verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first deploy.yaml from the Dockerfiles of this folder
    Init,
    /// Check deploy.yaml and every Dockerfile that it names
    Check(CheckArguments),
    /// Print the resolved manifest: matrices expanded, templates rendered, overlays merged
    Show,
    /// Say what apply would do, and why, without building anything
    Plan(PlanArguments),
    /// Build, publish and tag what the plan says
    Apply(ApplyArguments),
    /// Say what changed since the image that a tag points at
    Why(WhyArguments),
    /// List every file, arg and image that counts for an image
    Inputs(InputsArguments),
    /// Print the graph of images, each after what it builds on
    Graph,
    /// Pin images from outside in deploy.lock
    Update(UpdateArguments),
    /// Build an image and load it into the Docker daemon of this machine
    Load(LoadArguments),
    /// Build an image, load it and run it: `run IMAGE -- ARG...`
    Run(RunArguments),
    /// Put further tags on a published image: a manifest PUT each
    Tag(TagArguments),
    /// Say what `retain` lets go from the repositories, and why the rest stays; with --yes, delete it
    Prune(PruneArguments),
    /// Say what the repositories weigh, what a change would push, and what they cost
    Sizes,
    /// Look at everything that an apply needs: builder, credentials, clock, registries, repositories, functions
    Doctor(DoctorArguments),
    /// Print a JSON schema: of deploy.yaml, of plans or of events
    Schema(SchemaArguments),
    /// Print a completion script for a shell
    Completions(CompletionArguments),
}

/// Flags of `plan`, some of which `apply` takes too.
#[derive(Clone, Debug, Default, Args)]
pub struct Choose {
    /// Append `-dirty-<key>` to tags that name the commit where inputs differ from it
    #[arg(long)]
    pub allow_dirty: bool,
    /// Build this image though it is published (may be repeated)
    #[arg(long, value_name = "IMAGE")]
    pub rebuild: Vec<String>,
    /// Copy what this profile has published under the same key instead of building it (promotion)
    #[arg(long, value_name = "PROFILE")]
    pub from: Option<String>,
    /// Move tags although a newer commit moved them, or history does not tell which is newer
    #[arg(long)]
    pub allow_older: bool,
}

/// Where BuildKit is.
#[derive(Clone, Debug, Default, Args)]
pub struct BuilderArguments {
    /// The builder of docker buildx to use [default: the current one]
    #[arg(long, value_name = "NAME", env = "BUILDX_BUILDER")]
    pub builder: Option<String>,
    /// Talk to BuildKit at this address (unix:///path, tcp://host:port) instead of through docker buildx
    #[arg(long, value_name = "ADDRESS", env = "BUILDKIT_HOST")]
    pub buildkit: Option<String>,
}

impl BuilderArguments {
    /// The address.
    ///
    /// # Errors
    /// It is none.
    pub fn address(&self) -> Result<Address, Failure> {
        match &self.buildkit {
            Some(text) => Address::parse(text)
                .map_err(|error| Failure::wrong(error.to_string(), "use unix:///path or tcp://host:port")),
            None => Ok(Address::DialStdio { builder: self.builder.clone() }),
        }
    }
}

/// `orchestrate check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Also build this image from all files and from those that `inputs:` leaves, and compare what comes out (may be
    /// repeated)
    #[arg(long, value_name = "IMAGE")]
    pub narrowing: Vec<String>,
    /// Where BuildKit is.
    #[command(flatten)]
    pub builder: BuilderArguments,
}

/// `orchestrate doctor`.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Where BuildKit is.
    #[command(flatten)]
    pub builder: BuilderArguments,
}

/// `orchestrate plan`.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// What to plan.
    #[command(flatten)]
    pub choose: Choose,
    /// Save the plan, so that `apply FILE` does exactly that, here or on another machine
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 5 if there is anything to do
    #[arg(long)]
    pub exit_code: bool,
    /// Print the CI matrix of what is to be built
    #[arg(long, conflicts_with = "json")]
    pub matrix: bool,
}

/// `orchestrate apply`.
#[derive(Debug, Default, Args)]
pub struct ApplyArguments {
    /// A plan that `plan --out` saved; made now if absent
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// What to plan.
    #[command(flatten)]
    pub choose: Choose,
    /// Stop everything at the first failure
    #[arg(long)]
    pub fail_fast: bool,
    /// Build and publish under keys alone, move no tag, touch no function (for sharded CI)
    #[arg(long)]
    pub build_only: bool,
    /// Build nothing: move the tags and deploy the functions for what runs with --build-only have published
    #[arg(long, conflicts_with_all = ["build_only", "rebuild", "no_push"])]
    pub publish: bool,
    /// Build what the plan says and write nothing to any registry
    #[arg(long, visible_alias = "read-only", conflicts_with_all = ["build_only", "publish_partial"])]
    pub no_push: bool,
    /// Move the tags of images whose own dependencies succeeded, though others failed
    #[arg(long)]
    pub publish_partial: bool,
    /// Put back the tags and functions that a run moved, as its receipt says [default: the last run's]
    #[arg(long, value_name = "RECEIPT", conflicts_with_all = ["plan", "publish", "build_only", "rebuild", "no_push", "from"])]
    pub rollback: Option<Option<PathBuf>>,
    /// Where BuildKit is.
    #[command(flatten)]
    pub builder: BuilderArguments,
    /// Write the receipt to this file too
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
}

/// `orchestrate why`.
#[derive(Debug, Args)]
pub struct WhyArguments {
    /// The image
    pub image: String,
    /// Compare with this tag or digest of its home [default: its first moving tag]
    #[arg(long, value_name = "TAG|DIGEST")]
    pub since: Option<String>,
}

/// `orchestrate inputs`.
#[derive(Debug, Args)]
pub struct InputsArguments {
    /// The image
    pub image: String,
}

/// `orchestrate update`.
#[derive(Debug, Args)]
pub struct UpdateArguments {
    /// Change nothing; exit with 5 if a pin has moved or is missing
    #[arg(long)]
    pub check: bool,
}

/// `orchestrate load`.
#[derive(Debug, Args)]
pub struct LoadArguments {
    /// The image
    pub image: String,
    /// What it is called in the daemon [default: its name, with the tag `latest`]
    #[arg(long, value_name = "NAME:TAG")]
    pub tag: Option<String>,
    /// Who builds.
    #[command(flatten)]
    pub builder: BuilderArguments,
}

/// `orchestrate run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// What is loaded, and how.
    #[command(flatten)]
    pub load: LoadArguments,
    /// Pass this to `docker run`, before the image (may be repeated)
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub docker: Vec<String>,
    /// What the container is given
    #[arg(last = true, value_name = "ARG")]
    pub arguments: Vec<String>,
}

/// `orchestrate tag`.
#[derive(Debug, Args)]
pub struct TagArguments {
    /// The image, which must be published under its key
    pub image: String,
    /// The tags
    #[arg(required = true)]
    pub tags: Vec<String>,
    /// Take tags away from another image that they stand on, though no note says that they move
    #[arg(long = "move")]
    pub moves: bool,
    /// Move tags although a newer commit moved them, or history does not tell which is newer
    #[arg(long)]
    pub allow_older: bool,
}

/// `orchestrate prune`.
#[derive(Debug, Args)]
pub struct PruneArguments {
    /// Delete; without it nothing is touched
    #[arg(long)]
    pub yes: bool,
}

/// `orchestrate schema`.
#[derive(Debug, Args)]
pub struct SchemaArguments {
    /// Of what
    #[arg(value_enum, default_value = "deploy")]
    pub of: SchemaOf,
}

/// The formats that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SchemaOf {
    /// deploy.yaml
    Deploy,
    /// plan --json and plan --out
    Plan,
    /// apply --json
    Events,
}

/// `orchestrate completions`.
#[derive(Debug, Args)]
pub struct CompletionArguments {
    /// The shell
    pub shell: clap_complete::Shell,
}
