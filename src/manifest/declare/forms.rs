//! The forms that values take in many places.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Text. Numbers and truth values are taken as they are written: `3.10` stays `3.10`.
pub struct Scalar;

/// Anything.
pub struct Value;

/// A path with `/`, relative to the file that it stands in.
pub struct Path;

/// A pattern of paths: `*`, `**`, `?`, `[a-z]`, `{a,b}`.
pub struct Glob;

/// A length of time: `90s`, `10m`, `1h30m`, `7d`, `2w`.
pub struct DurationText;

/// What a build may ask of its builder beyond the usual: `network.host`, `security.insecure`, `device`, `device=NAME`.
pub struct EntitlementText;

/// The version of this format; the only one so far is 1.
pub struct Version;

/// One value, or a list of them.
pub struct OneOrMany<T>(std::marker::PhantomData<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// A value, or a template that gives one.
pub struct Template<T>(std::marker::PhantomData<T>);

macro_rules! inline_schema {
    ($type:ty, $name:literal, $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

inline_schema!(Scalar, "Scalar", json_schema!({ "type": ["string", "number", "boolean"] }));
inline_schema!(Version, "Version", json_schema!({ "type": "integer", "enum": [1] }));
inline_schema!(Value, "Value", json_schema!(true));
inline_schema!(Path, "Path", json_schema!({ "type": "string", "minLength": 1 }));
inline_schema!(Glob, "Glob", json_schema!({ "type": "string", "minLength": 1 }));
inline_schema!(
    DurationText,
    "Duration",
    json_schema!({ "type": "string", "pattern": r"^([0-9]+(ms|s|m|h|d|w))+$|\{\{", "examples": ["90s", "10m", "7d"] })
);

inline_schema!(
    EntitlementText,
    "Entitlement",
    json_schema!({
        "type": "string",
        "pattern": r"^(network\.host|security\.insecure|device(=.+)?)$|\{\{",
        "examples": ["network.host", "security.insecure", "device"]
    })
);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl<T: JsonSchema> JsonSchema for Template<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Template_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [value, { "type": "string", "pattern": r"\{\{" }] })
    }
}
