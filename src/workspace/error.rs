//! What can go wrong between us, the disk and git.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the disk or of git, with what it happened to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error("cannot {verb} `{}`: {source}", .path.display())]
    Io {
        /// What was tried: `read`, `list`, ...
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A text, or a name that must be text, is not UTF-8.
    #[error("`{}` is not UTF-8", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A file's bytes are not the ones that were hashed.
    #[error("`{}` changed since it was hashed", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Something that the manifest names lies outside its repository.
    #[error("`{}` lies outside the repository", .path.display())]
    Outside {
        /// As written.
        path: PathBuf,
    },
    /// The state folder, or a folder in it, is a link.
    #[error("`{}` is a link", .path.display())]
    StateLink {
        /// From the manifest's folder.
        path: PathBuf,
    },
    /// A glob that cannot be understood.
    #[error("`{pattern}` is not a glob: {message}")]
    Glob {
        /// As written.
        pattern: String,
        /// Why.
        message: String,
    },
    /// git ended with an error.
    #[error("`git {command}` failed: {message}")]
    Git {
        /// The command's words after `git`.
        command: String,
        /// The last line that it wrote to stderr.
        message: String,
    },
}

impl Error {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Git { message, .. } if message.contains("dubious ownership") => {
                "git trusts a checkout of another user only if told to: `git config --global --add safe.directory FOLDER`"
            }
            Self::Git { .. } => "run the same git command here to see more",
            Self::Outside { .. } => {
                "a manifest names files of its own repository alone; `--allow-outside PATH` on the command line lets it name what lies there"
            }
            Self::StateLink { .. } => {
                "what lies in the state folder is written and deleted by orchestrate, which follows no link there: remove the link"
            }
            Self::Glob { .. } => "globs take `*`, `**`, `?`, `[a-z]` and `{a,b}`",
            Self::Changed { .. } => "run the command again once nothing writes there any more",
            Self::Io { .. } | Self::NotUtf8 { .. } => "check that it is there and that you may read it",
        }
    }

    /// For `map_err`: an error of the system about `path`.
    pub(super) fn io<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { verb, path: path.to_owned(), source }
    }
}
