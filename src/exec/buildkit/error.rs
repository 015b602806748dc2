//! What can go wrong in a build, and what BuildKit's own errors say beside their message.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bollard_buildkit_proto::google::rpc;
use prost::Message as _;
use serde::Deserialize;

use crate::workspace;

/// Why an image was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No BuildKit answers.
    #[error("cannot reach BuildKit through `{address}`: {why}")]
    Unavailable {
        /// The address that was tried.
        address: String,
        /// What happened.
        why: String,
        /// What to do.
        help: String,
    },
    /// A step of the Dockerfile failed, or BuildKit refused the build.
    #[error("{message}")]
    Failed {
        /// BuildKit's words.
        message: String,
        /// The step that failed, as BuildKit names it.
        vertex: Option<String>,
        /// First and last line of the instruction in the Dockerfile, counted from 1.
        location: Option<(u32, u32)>,
        /// The last lines that the step printed.
        log_tail: Vec<String>,
    },
    /// It was told to stop.
    #[error("the build was cancelled")]
    Cancelled,
    /// It took too long.
    #[error("the build took longer than {after:?}")]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// A file is no longer what was planned.
    #[error("`{path}` changed after it was planned")]
    InputChanged {
        /// The file, on disk.
        path: PathBuf,
    },
    /// A file of the context cannot be read.
    #[error("{error}")]
    Unreadable {
        /// The file and why.
        error: workspace::Error,
    },
    /// A secret of the image is not there.
    #[error("the secret `{id}` cannot be had: {why}")]
    Secret {
        /// Its id.
        id: String,
        /// Why.
        why: String,
    },
    /// An SSH agent of the image is not there.
    #[error("the ssh agent `{id}` cannot be had: {why}")]
    Agent {
        /// Its id.
        id: String,
        /// Why.
        why: String,
    },
    /// The store cannot be used.
    #[error("cannot store the result in `{path}`: {source}")]
    Store {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something that this BuildKit, or this program with BuildKit, cannot do.
    #[error("{what}")]
    Unsupported {
        /// What was asked for, and why it cannot be had.
        what: String,
        /// What to do.
        help: String,
    },
    /// BuildKit said something that it should not say.
    #[error("unexpected answer of BuildKit: {what}")]
    Protocol {
        /// What it was.
        what: String,
    },
}

impl BuildError {
    /// Whether a registry of AWS may have refused the builder's login because its time was over. To a HEAD it gives no reason.
    ///
    /// Source: docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html.
    pub fn is_expired_login(&self) -> bool {
        let Self::Failed { message, .. } = self else { return false };
        let of_aws = [".dkr.ecr.", "public.ecr.aws"].iter().any(|host| message.contains(host));
        of_aws && (message.contains("authorization token has expired") || message.contains("403 Forbidden"))
    }

    /// What the reader can do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Unavailable { help, .. } | Self::Unsupported { help, .. } => Some(help),
            Self::InputChanged { .. } => Some("run again once nothing writes to the context any more"),
            Self::Agent { .. } => {
                Some("start one with `ssh-agent` and give it the key with `ssh-add`; keys are not read from files")
            }
            Self::TimedOut { .. } => Some("raise `timeout` of the image if the build needs longer"),
            _ => None,
        }
    }

    /// The same error of a file once more.
    pub(super) fn of_folder(&self) -> Self {
        match self {
            Self::InputChanged { path } => Self::InputChanged { path: path.clone() },
            Self::Unreadable { error: workspace::Error::Io { verb, path, source } } => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::Unreadable { error: workspace::Error::Io { verb, path: path.clone(), source } }
            }
            other => Self::protocol(other.to_string()),
        }
    }

    pub(super) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }
}

/// What an error of a solve carries in its status details.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    /// The digest of the vertex that failed.
    pub(super) vertex: Option<String>,
    /// First and last line of the instruction.
    pub(super) lines: Option<(u32, u32)>,
}

#[derive(Deserialize)]
struct VertexDetail {
    digest: String,
}

#[derive(Deserialize)]
struct SourceDetail {
    info: Option<SourceFile>,
    #[serde(default)]
    ranges: Vec<LineRange>,
}

#[derive(Deserialize)]
struct SourceFile {
    #[serde(default)]
    filename: String,
}

#[derive(Deserialize)]
struct LineRange {
    #[serde(default)]
    start: Line,
    #[serde(default)]
    end: Line,
}

#[derive(Deserialize, Default)]
struct Line {
    #[serde(default)]
    line: u32,
}

/// Reads the details of `status`. Only places in `dockerfile` count.
///
/// Source: BuildKit's `util/grpcerrors` (the values are JSON, whatever the type says) and `solver/errdefs/errdefs.proto`.
pub(super) fn details(status: &tonic::Status, dockerfile: &str) -> Details {
    let mut found = Details::default();
    let Ok(status) = rpc::Status::decode(status.details()) else { return found };
    for detail in &status.details {
        if detail.type_url.contains("errdefs.Vertex") {
            let vertex: Option<VertexDetail> = serde_json::from_slice(&detail.value).ok();
            found.vertex = found.vertex.or(vertex.map(|vertex| vertex.digest));
        } else if detail.type_url.contains("errdefs.Source") {
            let source: Option<SourceDetail> = serde_json::from_slice(&detail.value).ok();
            found.lines = found.lines.or(source.and_then(|source| lines(&source, dockerfile)));
        }
    }
    found
}

fn lines(source: &SourceDetail, dockerfile: &str) -> Option<(u32, u32)> {
    if source.info.as_ref().is_some_and(|info| info.filename != dockerfile) {
        return None;
    }
    let first = source.ranges.iter().map(|range| range.start.line).filter(|line| *line > 0).min()?;
    let last = source.ranges.iter().map(|range| range.end.line).max()?;
    Some((first, last.max(first)))
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::google::protobuf::Any;

    use super::*;

    #[test]
    fn a_login_that_ended_is_told_from_other_refusals() {
        let ended = |message: &str| {
            let message = message.to_owned();
            BuildError::Failed { message, vertex: None, location: None, log_tail: Vec::new() }.is_expired_login()
        };
        let host = "https://123456789012.dkr.ecr.us-east-1.amazonaws.com/v2/base";
        let denied = "denied: Your authorization token has expired. Reauthenticate and try again.";
        assert!(ended(&format!(
            "unexpected status code {host}/blobs/sha256:1: 403 Forbidden - Server message: {denied}"
        )));
        assert!(ended(&format!("unexpected status from HEAD request to {host}/manifests/one: 403 Forbidden")));
        assert!(!ended("https://example.com/v2/base: 403 Forbidden"));
        assert!(!ended(&format!("{host}/manifests/one: not found")));
    }

    fn status(details: &[(&str, &str)]) -> tonic::Status {
        let any = |(type_url, value): &(&str, &str)| Any {
            type_url: (*type_url).to_owned(),
            value: value.as_bytes().to_vec(),
        };
        let status = rpc::Status { code: 2, message: "m".to_owned(), details: details.iter().map(any).collect() };
        tonic::Status::with_details(tonic::Code::Unknown, "m", status.encode_to_vec().into())
    }

    #[test]
    fn the_vertex_and_the_lines_of_our_dockerfile_are_found() {
        let source = |name: &str, first: u32, last: u32| {
            format!(
                r#"{{"info":{{"filename":"{name}","data":"RlJPTQ=="}},"ranges":[{{"start":{{"line":{last}}},"end":{{"line":{last}}}}},{{"start":{{"line":{first}}},"end":{{}}}}]}}"#
            )
        };
        let status = status(&[
            ("github.com/moby/buildkit/stack.Stack+json", "{}"),
            ("github.com/moby/buildkit/errdefs.Source+json", &source("other", 1, 1)),
            ("github.com/moby/buildkit/errdefs.Source+json", &source("Dockerfile.light", 3, 5)),
            ("github.com/moby/buildkit/errdefs.Vertex+json", r#"{"digest":"sha256:11"}"#),
        ]);
        let expected = Details { vertex: Some("sha256:11".to_owned()), lines: Some((3, 5)) };
        assert_eq!(details(&status, "Dockerfile.light"), expected);
    }

    #[test]
    fn details_that_are_not_understood_are_left_out() {
        let broken = status(&[("errdefs.Source", "\u{1}"), ("errdefs.Vertex", "[]")]);
        assert_eq!(details(&broken, "Dockerfile"), Details::default());
        assert_eq!(details(&tonic::Status::internal("x"), "Dockerfile"), Details::default());
    }
}
