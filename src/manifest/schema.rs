//! The JSON Schema of `deploy.yaml`, generated from [`super::declare`].

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::declare::Document;

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// The schema (draft 7, which editors know best): what an editor validates, completes and explains.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The schema that the parser checks against: the same one.
pub(crate) fn shared() -> &'static Value {
    &SCHEMA
}

fn generate() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut root = generator.into_root_schema_for::<Document>().to_value();
    nullable(&mut root);
    for definition in definitions(&mut root).values_mut() {
        nullable(definition);
    }
    for (name, key, absent) in [
        ("DefaultsDecl", "defaults", &["matrix", "name"][..]),
        ("VariantDecl", "variants", &["matrix", "name", "variant"]),
    ] {
        let mut part = definitions(&mut root).get("ImageDecl").cloned().unwrap_or_default();
        for key in absent {
            part["properties"].as_object_mut().and_then(|properties| properties.shift_remove(*key));
        }
        definitions(&mut root).insert(name.to_owned(), part);
        retarget(&mut root["properties"][key], name);
        retarget(&mut definitions(&mut root)["ProfileDecl"]["properties"][key], name);
    }
    let profile = definitions(&mut root).get("ProfileDecl").cloned().unwrap_or_default();
    let overlay = overlay_of(&profile, &mut root);
    definitions(&mut root).insert("ProfileDecl".to_owned(), overlay);
    extensible(&mut root);
    if let Some(profile) = definitions(&mut root).get_mut("ProfileDecl") {
        extensible(profile);
    }
    root["title"] = json!("deploy.yaml");
    root
}

fn definitions(root: &mut Value) -> &mut Map<String, Value> {
    let root = root.as_object_mut().expect("a root schema is an object");
    root.entry("definitions").or_insert_with(|| json!({})).as_object_mut().expect("definitions are an object")
}

/// Points what refers to an image's declaration at another definition.
fn retarget(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if key == "$ref" {
                    *value = json!(format!("#/definitions/{name}"));
                } else {
                    retarget(value, name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| retarget(item, name)),
        _ => {}
    }
}

/// Lets a record hold `x-*` keys.
fn extensible(record: &mut Value) {
    record["patternProperties"] =
        json!({ "^x-": { "description": "Anything: a place for YAML anchors and notes. It is not read." } });
}

/// Lets every optional key, and every value of a map, be null: null deletes what an earlier level says.
fn nullable(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let required: Vec<Value> = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties.iter_mut() {
            nullable(property);
            if !required.iter().any(|r| r == name) {
                or_null(property);
            }
        }
    }
    if let Some(values) = object.get_mut("additionalProperties").filter(|v| v.is_object()) {
        nullable(values);
        or_null(values);
    }
    if let Some(items) = object.get_mut("items") {
        nullable(items);
    }
    for alternatives in ["anyOf", "oneOf", "allOf"] {
        for alternative in object.get_mut(alternatives).and_then(Value::as_array_mut).into_iter().flatten() {
            nullable(alternative);
        }
    }
}

fn or_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let null = json!({ "type": "null" });
    if let Some(kind) = object.get_mut("type") {
        let mut kinds = kind.as_array().cloned().unwrap_or_else(|| vec![kind.clone()]);
        if !kinds.iter().any(|k| k == "null") {
            kinds.push(json!("null"));
        }
        *kind = Value::Array(kinds);
        if let Some(words) = object.get_mut("enum").and_then(Value::as_array_mut) {
            words.push(Value::Null);
        }
    } else if let Some(alternatives) = object.get_mut("anyOf").and_then(Value::as_array_mut) {
        if !alternatives.contains(&null) {
            alternatives.push(null);
        }
    } else if object.contains_key("$ref") || object.contains_key("oneOf") || object.contains_key("allOf") {
        let mut outer = Map::new();
        for note in ["description", "default", "examples"] {
            if let Some(value) = object.remove(note) {
                outer.insert(note.to_owned(), value);
            }
        }
        outer.insert("anyOf".to_owned(), Value::Array(vec![Value::Object(object.clone()), null]));
        *object = outer;
    }
}

/// A copy of `schema` in which nothing is obligatory, with the definitions that it needs copied in the same way.
fn overlay_of(schema: &Value, root: &mut Value) -> Value {
    let mut made = BTreeMap::new();
    let overlay = relaxed(schema, root, &mut made);
    definitions(root).extend(made);
    overlay
}

fn relaxed(schema: &Value, root: &mut Value, made: &mut BTreeMap<String, Value>) -> Value {
    match schema {
        Value::Object(object) => {
            let mut copy = Map::new();
            for (key, value) in object {
                let value = match (key.as_str(), value) {
                    // The list of obligatory keys; a property that is called `required` is a mapping.
                    ("required", Value::Array(_)) => continue,
                    ("$ref", Value::String(target)) => {
                        let name = target.trim_start_matches("#/definitions/").to_owned();
                        let relaxed_name = format!("{name}Overlay");
                        if !made.contains_key(&relaxed_name) {
                            made.insert(relaxed_name.clone(), Value::Null);
                            let definition = definitions(root).get(&name).cloned().unwrap_or_default();
                            let definition = relaxed(&definition, root, made);
                            made.insert(relaxed_name.clone(), definition);
                        }
                        json!(format!("#/definitions/{relaxed_name}"))
                    }
                    (_, value) => relaxed(value, root, made),
                };
                copy.insert(key.clone(), value);
            }
            Value::Object(copy)
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| relaxed(item, root, made)).collect()),
        other => other.clone(),
    }
}
