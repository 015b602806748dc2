//! A plan as a table for people.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::causes::causes_text;
use super::style::Style;
use super::words::{action_word, reason_text};
use crate::plan::{Action, Blocker, Executor, Plan, Publication, Step, explain};

/// The whole plan: what happens to each image, where it goes, why, and what stands in the way.
pub fn plan_text(plan: &Plan, style: Style, verbose: bool) -> String {
    let mut text = String::new();
    let all_keep = plan.images.iter().all(|step| step.action == Action::Keep);
    let width = plan.images.iter().map(|step| step.name.as_str().width()).max().unwrap_or(0);
    for step in &plan.images {
        if step.action == Action::Keep && !verbose && plan.images.len() > 20 && !all_keep {
            continue;
        }
        step_text(&mut text, step, width, style, verbose);
    }
    let causes = causes_text(&explain(plan), style, verbose);
    if !causes.is_empty() {
        let _ = write!(text, "\n{causes}");
    }
    // An image with several destinations has the same tag at each.
    for blocker in distinct(plan.blockers.iter().map(blocker_text)) {
        let _ = writeln!(text, "\n{} {blocker}", style.bad("apply would refuse:"));
    }
    let _ = writeln!(text, "\n{}", summary(plan, style));
    text
}

fn step_text(text: &mut String, step: &Step, width: usize, style: Style, verbose: bool) {
    let word = format!("{:<5}", action_word(step.action));
    let word = match step.action {
        Action::Keep => style.dim(&word),
        Action::Tag | Action::Copy => style.good(&word),
        Action::Build => style.strong(&word),
    };
    let pad = " ".repeat(width.saturating_sub(step.name.as_str().width()));
    let mut why = distinct(step.reasons.iter().map(reason_text));
    if !verbose && why.len() > 3 {
        let more = format!("and {} more", why.len() - 3);
        why.truncate(3);
        why.push(more);
    }
    let executor = match (step.action, step.executor, &step.executor_because) {
        (Action::Build, Executor::Assemble, _) => " assemble",
        (Action::Build, Executor::Buildkit, _) => " buildkit",
        _ => "",
    };
    let why = why.join("; ");
    let _ = writeln!(
        text,
        "{}",
        format!("{word}  {}{pad} {}  {}", step.name, style.dim(&format!("{executor:<9}")), why).trim_end()
    );
    let indent = " ".repeat(9);
    if step.action == Action::Build || verbose {
        if let (Executor::Buildkit, Some(because), true) = (step.executor, &step.executor_because, verbose) {
            let _ = writeln!(text, "{indent}{}", style.dim(&format!("buildkit because of {because}")));
        }
        if let Some(path) = step.uncommitted.first() {
            let more = if step.uncommitted.len() > 1 {
                format!(" and {} more", step.uncommitted.len() - 1)
            } else {
                String::new()
            };
            let _ = writeln!(text, "{indent}{}", style.warn(&format!("uncommitted: {path}{more}")));
        }
    }
    if step.action != Action::Keep || verbose {
        for publication in &step.destinations {
            let _ = writeln!(text, "{indent}{}", style.dim(&publication_text(publication)));
        }
    }
}

/// Each text once, in order.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

fn publication_text(publication: &Publication) -> String {
    let tags: Vec<&str> = publication.tags.iter().map(|tag| tag.tag.as_str()).collect();
    let from = publication.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let tags = if tags.is_empty() { String::new() } else { format!(": {}", tags.join(", ")) };
    format!("{} {}{tags}{from}", action_word(publication.action), publication.reference)
}

fn blocker_text(blocker: &Blocker) -> String {
    match blocker {
        Blocker::TagConflict { reference, stands, .. } => format!(
            "the fixed tag `{reference}` stands on another image ({})\n  help: a fixed tag is never overwritten; commit the change, or delete the tag",
            stands.short()
        ),
        Blocker::Dirty { image, tag, path } => format!(
            "the tag `{tag}` names the commit, but `{path}`, an input of {image}, differs from it\n  help: commit it, or use --allow-dirty, which appends `-dirty-` and the key"
        ),
    }
}

fn summary(plan: &Plan, style: Style) -> String {
    let count = |action| plan.images.iter().filter(|step| step.action == action).count();
    if !plan.has_changes() {
        let images = match plan.images.len() {
            1 => "1 image is as it should be".to_owned(),
            many => format!("{many} images are as they should be"),
        };
        return style.good(&format!("nothing to do: {images}"));
    }
    format!(
        "{} {} to build, {} to copy, {} to tag, {} to keep",
        style.strong("plan:"),
        count(Action::Build),
        count(Action::Copy),
        count(Action::Tag),
        count(Action::Keep)
    )
}
