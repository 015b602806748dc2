//! The Dockerfile as it is sent: the same text with the images of its stages, and what ADD fetches, pinned.

use crate::dockerfile::{Remote, RemoteKind, git_parts};
use crate::problem::{Location, Source};

/// A Dockerfile in which references are being replaced.
///
/// A base that is written as a digest is one that BuildKit knows to be a base, so that it leaves the layers of the base as they
/// are where it gives times to files; one that comes as a named context is rewritten whole.
pub(super) struct Pinned<'a> {
    source: &'a Source,
    /// Whether the front end is one whose FROM we know.
    known: bool,
    /// Where something stands (first byte, number of bytes), and what comes in its place.
    replaced: Vec<(usize, usize, String)>,
}

impl<'a> Pinned<'a> {
    pub fn new(source: &'a Source, known: bool) -> Self {
        Self { source, known, replaced: Vec::new() }
    }

    /// Puts `reference` where a FROM names an image; says whether it could.
    pub fn replace(&mut self, place: &str, location: &Location, reference: String) -> bool {
        place.ends_with("FROM") && self.replace_word(location, reference)
    }

    /// Puts `reference` where `# syntax=` names the front end.
    pub fn front_end(&mut self, location: &Location, reference: String) {
        if self.is_ours(location) && location.span.length > 0 {
            self.put(location.span.start, location.span.length, reference);
        }
    }

    /// Makes an ADD fetch what `pin` says, or fail; says whether it could.
    pub fn fetch(&mut self, remote: &Remote, pin: &str) -> bool {
        match remote.kind {
            RemoteKind::Git => {
                let (repository, _, folder) = git_parts(&remote.url);
                let folder = folder.map(|folder| format!(":{folder}")).unwrap_or_default();
                self.replace_word(&remote.location, format!("{repository}#{pin}{folder}"))
            }
            RemoteKind::Http => {
                let start = remote.instruction.span.start + "ADD".len();
                let word = self.source.text().get(remote.instruction.span.start..start);
                let is_add = word.is_some_and(|word| word.eq_ignore_ascii_case("ADD"));
                let can = self.known && remote.alone && self.is_ours(&remote.instruction) && is_add;
                if can {
                    self.put(start, 0, format!(" --checksum={pin}"));
                }
                can
            }
        }
    }

    fn is_ours(&self, location: &Location) -> bool {
        location.source.name() == self.source.name() && location.source.text() == self.source.text()
    }

    fn put(&mut self, start: usize, length: usize, text: String) {
        if !self.replaced.iter().any(|(other, ..)| *other == start) {
            self.replaced.push((start, length, text));
        }
    }

    fn replace_word(&mut self, location: &Location, word: String) -> bool {
        let (start, length) = (location.span.start, location.span.length);
        let text = self.source.text();
        let is_word =
            text.get(start..start + length).is_some_and(|word| !word.is_empty() && !word.contains(char::is_whitespace))
                && text[..start].ends_with([' ', '\t', '"'])
                && text[start + length..].chars().next().is_none_or(|next| next.is_whitespace() || next == '"');
        let can = self.known && is_word && self.is_ours(location);
        if can {
            self.put(start, length, word);
        }
        can
    }

    /// The text with everything replaced. Lines stay where they are.
    pub fn source(mut self) -> Source {
        if self.replaced.is_empty() {
            return self.source.clone();
        }
        self.replaced.sort();
        let text = self.source.text();
        let (mut pinned, mut end) = (String::with_capacity(text.len() + 80 * self.replaced.len()), 0);
        for (start, length, reference) in &self.replaced {
            pinned.push_str(&text[end..*start]);
            pinned.push_str(reference);
            end = start + length;
        }
        pinned.push_str(&text[end..]);
        Source::new(self.source.name(), pinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &Source, word: &str) -> Location {
        source.at(source.text().rfind(word).unwrap(), word.len())
    }

    #[test]
    fn each_base_is_replaced_where_it_stands() {
        let source = Source::new(
            "Dockerfile",
            "ARG B=x\nFROM --platform=linux/amd64 go:1 AS b\nFROM ${B} \\\n  AS c\nFROM go:1",
        );
        let mut pinned = Pinned::new(&source, true);
        let first = source.at(source.text().find("go:1").unwrap(), 4);
        assert!(pinned.replace("2: FROM", &at(&source, "go:1"), "go@2".to_owned()));
        assert!(pinned.replace("1: FROM", &at(&source, "${B}"), "x@1".to_owned()));
        assert!(pinned.replace("0: FROM", &first, "go@0".to_owned()));
        let text = "ARG B=x\nFROM --platform=linux/amd64 go@0 AS b\nFROM x@1 \\\n  AS c\nFROM go@2";
        assert_eq!(pinned.source().text(), text);
    }

    #[test]
    fn what_add_fetches_is_pinned() {
        let text = "FROM scratch\nADD https://x.y/z /\nADD [\"https://x.y/r.git#v1:sub\", \"/r\"]\nADD https://x.y/a https://x.y/b /\n";
        let source = Source::new("Dockerfile", text);
        let remote = |url: &str, kind: RemoteKind, alone: bool| {
            let line = text[..text.find(url).unwrap()].rfind('\n').unwrap() + 1;
            Remote {
                url: url.to_owned(),
                checksum: None,
                kind,
                location: at(&source, url),
                instruction: source.at(line, 3),
                alone,
            }
        };
        let mut pinned = Pinned::new(&source, true);
        assert!(pinned.fetch(&remote("https://x.y/z", RemoteKind::Http, true), "sha256:1"));
        assert!(pinned.fetch(&remote("https://x.y/r.git#v1:sub", RemoteKind::Git, true), "c0ffee"));
        assert!(!pinned.fetch(&remote("https://x.y/a", RemoteKind::Http, false), "sha256:1"));
        let wanted = "FROM scratch\nADD --checksum=sha256:1 https://x.y/z /\nADD [\"https://x.y/r.git#c0ffee:sub\", \"/r\"]\nADD https://x.y/a https://x.y/b /\n";
        assert_eq!(pinned.source().text(), wanted);
    }

    #[test]
    fn a_front_end_is_replaced_whichever_it_is() {
        let source = Source::new("Dockerfile", "# syntax = own/fe:1 with words\nthis: that\n");
        let mut pinned = Pinned::new(&source, false);
        pinned.front_end(&at(&source, "own/fe:1"), "own/fe:1@sha256:0".to_owned());
        assert_eq!(pinned.source().text(), "# syntax = own/fe:1@sha256:0 with words\nthis: that\n");
    }

    #[test]
    fn what_is_no_word_of_a_from_is_left_alone() {
        let source = Source::new("Dockerfile", "FROM a\nCOPY --from=b x y\n");
        let other = Source::new("Dockerfile", "FROM a\n");
        let mut pinned = Pinned::new(&source, true);
        assert!(!pinned.replace("0: COPY --from", &at(&source, "b"), "b@1".to_owned()));
        assert!(!pinned.replace("0: FROM", &at(&source, "=b"), "b@1".to_owned()));
        assert!(!pinned.replace("0: FROM", &at(&other, "a"), "a@1".to_owned()));
        assert!(!Pinned::new(&source, false).replace("0: FROM", &source.at(5, 1), "a@1".to_owned()));
        assert_eq!(pinned.source().text(), source.text());
    }
}
