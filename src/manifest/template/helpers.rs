//! What templates can do with values. All pure.

use std::cmp::Ordering;

use serde_json::Value;

use super::evaluate::Wrong;
use super::scope::Scope;
use super::{case, marks};
use crate::problem::{Code, did_you_mean};

/// The helpers by name.
pub(super) const HELPERS: &[&str] = &[
    "upper", "lower", "pascal", "camel", "kebab", "snake", "slug", "replace", "truncate", "default", "eq", "ne", "lt",
    "lte", "gt", "gte", "and", "or", "not", "parts", "join", "lookup", "ref", "registry",
];

/// A value as text: a list is joined by blanks, null is nothing; a record is no text.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => items.iter().map(text_of).collect::<Option<Vec<_>>>().map(|texts| texts.join(" ")),
        Value::Object(_) => None,
    }
}

/// True unless nothing, empty or `false`.
pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty() && text != "false",
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// About how many bytes a value takes.
pub(super) fn size(value: &Value) -> usize {
    const NODE: usize = 16;
    NODE + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
        _ => 0,
    }
}

/// About how many bytes a helper makes of these values; never less than a tenth of it.
pub(super) fn cost(name: &str, values: &[Value]) -> usize {
    let all: usize = values.iter().map(size).sum();
    match (name, values) {
        ("replace", [Value::String(text), Value::String(from), to]) => {
            all.saturating_add(text.matches(from.as_str()).count().saturating_mul(size(to)))
        }
        ("join", [Value::Array(items), separator]) => all.saturating_add(items.len().saturating_mul(size(separator))),
        ("parts", [Value::String(version)]) => (version.matches('.').count() + 1).saturating_mul(all),
        _ => all,
    }
}

/// Calls a helper.
pub(super) fn call(name: &str, values: &[Value], scope: &Scope<'_>) -> Result<Value, Wrong> {
    let wrong = |message: String| Wrong { code: Code::BadTemplate, message, part: name.to_owned(), help: None };
    let texts: Vec<String> = values.iter().map(|value| text_of(value).unwrap_or_default()).collect();
    let takes = |what: &str| wrong(format!("`{name}` takes {what}"));
    Ok(match (name, &texts[..]) {
        ("upper", [text]) => text.to_uppercase().into(),
        ("lower", [text]) => text.to_lowercase().into(),
        ("pascal", [text]) => case::pascal(text).into(),
        ("camel", [text]) => case::camel(text).into(),
        ("kebab", [text]) => case::joined(text, "-").into(),
        ("snake", [text]) => case::joined(text, "_").into(),
        ("slug", [text]) => case::slug(text).into(),
        ("replace", [text, from, to]) => text.replace(from.as_str(), to).into(),
        ("truncate", [text, length]) => {
            let length: usize = length.parse().map_err(|_| takes("a text and a number of characters"))?;
            text.chars().take(length).collect::<String>().into()
        }
        ("eq", [a, b]) => (a == b).into(),
        ("ne", [a, b]) => (a != b).into(),
        ("lt", [a, b]) => compare(a, b).is_lt().into(),
        ("lte", [a, b]) => compare(a, b).is_le().into(),
        ("gt", [a, b]) => compare(a, b).is_gt().into(),
        ("gte", [a, b]) => compare(a, b).is_ge().into(),
        ("and", [_, _, ..]) => values.iter().all(truthy).into(),
        ("or", [_, _, ..]) => values.iter().any(truthy).into(),
        ("not", [_]) => (!truthy(&values[0])).into(),
        ("parts", [version]) => Value::Array(shortened(version).into_iter().map(Value::from).collect()),
        ("join", [_, separator]) => match &values[0] {
            Value::Array(items) => {
                items.iter().map(|item| text_of(item).unwrap_or_default()).collect::<Vec<_>>().join(separator).into()
            }
            _ => texts[0].clone().into(),
        },
        ("lookup", [_, key]) => super::scope::step(&values[0], key).cloned().ok_or_else(|| Wrong {
            code: Code::MissingName,
            message: format!("there is no entry `{key}` here"),
            part: name.to_owned(),
            help: values[0].as_object().and_then(|map| did_you_mean(key, map.keys().map(String::as_str))),
        })?,
        ("ref", [image]) => marks::mark(image).into(),
        ("registry", [registry]) => prefix_of(registry, scope)?,
        (
            "upper" | "lower" | "pascal" | "camel" | "kebab" | "snake" | "slug" | "not" | "parts" | "ref" | "registry",
            _,
        ) => {
            return Err(takes("one value"));
        }
        ("replace", _) => return Err(takes("a text, what to replace, and what by")),
        ("truncate", _) => return Err(takes("a text and a number of characters")),
        _ => return Err(takes("two values")),
    })
}

/// `2.1.11` to `2.1.11`, `2.1`, `2`: by dots, never as a semantic version.
fn shortened(version: &str) -> Vec<String> {
    let parts: Vec<&str> = version.split('.').collect();
    (1..=parts.len()).rev().map(|count| parts[..count].join(".")).collect()
}

/// Versions compare by part: numbers as numbers, the rest as text.
fn compare(a: &str, b: &str) -> Ordering {
    let mut ours = a.split(['.', '-', '_', '+']);
    let mut theirs = b.split(['.', '-', '_', '+']);
    loop {
        let ordering = match (ours.next(), theirs.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => match (x.parse::<u64>(), y.parse::<u64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                _ => x.cmp(y),
            },
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

fn prefix_of(name: &str, scope: &Scope<'_>) -> Result<Value, Wrong> {
    match scope.get(&["@registries", name]) {
        Some(Value::String(prefix)) => Ok(prefix.clone().into()),
        Some(_) => Err(Wrong {
            code: Code::MissingName,
            message: format!("the registry `{name}` has no address that can stand in a reference"),
            part: "registry".to_owned(),
            help: Some("a layout and a daemon have none; for ECR, give `account:` or credentials".to_owned()),
        }),
        None => {
            let known = scope.get(&["@registries"]).and_then(Value::as_object);
            let names = known.into_iter().flat_map(|map| map.keys().map(String::as_str));
            Err(Wrong {
                code: Code::UnknownRegistry,
                message: format!("there is no registry `{name}`"),
                part: name.to_owned(),
                help: did_you_mean(name, names),
            })
        }
    }
}
