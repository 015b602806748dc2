//! What must not be shown: the values of secrets and of sensitive args.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines that are shorter than this are not hidden: they would blot out ordinary text.
const SHORTEST_MASK: usize = 4;

/// Texts that must not be shown. Clones share them, so that what one build learns is hidden everywhere from then on.
#[derive(Clone, Default)]
pub struct Masks(Arc<Mutex<Vec<String>>>);

impl Masks {
    /// Hides every line of `secret` from now on, as it is and as it stands in quotes. Lines of less than four bytes are not hidden.
    pub fn add(&self, secret: &str) {
        let mut masks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_MASK);
        for form in lines.flat_map(forms) {
            if !masks.contains(&form) {
                masks.push(form);
            }
        }
        // A secret that holds another one is hidden whole.
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    }

    /// `text` with `***` for every secret in it.
    pub fn hide(&self, text: &str) -> String {
        let masks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        masks.iter().fold(text.to_owned(), |text, mask| text.replace(mask.as_str(), "***"))
    }
}

/// A line as it is, between the double quotes of an error message (Go's `%q`, JSON), and between the single quotes in which a shell shows
/// the words of a command (`set -x`).
fn forms(line: &str) -> BTreeSet<String> {
    let quoted = line.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
    BTreeSet::from([line.to_owned(), quoted, line.replace('\'', r"'\''"), line.replace('\'', r#"'"'"'"#)])
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_secret_is_hidden_and_short_ones_are_not() {
        let masks = Masks::default();
        masks.add("token-1\n  token-1-long \n}\n");
        masks.add("");
        masks.add("yes");
        assert_eq!(masks.hide("a token-1-long b token-1 } c yes"), "a *** b *** } c yes");
        assert_eq!(format!("{masks:?}"), "Masks(***)");
    }

    #[test]
    fn a_secret_in_quotes_is_hidden_too() {
        let masks = Masks::default();
        masks.add(r#"it's a "back\slash""#);
        for shown in [
            r#"it's a "back\slash""#,
            r#"it's a \"back\\slash\""#,
            r#"it'\''s a "back\slash""#,
            r#"it'"'"'s a "back\slash""#,
        ] {
            assert_eq!(masks.hide(&format!("[{shown}]")), "[***]");
        }
    }

    #[test]
    fn clones_share_what_they_hide() {
        let masks = Masks::default();
        let other = masks.clone();
        masks.add("hunter22");
        assert_eq!(other.hide("hunter22"), "***");
    }
}
