//! The schema of a plan's JSON.

use schemars::generate::SchemaSettings;

use super::model::Plan;

/// The JSON Schema of `plan --json`, from the types.
pub fn schema() -> serde_json::Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Plan>();
    schema.to_value()
}
