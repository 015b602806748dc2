//! Text that may come from outside (files, registries, builders, services) on a terminal: what it prints, it must not command.

use std::borrow::Cow;

/// The text with its control characters shown instead of sent: a terminal moves, renames or rewrites itself at some of them. Ends of lines and
/// tabs stay, and so do colours (`ESC [ numbers m`), which are this program's own and harmless in others' text.
pub fn printable(text: &str) -> Cow<'_, str> {
    let clean = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(clean) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(colour) = colour(rest) {
            shown.push_str(colour);
            rest = &rest[colour.len()..];
            continue;
        }
        match next {
            c if clean(c) => shown.push(c),
            // Before the end of a line it is that of another system.
            '\r' if rest.starts_with("\r\n") => {}
            c => shown.extend(c.escape_default()),
        }
        rest = &rest[next.len_utf8()..];
    }
    Cow::Owned(shown)
}

/// The sequence that sets a colour, if the text begins with one.
fn colour(text: &str) -> Option<&str> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    numbers[end..].starts_with('m').then(|| &text[..2 + end + 1])
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_commands_a_terminal_is_shown() {
        for (text, shown) in [
            ("plain\n\ttext – ü", "plain\n\ttext – ü"),
            ("\u{1b}[1mbold\u{1b}[0m \u{1b}[38;5;12mx", "\u{1b}[1mbold\u{1b}[0m \u{1b}[38;5;12mx"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{1b}[2J\u{1b}[H", "\\u{1b}[2J\\u{1b}[H"),
            ("a\r\nb\rc\u{8}\u{9b}2K", "a\nb\\rc\\u{8}\\u{9b}2K"),
            ("\u{1b}", "\\u{1b}"),
            ("\u{1b}[", "\\u{1b}["),
        ] {
            assert_eq!(printable(text), shown);
            assert_eq!(printable(&printable(text)), shown, "twice is once");
        }
    }
}
