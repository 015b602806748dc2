//! Paths of a manifest: relative to the file that they stand in.

use super::node::Node;
use crate::problem::{Code, Problem, Source};

/// The folder of a file, as it is written before a path: empty or ending in `/`.
fn folder_of(source: &Source) -> &str {
    source.name().rfind('/').map_or("", |at| &source.name()[..=at])
}

/// The path that `node` writes, relative to the root and without `.` and inner `..`.
pub(crate) fn resolved(node: &Node) -> Result<String, Problem> {
    let text = node.text().unwrap_or_default();
    let wrong =
        |message: String, help: &str| Err(Problem::error(Code::InvalidPath, message).at(&node.location, "").help(help));
    if text.contains("://") {
        return wrong(format!("`{text}` is an address, not a path"), "check the sources out and give their path");
    }
    if text.starts_with('/') || text.starts_with('~') {
        return wrong(
            format!("the path `{text}` is absolute"),
            "write it relative to this file, so that it holds on every machine",
        );
    }
    if text.contains(['\0', '\\']) {
        return wrong(format!("`{}` is not a path", text.escape_default()), "paths are written with `/`");
    }
    Ok(clean(&format!("{}{text}", folder_of(&node.location.source))))
}

/// A pattern, relative to the root.
pub(crate) fn pattern(node: &Node) -> String {
    let text = node.text().unwrap_or_default();
    let (negated, text) = text.strip_prefix('!').map_or(("", text), |rest| ("!", rest));
    format!("{negated}{}", clean(&format!("{}{text}", folder_of(&node.location.source))))
}

/// `path` (relative to the root) as it would be written in the file of `node`.
pub(crate) fn as_written_in<'p>(path: &'p str, node: &Node) -> &'p str {
    path.strip_prefix(folder_of(&node.location.source)).unwrap_or(path)
}

/// A path without `.`, doubled slashes and inner `..`; `.` for the root.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::node::Form;

    #[test]
    fn paths_are_relative_to_their_file() {
        for (file, written, path) in [
            ("deploy.yaml", "./a//b/", "a/b"),
            ("deploy.yaml", ".", "."),
            ("infra/deploy.yaml", "../x/./y", "x/y"),
            ("infra/deploy.yaml", "../../x", "../x"),
        ] {
            let source = Source::new(file, written);
            let node = Node::scalar(written, Form::Plain, source.at(0, written.len()));
            assert_eq!(resolved(&node).unwrap(), path, "{file}: {written}");
        }
        for bad in ["/etc", "~/x", "https://example.com/x.git", "a\\b"] {
            let node = Node::scalar(bad, Form::Plain, Source::new("deploy.yaml", bad).at(0, 1));
            assert_eq!(resolved(&node).unwrap_err().code, Code::InvalidPath, "{bad}");
        }
    }
}
