//! One declaration, many images: axes, records, globs, files, `exclude`, `include`.

use serde_json::{Map, Value};

use super::choices::Files;
use super::node::{Key, Kind, Mapping, Node};
use super::overlay::merge;
use super::render::{References, Renderer};
use super::template::{Scope, text_of};
use super::{capture, path_text, vars, yaml};
use crate::problem::{Code, Location, Problem, Source, did_you_mean};

/// The most images of a manifest.
pub(crate) const MOST_IMAGES: usize = 10_000;

/// The values of one image of a matrix.
pub(crate) struct Cell {
    /// What templates see as `matrix`.
    pub values: Map<String, Value>,
    /// The entry that made it.
    pub location: Location,
}

/// The cells of a matrix: the product of its axes without the excluded ones, then the included ones.
pub(crate) fn expand(
    key: &Key,
    matrix: &Node,
    scope: &Scope<'_>,
    files: &Files<'_>,
    renderer: &mut Renderer,
) -> Vec<Cell> {
    let errors = renderer.errors();
    let Some(matrix) = with_file(matrix, scope, files, renderer) else { return Vec::new() };
    let matrix = renderer.node(&matrix, scope, References::Refused);
    let empty = Mapping::default();
    let entries = matrix.mapping().unwrap_or(&empty);
    let axes: Vec<(&Key, Vec<Value>)> = entries
        .iter()
        .filter(|(key, value)| !matches!(key.text.as_str(), "include" | "exclude" | "file") && value.kind != Kind::Null)
        .map(|(key, value)| (key, axis(value, files, renderer)))
        .collect();
    let included = entries.get("include").map(Node::items).unwrap_or_default();
    let cells =
        axes.iter().fold(usize::from(!axes.is_empty()), |cells, (_, values)| cells.saturating_mul(values.len()));
    if cells.saturating_add(included.len()) > MOST_IMAGES {
        let shown =
            if cells == usize::MAX { "more than 10^19".to_owned() } else { (cells + included.len()).to_string() };
        let why = format!("the matrix of `{}` has {shown} cells", key.text);
        renderer.exhaust(
            &key.location,
            why,
            format!("a manifest has at most {MOST_IMAGES} images, excluded cells counted"),
        );
        return Vec::new();
    }
    let mut product = product(&axes);
    if let Some(exclude) = entries.get("exclude") {
        let keep = excluded(exclude, &axes, &product, renderer);
        let mut keep = keep.into_iter();
        product.retain(|_| keep.next().unwrap_or(true));
    }
    let mut cells: Vec<Cell> =
        product.into_iter().map(|values| Cell { values, location: matrix.location.clone() }).collect();
    for item in included {
        match item.to_value() {
            Value::Object(values) => cells.push(Cell { values, location: item.location.clone() }),
            _ => renderer.report(
                Problem::error(Code::WrongType, "an entry of `include` is a mapping of matrix names to values")
                    .at(&item.location, "this is none"),
            ),
        }
    }
    if cells.is_empty() && renderer.errors() == errors {
        renderer.report(
            Problem::warning(Code::EmptyMatrix, format!("the matrix of `{}` gives no image", key.text))
                .at(&key.location, ""),
        );
    }
    cells
}

/// The matrix with the contents of its `file` under it.
fn with_file(matrix: &Node, scope: &Scope<'_>, files: &Files<'_>, renderer: &mut Renderer) -> Option<Node> {
    let Some(file) = matrix.get("file") else { return Some(matrix.clone()) };
    let file = renderer.node(file, scope, References::Refused);
    file.text()?;
    let (path, text) = vars::read_text(&file, files, renderer)?;
    let (read, problems) = yaml::read(&Source::new(path, text)).unwrap_or_else(|problems| (None, problems));
    renderer.report_all(&problems);
    if problems.has_errors() {
        return None;
    }
    let Some(read) = read else { return Some(matrix.clone()) };
    let base = match &read.kind {
        Kind::Sequence(_) => {
            let mut mapping = Mapping::default();
            mapping.set(Key { text: "include".to_owned(), location: read.location.clone() }, read.clone());
            Node { kind: Kind::Mapping(mapping), location: read.location.clone() }
        }
        Kind::Mapping(_) => read,
        _ => {
            let problem = Problem::error(Code::WrongType, "the file of a matrix holds axes, or a list of cells");
            renderer.report(problem.at(&read.location, "this is neither"));
            return None;
        }
    };
    Some(merge(base, matrix))
}

fn axis(node: &Node, files: &Files<'_>, renderer: &mut Renderer) -> Vec<Value> {
    let Some(glob) = node.get("glob").filter(|_| node.mapping().is_some_and(|m| m.0.len() == 1)) else {
        return node.items().iter().map(Node::to_value).collect();
    };
    let pattern = path_text::pattern(glob);
    match (files.glob)(&pattern) {
        Ok(paths) if paths.is_empty() => {
            let message = format!("`{pattern}` matches nothing, so the axis has no value");
            let help = "the glob is relative to the file that it stands in";
            renderer.report(Problem::warning(Code::MatchesNothing, message).at(&glob.location, "").help(help));
            Vec::new()
        }
        Ok(paths) => paths
            .iter()
            .map(|path| {
                let captures = capture::captures(&pattern, path).unwrap_or_default();
                let mut record = Map::new();
                record.insert("path".to_owned(), path_text::as_written_in(path, glob).into());
                record.insert("name".to_owned(), capture::name_of(&pattern, path).into());
                record.extend(captures.into_iter().enumerate().map(|(at, text)| ((at + 1).to_string(), text.into())));
                Value::Object(record)
            })
            .collect(),
        Err(why) => {
            let message = format!("the paths of `{pattern}` cannot be found: {why}");
            renderer.report(Problem::error(Code::InvalidPath, message).at(&glob.location, ""));
            Vec::new()
        }
    }
}

/// The cross product; the first axis changes slowest. No axes, no cells.
fn product(axes: &[(&Key, Vec<Value>)]) -> Vec<Map<String, Value>> {
    if axes.is_empty() {
        return Vec::new();
    }
    axes.iter().fold(vec![Map::new()], |cells, (key, values)| {
        let with = |cell: &Map<String, Value>, value: &Value| {
            let mut cell = cell.clone();
            cell.insert(key.text.clone(), value.clone());
            cell
        };
        cells.iter().flat_map(|cell| values.iter().map(move |value| with(cell, value))).collect()
    })
}

/// For each cell of the full product, whether it stays.
fn excluded(
    exclude: &Node,
    axes: &[(&Key, Vec<Value>)],
    product: &[Map<String, Value>],
    renderer: &mut Renderer,
) -> Vec<bool> {
    let mut keep = vec![true; product.len()];
    for rule in exclude.items() {
        let Some(conditions) = rule.mapping() else {
            let problem =
                Problem::error(Code::WrongType, "an entry of `exclude` is a mapping of matrix names to values");
            renderer.report(problem.at(&rule.location, "this is none"));
            continue;
        };
        let Some(conditions) = conditions_of(conditions, axes, renderer) else { continue };
        let mut matched = false;
        for (cell, keep) in product.iter().zip(&mut keep) {
            let all = conditions.iter().all(|(axis, field, wanted)| {
                let value = cell.get(*axis);
                let value = field.map_or(value, |field| value.and_then(|v| v.get(field)));
                value.is_some_and(|value| matches(value, wanted))
            });
            matched |= all;
            *keep &= !all;
        }
        if !matched {
            let problem = Problem::warning(Code::ExcludeUnused, "this `exclude` matches no cell of the matrix");
            renderer
                .report(problem.at(&rule.location, "").help("each rule is compared with the full product of the axes"));
        }
    }
    keep
}

/// An axis, a bare field of its records, and the value that is wanted.
type Condition<'a> = (&'a str, Option<&'a str>, Value);

fn conditions_of<'a>(
    rule: &'a Mapping,
    axes: &'a [(&Key, Vec<Value>)],
    renderer: &mut Renderer,
) -> Option<Vec<Condition<'a>>> {
    let mut conditions = Vec::new();
    for (key, wanted) in rule.iter() {
        let wanted = wanted.to_value();
        if let Some((axis, _)) = axes.iter().find(|(axis, _)| axis.text == key.text) {
            conditions.push((axis.text.as_str(), None, wanted));
            continue;
        }
        let holders: Vec<&str> = axes
            .iter()
            .filter(|(_, values)| values.iter().any(|value| value.get(&key.text).is_some()))
            .map(|(axis, _)| axis.text.as_str())
            .collect();
        match holders[..] {
            [axis] => conditions.push((axis, Some(key.text.as_str()), wanted)),
            [] => {
                let help = did_you_mean(&key.text, axes.iter().map(|(axis, _)| axis.text.as_str()));
                let problem = Problem::error(
                    Code::UnknownKey,
                    format!("`{}` is no axis of this matrix, nor a field of one", key.text),
                );
                renderer.report(problem.at(&key.location, "").maybe_help(help));
                return None;
            }
            _ => {
                let message = format!("`{}` is a field of several axes: {}", key.text, holders.join(", "));
                let help = format!("write `{}: {{ {}: ... }}`", holders[0], key.text);
                renderer.report(Problem::error(Code::UnknownKey, message).at(&key.location, "").help(help));
                return None;
            }
        }
    }
    Some(conditions)
}

/// Partial: each field that is wanted must be there and match; texts are compared as written.
fn matches(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(fields), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| fields.get(name).is_some_and(|value| matches(value, wanted)))
        }
        (Value::Object(_), _) | (_, Value::Object(_)) => false,
        _ => text_of(value) == text_of(wanted),
    }
}
