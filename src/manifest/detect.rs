//! Files that are not ours: an older kind of deploy.yaml, or a file of another tool.

use super::node::Node;
use crate::problem::{Code, Problem, Source};

/// What the file is, if it is one of another kind.
pub(crate) fn other_tool(root: &Node) -> Option<Problem> {
    let mapping = root.mapping()?;
    let has = |key: &str| mapping.get(key).is_some();
    let one_of = |keys: &[&'static str]| keys.iter().copied().find(|key| has(key));
    let (key, what, help) = if has("version") && has("project") {
        return None;
    } else if let (Some(key), false) = (one_of(&["apiVersion", "kind"]), has("registries")) {
        let text = mapping.get("apiVersion").and_then(Node::text).unwrap_or_default();
        if text.starts_with("skaffold/") {
            (
                key,
                "a skaffold file",
                "move each entry of `build.artifacts` to `images:`, with `context`, `dockerfile` and `push`",
            )
        } else {
            (key, "a Kubernetes manifest", "give the path of your deploy.yaml with `--file`")
        }
    } else if let Some(key) = one_of(&["services"]) {
        (
            key,
            "a Compose file",
            "for each service with `build:`, write an image with its `context`, `dockerfile` and `args`",
        )
    } else if let Some(key) = one_of(&["target", "group", "variable"]) {
        (
            key,
            "a buildx bake file",
            "a target becomes an image; `inherits` becomes `variant`, `contexts: target:x` becomes `{ image: x }`",
        )
    } else if let Some(key) = one_of(&["app", "image", "lambda"]) {
        (
            key,
            "an older kind of deploy.yaml",
            "write `version: 1` and `project:`; `image:` becomes an entry of `images:`, `lambda:` becomes its `deploy:`",
        )
    } else {
        return None;
    };
    let (key, _) = mapping.entry(key)?;
    Some(
        Problem::error(Code::OtherTool, format!("this is {what}, not a manifest of orchestrate"))
            .at(&key.location, "such files begin like this")
            .help(help),
    )
}

/// What a file that may not even be YAML is, if it is one of another kind: buildx bake files are mostly written in HCL.
pub(crate) fn other_text(source: &Source) -> Option<Problem> {
    let mut start = 0;
    for line in source.text().split_inclusive('\n') {
        let words = ["target", "group", "variable", "function"];
        let block = line.trim_end().ends_with('{') && words.iter().any(|word| line.starts_with(&format!("{word} \"")));
        if block {
            let problem = Problem::error(Code::OtherTool, "this is a buildx bake file, not a manifest of orchestrate")
                .at(&source.at(start, line.trim_end().len()), "such files begin like this")
                .help("a target becomes an image; `inherits` becomes `variant`, `contexts: target:x` becomes `{ image: x }`");
            return Some(problem);
        }
        start += line.len();
    }
    None
}
