//! What the rules look at: the names of a context, and what some of its files say.

use serde::{Deserialize, Serialize};

use super::cargo::{CargoManifest, RustFile};
use super::go::{GoFile, GoIndex};
use super::npm::{NpmManifest, ScriptFile};
use super::python::{PythonFile, PythonProject};
use crate::project::Language;
use crate::tree::Tree;

/// A text of more bytes than this is read again rather than remembered.
const MOST_TEXT: usize = 16 * 1024;

/// A context. Each file is read at most once, however many images ask.
pub trait Sources: Sync {
    /// The names.
    fn tree(&self) -> &Tree;

    /// What the file at this node says.
    fn parsed(&self, node: usize) -> &Parsed;

    /// The nodes that are named like source files of a language, ascending, as [`sources_of`] finds them.
    fn named_like(&self, language: Language) -> &[u32];

    /// The Go files by folder, as [`GoIndex::of`] finds them.
    fn go_index(&self) -> &GoIndex;
}

/// What a file says that matters here. It depends on the file's bytes and the ending of its name alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parsed {
    /// A Go file.
    Go(GoFile),
    /// A Rust file.
    Rust(RustFile),
    /// A JavaScript or TypeScript file.
    Script(ScriptFile),
    /// A Python file.
    Python(PythonFile),
    /// A `Cargo.toml`.
    Cargo(CargoManifest),
    /// A `package.json`.
    Npm(NpmManifest),
    /// A `pyproject.toml`.
    Project(PythonProject),
    /// Any other file: its text.
    Text(String),
    /// Why it says nothing: it cannot be read, or not be understood.
    Unclear(String),
}

impl Parsed {
    /// What a file of this name with these bytes says.
    pub fn of(name: &[u8], bytes: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else { return Self::Unclear("it is not UTF-8".to_owned()) };
        let like = |language| is_named_like(name, language);
        match name {
            b"Cargo.toml" => CargoManifest::parse(text).map_or_else(Self::Unclear, Self::Cargo),
            b"package.json" => NpmManifest::parse(text).map_or_else(Self::Unclear, Self::Npm),
            b"pyproject.toml" => PythonProject::parse(text).map_or_else(Self::Unclear, Self::Project),
            _ if like(Language::Go) => GoFile::parse(text).map_or_else(Self::Unclear, Self::Go),
            _ if like(Language::Cargo) => Self::Rust(RustFile::parse(text)),
            _ if like(Language::Npm) => Self::Script(ScriptFile::parse(text)),
            _ if like(Language::Python) => Self::Python(PythonFile::parse(text)),
            _ => Self::Text(text.to_owned()),
        }
    }

    /// What of a file's name decides how it is read: the name of a manifest, else its ending.
    pub fn form(name: &[u8]) -> &[u8] {
        match name {
            b"Cargo.toml" | b"package.json" | b"pyproject.toml" => name,
            _ => name.rsplit(|byte| *byte == b'.').next().unwrap_or_default(),
        }
    }

    /// Whether it is worth remembering from one run to the next: short, and beyond doubt.
    pub const fn is_digest(&self) -> bool {
        match self {
            Self::Text(text) => text.len() <= MOST_TEXT,
            Self::Unclear(_) => false,
            _ => true,
        }
    }
}

/// How the names of a language's source files end.
const fn endings(language: Language) -> &'static [&'static str] {
    match language {
        Language::Go => &[".go"],
        Language::Cargo => &[".rs"],
        Language::Npm => &[".js", ".cjs", ".mjs", ".jsx", ".ts", ".cts", ".mts", ".tsx"],
        Language::Python => &[".py", ".pyi", ".pyx", ".pxd"],
    }
}

/// Whether a name ends as those of a language's source files do.
fn is_named_like(name: &[u8], language: Language) -> bool {
    endings(language).iter().any(|ending| name.ends_with(ending.as_bytes()))
}

/// The nodes of a tree that are named like source files of a language, ascending.
pub fn sources_of(tree: &Tree, language: Language) -> Vec<u32> {
    let nodes = tree.nodes().iter().enumerate();
    nodes.filter(|(_, node)| is_named_like(node.path.as_bytes(), language)).map(|(index, _)| index as u32).collect()
}
