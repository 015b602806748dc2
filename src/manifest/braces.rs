//! Habits from other tools: `{name}` and `${NAME}` where this manifest takes `{{name}}` and `{{env.NAME}}`.

use super::node::{Form, Kind, Node};
use crate::problem::{Code, Location, Problem, Problems};

/// Keys whose text names something, so that a lone brace in it is surely a mistake.
const NAMES: &[&str] = &[
    "name",
    "variant",
    "groups",
    "repository",
    "tags",
    "tag",
    "registry",
    "dockerfile",
    "context",
    "lambda",
    "function",
    "region",
    "account",
    "alias",
    "url",
    "path",
    "project",
    "platforms",
    "from",
    "to",
];

/// Keys that hold commands, in which braces are the shell's.
const COMMANDS: &[&str] = &["by", "verify"];

/// Checks all texts of a document.
pub(crate) fn check(root: &Node, problems: &mut Problems) {
    walk(root, false, problems);
}

fn walk(node: &Node, named: bool, problems: &mut Problems) {
    match &node.kind {
        Kind::Null => {}
        Kind::Scalar(scalar) if scalar.form != Form::Verbatim => text(node, &scalar.text, named, problems),
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => items.iter().for_each(|item| walk(item, named, problems)),
        Kind::Mapping(mapping) => {
            for (key, value) in
                mapping.iter().filter(|(key, _)| !key.text.starts_with("x-") && !COMMANDS.contains(&key.text.as_str()))
            {
                let holds_names = NAMES.contains(&key.text.as_str());
                walk(value, holds_names && value.mapping().is_none(), problems);
            }
        }
    }
}

fn text(node: &Node, text: &str, named: bool, problems: &mut Problems) {
    for (at, _) in text.match_indices('{') {
        let before = text[..at].chars().next_back();
        let Some((inside, after)) = text[at + 1..].split_once('}') else { continue };
        let doubled = before == Some('{') || inside.starts_with('{') || after.starts_with('}');
        let dollar = before == Some('$');
        if doubled || !is_name(inside) || (!dollar && !named) {
            continue;
        }
        let written = if dollar { format!("${{{inside}}}") } else { format!("{{{inside}}}") };
        let place = locate(node, &written);
        problems.push(match (dollar, named) {
            (true, true) => Problem::error(Code::DollarBrace, format!("`{written}` is not a template"))
                .at(&place, "taken as it stands")
                .help(format!("write `{{{{env.{inside}}}}}` and list `{inside}` under `env:`")),
            (true, false) => Problem::warning(Code::DollarBrace, format!("`{written}` is passed on as it stands"))
                .at(&place, "")
                .help(format!(
                    "for the environment variable, write `{{{{env.{inside}}}}}` and list `{inside}` under `env:`"
                )),
            (false, _) => Problem::error(Code::SingleBraces, format!("`{written}` is not a template"))
                .at(&place, "one brace is only a brace")
                .help(format!("write `{{{{{inside}}}}}`")),
        });
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// The place of `part` within a scalar; the whole scalar if it is not found in the source as it stands.
pub(crate) fn locate(node: &Node, part: &str) -> Location {
    let location = &node.location;
    let span = location.span;
    let slice = location.source.text().get(span.start..span.start + span.length).unwrap_or_default();
    match slice.find(part).filter(|_| !part.is_empty()) {
        Some(at) => location.source.at(span.start + at, part.len()),
        None => location.clone(),
    }
}
