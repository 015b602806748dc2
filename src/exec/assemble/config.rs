//! The configuration of an image as BuildKit's front end reads and writes it: OCI's fields and Docker's.
//!
//! Sources: OCI image specification, config.md; moby/docker-image-spec, "Image JSON Field Descriptions".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::{History, RootFs};
use crate::platform::Platform;

/// What PATH is where no base says.
pub(super) const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What every entry of the history says about its maker.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// The configuration of an image. Fields that it does not name are dropped when a base is read, as BuildKit drops them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Image {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    pub architecture: String,
    pub os: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    #[serde(default)]
    pub config: Config,
    pub rootfs: RootFs,
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
}

/// How a container of it is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Nothing>,
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Nothing>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// An empty object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Nothing {}

/// A health check; times in nanoseconds, 0 is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Healthcheck {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes an empty list or map as `null`.
fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Image {
    /// `FROM scratch`.
    pub(super) fn empty(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            config: Config { working_dir: "/".to_owned(), env: vec![DEFAULT_PATH.to_owned()], ..Config::default() },
            ..Self::default()
        }
    }

    /// Says that the image is for `platform`, whatever its base says: with `FROM --platform` that may be another one.
    ///
    /// Source: BuildKit, `finalizeResultImage` in frontend/dockerfile/dockerfile2llb/convert.go.
    pub(super) fn name_platform(&mut self, platform: &Platform) {
        let same = self.os == platform.os && self.architecture == platform.architecture;
        (self.os, self.architecture) = (platform.os.clone(), platform.architecture.clone());
        if !platform.variant.is_empty() || !same {
            self.variant.clone_from(&platform.variant);
        }
        if !same {
            self.os_version = None;
        }
    }

    /// Sets an environment variable, in its old place if it has one.
    pub(super) fn set_env(&mut self, name: &str, value: &str) {
        let text = format!("{name}={value}");
        let same = |line: &&mut String| line.split_once('=').map_or(line.as_str(), |(name, _)| name) == name;
        match self.config.env.iter_mut().find(same) {
            Some(line) => *line = text,
            None => self.config.env.push(text),
        }
    }

    /// Makes sure that there is a PATH.
    pub(super) fn with_path(mut self) -> Self {
        if !self.config.env.iter().any(|line| line.starts_with("PATH=")) {
            self.config.env.push(DEFAULT_PATH.to_owned());
        }
        self
    }

    /// A command line that the shell runs: the shell's own words and the line.
    pub(super) fn shell_line(&self, line: &str) -> Vec<String> {
        let mut words = if self.config.shell.is_empty() {
            vec!["/bin/sh".to_owned(), "-c".to_owned()]
        } else {
            self.config.shell.clone()
        };
        words.push(line.to_owned());
        words
    }

    /// Adds an entry to the history.
    pub(super) fn note(&mut self, created: &str, what: String, empty_layer: bool) {
        self.history.push(History {
            created: Some(created.to_owned()),
            created_by: Some(what),
            comment: Some(COMMENT.to_owned()),
            empty_layer,
        });
    }
}
