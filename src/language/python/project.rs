//! The part of a `pyproject.toml` that says what a project is made from.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// What a `pyproject.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonProject {
    /// Its name, normalized; `None` if it has none.
    pub name: Option<String>,
    /// Whether it is a project that can be installed, and not the settings of tools alone.
    pub is_project: bool,
    /// Everything in it that may be a path to another folder, as written.
    pub paths: Vec<String>,
    /// The names of dependencies that come from the workspace, normalized.
    pub from_workspace: Vec<String>,
}

impl PythonProject {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It is not TOML.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let tool = |name: &str| table.get("tool")?.get(name);
        let project = table.get("project").or_else(|| tool("poetry"));
        let name = project.and_then(|project| project.get("name")).and_then(Value::as_str);
        let virtual_root = tool("uv").and_then(|uv| uv.get("package")).and_then(Value::as_bool) == Some(false);
        let mut manifest = Self {
            name: name.map(normalized),
            is_project: (name.is_some() || table.contains_key("build-system")) && !virtual_root,
            ..Self::default()
        };
        collect(&Value::Table(table.clone()), false, &mut manifest.paths);
        let sources = tool("uv").and_then(|uv| uv.get("sources")).and_then(Value::as_table);
        for (name, source) in sources.into_iter().flatten() {
            let alternatives = source.as_array().map_or(std::slice::from_ref(source), Vec::as_slice);
            if alternatives.iter().any(|one| one.get("workspace").and_then(Value::as_bool) == Some(true)) {
                manifest.from_workspace.push(normalized(name));
            }
        }
        manifest.paths.sort_unstable();
        manifest.paths.dedup();
        Ok(manifest)
    }
}

/// Source: PEP 503, normalized names.
pub(super) fn normalized(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        if !normal.is_empty() {
            normal.push('-');
        }
        normal.push_str(&part.to_ascii_lowercase());
    }
    normal
}

/// Texts below keys called `path`, and those with `./` or `../` in them from there on: `file:../x`, `{root:uri}/../x`.
fn collect(value: &Value, is_path: bool, paths: &mut Vec<String>) {
    match value {
        Value::String(text) if is_path => paths.push(text.clone()),
        Value::String(text) => paths.extend(local_path(text).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, false, paths)),
        Value::Table(table) => {
            for (key, value) in table {
                collect(value, key == "path" || key == "url", paths);
            }
        }
        _ => {}
    }
}

/// The path to a folder that a requirement holds, if it holds one.
pub(super) fn local_path(text: &str) -> Option<&str> {
    let start = text.find("../").or_else(|| text.find("./"))?;
    let end = text[start..].find(|c: char| c.is_whitespace() || "\"'#;[,".contains(c));
    Some(&text[start..end.map_or(text.len(), |end| start + end)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_project_is_made_from() {
        let text = r#"
            [project]
            name = "Acme_API"
            dependencies = ["requests>=2", "db @ file:../libs/db", "hatchy @ {root:uri}/../libs/hatchy"]
            [tool.uv.sources]
            shared = { workspace = true }
            local = { path = "../libs/local", editable = true }
            several = [{ path = "vendor/several", marker = "x" }, { workspace = true }]
            [tool.poetry.group.dev.dependencies]
            tool = { path = "../tools", develop = true }
            [tool.pdm.dev-dependencies]
            dev = ["-e file:///${PROJECT_ROOT}/../pdm#egg=pdm"]
        "#;
        let project = PythonProject::parse(text).unwrap();
        assert_eq!(project.name.as_deref(), Some("acme-api"));
        let paths = ["../libs/db", "../libs/hatchy", "../libs/local", "../pdm", "../tools", "vendor/several"];
        assert_eq!(project.paths, paths);
        assert_eq!(project.from_workspace, ["several", "shared"]);
        assert!(project.is_project);
        assert!(!PythonProject::parse("[tool.ruff]\nline-length = 1").unwrap().is_project);
        assert!(!PythonProject::parse("[project]\nname = 'x'\n[tool.uv]\npackage = false").unwrap().is_project);
        assert!(PythonProject::parse("[").is_err());
    }
}
