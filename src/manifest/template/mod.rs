//! Templates: the syntax is Handlebars', the meaning is strict.
//!
//! Handlebars' own renderer is lenient where a manifest must not be (a missing name in `#if` is simply false), so its parser is
//! used and the elements are evaluated here. Nothing is escaped, there is no clock and no outside, and a missing name is an
//! error everywhere except as the first argument of `default`.

mod case;
mod evaluate;
mod helpers;
mod marks;
mod names;
mod scope;

pub(crate) use evaluate::{MOST, Wrong, evaluate};
pub(crate) use helpers::text_of;
pub(crate) use marks::{has_reference, mark, text_with_references};
pub(crate) use names::{Templates, names_in};
pub(crate) use scope::Scope;
