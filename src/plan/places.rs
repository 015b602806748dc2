//! Where the files of contexts are in the repository.

use crate::project::{Context, ContextPart, Image, NamedContext};

/// The path in the repository of a file that `context` of `image` has at `path`; `context` is "" for the default one and `None` for a path
/// below the manifest's folder, which is `prefix` in the repository.
pub fn path_in_repository(image: &Image, prefix: &str, context: Option<&str>, path: &str) -> String {
    let within = match context {
        None => path.to_owned(),
        Some("") => match &image.context.value {
            Context::Folder(folder) => format!("{folder}/{path}"),
            Context::Assembled(parts) => origin(parts, path),
        },
        Some(name) => match image.contexts.get(name).map(|context| &context.value) {
            Some(NamedContext::Folder(folder)) => format!("{folder}/{path}"),
            _ => return path.to_owned(),
        },
    };
    joined(&format!("{prefix}/{within}"))
}

/// Where a file of an assembled context comes from: the longest of the parts that hold it.
fn origin(parts: &[ContextPart], path: &str) -> String {
    let rest = |part: &ContextPart| {
        let to = joined(&part.to);
        match path.strip_prefix(to.as_str()) {
            Some("") => Some(String::new()),
            Some(rest) if to.is_empty() || rest.starts_with('/') => Some(rest.to_owned()),
            _ => None,
        }
    };
    let holding = parts.iter().filter_map(|part| Some((part, rest(part)?)));
    let nearest = holding.min_by_key(|(_, rest)| rest.len());
    nearest.map_or_else(|| path.to_owned(), |(part, rest)| format!("{}/{rest}", part.from))
}

/// A path without empty parts, `.` and `..`; those of `..` that lead out of the repository stay.
fn joined(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined() {
        for (path, expected) in [
            ("/./main.go", "main.go"),
            ("sub/../lib/main.go", "lib/main.go"),
            ("sub/../../other/x", "../other/x"),
            ("a//b/./c", "a/b/c"),
        ] {
            assert_eq!(joined(path), expected, "{path}");
        }
    }

    #[test]
    fn parts_of_an_assembled_context() {
        let part = |from: &str, to: &str| ContextPart { from: from.to_owned(), to: to.to_owned(), only: Vec::new() };
        let parts = [part("services/api", "app"), part("lib", "app/lib"), part("go.mod", "go.mod"), part("all", ".")];
        let found = |path: &str| joined(&origin(&parts, path));
        assert_eq!(found("app/main.go"), "services/api/main.go");
        assert_eq!(found("app/lib/x.go"), "lib/x.go");
        assert_eq!(found("go.mod"), "go.mod");
        assert_eq!(found("apple"), "all/apple");
    }
}
