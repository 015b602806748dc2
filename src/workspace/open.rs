//! The workspace: the folder of deploy.yaml, what is read from it, and what has been learned of it so far.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fingerprint::FileSet;
use crate::problem::{Code, Problem, Problems, Source};
use crate::project::{Context, Generated, Located};

use super::bounds::repository_of;
use super::context::{Failure, Key, State, lexical};
use super::digests::Digests;
use super::error::Error;
use super::files::Outcome;
use super::globs;
use super::sparse::Sparse;
use super::stat_cache::StatCache;
use super::submodules::Submodules;

/// The state folder, below the root.
pub const STATE_FOLDER: &str = ".orchestrate";

/// The folder of deploy.yaml.
///
/// Walks each context once and reads each input once, however many images share them, so one workspace serves a whole run.
#[derive(Debug)]
pub struct Workspace {
    pub(super) root: PathBuf,
    /// The folders in which everything must lie that the manifest names.
    pub(super) bounds: Vec<PathBuf>,
    /// Absolute paths that are part of no context.
    pub(super) never: Vec<PathBuf>,
    /// Opened before the first walk.
    pub(super) cache: Option<StatCache>,
    /// Opened when a language is first asked.
    pub(super) digests: Option<Digests>,
    pub(super) keys: HashMap<Key, usize>,
    pub(super) states: Vec<Result<State, Failure>>,
    /// By context, and by what is asked of it.
    pub(super) outcomes: HashMap<(usize, String), Outcome>,
    /// By context, modes and chosen nodes.
    pub(super) sets: HashMap<(usize, [u8; 32]), Arc<FileSet>>,
    pub(super) submodules: Submodules,
    pub(super) sparse: Sparse,
    pub(super) files_read: usize,
}

/// An ignore file, and what is odd about it.
#[derive(Clone, Debug, Default)]
pub struct IgnoreFile {
    /// The one that Docker would obey.
    pub source: Option<Source>,
    /// Another one, of which somebody may think that it is obeyed.
    pub without_effect: Option<String>,
}

impl Workspace {
    /// The workspace at `root`, the folder of deploy.yaml. Nothing is written, and nothing read yet.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root = root.canonicalize().map_err(Error::io("open", root))?;
        let never = vec![root.join(STATE_FOLDER), root.join("deploy.lock")];
        Ok(Self {
            bounds: vec![repository_of(&root)],
            root,
            never,
            cache: None,
            digests: None,
            keys: HashMap::new(),
            states: Vec::new(),
            outcomes: HashMap::new(),
            sets: HashMap::new(),
            submodules: Submodules::default(),
            sparse: Sparse::default(),
            files_read: 0,
        })
    }

    /// The root, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many files were read to be hashed so far; a warm run reads none.
    pub const fn files_read(&self) -> usize {
        self.files_read
    }

    /// The state folder; it may not exist yet.
    pub fn state_folder(&self) -> PathBuf {
        self.root.join(STATE_FOLDER)
    }

    /// Leaves these files and folders (relative to the root, or absolute) out of every context, as the state folder is:
    /// layouts, the lock, files that this run writes. Must be said before the first [`Self::files`].
    pub fn leave_out<'a>(&mut self, paths: impl IntoIterator<Item = &'a str>) {
        for path in paths {
            let path = lexical(&self.root, path);
            // The walk knows places without links. What does not exist yet is not walked either, but may be by then.
            let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
            let place = match (parent, path.file_name()) {
                (Some(parent), Some(name)) => parent.join(name),
                _ => path,
            };
            self.never.push(place);
        }
    }

    /// A text file (relative to the root, or absolute); `None` if there is none.
    ///
    /// # Errors
    /// If it is there and cannot be read, is not UTF-8, or lies outside the repository.
    pub fn read_source(&self, path: &str) -> Result<Option<Source>, Error> {
        self.hold(path)?;
        self.read_anywhere(path)
    }

    /// The same wherever it lies: for what the command line names.
    ///
    /// # Errors
    /// If it is there and cannot be read, or is not UTF-8.
    pub fn read_anywhere(&self, path: &str) -> Result<Option<Source>, Error> {
        let place = self.root.join(path);
        let bytes = match std::fs::read(&place) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(Error::io("read", Path::new(path))(error)),
        };
        let text = String::from_utf8(bytes).map_err(|_| Error::NotUtf8 { path: PathBuf::from(path) })?;
        Ok(Some(Source::new(path.strip_prefix("./").unwrap_or(path), text)))
    }

    /// The files and folders that match a glob relative to the root, sorted. Links are not followed, and neither `.git`
    /// nor the state folder is looked into.
    ///
    /// # Errors
    /// If the glob cannot be understood, a folder cannot be listed, or a name that matches is not UTF-8.
    pub fn glob(&self, pattern: &str) -> Result<Vec<String>, Error> {
        let (base, rest) = globs::literal_base(pattern);
        self.hold(base)?;
        if rest.is_empty() {
            let there = self.root.join(base).symlink_metadata().is_ok();
            return Ok(there.then(|| pattern.trim_end_matches('/').to_owned()).into_iter().collect());
        }
        let matcher = globs::matcher(rest)?;
        // Without `**` (and `{a/b,c}`) a glob matches only paths of its own depth.
        let bounded = !rest.contains("**") && !rest.contains('{');
        let depth = if bounded { rest.matches('/').count() } else { usize::MAX };
        let mut found = Vec::new();
        let mut folders = vec![(self.root.join(base), String::new(), 0)];
        while let Some((folder, prefix, level)) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if prefix.is_empty() && error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(Error::io("list", &folder)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(Error::io("list", &folder))?;
                let name = entry.file_name();
                if name == ".git" || name == STATE_FOLDER {
                    continue;
                }
                let is_folder = entry.file_type().map_err(Error::io("read", &entry.path()))?.is_dir();
                let Some(name) = name.to_str() else {
                    if matcher.is_match(Path::new(&prefix).join(&name)) {
                        return Err(Error::NotUtf8 { path: entry.path() });
                    }
                    continue;
                };
                let path = format!("{prefix}{name}");
                if matcher.is_match(&path) {
                    found.push(if base.is_empty() { path.clone() } else { format!("{base}/{path}") });
                }
                if is_folder && level < depth {
                    folders.push((entry.path(), format!("{path}/"), level + 1));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The ignore file for a build: `<Dockerfile>.dockerignore`, else `.dockerignore` of the context. An assembled context
    /// obeys the first alone.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn ignore_file(&self, dockerfile: &str, context: &Context) -> Result<IgnoreFile, Error> {
        let own = self.read_source(&format!("{dockerfile}.dockerignore"))?;
        let of_context = match context {
            Context::Folder(folder) => Some(lexical(&self.root, folder)),
            Context::Assembled(_) => None,
        };
        let beside = Path::new(dockerfile).parent().unwrap_or(Path::new(""));
        let beside_folder = lexical(&self.root, &beside.to_string_lossy());
        let nested = of_context.as_ref() != Some(&beside_folder) && beside_folder != self.root;
        let place = beside.join(".dockerignore");
        let without_effect = (nested && self.root.join(&place).is_file()).then(|| place.to_string_lossy().into_owned());
        let source = match (own, context) {
            (Some(own), _) => Some(own),
            (None, Context::Folder(folder)) => self.folder_ignore(folder)?,
            (None, Context::Assembled(_)) => None,
        };
        Ok(IgnoreFile { source, without_effect })
    }

    /// The ignore file of a folder that is a named context.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn folder_ignore(&self, folder: &str) -> Result<Option<Source>, Error> {
        let folder = folder.trim_end_matches('/');
        if folder.is_empty() || folder == "." {
            return self.read_source(".dockerignore");
        }
        self.read_source(&format!("{folder}/.dockerignore"))
    }

    /// The generated files that are missing, each with what makes it.
    pub fn missing_generated(&self, generated: &[Located<Generated>]) -> Problems {
        generated
            .iter()
            .filter(|generated| self.root.join(&generated.value.path).symlink_metadata().is_err())
            .map(|generated| {
                let Generated { path, by } = &generated.value;
                Problem::error(Code::GeneratedMissing, format!("`{path}` is generated and does not exist yet"))
                    .at(&generated.location, "")
                    .help(format!("run `{by}` first"))
            })
            .collect()
    }

    /// Makes the state folder; git is told to leave it alone.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_state_folder(&self) -> Result<PathBuf, Error> {
        let state = self.state_folder();
        if !state.is_dir() {
            std::fs::create_dir_all(&state).map_err(Error::io("make", &state))?;
            let ignore = state.join(".gitignore");
            std::fs::write(&ignore, "*\n").map_err(Error::io("write", &ignore))?;
        }
        Ok(state)
    }
}
