//! `matrix:`.

use indexmap::IndexMap;
use schemars::JsonSchema;

use super::forms::{Glob, OneOrMany, Path, Scalar, Template, Value};

/// One declaration that expands to many images. Each further key is an axis: a list of values or records, read as
/// `{{matrix.<axis>}}` or `{{matrix.<axis>.<field>}}`. Axes make the cross product.
#[derive(JsonSchema)]
pub struct MatrixDecl {
    /// Cells of the product that are left out. Each rule matches partially, also by a bare field of a record.
    #[serde(default)]
    pub exclude: OneOrMany<Template<IndexMap<String, Value>>>,
    /// Cells that are added; they never merge into others.
    #[serde(default)]
    pub include: OneOrMany<Template<IndexMap<String, Value>>>,
    /// A YAML or JSON file that holds the matrix (axes, include, exclude) or a list of cells.
    #[serde(default)]
    pub file: Option<Path>,
    /// An axis.
    #[serde(flatten)]
    pub axes: IndexMap<String, AxisForm>,
}

/// The values of an axis.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum AxisForm {
    /// Values or records.
    Values(Vec<Value>),
    /// Paths of the repository.
    Folders(GlobAxis),
    /// A template that gives a list, or the only value.
    Template(Scalar),
}

/// An axis from the paths that match a pattern: each gives `path`, `name` (of its folder, or of the file) and what the wildcards
/// matched as `1`, `2`, ...
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobAxis {
    /// The pattern, relative to this file.
    pub glob: Glob,
}
