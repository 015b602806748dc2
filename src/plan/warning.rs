//! Warnings of a plan.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::{Label, Problem, Problems, Severity};

/// Something odd that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// Its kind, as the pages about problems name it.
    pub code: String,
    /// What is odd.
    pub message: String,
    /// Where, the most telling place first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl Warning {
    /// The warnings among problems, in the order of their places.
    pub fn of(problems: &Problems) -> Vec<Self> {
        let place = |label: &Label| {
            let (line, column) = label.location.line_column();
            Place { file: label.location.source.name().to_owned(), line, column }
        };
        let warnings = problems.sorted().into_iter().filter(|problem| problem.severity == Severity::Warning);
        let one = |problem: &Problem| Self {
            code: problem.code.to_string(),
            message: problem.message.clone(),
            places: problem.labels.iter().map(place).collect(),
            help: problem.help.clone(),
        };
        warnings.map(one).collect()
    }
}
