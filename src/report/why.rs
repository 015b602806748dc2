//! The differences between two records, for people.

use std::fmt::Write as _;

use super::style::Style;
use super::words::reason_text;
use crate::plan::Reason;

/// One line for each difference.
pub fn differences_text(differences: &[Reason], style: Style) -> String {
    let mut text = String::new();
    for difference in differences {
        let _ = writeln!(text, "  {} {}", style.warn("~"), reason_text(difference));
    }
    text
}
