//! Reasons and numbers in words.

use crate::fingerprint::FileChange;
use crate::fingerprint::day_of;
use crate::plan::{Action, Reason, Rebuild, RebuildState};

/// The word for an action.
pub const fn action_word(action: Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Tag => "tag",
        Action::Copy => "copy",
        Action::Build => "build",
    }
}

/// A number of bytes, in the units that registries count in (powers of 1000).
pub fn bytes(number: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", units[unit]) }
}

fn short(text: &str) -> String {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return digits[..12].to_owned();
    }
    let one_line = text.lines().next().unwrap_or_default();
    match one_line.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &one_line[..end]),
        None => one_line.to_owned(),
    }
}

fn from_to(old: Option<&String>, new: Option<&String>) -> String {
    match (old, new) {
        (Some(old), Some(new)) => format!("from `{}` to `{}`", short(old), short(new)),
        (None, Some(new)) => format!("is new: `{}`", short(new)),
        (Some(old), None) => format!("is gone, was `{}`", short(old)),
        (None, None) => "changed".to_owned(),
    }
}

fn file_text(context: Option<&String>, path: &str, change: FileChange) -> String {
    let place = match context.map(String::as_str) {
        // The path is that of the repository: which context it is in says nothing more.
        Some(_) => path.to_owned(),
        None => format!("{path} (extra input)"),
    };
    match change {
        FileChange::Added => format!("{place} is new"),
        FileChange::Removed => format!("{place} is gone"),
        FileChange::Content => format!("{place} changed"),
        FileChange::Mode => format!("{place} changed its mode"),
        FileChange::Kind => format!("{place} is another kind of file"),
    }
}

/// A reason as a phrase.
pub fn reason_text(reason: &Reason) -> String {
    match reason {
        Reason::NeverPublished => "never published".to_owned(),
        Reason::Untraced => "not published under its key; it has no moving tag to tell what was before".to_owned(),
        Reason::NotAsked => "the registry was not asked".to_owned(),
        Reason::NotPushed => {
            "not pushed anywhere (it has no `push`), so it is built again whenever it is asked for or needed".to_owned()
        }
        Reason::NotNeeded => "nothing needs it".to_owned(),
        Reason::UnknownOrigin { tag, digest } => {
            format!("`{tag}` points at {}, which carries no record: unknown origin", digest.short())
        }
        Reason::Unsound { reference } => {
            format!("what stands under the key in {reference} has no sound record: it counts as absent")
        }
        Reason::Forced => "--rebuild".to_owned(),
        Reason::Format { old, new } => format!("the key's format went from {old} to {new}"),
        Reason::Platform { old, new } => format!("platform {}", from_to(old.as_ref(), new.as_ref())),
        Reason::Stage { stage, old, new } => {
            format!("stage {stage}: instruction {}", from_to(old.as_ref(), new.as_ref()))
        }
        Reason::Arg { name, old, new } => format!("arg {name} {}", from_to(old.as_ref(), new.as_ref())),
        Reason::File { context, path, change, because } => {
            let text = file_text(context.as_ref(), path, *change);
            because.as_ref().map_or_else(|| text.clone(), |because| format!("{text} ({because})"))
        }
        Reason::Image { image, .. } => format!("builds on {image}, which changed"),
        Reason::Outside { reference, old, new } => format!("{reference} {}", from_to(old.as_ref(), new.as_ref())),
        Reason::Setting { name, old, new } => format!("{name} {}", from_to(old.as_ref(), new.as_ref())),
        Reason::Missing { reference } => format!("not in {reference}"),
        Reason::TagMoves { reference, old, .. } => {
            let tag = reference.rsplit(':').next().unwrap_or(reference);
            match old {
                None => format!("tag {tag} is new"),
                Some(old) => format!("tag {tag} stands on {}", old.short()),
            }
        }
        Reason::SameBases { .. } => "its bases were rebuilt to what they were".to_owned(),
        Reason::Unexplained => "the key differs for a reason that was not found: please report this".to_owned(),
    }
}

/// How an image with `rebuild_every` stands, as a sentence.
pub fn rebuild_text(rebuild: &Rebuild) -> String {
    let Rebuild { image, every, state } = rebuild;
    let every = length(*every);
    match state {
        RebuildState::Due { published } => format!(
            "rebuild due: {image} is from {}, and `rebuild_every` is {every}\n  help: run `orchestrate update` and commit the lock",
            day_of(*published)
        ),
        RebuildState::NotAsked => {
            format!("whether {image} is due to be rebuilt (every {every}) is not known: the registry was not asked")
        }
        RebuildState::Undated => format!(
            "whether {image} is due to be rebuilt (every {every}) is not known: its record has no date\n  help: `orchestrate apply --rebuild {image}` gives it one"
        ),
        RebuildState::Ahead { published } => format!(
            "whether {image} is due to be rebuilt (every {every}) is not known: it is from {}, which is still to come\n  help: check the clock of this machine, and of the one that published it",
            day_of(*published)
        ),
    }
}

/// Seconds in the largest unit that says them exactly.
fn length(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let unit = units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size) && seconds > 0);
    unit.map_or_else(|| "0s".to_owned(), |(size, name)| format!("{}{name}", seconds / size))
}

#[cfg(test)]
mod tests {
    use super::{bytes, length};

    #[test]
    fn lengths_in_units() {
        assert_eq!([0, 59, 60, 5_400, 7_200, 604_800].map(length), ["0s", "59s", "1m", "90m", "2h", "7d"]);
    }

    #[test]
    fn bytes_in_units() {
        assert_eq!([0, 999, 1000, 1_500_000].map(bytes), ["0 B", "999 B", "1.0 kB", "1.5 MB"]);
    }
}
