//! Places where images live.

use std::collections::BTreeMap;
use std::fmt;

use super::{Keep, Order};
use crate::name::RegistryName;
use crate::problem::Location;

/// A place where images live.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Its name in the manifest.
    pub name: RegistryName,
    /// What it is.
    pub kind: RegistryKind,
    /// Whether everybody can read it.
    pub public: bool,
    /// What `prune` spares and what `sizes` counts there.
    pub keep: Keep,
    /// How runs that move its tags are put in order.
    pub order: Option<Order>,
    /// Where it is declared.
    pub location: Location,
}

/// The kinds of registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryKind {
    /// Amazon ECR. The host is `<account>.dkr.ecr.<region>.amazonaws.com`, unless `url` overrides where it is spoken to.
    Ecr {
        /// The AWS region.
        region: String,
        /// The account's 12 digits; asked of STS unless given.
        account: Option<String>,
        /// Whether missing repositories are created, and whether they scan on push.
        create: Option<CreateRepository>,
        /// Another address for the data plane (tests, proxies).
        url: Option<String>,
        /// Who we are there.
        login: AwsLogin,
        /// Whether the account may be another than that of the credentials: its repositories let us in by their policies.
        cross_account: bool,
    },
    /// Amazon ECR Public: `public.ecr.aws/<alias>`.
    EcrPublic {
        /// The registry's alias.
        alias: String,
        /// Whether and how missing repositories are created.
        create: Option<CreateRepository>,
        /// Who we are there.
        login: AwsLogin,
        /// Another address for the data plane (tests, proxies).
        url: Option<String>,
    },
    /// Any registry that speaks the OCI distribution protocol.
    Oci {
        /// `http` or `https`.
        scheme: String,
        /// The host with its port.
        host: String,
        /// What stands before each repository; empty or without slashes at its ends.
        prefix: String,
    },
    /// An OCI image layout on disk, one folder for each repository below `path`.
    Layout {
        /// Relative to the root, or absolute.
        path: String,
    },
    /// The local Docker daemon's store.
    Docker,
}

/// Who we are at AWS: the standard chain of credentials, unless a profile or a role is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AwsLogin {
    /// A profile of `~/.aws/config` in place of the one in force.
    pub profile: Option<String>,
    /// The ARN of a role that is assumed.
    pub role: Option<String>,
}

impl fmt::Display for AwsLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.profile, &self.role) {
            (_, Some(role)) => write!(f, "the role `{role}`"),
            (Some(profile), None) => write!(f, "the profile `{profile}`"),
            (None, None) => f.write_str("the credentials in force"),
        }
    }
}

/// How missing repositories are created, and who may pull from all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateRepository {
    /// Scan each image when it is pushed.
    pub scan_on_push: bool,
    /// Refuse to move tags.
    pub immutable: bool,
    /// Tags that move all the same: patterns with `*`.
    pub except: Vec<String>,
    /// `AES256`, `KMS`, or the ARN of a key; AES256 unless given.
    pub encryption: Option<String>,
    /// The repositories' own tags.
    pub tags: BTreeMap<String, String>,
    /// Other accounts that may pull, and their functions.
    pub allow: Vec<String>,
    /// What the public gallery shows.
    pub description: Option<String>,
    /// What the public gallery shows, as Markdown.
    pub about: Option<String>,
    /// How to use it, as Markdown.
    pub usage: Option<String>,
}

impl Registry {
    /// The host of its references; `None` as for [`reference_prefix`](Self::reference_prefix).
    pub fn host(&self) -> Option<String> {
        let prefix = self.reference_prefix()?;
        Some(prefix.split('/').next().unwrap_or(&prefix).to_owned())
    }

    /// `host/prefix` that repositories of this registry have in references; `None` where it has no host (layout, docker)
    /// or where the account is not known yet.
    pub fn reference_prefix(&self) -> Option<String> {
        match &self.kind {
            RegistryKind::Ecr { region, account, .. } => {
                let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                account.as_ref().map(|account| format!("{account}.dkr.ecr.{region}.{domain}"))
            }
            RegistryKind::EcrPublic { alias, .. } => Some(format!("public.ecr.aws/{alias}")),
            RegistryKind::Oci { host, prefix, .. } if prefix.is_empty() => Some(host.clone()),
            RegistryKind::Oci { host, prefix, .. } => Some(format!("{host}/{prefix}")),
            RegistryKind::Layout { .. } | RegistryKind::Docker => None,
        }
    }
}
