//! The changes: one class for each trap that a key can fall into.

mod contents;
mod instructions;
mod modes;
mod names;
mod rules;
mod settings;

use crate::case::Case;
use crate::dice::Dice;

/// A kind of change.
#[derive(Clone, Copy)]
pub struct Class {
    /// Its name.
    pub name: &'static str,
    /// Why keys may change here although BuildKit runs nothing: the line of docs/keys.md, "Needless rebuilds, on purpose".
    pub documented: Option<&'static str>,
    /// Changes a project and says what it did; `None` if there is nothing of the kind in it.
    pub apply: fn(&mut Case, &mut Dice) -> Option<String>,
}

const fn class(name: &'static str, apply: fn(&mut Case, &mut Dice) -> Option<String>) -> Class {
    Class { name, documented: None, apply }
}

const fn documented(name: &'static str, why: &'static str, apply: fn(&mut Case, &mut Dice) -> Option<String>) -> Class {
    Class { documented: Some(why), ..class(name, apply) }
}

/// All of them.
pub fn all() -> Vec<Class> {
    [contents::CLASSES, instructions::CLASSES, modes::CLASSES, names::CLASSES, rules::CLASSES, settings::CLASSES]
        .concat()
}

/// The class of a name.
pub fn named(name: &str) -> Class {
    all().into_iter().find(|class| class.name == name).unwrap_or_else(|| panic!("no class is called `{name}`"))
}
