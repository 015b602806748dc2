//! Repositories of a plan, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::style::Style;
use crate::plan::{RepositoryAction, RepositoryChange, RepositoryNote, RepositoryStep};

/// How many repositories are named that are not seen for one reason.
const NAMED: usize = 4;

/// What happens to the repositories: those that change, and those that there is something to say of.
pub fn repositories_text(steps: &[RepositoryStep], style: Style, verbose: bool) -> String {
    let mut text = String::new();
    // Many that are not seen for one reason are said once.
    let hidden = |step: &RepositoryStep| match (step.action, &step.notes[..]) {
        (RepositoryAction::Unknown, [RepositoryNote::Hidden { why, .. }]) => Some(why.clone()),
        _ => None,
    };
    let mut unseen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for step in steps {
        if let Some(why) = hidden(step) {
            unseen.entry(why).or_default().push(&step.reference);
        }
    }
    for (why, references) in unseen.iter().filter(|(_, references)| references.len() > 1) {
        let _ = writeln!(text, "{}{} repositories: {why}", style.warn("not seen     "), references.len());
        let shown = if verbose { references.len() } else { references.len().min(NAMED) };
        let more = references.len() - shown;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(text, "         {}{more}", style.dim(&references[..shown].join(", ")));
    }
    for step in steps.iter().filter(|step| hidden(step).is_none_or(|why| unseen[&why].len() == 1)) {
        let quiet = step.action == RepositoryAction::Keep && step.notes.is_empty();
        if quiet && !verbose {
            continue;
        }
        let word = match step.action {
            RepositoryAction::Keep => style.dim("repository   "),
            RepositoryAction::Create => style.strong("create       "),
            RepositoryAction::Change => style.strong("change       "),
            RepositoryAction::Missing => style.bad("missing      "),
            RepositoryAction::Unknown => style.warn("not seen     "),
        };
        let _ = writeln!(text, "{word}{}", step.reference);
        for change in &step.changes {
            let _ = writeln!(text, "         {}", style.dim(&change_text(change)));
        }
        for note in &step.notes {
            let _ = writeln!(text, "         {}", style.warn(&note_text(note)));
        }
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// One change.
pub fn change_text(change: &RepositoryChange) -> String {
    match change {
        RepositoryChange::Create { .. } => format!("create it: {}", settings_text(change)),
        RepositoryChange::CreatePublic { .. } => format!("create it: {}", settings_text(change)),
        RepositoryChange::Untagged { from: None, to, .. } => format!("let untagged images go after {to} days"),
        RepositoryChange::Untagged { from: Some(from), to, .. } => {
            format!("let untagged images go after {to} days in place of {from}")
        }
        RepositoryChange::Pull { revoked, .. } => {
            let pullers = pullers_of(change);
            let granted = (!pullers.is_empty()).then(|| format!("let {} pull", pullers.join(", ")));
            let taken = (!revoked.is_empty()).then(|| format!("let {} pull no more", revoked.join(", ")));
            granted.into_iter().chain(taken).collect::<Vec<_>>().join("; ")
        }
    }
}

/// One change that was made.
pub fn done_text(change: &RepositoryChange) -> String {
    match change {
        RepositoryChange::Create { .. } => format!("created: {}", settings_text(change)),
        RepositoryChange::CreatePublic { .. } => format!("created: {}", settings_text(change)),
        RepositoryChange::Untagged { to, .. } => format!("untagged images go after {to} days"),
        RepositoryChange::Pull { revoked, .. } => {
            let pullers = pullers_of(change);
            let granted = (!pullers.is_empty()).then(|| format!("{} may pull", pullers.join(", ")));
            let taken = (!revoked.is_empty()).then(|| format!("{} may pull no more", revoked.join(", ")));
            granted.into_iter().chain(taken).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Who is let in.
fn pullers_of(change: &RepositoryChange) -> Vec<String> {
    let RepositoryChange::Pull { lambda, accounts, .. } = change else { return Vec::new() };
    let service = lambda.then(|| "Lambda".to_owned());
    service.into_iter().chain(accounts.iter().cloned()).collect()
}

fn tagged(tags: &BTreeMap<String, String>) -> Option<String> {
    let pairs: Vec<String> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!pairs.is_empty()).then(|| format!("tagged {}", pairs.join(", ")))
}

/// What a repository is created with.
fn settings_text(change: &RepositoryChange) -> String {
    if let RepositoryChange::CreatePublic { description, about, usage, tags } = change {
        let mut said = vec!["for everybody to read".to_owned()];
        said.extend(description.as_ref().map(|text| format!("described as `{text}`")));
        let texts: Vec<&str> = [("about", about), ("usage", usage)]
            .iter()
            .filter(|(_, text)| text.is_some())
            .map(|(name, _)| *name)
            .collect();
        said.extend((!texts.is_empty()).then(|| format!("with texts for {}", texts.join(" and "))));
        said.extend(tagged(tags));
        return said.join(", ");
    }
    let RepositoryChange::Create { scan_on_push, immutable, except, encryption, tags } = change else {
        return String::new();
    };
    let mut said = vec![format!("encrypted with {encryption}")];
    if *scan_on_push {
        said.push("scanned on push".to_owned());
    }
    if *immutable {
        let but = if except.is_empty() { String::new() } else { format!(" but for {}", except.join(", ")) };
        said.push(format!("tags do not move{but}"));
    }
    said.extend(tagged(tags));
    said.join(", ")
}

/// Something to know.
pub fn note_text(note: &RepositoryNote) -> String {
    match note {
        RepositoryNote::MayDelete { rule, keeps, patterns } => {
            let of = if patterns.is_empty() { String::new() } else { format!(" of {}", patterns.join(", ")) };
            format!("its lifecycle rule {rule} keeps only {keeps}{of}: it may delete what runs")
        }
        RepositoryNote::Differs { setting, wanted, found } => {
            format!("`{setting}` is {found} there; `create` says {wanted}; left as it is")
        }
        RepositoryNote::Hidden { what, why } => format!("its {what} could not be seen: {why}"),
        RepositoryNote::Strange { what } => format!("its {what} has a form that is not known; left as it is"),
        RepositoryNote::ShutOut { account } => {
            format!(
                "its policy does not let the functions of {account} pull; `create` at the registry lets apply add that"
            )
        }
        RepositoryNote::Immovable { tag } => format!("`{tag}` has to move, and no tag moves there"),
        RepositoryNote::Stuck { tag } => {
            format!(
                "`{tag}` moves with each publication, but no tag will move there: put it into `immutable: {{ except: [...] }}`"
            )
        }
        RepositoryNote::ManyTags { digest, tags } => {
            format!("{} would have {tags} tags; ECR allows 1,000", digest.short())
        }
    }
}
