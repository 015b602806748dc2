//! The names that a template may use.

use serde_json::{Map, Value};

/// Names in two layers: those of the image, then those of the whole project.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    global: &'a Map<String, Value>,
    /// The image's own names.
    pub local: Map<String, Value>,
}

impl<'a> Scope<'a> {
    /// Only the names of the whole project.
    pub fn new(global: &'a Map<String, Value>) -> Self {
        Self { global, local: Map::new() }
    }

    /// The value of a path.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let root = self.local.get(*first).or_else(|| self.global.get(*first))?;
        rest.iter().try_fold(root, |value, name| step(value, name))
    }

    /// All names with the given number of parts or fewer, for suggestions.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (name, value) in self.local.iter().chain(self.global) {
            if name.starts_with('@') {
                continue;
            }
            match value {
                Value::Object(fields) => names.extend(fields.keys().map(|field| format!("{name}.{field}"))),
                _ => names.push(name.clone()),
            }
        }
        names
    }

    /// No more than what these names need, as one value: what is kept for later must not hold what it does not use.
    pub fn only(&self, names: &[String]) -> Value {
        let mut kept = Map::new();
        for name in names {
            let parts: Vec<&str> = name.split('.').take(2).collect();
            let Some(value) = self.get(&parts) else { continue };
            match parts[..] {
                [group, field] => {
                    let group = kept.entry(group).or_insert_with(|| Value::Object(Map::new()));
                    if let Some(fields) = group.as_object_mut() {
                        fields.insert(field.to_owned(), value.clone());
                    }
                }
                _ => drop(parts.first().map(|name| kept.insert((*name).to_owned(), value.clone()))),
            }
        }
        kept.extend(self.get(&["@registries"]).map(|addresses| ("@registries".to_owned(), addresses.clone())));
        Value::Object(kept)
    }
}

/// A field of a record or an entry of a list.
pub(super) fn step<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => fields.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}
