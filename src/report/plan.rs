//! A plan as a table for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::causes::causes_text;
use super::functions::{function_blocker_text, functions_summary, functions_text};
use super::repositories::repositories_text;
use super::style::Style;
use super::unseen::unseen_text;
use super::words::{action_word, reason_text, rebuild_text};
use crate::plan::{Action, Blocker, Course, Executor, Plan, Publication, Step, explain};

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
    text.push_str(&repositories_text(&plan.repositories, style, verbose));
    buildkit_text(&mut text, plan, style, verbose);
    let causes = causes_text(&explain(plan), style, verbose);
    if !causes.is_empty() {
        let _ = write!(text, "\n{causes}");
    }
    text.push_str(&functions_text(plan, style, verbose));
    let unseen = unseen_text(plan, style);
    if !unseen.is_empty() {
        let _ = write!(text, "\n{unseen}");
    }
    for rebuild in &plan.rebuilds {
        let _ = writeln!(text, "\n{}", style.warn(&rebuild_text(rebuild)));
    }
    for warning in distinct(plan.images.iter().flat_map(|step| order_warnings(step, short_commit))) {
        let _ = writeln!(text, "\n{}", style.warn(&warning));
    }
    text.push_str(&blockers_text(plan, style));
    let _ = writeln!(text, "\n{}", summary(plan, style));
    text
}

/// Why `apply` would refuse a plan.
pub fn blockers_text(plan: &Plan, style: Style) -> String {
    // An image with several destinations has the same tag at each.
    let blockers = distinct(plan.blockers.iter().map(blocker_text)).into_iter();
    blockers.map(|blocker| format!("\n{} {blocker}\n", style.bad("apply would refuse:"))).collect()
}

/// How many images are named where all have the same reason.
const NAMED: usize = 5;

/// Which images need BuildKit, and the first instruction that does. Who forced it knows that.
fn buildkit_text(text: &mut String, plan: &Plan, style: Style, verbose: bool) {
    let mut needing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let steps = plan.images.iter().filter(|step| step.action == Action::Build && step.executor == Executor::Buildkit);
    for step in steps.filter(|step| verbose || !step.executor_forced()) {
        needing.entry(step.executor_because.as_deref().unwrap_or_default()).or_default().push(step.name.as_str());
    }
    for (because, names) in needing.into_iter().filter(|(because, _)| !because.is_empty()) {
        let shown = if verbose { names.len() } else { names.len().min(NAMED) };
        let more = match names.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let line = format!("buildkit because of {because}: {}{more}", names[..shown].join(", "));
        let _ = writeln!(text, "{}", style.dim(&line));
    }
}

fn step_text(text: &mut String, step: &Step, width: usize, style: Style, verbose: bool) {
    let word = format!("{:<5}", action_word(step.action));
    let word = match step.action {
        Action::Keep => style.dim(&word),
        Action::Tag | Action::Copy => style.good(&word),
        Action::Build => style.strong(&word),
    };
    let pad = " ".repeat(width.saturating_sub(step.name.as_str().width()));
    // Several platforms or destinations may have the same to say.
    let mut why = distinct(step.reasons.iter().map(reason_text));
    let shown = if verbose { why.len() } else { why.len().min(3) };
    let more = why.split_off(shown).len();
    if more > 0 {
        why.push(format!("and {more} more"));
    }
    let executor = match (step.action, step.executor) {
        (Action::Build, Executor::Assemble) => " assemble",
        (Action::Build, Executor::Buildkit) => " buildkit",
        _ => "",
    };
    let why = why.join("; ");
    let _ = writeln!(
        text,
        "{}",
        format!("{word}  {}{pad} {}  {}", step.name, style.dim(&format!("{executor:<9}")), why).trim_end()
    );
    let indent = " ".repeat(9);
    if let (true, Some(path)) = (step.action == Action::Build || verbose, step.uncommitted.first()) {
        let more = if step.uncommitted.len() > 1 {
            format!(" and {} more", step.uncommitted.len() - 1)
        } else {
            String::new()
        };
        let _ = writeln!(text, "{indent}{}", style.warn(&format!("uncommitted: {path}{more}")));
    }
    if let (true, Some(narrowed)) = (verbose, &step.narrowed) {
        let first = narrowed.first.first().map(String::as_str).unwrap_or_default();
        let more = if narrowed.dropped > 1 { format!(" and {} more", narrowed.dropped - 1) } else { String::new() };
        let _ = writeln!(text, "{indent}{}", style.dim(&format!("`inputs` leaves out {first}{more}")));
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

/// Tags that commit times put in order against this run, or that may yet be refused.
fn order_warnings(step: &Step, short: fn(&str) -> &str) -> Vec<String> {
    let tags =
        step.destinations.iter().flat_map(|publication| publication.tags.iter().map(move |tag| (publication, tag)));
    let warned = tags.filter_map(|(publication, tag)| {
        let order = tag.order.as_ref()?;
        let (reference, commit) = (format!("{}:{}", publication.reference, tag.tag), short(&order.mover.commit));
        match order.course() {
            Course::Stays => Some(format!("`{reference}` is left where it is: commit {commit} moved it, {order}")),
            Course::Refused if order.why.is_doubtful() => Some(format!(
                "`{reference}` was moved by commit {commit}, {order}; apply asks git for more history before it decides"
            )),
            _ => None,
        }
    });
    warned.collect()
}

fn short_commit(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

fn publication_text(publication: &Publication) -> String {
    let short = |mover: &crate::plan::Mover| mover.commit[..mover.commit.len().min(7)].to_owned();
    let left = |tag: &crate::plan::TagMove| match (&tag.newer, &tag.order) {
        (Some(newer), None) => format!("{} (left: the newer commit {} moved it)", tag.tag, short(newer)),
        (Some(newer), Some(order)) => format!("{} (left: commit {} moved it, {order})", tag.tag, short(newer)),
        (None, Some(order)) if order.course() == Course::Moves => {
            format!("{} (moved by {} before: {order})", tag.tag, short(&order.mover))
        }
        _ => tag.tag.clone(),
    };
    let tags: Vec<String> = publication.tags.iter().map(left).collect();
    let from = publication.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let tags = if tags.is_empty() { String::new() } else { format!(": {}", tags.join(", ")) };
    format!("{} {}{tags}{from}", action_word(publication.action), publication.reference)
}

/// What stands in the way, with what to do.
pub fn blocker_text(blocker: &Blocker) -> String {
    match blocker {
        Blocker::TagConflict { reference, stands, wanted, .. } => format!(
            "the fixed tag `{reference}` stands on another image ({})\n  help: a fixed tag is never overwritten; {}, or delete the tag",
            stands.short(),
            match wanted {
                Some(_) => "commit the change",
                // Only the build will tell: it may be the same image again, and need not.
                None => "make another commit (`git commit --allow-empty` will do where nothing changed)",
            }
        ),
        Blocker::NoRepository { reference } => {
            format!("there is no repository `{reference}`\n  help: `create: true` at the registry lets apply create it")
        }
        Blocker::ImmutableTag { reference } => format!(
            "the tag `{reference}` has to move, and the repository lets no tag move\n  help: exclude it from the repository's immutability (`create: {{ immutable: {{ except: [...] }} }}` does for new ones), or publish under tags that name the commit alone"
        ),
        Blocker::TooManyTags { reference, digest, tags } => format!(
            "{} in `{reference}` would have {tags} tags; ECR allows 1,000\n  help: `{{ tag, on: change }}` makes commit tags only where something changed; `orchestrate prune` takes old ones away",
            digest.short()
        ),
        Blocker::Unordered { reference, mover, order, .. } => format!(
            "the tag `{reference}` was moved by commit {}, {order}\n  help: {}",
            &mover.commit[..mover.commit.len().min(7)],
            order.help()
        ),
        Blocker::Function { image, because } => function_blocker_text(image, because),
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
    let unseen = match plan.unseen.len() {
        0 => String::new(),
        some => format!("; {some} not planned"),
    };
    format!(
        "{} {} to build, {} to copy, {} to tag, {} to keep{}{unseen}",
        style.strong("plan:"),
        count(Action::Build),
        count(Action::Copy),
        count(Action::Tag),
        count(Action::Keep),
        functions_summary(plan)
    )
}
