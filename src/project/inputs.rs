//! What goes into a build: args, contexts, secrets, what narrows them.

use std::collections::BTreeMap;

use super::Located;
use crate::name::ImageName;
use crate::platform::Platform;
use crate::problem::Location;

/// Text in which images of the manifest may be named.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Text(pub Vec<TextPart>);

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPart {
    /// Text as it stands.
    Literal(String),
    /// `{{ref 'x'}}`: in the key the key of x, in the build `repository@digest`.
    Image(ImageName),
}

impl Text {
    /// Text that names no image.
    pub fn literal(text: impl Into<String>) -> Self {
        Self(vec![TextPart::Literal(text.into())])
    }

    /// The images that it names.
    pub fn images(&self) -> impl Iterator<Item = &ImageName> {
        self.0.iter().filter_map(|part| match part {
            TextPart::Image(name) => Some(name),
            TextPart::Literal(_) => None,
        })
    }

    /// The text with each image replaced by what `of` says for it.
    pub fn render(&self, mut of: impl FnMut(&ImageName) -> String) -> String {
        self.0
            .iter()
            .map(|part| match part {
                TextPart::Literal(text) => text.clone(),
                TextPart::Image(name) => of(name),
            })
            .collect()
    }
}

/// A build arg.
#[derive(Clone, Debug)]
pub struct Arg {
    /// The value, if it is one for all platforms.
    pub value: Option<Text>,
    /// The values that differ by platform; they win over `value`.
    pub per_platform: BTreeMap<Platform, Text>,
    /// Passed to the build, kept out of the key.
    pub volatile: bool,
    /// Never shown, refused for public images.
    pub sensitive: bool,
    /// Whether it comes from `defaults:` or a variant rather than from the image itself.
    pub inherited: bool,
    /// The place of its name.
    pub location: Location,
}

impl Arg {
    /// The value on `platform`.
    pub fn on(&self, platform: &Platform) -> Option<&Text> {
        self.per_platform.get(platform).or(self.value.as_ref())
    }
}

/// A label of the image.
#[derive(Clone, Debug)]
pub struct Label {
    /// Its value, with [`Label::DAY`] for the day on which the image is published.
    pub value: String,
    /// Kept out of the key.
    pub volatile: bool,
    /// Where it stands.
    pub location: Location,
}

impl Label {
    /// Stands for the day; no text that is read can hold it.
    pub const DAY: char = '\u{fdd2}';

    /// The value in an image that is built on a day, `2026-01-31`.
    pub fn on(&self, day: &str) -> String {
        self.value.replace(Self::DAY, day)
    }

    /// The value before the image is built.
    pub fn shown(&self) -> String {
        self.on("set at build")
    }
}

/// Docker's build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// A folder, relative to the root (may begin with `../`; `.` is the root).
    Folder(String),
    /// Put together from parts of the root.
    Assembled(Vec<ContextPart>),
}

/// One entry of an assembled context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextPart {
    /// File or folder, relative to the root.
    pub from: String,
    /// Where it stands in the context; the same as `from` unless given.
    pub to: String,
    /// Globs below `from`; all if empty.
    pub only: Vec<String>,
}

/// A named context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// A folder, with its own ignore file.
    Folder(String),
    /// An image of this manifest.
    Image(ImageName),
    /// `docker-image://`: an image from elsewhere.
    Outside(String),
}

/// Where a secret's value comes from. The value itself is read only when the build asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// A file, relative to the root.
    File(String),
    /// An environment variable.
    Env(String),
}

/// `inputs:`: what narrows or extends the files that are hashed and sent.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Keep only what matches one of these; all if empty.
    pub include: Vec<Located<String>>,
    /// Drop what matches one of these.
    pub exclude: Vec<Located<String>>,
    /// Hash these too (relative to the root), though the build does not see them.
    pub extra: Vec<Located<String>>,
    /// Drop the source files that a package does not need, by the rules of its language. Each language at most once.
    pub languages: Vec<LanguageInputs>,
}

/// `inputs: { go: ... }` and its like: drop the language's own source files outside the closure of these packages.
#[derive(Clone, Debug)]
pub struct LanguageInputs {
    /// Whose rules hold.
    pub language: Language,
    /// At least one.
    pub packages: Vec<Located<PackageName>>,
    /// Go: the tags of `go build -tags`; `None` if nobody said, so that a file may belong to the build or not.
    pub tags: Option<Vec<String>>,
    /// Go: whether cgo is on.
    pub cgo: Option<bool>,
}

/// A package, as its language names it: a folder or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageName {
    /// As written.
    pub written: String,
    /// As a folder relative to the root.
    pub path: String,
}

/// A language whose rules say which files a package needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Packages of Go modules.
    Go,
    /// Packages of a Cargo workspace.
    Cargo,
    /// Workspaces of npm, pnpm or yarn.
    Npm,
    /// Projects with a `pyproject.toml`.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Go, Self::Cargo, Self::Npm, Self::Python];

    /// Its key below `inputs:`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::Python => "python",
        }
    }
}

/// How file modes enter the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Modes {
    /// 0644 or 0755 by the owner's x bit, folders 0755: what git keeps.
    #[default]
    Git,
    /// As on disk.
    Exact,
}

/// A file that something else makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Relative to the root.
    pub path: String,
    /// The command that makes it; shown when it is missing, never run.
    pub by: String,
}
