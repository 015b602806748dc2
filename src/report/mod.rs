//! stdout and stderr: plans, events and receipts as text for people, or as JSON. Nothing here decides anything.

mod causes;
mod doctor;
mod functions;
mod human;
mod jsonl;
mod live;
mod plan;
mod quiet;
mod repositories;
mod storage;
mod style;
mod unseen;
mod why;
mod words;

pub use doctor::{Check, Health, checks_json, checks_text};
pub use functions::function_blocker_text;
pub use human::Human;
pub use jsonl::JsonLines;
pub use plan::{blocker_text, blockers_text, plan_text};
pub use quiet::Failures;
pub use repositories::{change_text, note_text};
pub use storage::{PrunedRepository, SizedRepository, prune_json, prune_text, sizes_json, sizes_text};
pub use style::Style;
pub use unseen::unseen_text;
pub use why::differences_text;
pub use words::{action_word, bytes, reason_text, rebuild_text};

use crate::event::Event;

/// One event in, nothing out: no reporter can stop or fail a run.
pub trait Reporter: Send {
    /// Shows or writes an event.
    fn event(&mut self, event: &Event);
}
