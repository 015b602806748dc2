//! Why: typed, with old and new. Words are made by reports alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::Narrowing;
use crate::digest::{Digest, Key};
use crate::fingerprint::{Difference, FileChange};
use crate::name::ImageName;

/// One reason for what happens to an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// No image of that name was published before.
    NeverPublished,
    /// It is not published under its key, and it has no moving tag that would tell what was published before.
    Untraced,
    /// The registries were not asked.
    NotAsked,
    /// It is published nowhere, because nothing is to be published: it is built where another image needs it.
    NotPushed,
    /// Nothing needs it in this run.
    NotNeeded,
    /// What the tag points at was published without a key: nobody can say what it was made from.
    UnknownOrigin {
        /// The tag.
        tag: String,
        /// What it points at.
        #[schemars(with = "String")]
        digest: Digest,
    },
    /// Something stands under the key that no sound record vouches for: it counts as absent.
    Unsound {
        /// The destination's host and repository.
        reference: String,
    },
    /// `--rebuild` asked for it.
    Forced,
    /// The record was written in another format.
    Format {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// Another platform.
    Platform {
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
    /// The instructions of a stage, or the set of stages.
    Stage {
        /// The stage.
        stage: String,
        /// The first instruction that differs, as it was.
        old: Option<String>,
        /// The same, as it is.
        new: Option<String>,
    },
    /// A build arg.
    Arg {
        /// Its name.
        name: String,
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
    /// A file.
    File {
        /// The context, "" for the default one; absent for `inputs.extra`.
        context: Option<String>,
        /// Its path in the repository.
        path: String,
        /// `added`, `removed`, `content`, `mode` or `kind`.
        #[schemars(with = "String")]
        change: FileChange,
        /// Why it counts, where `inputs:` names a package and this file belongs to what it needs: `imported by ./cmd/api via
        /// internal/db`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// An image of the manifest that this one builds on changed: a cascade.
    Image {
        /// The image.
        #[schemars(with = "String")]
        image: ImageName,
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
    /// An image from outside.
    Outside {
        /// The reference.
        reference: String,
        /// The digest before.
        old: Option<String>,
        /// The digest now.
        new: Option<String>,
    },
    /// A label, a secret's id, an option, ...
    Setting {
        /// What it is, and its name.
        name: String,
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
    },
    /// The same content was published before under this key, and is not there any more, or never was at this destination.
    Missing {
        /// The destination's host and repository.
        reference: String,
    },
    /// A tag does not stand where it must.
    TagMoves {
        /// Repository and tag.
        reference: String,
        /// Where it stands.
        #[schemars(with = "Option<String>")]
        old: Option<Digest>,
        /// Where it must stand.
        #[schemars(with = "Option<String>")]
        new: Option<Digest>,
    },
    /// A base was rebuilt to the same digest, so what was built on it stays as it is.
    SameBases {
        /// The pinned key under which it was found.
        #[schemars(with = "String")]
        pinned: Key,
    },
    /// The keys differ and no difference was found: a bug.
    Unexplained,
}

impl From<Difference> for Reason {
    fn from(difference: Difference) -> Self {
        match difference {
            Difference::Format { old, new } => Self::Format { old, new },
            Difference::Platform { old, new } => Self::Platform { old: Some(old), new: Some(new) },
            Difference::Stage { stage, old, new } => Self::Stage { stage, old, new },
            Difference::Arg { name, old, new } => Self::Arg { name, old, new },
            Difference::File { context, path, change } => {
                Self::File { context, path: path.to_string(), change, because: None }
            }
            Difference::Image { image, old, new } => Self::Image { image: ImageName::new(image), old, new },
            Difference::Outside { reference, old, new } => Self::Outside { reference, old, new },
            Difference::Setting { name, old, new } => Self::Setting { name, old, new },
        }
    }
}

impl Reason {
    /// The reason of a difference, with why a file counts. `place` gives the path in the repository of a file of a context.
    pub fn of(difference: Difference, narrowing: &Narrowing, place: &dyn Fn(Option<&str>, &str) -> String) -> Self {
        let why = match &difference {
            Difference::File { context: Some(context), path, .. } if context.is_empty() => narrowing.because(path),
            _ => None,
        };
        match Self::from(difference) {
            Self::File { context, path, change, .. } => {
                let path = place(context.as_deref(), &path);
                Self::File { context, path, change, because: why }
            }
            other => other,
        }
    }

    /// The same without what differs between images that share it.
    pub fn shared(&self) -> Self {
        match self {
            // One file is one cause, whichever contexts it is in.
            Self::File { context, path, change, .. } => {
                let context = context.as_ref().map(|_| String::new());
                Self::File { context, path: path.clone(), change: *change, because: None }
            }
            other => other.clone(),
        }
    }

    /// Whether it comes from another image of the manifest.
    pub const fn is_cascade(&self) -> bool {
        matches!(self, Self::Image { .. })
    }
}
