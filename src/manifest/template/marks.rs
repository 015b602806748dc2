//! References to images inside rendered text.
//!
//! A rendered text is a plain string, so `{{ref 'x'}}` leaves a mark in it: the name in hexadecimal between two code points that
//! are no characters (and that the YAML reader refuses). Hexadecimal survives the case helpers.

use crate::name::ImageName;
use crate::project::{Text, TextPart};

const BEGIN: char = '\u{fdd0}';
const END: char = '\u{fdd1}';

/// The mark for an image.
pub(crate) fn mark(name: &str) -> String {
    format!("{BEGIN}{}{END}", hex::encode(name))
}

/// Whether the text names an image.
pub(crate) fn has_reference(text: &str) -> bool {
    text.contains([BEGIN, END])
}

/// The text with its references; `None` if a helper broke a mark.
pub(crate) fn text_with_references(text: &str) -> Option<Text> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, tail) = after.split_once(END)?;
        let name = String::from_utf8(hex::decode(name).ok()?).ok()?;
        if !before.is_empty() {
            parts.push(TextPart::Literal(before.to_owned()));
        }
        parts.push(TextPart::Image(ImageName::new(name)));
        rest = tail;
    }
    if rest.contains(END) {
        return None;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(TextPart::Literal(rest.to_owned()));
    }
    Some(Text(parts))
}
