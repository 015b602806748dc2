//! Images that `--offline` could not plan, for people.

use std::fmt::Write as _;

use super::style::Style;
use crate::plan::{Plan, Unseen};

/// Each image that could not be planned, and what to do; empty where there is none.
pub fn unseen_text(plan: &Plan, style: Style) -> String {
    let mut text = String::new();
    for image in &plan.unseen {
        let why = match &image.because {
            Unseen::Pin { reference } => format!("`{reference}` has no pin in deploy.lock"),
            Unseen::Configuration { reference } => format!("the configuration of `{reference}` was never read here"),
            Unseen::Image { image } => format!("it builds on {image}"),
        };
        let _ = writeln!(text, "{} {}: {why}, and --offline forbids to ask", style.warn("not planned:"), image.name);
    }
    if !text.is_empty() {
        text.push_str("  help: `orchestrate update` pins what is missing; a plan without --offline reads the rest, and it is kept\n");
    }
    text
}
