//! Rendered nodes to values. The form has been checked; here it is what the texts say.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::manifest::node::{Mapping, Node};
use crate::manifest::path_text;
use crate::manifest::render::Renderer;
use crate::platform::Platform;
use crate::problem::{Code, Problem, did_you_mean};
use crate::project::Located;

/// The texts of a list, or of a lone value; empty ones are left out.
pub(super) fn texts(node: Option<&Node>) -> Vec<Located<String>> {
    let items = node.map(Node::items).unwrap_or_default();
    let located = |item: &Node| {
        let text = item.text().filter(|text| !text.is_empty())?;
        Some(Located { value: text.to_owned(), location: item.location.clone() })
    };
    items.iter().filter_map(located).collect()
}

/// The texts of a mapping's values, by key.
pub(super) fn text_map(node: Option<&Node>) -> BTreeMap<String, String> {
    let entries = node.and_then(Node::mapping).into_iter().flat_map(Mapping::iter);
    entries.filter_map(|(key, value)| Some((key.text.clone(), value.text()?.to_owned()))).collect()
}

/// A path relative to the root.
pub(super) fn path(node: &Node, renderer: &mut Renderer) -> Option<Located<String>> {
    match path_text::resolved(node) {
        Ok(value) => Some(Located { value, location: node.location.clone() }),
        Err(problem) => {
            renderer.report(problem);
            None
        }
    }
}

/// Patterns relative to the root.
pub(super) fn patterns(node: Option<&Node>) -> Vec<Located<String>> {
    let items = node.map(Node::items).unwrap_or_default();
    items.iter().map(|item| Located { value: path_text::pattern(item), location: item.location.clone() }).collect()
}

/// `10m`, `1h30m`, `7d`.
pub(super) fn duration(node: &Node, renderer: &mut Renderer) -> Option<Duration> {
    let text = node.text().unwrap_or_default();
    let parsed = parse_duration(text);
    if parsed.is_none() {
        renderer.report(
            Problem::error(Code::InvalidDuration, format!("`{text}` is not a length of time"))
                .at(&node.location, "")
                .help("write a number and a unit: `90s`, `10m`, `1h30m`, `7d`, `2w`"),
        );
    }
    parsed
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let number: u64 = number.parse().ok()?;
        let seconds = match unit {
            "ms" => {
                total = total.checked_add(Duration::from_millis(number))?;
                rest = tail;
                continue;
            }
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        total = total.checked_add(Duration::from_secs(number.checked_mul(seconds)?))?;
        rest = tail;
    }
    (total > Duration::ZERO).then_some(total)
}

/// Platforms, sorted, each once; `default` if none is named.
pub(super) fn platforms(node: Option<&Node>, default: &Platform, renderer: &mut Renderer) -> Vec<Platform> {
    let mut platforms: Vec<Platform> = texts(node).into_iter().filter_map(|text| platform(&text, renderer)).collect();
    platforms.sort();
    platforms.dedup();
    if platforms.is_empty() {
        platforms.push(default.clone());
    }
    platforms
}

/// One platform.
pub(super) fn platform(text: &Located<String>, renderer: &mut Renderer) -> Option<Platform> {
    let problem = match text.value.parse::<Platform>() {
        Ok(platform) if platform.is_known() => return Some(platform),
        Ok(_) => format!("`{}` is not a platform that is known", text.value),
        Err(error) => error.to_string(),
    };
    let problem = Problem::error(Code::InvalidPlatform, problem).at(&text.location, "");
    renderer.report(problem.maybe_help(did_you_mean(&text.value, Platform::USUAL)));
    None
}

/// The word among `words` that the text is, or the default. The form has been checked.
pub(super) fn word<T: Copy + Default>(node: Option<&Node>, words: &[(&str, T)]) -> T {
    let text = node.and_then(Node::text);
    words.iter().find(|(word, _)| Some(*word) == text).map(|(_, value)| *value).unwrap_or_default()
}

/// A truth value, false unless given.
pub(super) fn flag(node: Option<&Node>) -> bool {
    node.and_then(Node::truth).unwrap_or(false)
}

/// A whole number.
pub(super) fn number<T: std::str::FromStr>(node: Option<&Node>, renderer: &mut Renderer) -> Option<T> {
    let node = node?;
    let text = node.text()?;
    let parsed = text.trim().parse();
    parsed.map_err(|_| invalid(node, &format!("the number `{text}` is out of range"), None, renderer)).ok()
}

/// Notes a value that its key does not take.
pub(super) fn invalid(node: &Node, message: &str, help: Option<&str>, renderer: &mut Renderer) {
    let problem = Problem::error(Code::InvalidValue, message).at(&node.location, "");
    renderer.report(problem.maybe_help(help.map(str::to_owned)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1h30m", 5_400), ("7d", 604_800), ("2w", 1_209_600)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", "10", "m", "10 minutes", "-1s", "1y", "99999999999999999999s", "0s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
