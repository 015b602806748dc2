//! The table: instruction x flag x kind of source. A row is a Dockerfile in which each kind of source has a destination of its own.

use std::fmt::Write as _;

use crate::judge::Feature;

/// The named context that is a folder: the same files as the main one.
pub const FOLDER: &str = "morefiles";

/// Every instruction that needs no program, but for ADD and COPY, which have rows.
pub const INSTRUCTIONS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    File,
    Several,
    Folder,
    EmptyFolder,
    Link,
    FolderLink,
    Wildcard,
    WildcardNone,
    Hidden,
    Archive,
    Spaces,
    Heredoc,
}

use Source::{
    Archive, EmptyFolder, File, Folder, FolderLink, Heredoc, Hidden, Link, Several, Spaces, Wildcard, WildcardNone,
};

const SOURCES: &[Source] =
    &[File, Several, Folder, EmptyFolder, Link, FolderLink, Wildcard, WildcardNone, Hidden, Archive, Spaces, Heredoc];

/// Where a row takes its sources from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Context,
    NamedFolder,
    Stage,
    Image,
}

/// An instruction with flags.
pub struct Row {
    pub instruction: &'static str,
    pub flags: &'static str,
    pub from: From,
    /// What an engine must know for it, where not all do.
    pub needs: Option<Feature>,
}

const fn row(instruction: &'static str, flags: &'static str, from: From) -> Row {
    Row { instruction, flags, from, needs: None }
}

const fn newer(instruction: &'static str, flags: &'static str, needs: Feature) -> Row {
    Row { instruction, flags, from: From::Context, needs: Some(needs) }
}

/// All combinations of an instruction and flags that mean something.
pub const ROWS: &[Row] = &[
    row("COPY", "", From::Context),
    row("COPY", "--chown=7:8", From::Context),
    row("COPY", "--chown=7", From::Context),
    row("COPY", "--chown=web:staff", From::Context),
    row("COPY", "--chmod=711", From::Context),
    row("COPY", "--chown=7:8 --chmod=4750", From::Context),
    row("COPY", "--link", From::Context),
    row("COPY", "--link --chown=7:8", From::Context),
    row("COPY", "--link --chmod=640", From::Context),
    row("COPY", "", From::NamedFolder),
    row("COPY", "--chown=7:8 --chmod=640", From::NamedFolder),
    row("COPY", "", From::Stage),
    row("COPY", "--chown=web --chmod=640", From::Stage),
    row("COPY", "--link", From::Stage),
    row("COPY", "", From::Image),
    row("COPY", "--chown=7:8", From::Image),
    row("COPY", "--chmod=640", From::Image),
    row("COPY", "--link", From::Image),
    row("ADD", "", From::Context),
    row("ADD", "--chown=7:8", From::Context),
    row("ADD", "--chown=web:staff", From::Context),
    row("ADD", "--chmod=711", From::Context),
    row("ADD", "--link", From::Context),
    row("ADD", "--link --chown=7:8", From::Context),
    newer("COPY", "--parents", Feature::Parents),
    newer("COPY", "--exclude=*.md", Feature::Exclude),
    newer("COPY", "--chmod=u=rwX,go=rX", Feature::SymbolicMode),
    newer("ADD", "--exclude=*.md", Feature::Exclude),
    newer("ADD", "--chmod=u=rwX,go=rX", Feature::SymbolicMode),
];

impl Row {
    /// The row's name.
    pub fn name(&self) -> String {
        format!("{} {} from {:?}", self.instruction, self.flags, self.from)
    }
}

/// The words of a source; `None` where there is nothing of the kind.
fn words(source: Source, from: From) -> Option<&'static str> {
    Some(match (from, source) {
        (From::Image, File) => "/srv/file",
        (From::Image, Several) => "/srv/file /usr/bin/tool",
        (From::Image, Folder) => "/usr",
        (From::Image, EmptyFolder) => "/tmp",
        (From::Image, Link) => "/current.txt",
        (From::Image, FolderLink) => "/bin",
        (From::Image, Wildcard) => "/usr/bin/to*",
        (From::Image, WildcardNone) => "/srv/file /usr/*.none",
        (From::Image, _) => return None,
        (_, File) => "a.txt",
        (_, Several) => "a.txt dir/two.md bin/run",
        (_, Folder) => "dir",
        (_, EmptyFolder) => "empty",
        (_, Link) => "link",
        (_, FolderLink) => "linkdir",
        (_, Wildcard) => "dir/s*/*.txt",
        (_, WildcardNone) => "a.txt *.none",
        (_, Hidden) => "dir/.hid*",
        (_, Archive) => "archives/plain.tar.gz",
        (_, Spaces) => "names/with space.txt",
        (From::Context, Heredoc) => "<<EOF",
        (_, Heredoc) => return None,
    })
}

/// The kinds of sources that a row has.
pub fn sources(row: &Row) -> impl Iterator<Item = Source> {
    // With `--parents` or `--exclude` a here-document means nothing.
    let no_heredoc = row.flags.contains("--parents") || row.flags.contains("--exclude");
    let from = row.from;
    SOURCES.iter().copied().filter(move |source| words(*source, from).is_some() && !(no_heredoc && *source == Heredoc))
}

/// All cells that there should be.
pub fn legal() -> impl Iterator<Item = (&'static Row, Source)> {
    ROWS.iter().flat_map(|row| {
        SOURCES.iter().filter_map(move |source| {
            let files = !matches!((row.from, source), (From::Image, Hidden | Archive | Spaces | Heredoc));
            let heredoc =
                row.from == From::Context && !row.flags.contains("--parents") && !row.flags.contains("--exclude");
            (files && (*source != Heredoc || heredoc)).then_some((row, *source))
        })
    })
}

/// The Dockerfile of a row.
pub fn dockerfile(row: &Row) -> String {
    let mut text = String::new();
    let from = match row.from {
        From::Context => String::new(),
        From::NamedFolder => format!("--from={FOLDER} "),
        From::Stage => {
            text.push_str("FROM scratch AS all\nCOPY --chown=3:4 . /\n");
            "--from=all ".to_owned()
        }
        From::Image => "--from=plainbase ".to_owned(),
    };
    text.push_str("FROM plainbase\n");
    for source in sources(row) {
        let words = words(source, row.from).expect("a row has only sources that there are");
        let flags = if row.flags.is_empty() { String::new() } else { format!("{} ", row.flags) };
        let place = format!("/{source:?}/").to_lowercase();
        let line = match source {
            Spaces => format!("{} {from}{flags}[\"{words}\", \"{place}\"]\n", row.instruction),
            Heredoc => format!("{} {from}{flags}{words} {place}here.txt\nsome $A text\nEOF\n", row.instruction),
            _ => format!("{} {from}{flags}{words} {place}\n", row.instruction),
        };
        text.push_str(&line);
    }
    text
}

/// The table as text: a row each, `x` where there is a case.
pub fn table() -> String {
    let mut text = String::new();
    for row in ROWS {
        let has: Vec<Source> = sources(row).collect();
        let marks: String = SOURCES.iter().map(|source| if has.contains(source) { 'x' } else { '-' }).collect();
        let _ = writeln!(text, "{marks}  {}", row.name());
    }
    text
}
