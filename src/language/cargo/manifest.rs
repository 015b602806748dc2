//! The part of a `Cargo.toml` that says what a package is built from.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// What a `Cargo.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CargoManifest {
    /// The name of its package; `None` if it has none.
    pub name: Option<String>,
    /// Folders that it depends on to be built, as written.
    pub paths: Vec<String>,
    /// Dependencies that it takes over from its workspace.
    pub inherited: Vec<String>,
    /// The workspace that it names, as written.
    pub workspace: Option<String>,
    /// Whether it is the root of a workspace.
    pub is_root: bool,
    /// The folders of the workspace's dependencies, by name, as written.
    pub shared: Vec<(String, String)>,
    /// Folders that replace packages from elsewhere, as written.
    pub patches: Vec<String>,
    /// Targets that have a name and no path: the folder where cargo looks for them, and the name.
    pub targets: Vec<(String, String)>,
}

impl CargoManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It is not TOML.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let mut manifest = Self::default();
        if let Some(package) = table.get("package").or_else(|| table.get("project")).and_then(Value::as_table) {
            manifest.name = package.get("name").and_then(Value::as_str).map(str::to_owned);
            manifest.workspace = package.get("workspace").and_then(Value::as_str).map(str::to_owned);
        }
        let targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        for part in std::iter::once(&table).chain(targets.filter_map(Value::as_table)) {
            for key in ["dependencies", "build-dependencies", "build_dependencies"] {
                manifest.depend(part.get(key));
            }
        }
        if let Some(workspace) = table.get("workspace").and_then(Value::as_table) {
            manifest.is_root = true;
            let shared = workspace.get("dependencies").and_then(Value::as_table).into_iter().flatten();
            let path = |value: &Value| value.get("path").and_then(Value::as_str).map(str::to_owned);
            manifest.shared = shared.filter_map(|(name, value)| Some((name.clone(), path(value)?))).collect();
        }
        let patches = table.get("patch").and_then(Value::as_table).into_iter().flat_map(Table::values);
        for part in patches.chain(table.get("replace")) {
            let entries = part.as_table().into_iter().flat_map(Table::values);
            manifest.patches.extend(entries.filter_map(|entry| entry.get("path")?.as_str().map(str::to_owned)));
        }
        for (key, folder) in [("bin", "src/bin"), ("example", "examples"), ("test", "tests"), ("bench", "benches")] {
            for target in table.get(key).and_then(Value::as_array).into_iter().flatten() {
                if let (Some(name), None) = (target.get("name").and_then(Value::as_str), target.get("path")) {
                    manifest.targets.push((folder.to_owned(), name.to_owned()));
                }
            }
        }
        Ok(manifest)
    }

    fn depend(&mut self, dependencies: Option<&Value>) {
        for (name, value) in dependencies.and_then(Value::as_table).into_iter().flatten() {
            if let Some(path) = value.get("path").and_then(Value::as_str) {
                self.paths.push(path.to_owned());
            }
            if value.get("workspace").and_then(Value::as_bool) == Some(true) {
                self.inherited.push(name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_is_built_from() {
        let text = r#"
            [package]
            name = "api"
            [dependencies]
            serde = "1"
            db = { path = "../db", optional = true }
            log = { workspace = true }
            [dev-dependencies]
            fake = { path = "../fake" }
            [build-dependencies.gen]
            path = "../gen"
            [target.'cfg(unix)'.dependencies]
            unix.path = "../unix"
            [workspace]
            members = ["x"]
            [workspace.dependencies]
            log = { path = "crates/log" }
            serde = "1"
            [patch.crates-io]
            rand = { path = "third/rand" }
            [[bin]]
            name = "tool"
            [[test]]
            name = "it"
            path = "tests/it.rs"
        "#;
        let manifest = CargoManifest::parse(text).unwrap();
        assert_eq!(manifest.name.as_deref(), Some("api"));
        assert_eq!(manifest.paths, ["../db", "../gen", "../unix"]);
        assert_eq!(manifest.inherited, ["log"]);
        assert_eq!(manifest.shared, [("log".to_owned(), "crates/log".to_owned())]);
        assert_eq!(manifest.patches, ["third/rand"]);
        assert_eq!(manifest.targets, [("src/bin".to_owned(), "tool".to_owned())]);
        assert!(manifest.is_root);
        assert!(CargoManifest::parse("[package").is_err());
    }
}
