//! The schema of the event stream.

use schemars::generate::SchemaSettings;

use super::kinds::Event;

/// The JSON Schema of one line of `apply --json`, from the types.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Event>().to_value()
}
