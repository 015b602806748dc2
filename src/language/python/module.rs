//! The part of a Python file that says what it imports.

use serde::{Deserialize, Serialize};

/// What a Python file imports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonFile {
    /// The first names of the modules, sorted, each once; relative imports are left out.
    pub modules: Vec<String>,
}

impl PythonFile {
    /// Reads every line that looks like an import, one in a text too, which does no harm.
    pub fn parse(text: &str) -> Self {
        let mut modules: Vec<String> = Vec::new();
        for statement in text.lines().flat_map(|line| line.split(';')) {
            let statement = statement.trim_start().trim_start_matches(">>> ");
            if let Some(rest) = word(statement, "from") {
                modules.extend(first_name(rest));
            } else if let Some(rest) = word(statement, "import").or_else(|| word(statement, "cimport")) {
                modules.extend(rest.split(',').filter_map(first_name));
            } else {
                let dynamic = statement.split("import_module(").skip(1).chain(statement.split("__import__(").skip(1));
                modules.extend(dynamic.filter_map(|rest| first_name(rest.trim_start_matches(['"', '\'']))));
            }
        }
        modules.sort_unstable();
        modules.dedup();
        Self { modules }
    }
}

fn word<'t>(statement: &'t str, word: &str) -> Option<&'t str> {
    statement.strip_prefix(word).filter(|rest| rest.starts_with([' ', '\t']))
}

fn first_name(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_in_all_their_forms() {
        let text = "import os, acme.db as db\nfrom shared.x import y\nfrom . import near\nfrom .near import z\n    import inner; import two\n\
            mod = importlib.import_module('plugin.a')\nfrom\tx import (\n  a,\n)\nimportant = 1\nfromage = 2\n";
        assert_eq!(PythonFile::parse(text).modules, ["acme", "inner", "os", "plugin", "shared", "two", "x"]);
    }
}
