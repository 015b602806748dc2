//! The schema and the parser are one.

use serde_json::Value;

use super::super::{parse, schema};
use crate::problem::{Code, Source};

/// Every key that the schema knows, with the path of the record that holds it.
fn properties(schema: &Value, found: &mut Vec<(String, Value)>) {
    match schema {
        Value::Object(object) => {
            if let Some(properties) = object.get("properties").and_then(Value::as_object) {
                found.extend(properties.iter().map(|(name, schema)| (name.clone(), schema.clone())));
            }
            object.values().for_each(|value| self::properties(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}

/// Every schema among the alternatives of some schema.
fn alternatives<'v>(schema: &'v Value, found: &mut Vec<&'v Value>) {
    match schema {
        Value::Object(object) => {
            found.extend(["anyOf", "oneOf", "allOf"].iter().filter_map(|key| object.get(*key)?.as_array()).flatten());
            object.values().for_each(|value| alternatives(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| alternatives(item, found)),
        _ => {}
    }
}

#[test]
fn every_alternative_is_a_schema() {
    let schema = schema();
    let mut found = Vec::new();
    alternatives(&schema, &mut found);
    assert!(found.len() > 100);
    assert!(found.into_iter().all(|alternative| alternative.is_object() || alternative.is_boolean()));
}

#[test]
fn every_key_is_described() {
    let schema = schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let mut all = Vec::new();
    properties(&schema, &mut all);
    assert!(all.len() > 100);
    for (name, property) in all {
        assert!(property["description"].is_string(), "{name}: {property}");
    }
}

#[test]
fn every_key_of_an_image_is_accepted_and_no_other() {
    let schema = schema();
    let accepted = |part: &str, key: &str| {
        let source = Source::new("deploy.yaml", format!("version: 1\nproject: p\n{part}{key}: null }} }}\n"));
        match parse(&source) {
            Ok(_) => true,
            Err(problems) => !problems.sorted().iter().any(|problem| problem.code == Code::UnknownKey),
        }
    };
    for (part, definition) in [
        ("images: { a: { ", "ImageDecl"),
        ("bases: { a: { ", "ImageDecl"),
        ("variants: { a: { ", "VariantDecl"),
        ("registries: { a: { kind: docker, ", "RegistryDecl"),
        ("profiles: { a: { ", "ProfileDecl"),
    ] {
        let keys: Vec<&String> = schema["definitions"][definition]["properties"].as_object().unwrap().keys().collect();
        assert!(keys.len() > 5, "{definition}");
        for key in keys.into_iter().filter(|key| key.as_str() != "kind") {
            assert!(accepted(part, key), "{part}{key}");
            assert!(!accepted(part, &format!("{key}z")), "{part}{key}z");
        }
    }
}

#[test]
fn a_profile_need_not_be_whole() {
    let schema = schema();
    let overlay = &schema["definitions"]["RegistryDeclOverlay"];
    assert!(overlay["properties"]["kind"].is_object() && overlay.get("required").is_none());
    assert_eq!(schema["definitions"]["RegistryDecl"]["required"][0], "kind");
}

#[test]
fn the_committed_schema_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/deploy.schema.json");
    let fresh = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "{} is stale: run this test once with UPDATE_SCHEMA=1", path.display());
}
