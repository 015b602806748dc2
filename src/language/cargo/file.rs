//! The part of a Rust file that says what it needs of other packages: paths that lead upward.

use serde::{Deserialize, Serialize};

/// What a Rust file may include from elsewhere, by `#[path = "../x.rs"]`, `include!` and the like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RustFile {
    /// Paths to Rust files that lead upward, as written, each once.
    pub upward: Vec<String>,
}

impl RustFile {
    /// Finds whatever looks like such a path, in strings and elsewhere: too many do no harm.
    pub fn parse(text: &str) -> Self {
        let mut upward: Vec<String> =
            upward_paths(text).into_iter().filter(|path| path.ends_with(".rs")).map(str::to_owned).collect();
        upward.sort_unstable();
        upward.dedup();
        Self { upward }
    }
}

/// All that looks like a path with `../` in it, from there on.
pub(in crate::language) fn upward_paths(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("../").map(|at| at + from) {
        let end = text[at..].find(|c: char| c.is_whitespace() || "\"'`();,<>#?!*{}[]@|".contains(c));
        let end = end.map_or(text.len(), |end| at + end);
        found.push(&text[at..end]);
        from = end.max(at + 3);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_upward() {
        let text = "#[path = \"../../other/src/x.rs\"]\nmod x;\ninclude!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../gen/y.rs\"));\n\
            const A: &str = include_str!(\"../data.txt\"); // ../z.rs";
        assert_eq!(RustFile::parse(text).upward, ["../../other/src/x.rs", "../gen/y.rs", "../z.rs"]);
        assert_eq!(upward_paths("../"), ["../"]);
    }
}
