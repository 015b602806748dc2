//! What `orchestrate doctor` found.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

use super::style::Style;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As it should be.
    Good,
    /// An apply would do, and somebody should know.
    Odd,
    /// An apply would fail.
    Bad,
    /// It was not looked at, because of something else, or because nothing needs it.
    Skipped,
}

/// One thing that an apply needs.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What kind of thing: `builder`, `credentials`, `clock`, `registry`, `repository`, `function`, `plan`.
    pub kind: &'static str,
    /// Which one, where there may be several.
    pub subject: String,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub said: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Check {
    /// A thing and how it is.
    pub fn new(kind: &'static str, subject: impl Into<String>, health: Health, said: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), health, said: said.into(), help: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }
}

/// The checks as a table.
pub fn checks_text(checks: &[Check], style: Style) -> String {
    let mut text = String::new();
    for check in checks {
        let word = match check.health {
            Health::Good => style.good("good   "),
            Health::Odd => style.warn("odd    "),
            Health::Bad => style.bad("bad    "),
            Health::Skipped => style.dim("skipped"),
        };
        let subject = if check.subject.is_empty() { String::new() } else { format!(" {}", check.subject) };
        let _ = writeln!(text, "{word}  {}{subject}: {}", check.kind, check.said);
        if let Some(help) = &check.help {
            let _ = writeln!(text, "         help: {help}");
        }
    }
    let bad = checks.iter().filter(|check| check.health == Health::Bad).count();
    let summary = match bad {
        0 => style.good("an apply has what it needs"),
        1 => style.bad("1 thing is in the way of an apply"),
        many => style.bad(&format!("{many} things are in the way of an apply")),
    };
    let _ = writeln!(text, "\n{summary}");
    text
}

/// The checks as JSON.
pub fn checks_json(checks: &[Check]) -> serde_json::Value {
    json!({ "format": 1, "checks": checks })
}
