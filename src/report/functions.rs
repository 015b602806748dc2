//! Functions in a plan, for people.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::style::Style;
use crate::name::ImageName;
use crate::plan::{Ailment, Function, FunctionAction, FunctionBlocker, FunctionReason, Plan};

/// A line for each function that something happens to; for those that stay only where few do, or with `verbose`.
pub fn functions_text(plan: &Plan, style: Style, verbose: bool) -> String {
    let mut text = String::new();
    let shown: Vec<&Function> = plan
        .functions
        .iter()
        .filter(|function| verbose || plan.functions.len() <= 20 || function.action != FunctionAction::Keep)
        .collect();
    let width = shown.iter().map(|function| function.function.width()).max().unwrap_or(0);
    if !shown.is_empty() {
        text.push('\n');
    }
    for function in shown {
        let word = match function.action {
            FunctionAction::Keep => style.dim("keep  "),
            FunctionAction::Unknown => style.warn("?     "),
            FunctionAction::Deploy => style.good("deploy"),
            FunctionAction::Create => style.strong("create"),
        };
        let pad = " ".repeat(width.saturating_sub(function.function.width()));
        let why = why(function);
        let why = if why.is_empty() { String::new() } else { style.dim(&format!(" ({why})")) };
        let account = function.account.as_ref().map(|account| format!(" {account}")).unwrap_or_default();
        let place = style.dim(&format!("{} {}{account}", function.service.as_str(), function.region));
        let _ = writeln!(text, "{word} {}{pad}  {place}  {}{why}", function.function, function.image);
    }
    text
}

fn why(function: &Function) -> String {
    if let Some(newer) = &function.newer {
        let commit = &newer.commit[..newer.commit.len().min(7)];
        return match &function.order {
            Some(standing) => format!("left: commit {commit} deployed what it runs, {standing}"),
            None => format!("left: the newer commit {commit} deployed what it runs"),
        };
    }
    let order = function.order.iter().map(ToString::to_string);
    function.reasons.iter().map(reason_text).chain(order).collect::<Vec<_>>().join(", ")
}

fn reason_text(reason: &FunctionReason) -> String {
    match reason {
        FunctionReason::NotAsked => "what it runs was not asked".to_owned(),
        FunctionReason::Missing => "it is not there".to_owned(),
        FunctionReason::ImageBuilt => "its image is built".to_owned(),
        FunctionReason::OtherImage { old: Some(old), .. } => format!("it runs {}", old.short()),
        FunctionReason::OtherImage { old: None, .. } => "it runs no image by digest".to_owned(),
        FunctionReason::AliasMissing { alias } => format!("it has no alias `{alias}`"),
        FunctionReason::Unfinished => "the run that made it did not finish it".to_owned(),
        FunctionReason::Unhealthy { health } => match health {
            Ailment::Failed { why } => format!("it never came up and runs nothing: {why}"),
            Ailment::UpdateFailed { why } => {
                format!("its last update failed, so it still runs the code from before: {why}")
            }
            Ailment::Inactive { why } => format!("it is inactive: {why}"),
        },
    }
}

/// What stands in the way of a function, with what to do.
pub fn function_blocker_text(image: &ImageName, because: &FunctionBlocker) -> String {
    match because {
        FunctionBlocker::Missing { function, region } => format!(
            "there is no function `{function}` in {region} to run {image}\n  help: make it, or let `create:` of its deployment say how to"
        ),
        FunctionBlocker::Unfit { function, because } => {
            format!("the function `{function}` cannot run {image}: {because}\n  help: nothing is touched until it can")
        }
        FunctionBlocker::Unordered { function, mover, order } => format!(
            "what `{function}` runs was deployed by commit {}, {order}\n  help: {}",
            &mover.commit[..mover.commit.len().min(7)],
            order.help()
        ),
        FunctionBlocker::Claimed { function, other } => format!(
            "{other} and {image} are both deployed to `{function}`\n  help: a function runs one image; see what the stack names"
        ),
    }
}

/// The functions in the last line of a plan; empty where there are none.
pub fn functions_summary(plan: &Plan) -> String {
    let count = |action| plan.functions.iter().filter(|function| function.action == action).count();
    let parts: Vec<String> = [
        (FunctionAction::Create, "to create"),
        (FunctionAction::Deploy, "to deploy"),
        (FunctionAction::Keep, "to keep"),
        (FunctionAction::Unknown, "not asked"),
    ]
    .into_iter()
    .filter(|(action, _)| count(*action) > 0)
    .map(|(action, words)| format!("{} {words}", count(action)))
    .collect();
    if parts.is_empty() { String::new() } else { format!("; functions: {}", parts.join(", ")) }
}
