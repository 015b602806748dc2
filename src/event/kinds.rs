//! The events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::receipt::{FunctionReceipt, Receipt, RepositoryReceipt};
use crate::digest::Digest;
use crate::name::ImageName;
use crate::plan::{Action, Blocker, Executor, FunctionAction, RepositoryAction, Service, Why};

/// The version of the event stream; its first line says it.
pub const FORMAT: u32 = 1;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Counts from 0 without gaps.
    pub seq: u64,
    /// Milliseconds since the run began.
    pub at: u64,
    /// What happened.
    pub event: Kind,
}

/// A stream of a build step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A part of a step. Each is announced before its first effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// An executor makes the image.
    Build,
    /// Blobs that the destination lacks are mounted or sent.
    Blobs,
    /// The manifest is put by its digest.
    Manifest,
    /// The record is attached.
    Record,
    /// The manifest is put under the key's tag: the commit point.
    Key,
    /// The command of `verify:` judges the image, after all images.
    Verify,
    /// Tags move, after all images.
    Tags,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Kind {
    /// The first event.
    Version {
        /// The version of the stream.
        format: u32,
    },
    /// The run begins.
    RunStarted {
        /// The project.
        project: String,
        /// Images to build.
        build: usize,
        /// Images to copy.
        copy: usize,
        /// Images of which only tags move.
        tag: usize,
        /// Images that stay as they are.
        keep: usize,
    },
    /// A repository's turn: before all images.
    RepositoryStarted {
        /// Host and repository, as in references.
        reference: String,
        /// The registry's name in the manifest.
        registry: String,
        /// What is to happen.
        action: RepositoryAction,
    },
    /// A repository's turn is over, however it ended.
    RepositoryFinished {
        /// What became of it.
        repository: RepositoryReceipt,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// The plan has a blocker, so the run is refused: nothing is touched, and no other event follows.
    Blocked {
        /// What stands in the way.
        blocker: Blocker,
        /// The same for people, with what to do; several lines.
        message: String,
    },
    /// An image's turn.
    StepStarted {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// What is to happen.
        action: Action,
        /// Who builds it.
        executor: Executor,
    },
    /// A part of a step begins.
    PhaseStarted {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// The part.
        phase: Phase,
        /// The platform (build) or the repository (all others).
        at: String,
    },
    /// A build step of the Dockerfile begins or ends.
    BuildStep {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// The builder's name for it.
        step: String,
        /// Whether it has ended.
        done: bool,
        /// Whether the builder had it already.
        cached: bool,
    },
    /// A line of a build's output.
    Output {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// The build step that printed it.
        step: String,
        /// Its stream.
        stream: Stream,
        /// The line without its end.
        line: String,
    },
    /// Size and layers of what is about to be sent.
    Size {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// The repository.
        reference: String,
        /// Bytes of config and layers.
        bytes: u64,
        /// Number of layers.
        layers: usize,
    },
    /// Blobs arrived at a destination.
    BlobsSent {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// The repository.
        reference: String,
        /// Blobs that were sent.
        sent: u64,
        /// Their bytes.
        bytes: u64,
        /// Blobs that were mounted from another repository.
        mounted: u64,
        /// Blobs that were there.
        existing: u64,
    },
    /// Another run published the same key first; its image is taken and ours dropped.
    Adopted {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// What was taken.
        #[schemars(with = "String")]
        digest: Digest,
        /// What was dropped, if something was built.
        #[schemars(with = "Option<String>")]
        dropped: Option<Digest>,
    },
    /// The image is where it must be, but for its tags.
    StepFinished {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// What was made of it: `built`, `copied`, `kept` or `adopted`.
        outcome: super::Outcome,
        /// Its digest.
        #[schemars(with = "String")]
        digest: Digest,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// The image failed.
    StepFailed {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// Why, for people; several lines.
        error: String,
    },
    /// The image was not tried, because one that it builds on failed.
    StepSkipped {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// The image that failed.
        #[schemars(with = "String")]
        because: ImageName,
    },
    /// A tag was moved.
    TagMoved {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// Repository and tag.
        reference: String,
        /// What it pointed at.
        #[schemars(with = "Option<String>")]
        from: Option<Digest>,
        /// What it points at.
        #[schemars(with = "String")]
        to: Digest,
    },
    /// A tag was not moved: a newer commit moved it to where it is.
    TagLeft {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// Repository and tag.
        reference: String,
        /// The commit that moved it.
        commit: String,
        /// How the two commits were put in order; absent where history says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<Why>,
    },
    /// A function's turn: after all tags have moved.
    FunctionStarted {
        /// Its name.
        function: String,
        /// What runs it.
        service: Service,
        /// The AWS region.
        region: String,
        /// The AWS account, where the manifest says it: else it is the registry's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// The image that it is given.
        #[schemars(with = "String")]
        image: ImageName,
        /// What is to happen.
        action: FunctionAction,
    },
    /// A function's turn is over, however it ended.
    FunctionFinished {
        /// What became of it.
        function: FunctionReceipt,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// A function was left as it is: a newer commit deployed what it runs.
    FunctionLeft {
        /// Its name.
        function: String,
        /// The AWS region.
        region: String,
        /// The AWS account, where the manifest says it: else it is the registry's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// The commit.
        commit: String,
        /// How the two commits were put in order; absent where history says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<Why>,
    },
    /// The last event.
    RunFinished {
        /// What exists now.
        receipt: Receipt,
    },
}
