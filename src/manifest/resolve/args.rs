//! Build args: files, levels, `--set`, values that use each other.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::image::Draft;
use super::read;
use crate::manifest::choices::Files;
use crate::manifest::node::{Form, Key, Kind, Mapping, Node};
use crate::manifest::order::order;
use crate::manifest::overlay::merge;
use crate::manifest::render::{References, Renderer};
use crate::manifest::template::{Scope, text_with_references};
use crate::manifest::vars::{self, Set, circular, uses_field};
use crate::problem::{Code, Problem, Source};
use crate::project::{Arg, Located, Role, Text, TextPart};

/// The level with the lines of its `args_file` under its `args`.
pub(super) fn with_files(level: &Node, scope: &Scope<'_>, files: &Files<'_>, renderer: &mut Renderer) -> Node {
    let Some(named) = level.get("args_file") else { return level.clone() };
    let named = renderer.node(named, scope, References::Refused);
    let mut args = Node::empty(level.location.clone());
    for file in named.items().iter().filter(|file| file.text().is_some()) {
        if let Some((path, text)) = vars::read_text(file, files, renderer) {
            args = merge(args, &read_lines(&Source::of_secrets(path, text), renderer));
        }
    }
    if let Some(own) = level.get("args") {
        args = merge(args, own);
    }
    let mut level = level.clone();
    if let Kind::Mapping(mapping) = &mut level.kind {
        mapping.remove("args_file");
        mapping.set(Key { text: "args".to_owned(), location: named.location.clone() }, args);
    }
    level
}

/// `NAME=value` lines; `#` begins a comment, `export` may stand before, one pair of quotes around a value is removed.
fn read_lines(source: &Source, renderer: &mut Renderer) -> Node {
    let mut mapping = Mapping::default();
    let mut start = 0;
    for line in source.text().split_inclusive('\n') {
        let begin = start;
        start += line.len();
        let text = line.trim().trim_start_matches('\u{feff}');
        let text = text.strip_prefix("export ").unwrap_or(text).trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let location = source.at(begin, line.trim_end().len());
        let Some((name, value)) = text.split_once('=') else {
            let problem = Problem::error(Code::InvalidArgsFile, "this line is not `NAME=value`");
            renderer.report(problem.at(&location, "").help("begin a comment with `#`"));
            continue;
        };
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        let node = Node::scalar(quoted.unwrap_or(value), Form::Verbatim, location.clone());
        mapping.set(Key { text: name.trim().to_owned(), location }, node);
    }
    Node { kind: Kind::Mapping(mapping), location: source.at(0, 0) }
}

/// The args of an image. Their values become `args.*` of its scope.
pub(super) fn resolve(
    effective: &Node,
    own: &Node,
    set: &Set,
    draft: &mut Draft<'_>,
    renderer: &mut Renderer,
) -> BTreeMap<String, Arg> {
    let mut declared = effective.get("args").and_then(Node::mapping).cloned().unwrap_or_default();
    declared.0.retain(|(_, node)| node.kind != Kind::Null);
    for (key, value) in &set.args {
        override_value(&mut declared, key, value);
    }
    let names: Vec<Vec<String>> = declared.iter().map(|(_, node)| renderer.names(node)).collect();
    let uses: Vec<Vec<usize>> = names
        .iter()
        .map(|names| {
            declared
                .iter()
                .enumerate()
                .filter(|(_, (key, _))| uses_field(names, "args", &key.text))
                .map(|(at, _)| at)
                .collect()
        })
        .collect();
    let (order, circle) = order(&uses);
    draft.scope.local.insert("args".to_owned(), Value::Object(Map::new()));
    if let Some(circle) = circle {
        let keys: Vec<&Key> = circle.iter().map(|at| &declared.0[*at].0).collect();
        renderer.report(circular("args", &keys));
        return BTreeMap::new();
    }
    let mut args = BTreeMap::new();
    for at in order {
        let (key, node) = &declared.0[at];
        let written_here = own.get("args").and_then(|args| args.get(&key.text)).is_some_and(|node| !in_file(node));
        draft.taints.derive(&format!("args.{}", key.text), &names[at]);
        let errors = renderer.errors();
        if let Some(arg) = resolve_one(key, node, !written_here, draft, renderer) {
            args.insert(key.text.clone(), arg);
        }
        if renderer.errors() > errors {
            // A stand-in, so that what uses it is no further mistake.
            publish(draft, key, String::new());
        }
    }
    args
}

/// Whether a value comes from an args file: many images share one, so what they do not use is no mistake.
fn in_file(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.form == Form::Verbatim)
}

/// `--set args.NAME=value`: another value, the same particulars.
fn override_value(declared: &mut Mapping, key: &Key, value: &Node) {
    let replaced = match declared.get(&key.text) {
        Some(Node { kind: Kind::Mapping(before), location }) => {
            let mut full = before.clone();
            full.remove("per_platform");
            full.set(Key { text: "value".to_owned(), location: key.location.clone() }, value.clone());
            Node { kind: Kind::Mapping(full), location: location.clone() }
        }
        _ => value.clone(),
    };
    declared.set(key.clone(), replaced);
}

fn resolve_one(key: &Key, node: &Node, inherited: bool, draft: &mut Draft<'_>, renderer: &mut Renderer) -> Option<Arg> {
    let errors = renderer.errors();
    let full = node.mapping().is_some();
    let written = if full { node.get("value") } else { Some(node) };
    let value = written.and_then(|written| text(written, draft, renderer));
    let mut per_platform = BTreeMap::new();
    for (platform, written) in node.get("per_platform").and_then(Node::mapping).into_iter().flat_map(Mapping::iter) {
        let named = Located { value: platform.text.clone(), location: platform.location.clone() };
        if let (Some(platform), Some(text)) = (read::platform(&named, renderer), text(written, draft, renderer)) {
            per_platform.insert(platform, text);
        }
    }
    let mut flag = |name: &str| {
        let Some(written) = node.get(name).filter(|_| full) else { return false };
        let rendered = renderer.node(written, &draft.scope, References::Refused);
        let truth = rendered.truth();
        if truth.is_none() && rendered.kind != Kind::Null {
            read::invalid(&rendered, &format!("`{name}` is `true` or `false`"), None, renderer);
        }
        truth.unwrap_or(false)
    };
    let (volatile, required) = (flag("volatile"), flag("required"));
    let sensitive = flag("sensitive") || super::checks::looks_secret(&key.text);
    if renderer.errors() > errors {
        return None;
    }
    if required && value.is_none() && per_platform.is_empty() {
        renderer.report(
            Problem::error(Code::MissingArg, format!("the arg `{}` of `{}` has no value", key.text, draft.name))
                .at(&key.location, "required here")
                .help(format!("give it in the image's `args`, or with `--set args.{}=...`", key.text)),
        );
        return None;
    }
    if volatile && draft.role == Role::Base && !inherited {
        renderer.report(
            Problem::warning(Code::VolatileBase, format!("`{}` is volatile on the base `{}`", key.text, draft.name))
                .at(&key.location, "")
                .help("what builds on this base keeps the value that it was built with"),
        );
    }
    if let Some(value) = &value {
        publish(draft, key, as_written(value));
    }
    if value.is_none() && per_platform.is_empty() {
        return None;
    }
    Some(Arg { value, per_platform, volatile, sensitive, inherited, location: key.location.clone() })
}

/// Lets the image's other templates see the value.
fn publish(draft: &mut Draft<'_>, key: &Key, value: String) {
    if let Some(Value::Object(args)) = draft.scope.local.get_mut("args") {
        args.insert(key.text.clone(), value.into());
    }
}

/// A text that may name images, with the images noted as used.
pub(super) fn text(node: &Node, draft: &mut Draft<'_>, renderer: &mut Renderer) -> Option<Text> {
    node.text()?;
    let rendered = renderer.text(node, &draft.scope)?;
    let Some(text) = text_with_references(&rendered) else {
        renderer.report(crate::manifest::render::misplaced(node));
        return None;
    };
    for image in text.images() {
        draft.used.push((image.clone(), crate::manifest::braces::locate(node, image.as_str())));
    }
    Some(text)
}

/// The text with the marks of its images, as other templates see it.
fn as_written(text: &Text) -> String {
    let part = |part: &TextPart| match part {
        TextPart::Literal(text) => text.clone(),
        TextPart::Image(name) => crate::manifest::template::mark(name.as_str()),
    };
    text.0.iter().map(part).collect()
}
