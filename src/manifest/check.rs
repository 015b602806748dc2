//! Checks the form of a tree against the schema: unknown and missing keys, wrong types. All mistakes come out at once.

use serde_json::{Map, Value};

use super::node::{Form, Kind, Mapping, Node, Scalar};
use super::schema;
use crate::problem::{Code, Location, Problem, Problems, did_you_mean};

/// The pattern of texts that hold a template.
const TEMPLATE: &str = r"\{\{";

/// Checks a whole file.
pub(crate) fn document(node: &Node) -> Problems {
    let mut problems = Problems::new();
    let root = schema::shared();
    Checker { root, problems: &mut problems }.value(node, root, &node.location, "the manifest");
    problems
}

/// Checks a part against a definition (`ImageDecl`, `RegistryDecl`, ...); `owner` and `what` are the place and name of what holds it.
pub(crate) fn definition(name: &str, node: &Node, owner: &Location, what: &str) -> Problems {
    let mut problems = Problems::new();
    let root = schema::shared();
    Checker { root, problems: &mut problems }.value(node, &root["definitions"][name], owner, what);
    problems
}

struct Checker<'a> {
    root: &'a Value,
    problems: &'a mut Problems,
}

impl<'a> Checker<'a> {
    /// Checks a value; `owner` and `what` are the place and the name of the key that holds it.
    fn value(&mut self, node: &Node, schema: &'a Value, owner: &Location, what: &str) {
        if node.kind == Kind::Null {
            return;
        }
        let mut alternatives = Vec::new();
        self.flatten(schema, &mut alternatives);
        let fitting: Vec<&'a Map<String, Value>> =
            alternatives.iter().copied().filter(|schema| takes_kind(schema, node)).collect();
        match (&node.kind, &fitting[..]) {
            (Kind::Scalar(scalar), some) if some.iter().any(|schema| takes_text(schema, scalar)) => {}
            (Kind::Mapping(mapping), [schema, ..]) => self.record(mapping, schema, owner, what),
            (Kind::Sequence(items), [schema, ..]) => {
                for item in items {
                    let here = item.location.clone();
                    self.value(item, schema.get("items").unwrap_or(&Value::Bool(true)), &here, what);
                }
            }
            _ => self.problems.push(wrong_type(node, &alternatives, what)),
        }
    }

    /// The schemas without `$ref` and alternatives that `schema` stands for.
    fn flatten(&self, schema: &'a Value, found: &mut Vec<&'a Map<String, Value>>) {
        static ANYTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let Some(object) = schema.as_object() else {
            found.push(&ANYTHING);
            return;
        };
        if let Some(target) = object.get("$ref").and_then(Value::as_str) {
            let name = target.trim_start_matches("#/definitions/");
            self.flatten(&self.root["definitions"][name], found);
            return;
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(alternatives) = object.get(key).and_then(Value::as_array) {
                for alternative in alternatives {
                    self.flatten(alternative, found);
                }
                return;
            }
        }
        found.push(object);
    }

    fn record(&mut self, mapping: &Mapping, schema: &'a Map<String, Value>, owner: &Location, what: &str) {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let extensible = schema.contains_key("patternProperties");
        for (key, value) in mapping.iter() {
            let known = properties.and_then(|p| p.get(&key.text));
            let rest = schema.get("additionalProperties").unwrap_or(&Value::Bool(true));
            match (known, rest) {
                (Some(schema), _) => self.value(value, schema, &key.location, &key.text),
                (None, _) if extensible && key.text.starts_with("x-") => {}
                (None, Value::Bool(false)) => {
                    let names = properties.unwrap_or(&empty).keys().map(String::as_str);
                    let help = did_you_mean(&key.text, names.clone())
                        .unwrap_or_else(|| format!("the keys here are: {}", names.collect::<Vec<_>>().join(", ")));
                    self.problems.push(
                        Problem::error(Code::UnknownKey, format!("unknown key `{}` in {}", key.text, quoted(what)))
                            .at(&key.location, "not a key of this")
                            .help(help),
                    );
                }
                (None, schema) => self.value(value, schema, &key.location, &key.text),
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if mapping.get(name).is_none_or(|value| value.kind == Kind::Null) {
                self.problems.push(
                    Problem::error(Code::MissingKey, format!("{} lacks the key `{name}`", quoted(what)))
                        .at(owner, format!("`{name}:` belongs here")),
                );
            }
        }
    }
}

fn quoted(what: &str) -> String {
    if what.contains(' ') { what.to_owned() } else { format!("`{what}`") }
}

fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn takes_kind(schema: &Map<String, Value>, node: &Node) -> bool {
    let types = types(schema);
    let constant = schema.contains_key("const") || schema.contains_key("enum");
    match node.kind {
        Kind::Null => true,
        Kind::Mapping(_) => (types.is_empty() && !constant) || types.contains(&"object"),
        Kind::Sequence(_) => (types.is_empty() && !constant) || types.contains(&"array"),
        Kind::Scalar(_) => types.is_empty() || types.iter().any(|t| !matches!(*t, "object" | "array" | "null")),
    }
}

fn takes_text(schema: &Map<String, Value>, scalar: &Scalar) -> bool {
    let text = scalar.text.as_str();
    let same = |value: &Value| match value {
        Value::String(word) => word == text,
        other => {
            let shown = other.to_string();
            shown == text
        }
    };
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().any(same);
    }
    if let Some(word) = schema.get("const") {
        return same(word);
    }
    let types = types(schema);
    let may_be_other = matches!(scalar.form, Form::Plain | Form::Rendered);
    let least = schema.get("minimum").and_then(Value::as_i64).unwrap_or(i64::MIN);
    types.is_empty()
        || types.iter().any(|kind| match *kind {
            "string" if schema.get("pattern").is_some_and(|p| p == TEMPLATE) => text.contains("{{"),
            "string" => schema.get("minLength").is_none() || !text.is_empty(),
            "boolean" => may_be_other && matches!(text, "true" | "false"),
            "integer" => may_be_other && text.parse::<i64>().is_ok_and(|number| number >= least),
            "number" => may_be_other && text.parse::<f64>().is_ok(),
            _ => false,
        })
}

fn wrong_type(node: &Node, alternatives: &[&Map<String, Value>], what: &str) -> Problem {
    let mut expected: Vec<String> = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    for schema in alternatives {
        words.extend(schema.get("const").and_then(Value::as_str));
        words.extend(schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
        let constant = schema.contains_key("const") || schema.contains_key("enum");
        let template = schema.get("pattern").is_some_and(|p| p == TEMPLATE);
        for kind in types(schema).into_iter().filter(|_| !constant && !template) {
            let name = match (kind, schema.get("minimum")) {
                ("string", _) => "text".to_owned(),
                ("boolean", _) => "`true` or `false`".to_owned(),
                ("integer" | "number", Some(least)) => {
                    format!("a number from {} up", least.as_f64().unwrap_or_default())
                }
                ("integer", None) => "a number".to_owned(),
                ("array", _) => "a list".to_owned(),
                ("object", _) => "a mapping".to_owned(),
                _ => continue,
            };
            if !expected.contains(&name) {
                expected.push(name);
            }
        }
    }
    expected.splice(0..0, words.iter().map(|word| format!("`{word}`")));
    let found = match &node.kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Scalar(scalar) if scalar.text.is_empty() => "an empty text".to_owned(),
        Kind::Scalar(scalar) => format!("`{}`", scalar.text.lines().next().unwrap_or_default()),
        Kind::Sequence(_) => "a list".to_owned(),
        Kind::Mapping(_) => "a mapping".to_owned(),
    };
    let expected = expected.join(", ");
    let suggestion = node.text().and_then(|text| did_you_mean(text, words.iter().copied()));
    Problem::error(Code::WrongType, format!("{} takes {expected}, not {found}", quoted(what)))
        .at(&node.location, "")
        .maybe_help(suggestion)
}
