//! The part of a JavaScript or TypeScript file that says what it imports.

use serde::{Deserialize, Serialize};

use crate::language::cargo::upward_paths;

/// What a script imports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptFile {
    /// Names of packages (`@acme/ui`, `react`), sorted, each once; not more than looks like one.
    pub packages: Vec<String>,
    /// Paths that lead upward, as written, sorted, each once.
    pub upward: Vec<String>,
}

impl ScriptFile {
    /// Finds every string that follows `from`, `import` or `require`, and every path that leads upward. One in a comment is taken
    /// too, which does no harm.
    pub fn parse(text: &str) -> Self {
        let mut packages: Vec<String> =
            text.match_indices(['"', '\'', '`']).filter_map(|(at, _)| package(text, at)).collect();
        packages.sort_unstable();
        packages.dedup();
        let mut upward: Vec<String> = upward_paths(text).into_iter().map(str::to_owned).collect();
        upward.sort_unstable();
        upward.dedup();
        Self { packages, upward }
    }
}

/// The package that the string at `quote` names, if the words before it import something.
fn package(text: &str, quote: usize) -> Option<String> {
    let before = text[..quote].trim_end();
    let before = before.strip_suffix('(').map_or(before, str::trim_end);
    if !["from", "import", "require", "resolve"].iter().any(|word| before.ends_with(word)) {
        return None;
    }
    let mark = text[quote..].chars().next()?;
    let written = &text[quote + 1..];
    let written = &written[..written.find(mark)?];
    name_of(written).map(str::to_owned)
}

/// `@acme/ui` of `@acme/ui/button`, `react` of `react/jsx-runtime`; `None` for paths and addresses.
fn name_of(written: &str) -> Option<&str> {
    if written.is_empty() || written.starts_with(['.', '/']) || written.contains([':', '\n', ' ', '$']) {
        return None;
    }
    let parts = if written.starts_with('@') { 2 } else { 1 };
    match written.match_indices('/').nth(parts - 1) {
        Some((end, _)) => Some(&written[..end]),
        None => Some(written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_in_all_their_forms() {
        let text = "import React from 'react'\nimport { a } from \"@acme/ui/button\";import '@acme/side';\nexport * from`x/y`\n\
            const l = require ( 'lodash/fp' ), m = await import('@acme/lazy')\nimport './near'; import z from '../../up/z'\n\
            const s = 'not-imported'; import fs from 'node:fs'; /// <reference path=\"../types.d.ts\" />";
        let file = ScriptFile::parse(text);
        assert_eq!(file.packages, ["@acme/lazy", "@acme/side", "@acme/ui", "lodash", "react", "x"]);
        assert_eq!(file.upward, ["../../up/z", "../types.d.ts"]);
        assert_eq!(ScriptFile::parse("import 'unclosed"), ScriptFile::default());
    }
}
