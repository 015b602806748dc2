//! `vars:`: values that the command line, the environment, a file or the manifest gives.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::braces::locate;
use super::choices::{Choices, Files};
use super::node::{Form, Key, Kind, Mapping, Node};
use super::order::order;
use super::path_text;
use super::render::{References, Renderer};
use super::taint::Taints;
use super::template::{Scope, text_of};
use crate::problem::{Code, Problem, Source, did_you_mean};

/// The values of `--set`, split into vars and args. Later ones win.
#[derive(Default)]
pub(crate) struct Set {
    /// `--set NAME=VALUE`.
    pub vars: BTreeMap<String, Node>,
    /// `--set args.NAME=VALUE`.
    pub args: Vec<(Key, Node)>,
}

/// Reads `--set`; names of vars are checked against those that are declared.
pub(crate) fn read_set(choices: &Choices, declared: &Node, renderer: &mut Renderer) -> Set {
    let mut set = Set::default();
    for (name, value) in &choices.set {
        if let Some(arg) = name.strip_prefix("args.") {
            // The value may be a secret: messages show the name alone.
            let place = Source::new("--set", name.as_str()).at(0, name.len());
            let node = Node::scalar(value, Form::Verbatim, place.clone());
            set.args.push((Key { text: arg.to_owned(), location: place }, node));
            continue;
        }
        let source = Source::new("--set", format!("{name}={value}"));
        let node = Node::scalar(value, Form::Verbatim, source.at(name.len() + 1, value.len()));
        let name = name.strip_prefix("vars.").unwrap_or(name);
        if declared.get(name).is_some() {
            set.vars.insert(name.to_owned(), node);
            continue;
        }
        let known = declared.mapping().into_iter().flat_map(Mapping::iter).map(|(key, _)| key.text.as_str());
        let help = did_you_mean(name, known)
            .unwrap_or_else(|| format!("declare it under `vars:`, or write `--set args.{name}=...` for a build arg"));
        renderer.report(
            Problem::error(Code::UnknownVariable, format!("there is no var `{name}`"))
                .at(&Source::new("--set", name).at(0, name.len()), "")
                .help(help),
        );
    }
    set
}

/// Gives every var its value and puts them into `global` as `vars`.
pub(crate) fn resolve(
    declared: &Node,
    (choices, set, files): (&Choices, &Set, &Files<'_>),
    global: &mut Map<String, Value>,
    taints: &mut Taints,
    renderer: &mut Renderer,
) {
    let empty = Mapping::default();
    let entries: Vec<(&Key, &Node)> =
        declared.mapping().unwrap_or(&empty).iter().filter(|(_, v)| v.kind != Kind::Null).collect();
    let names: Vec<Vec<String>> = entries.iter().map(|(_, value)| renderer.names(value)).collect();
    let uses: Vec<Vec<usize>> = names
        .iter()
        .map(|names| {
            entries
                .iter()
                .enumerate()
                .filter(|(_, (key, _))| uses_field(names, "vars", &key.text))
                .map(|(at, _)| at)
                .collect()
        })
        .collect();
    let (order, circle) = order(&uses);
    global.insert("vars".to_owned(), Value::Object(Map::new()));
    if let Some(circle) = circle {
        let keys: Vec<&Key> = circle.iter().map(|at| entries[*at].0).collect();
        renderer.report(circular("vars", &keys));
        return;
    }
    for at in order {
        let (key, node) = entries[at];
        let errors = renderer.errors();
        let value = value_of(key, node, (choices, set, files), global, renderer);
        taints.derive(&format!("vars.{}", key.text), &names[at]);
        let value = value.or_else(|| (renderer.errors() > errors).then_some(Value::String(String::new())));
        if let (Some(value), Some(Value::Object(vars))) = (value, global.get_mut("vars")) {
            vars.insert(key.text.clone(), value);
        }
    }
}

/// Whether one of `names` is `group.field` or below it.
pub(crate) fn uses_field(names: &[String], group: &str, field: &str) -> bool {
    names.iter().any(|name| {
        name.strip_prefix(group)
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|rest| rest.strip_prefix(field))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Values that use each other in a circle.
pub(crate) fn circular(group: &str, keys: &[&Key]) -> Problem {
    let mut names: Vec<String> = keys.iter().map(|key| format!("`{group}.{}`", key.text)).collect();
    names.extend(names.first().cloned());
    let problem =
        Problem::error(Code::CircularValue, format!("values use each other in a circle: {}", names.join(" uses ")));
    keys.iter().fold(problem, |problem, key| problem.at(&key.location, "")).help("let one of them stand on its own")
}

fn value_of(
    key: &Key,
    node: &Node,
    (choices, set, files): (&Choices, &Set, &Files<'_>),
    global: &Map<String, Value>,
    renderer: &mut Renderer,
) -> Option<Value> {
    let scope = Scope::new(global);
    let given = set.vars.get(&key.text).map(Node::to_value);
    if node.mapping().is_none() {
        return given.or_else(|| Some(renderer.node(node, &scope, References::Refused).to_value()));
    }
    let from_environment = || {
        let name = node.get("env").and_then(Node::text)?;
        choices.env.get(name).map(|text| Value::String(text.clone()))
    };
    let value = given.or_else(from_environment);
    let value = match (value, node.get("file")) {
        (None, Some(file)) if node.get("default").is_none() => Some(read_file(file, files, renderer)?),
        (None, Some(file)) => read_optional(file, files, renderer),
        (value, _) => value,
    };
    let value = value
        .or_else(|| node.get("default").map(|default| renderer.node(default, &scope, References::Refused).to_value()));
    let Some(value) = value else {
        if node.get("required").and_then(Node::truth) == Some(true) {
            let how = node.get("env").and_then(Node::text).map(|name| format!(" or set {name} in the environment"));
            renderer.report(
                Problem::error(Code::MissingVariable, format!("the var `{}` has no value", key.text))
                    .at(&key.location, "required here")
                    .help(format!("give it with `--set {}=...`{}", key.text, how.unwrap_or_default())),
            );
        }
        return None;
    };
    check_allowed(key, node, &value, set, renderer);
    Some(value)
}

fn check_allowed(key: &Key, node: &Node, value: &Value, set: &Set, renderer: &mut Renderer) {
    let Some(allowed) = node.get("one_of") else { return };
    let words: Vec<&str> = allowed.items().iter().filter_map(Node::text).collect();
    let text = text_of(value).unwrap_or_default();
    if words.contains(&text.as_str()) {
        return;
    }
    let place = set.vars.get(&key.text).or_else(|| node.get("default")).map_or(&key.location, |node| &node.location);
    renderer.report(
        Problem::error(Code::ValueNotAllowed, format!("`{text}` is no value of the var `{}`", key.text))
            .at(place, "")
            .at(&allowed.location, "the values that it may have")
            .help(
                did_you_mean(&text, words.iter().copied())
                    .unwrap_or_else(|| format!("it may be: {}", words.join(", "))),
            ),
    );
}

fn read_file(node: &Node, files: &Files<'_>, renderer: &mut Renderer) -> Option<Value> {
    read_text(node, files, renderer).map(|(_, text)| Value::String(text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn read_optional(node: &Node, files: &Files<'_>, renderer: &mut Renderer) -> Option<Value> {
    let path = path_text::resolved(node).map_err(|problem| renderer.report(problem)).ok()?;
    match (files.read)(&path) {
        Ok(text) => text.map(|text| Value::String(text.trim_end_matches(['\n', '\r']).to_owned())),
        Err(_) => None,
    }
}

/// The path and the text of a file that must be there.
pub(crate) fn read_text(node: &Node, files: &Files<'_>, renderer: &mut Renderer) -> Option<(String, String)> {
    let path = path_text::resolved(node).map_err(|problem| renderer.report(problem)).ok()?;
    let wrong = match (files.read)(&path) {
        Ok(Some(text)) => return Some((path, text)),
        Ok(None) => format!("there is no file `{path}`"),
        Err(why) => format!("the file `{path}` cannot be read: {why}"),
    };
    renderer.report(
        Problem::error(Code::MissingFile, wrong)
            .at(&locate(node, ""), "named here")
            .help("paths are relative to the file that they stand in"),
    );
    None
}
