//! Roots and cascades for people.

use std::fmt::Write as _;

use super::style::Style;
use super::words::reason_text;
use crate::plan::{Causes, Reason};

/// How many roots are shown without `--verbose`.
const SHOWN: usize = 5;

/// What made the difference, and what each cause drags along. Empty where there is nothing that the table does not say.
pub fn causes_text(causes: &Causes, style: Style, verbose: bool) -> String {
    let worth = |reason: &Reason| {
        !matches!(
            reason,
            Reason::NeverPublished | Reason::Untraced | Reason::NotAsked | Reason::NotPushed | Reason::NotNeeded
        )
    };
    let roots: Vec<_> = causes.roots.iter().filter(|root| worth(&root.reason)).collect();
    if roots.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", style.strong("because:"));
    for root in roots.iter().take(if verbose { usize::MAX } else { SHOWN }) {
        let images: Vec<&str> = root.images.iter().map(crate::name::ImageName::as_str).collect();
        let _ = write!(text, "  {}: builds {}", reason_text(&root.reason), listed(&images, verbose));
        if !root.cascades.is_empty() {
            let cascades: Vec<&str> = root.cascades.iter().map(crate::name::ImageName::as_str).collect();
            let _ = write!(text, ", and through it {}", listed(&cascades, verbose));
        }
        text.push('\n');
    }
    if !verbose && roots.len() > SHOWN {
        let _ = writeln!(text, "  and {} more (--verbose shows them)", roots.len() - SHOWN);
    }
    text
}

fn listed(names: &[&str], verbose: bool) -> String {
    let shown = if verbose { names.len() } else { names.len().min(6) };
    let mut text = names[..shown].join(", ");
    if shown < names.len() {
        let _ = write!(text, " and {} more", names.len() - shown);
    }
    text
}
