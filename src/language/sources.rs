//! What the rules look at: the names of a context, and what some of its files say.

use serde::{Deserialize, Serialize};

use super::go::GoFile;
use crate::project::Language;
use crate::tree::Tree;

/// A context. Each file is read at most once, however many images ask.
pub trait Sources: Sync {
    /// The names.
    fn tree(&self) -> &Tree;

    /// What the file at this node says.
    fn parsed(&self, node: usize) -> &Parsed;

    /// The nodes that are named like source files of a language, ascending, as [`sources_of`] finds them.
    fn named_like(&self, language: Language) -> &[u32];
}

/// What a file says that matters here. It depends on the file's bytes and the ending of its name alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parsed {
    /// A Go file.
    Go(GoFile),
    /// Any other file: its text.
    Text(String),
    /// Why it says nothing: it cannot be read, or not be understood.
    Unclear(String),
}

impl Parsed {
    /// What a file of this name with these bytes says.
    pub fn of(name: &[u8], bytes: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else { return Self::Unclear("it is not UTF-8".to_owned()) };
        if name.ends_with(b".go") {
            return GoFile::parse(text).map_or_else(Self::Unclear, Self::Go);
        }
        Self::Text(text.to_owned())
    }

    /// Whether it is worth remembering from one run to the next: short, and taken from a file that may be long.
    pub const fn is_digest(&self) -> bool {
        matches!(self, Self::Go(_))
    }
}

/// How the names of a language's source files end.
pub const fn endings(language: Language) -> &'static [&'static str] {
    match language {
        Language::Go => &[".go"],
        Language::Cargo => &[".rs"],
        Language::Npm => &[".js", ".cjs", ".mjs", ".jsx", ".ts", ".cts", ".mts", ".tsx"],
        Language::Python => &[".py", ".pyi", ".pyx", ".pxd"],
    }
}

/// Whether a name ends as those of a language's source files do.
pub fn is_named_like(name: &[u8], language: Language) -> bool {
    endings(language).iter().any(|ending| name.ends_with(ending.as_bytes()))
}

/// The nodes of a tree that are named like source files of a language, ascending.
pub fn sources_of(tree: &Tree, language: Language) -> Vec<u32> {
    let nodes = tree.nodes().iter().enumerate();
    nodes.filter(|(_, node)| is_named_like(node.path.as_bytes(), language)).map(|(index, _)| index as u32).collect()
}
