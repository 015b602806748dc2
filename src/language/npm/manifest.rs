//! The part of a `package.json` that says what a workspace needs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a `package.json` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NpmManifest {
    /// Its name.
    pub name: Option<String>,
    /// The patterns of its workspaces.
    pub workspaces: Vec<String>,
    /// Its dependencies of all kinds: names, and what is written for them.
    pub dependencies: Vec<(String, String)>,
    /// Whether an installation of the whole workspace runs a script of it.
    pub runs_at_install: bool,
}

impl NpmManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Value::Object(object) = value else { return Err("it is no JSON object".to_owned()) };
        let patterns = match object.get("workspaces") {
            Some(Value::Object(full)) => full.get("packages"),
            other => other,
        };
        let mut manifest = Self {
            name: object.get("name").and_then(Value::as_str).map(str::to_owned),
            workspaces: texts(patterns),
            ..Self::default()
        };
        let kinds =
            ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides", "resolutions"];
        for kind in kinds {
            let entries = object.get(kind).and_then(Value::as_object).into_iter().flatten();
            let entries = entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
            manifest.dependencies.extend(entries);
        }
        let scripts = object.get("scripts").and_then(Value::as_object);
        let runs = |scripts: &Map<String, Value>| {
            ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"]
                .iter()
                .any(|name| scripts.contains_key(*name))
        };
        manifest.runs_at_install = scripts.is_some_and(runs);
        Ok(manifest)
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The patterns below `packages:` in a `pnpm-workspace.yaml`: a list of texts, one a line or in brackets.
pub(super) fn pnpm_patterns(text: &str) -> Vec<String> {
    let mut patterns = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix("packages:") {
            inside = true;
            let list = rest.trim().trim_start_matches('[').trim_end_matches(']');
            patterns.extend(list.split(',').map(unquoted).filter(|item| !item.is_empty()));
        } else if let (true, Some(item)) = (inside, line.trim_start().strip_prefix('-')) {
            patterns.push(unquoted(item));
        } else if !line.starts_with([' ', '\t']) {
            inside = false;
        }
    }
    patterns
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_workspace_needs() {
        let text = r#"{"name": "@acme/web", "workspaces": {"packages": ["packages/*"]}, "scripts": {"build": "x", "prepare": "y"},
            "dependencies": {"@acme/ui": "workspace:*"}, "devDependencies": {"t": "file:../t"}, "peerDependencies": {"p": "*"}}"#;
        let manifest = NpmManifest::parse(text).unwrap();
        assert_eq!(manifest.name.as_deref(), Some("@acme/web"));
        assert_eq!(manifest.workspaces, ["packages/*"]);
        let names: Vec<&str> = manifest.dependencies.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["@acme/ui", "t", "p"]);
        assert!(manifest.runs_at_install);
        assert!(!NpmManifest::parse(r#"{"scripts": {"build": "x"}}"#).unwrap().runs_at_install);
        assert!(NpmManifest::parse("[]").is_err() && NpmManifest::parse("{").is_err());
    }

    #[test]
    fn patterns_of_pnpm() {
        let text = "# x\npackages:\n  # all\n  - 'packages/*' # y\n  - \"apps/**\"\n- '!**/test'\ncatalog:\n  - no\n";
        assert_eq!(pnpm_patterns(text), ["packages/*", "apps/**", "!**/test"]);
        assert_eq!(pnpm_patterns("packages: ['a', b]\n"), ["a", "b"]);
    }
}
