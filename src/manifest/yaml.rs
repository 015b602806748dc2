//! YAML text to [`Node`]s: the only place that knows the YAML parser.
//!
//! The parser gives events; the tree is built here, so that every mistake has a place and aliases, merge keys and repeated
//! keys follow our rules: aliases are copied within a budget, `<<` merges as YAML 1.1's merge type says
//! (the mapping's own keys win, earlier sources win over later ones), a key may stand only once.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

use super::node::{Form, Key, Kind, Mapping, Node, Scalar};
use crate::problem::{Code, Location, Problem, Problems, Source};

/// The most nodes that a document may have after its aliases are followed.
const MOST_NODES: usize = 500_000;
/// The deepest nesting.
const DEEPEST: usize = 64;

/// The one document of `source` (`None` if it is empty), and what is wrong with it where the rest can still be read.
///
/// # Errors
/// What keeps the text from being read at all.
pub(crate) fn read(source: &Source) -> Result<(Option<Node>, Problems), Problems> {
    let mut reader = Reader::new(source);
    let document = reader.document();
    match document {
        Err(Stop::Scan(error)) => reader.problems.push(syntax_problem(source, &error)),
        Err(Stop::TooLarge(location)) => reader.problems.push(too_large(&location)),
        Ok(node) => return Ok((node, reader.problems)),
    }
    Err(reader.problems)
}

/// Why reading ends early.
enum Stop {
    Scan(ScanError),
    TooLarge(Location),
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

/// An event and the bytes that it covers.
type Next<'a> = (Event<'a>, usize, usize);

struct Reader<'a> {
    source: &'a Source,
    /// Bytes before the text that the parser sees: a byte order mark.
    skipped: usize,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    /// Nodes made so far, copies included.
    nodes: usize,
    problems: Problems,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Source) -> Self {
        let text = source.text().strip_prefix('\u{feff}').unwrap_or(source.text());
        Self {
            source,
            skipped: source.text().len() - text.len(),
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            nodes: 0,
            problems: Problems::new(),
        }
    }

    fn next(&mut self) -> Result<Option<Next<'a>>, ScanError> {
        loop {
            let Some(event) = self.parser.next_event() else { return Ok(None) };
            let (event, span) = event?;
            if event.is_node()
                || matches!(event, Event::MappingEnd | Event::SequenceEnd | Event::DocumentEnd | Event::StreamEnd)
                || matches!(event, Event::DocumentStart(..))
            {
                let at = |marker: &granit_parser::Marker| marker.byte_offset().unwrap_or(0) + self.skipped;
                return Ok(Some((event, at(&span.start), at(&span.end))));
            }
        }
    }

    fn at(&self, start: usize, end: usize) -> Location {
        let text = self.source.text();
        let (start, end) = (start.min(text.len()), end.min(text.len()));
        let slice = text.get(start..end.max(start)).unwrap_or_default();
        self.source.at(start, slice.trim_end().len())
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut found = None;
        while let Some((event, start, end)) = self.next()? {
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) | Event::DocumentEnd => {}
                _ if found.is_some() => {
                    let problem = Problem::error(Code::YamlSyntax, "the file holds more than one document")
                        .at(&self.source.at(start, 0), "a second document begins here")
                        .help("keep one document in the file; split the others off");
                    self.problems.push(problem);
                    break;
                }
                event => found = Some(self.node((event, start, end), 0)?.0),
            }
        }
        Ok(found.filter(|node| node.kind != Kind::Null))
    }

    /// The node that begins with this event, and how many nodes it holds.
    fn node(&mut self, (event, start, end): Next<'a>, depth: usize) -> Result<(Node, usize), Stop> {
        let location = self.at(start, end);
        self.nodes += 1;
        if depth > DEEPEST || self.nodes > MOST_NODES {
            return Err(Stop::TooLarge(location));
        }
        let (anchor, node, count) = match event {
            Event::Alias(id) => {
                let Some((node, count)) = self.anchors.get(&id).cloned_within(MOST_NODES - self.nodes) else {
                    return Err(Stop::TooLarge(location));
                };
                self.nodes += count;
                return Ok((node, count));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (anchor, Node { kind: scalar(&text, plain), location: self.checked(&text, location) }, 1)
            }
            Event::SequenceStart(_, anchor, _) => {
                let (items, count) = self.sequence(depth)?;
                (anchor, Node { kind: Kind::Sequence(items), location }, count)
            }
            Event::MappingStart(_, anchor, _) => {
                let (mapping, count, sound) = self.mapping(depth)?;
                let first =
                    mapping.0.first().map(|(key, _)| key.location.clone()).filter(|key| key.source == *self.source);
                let kind = if sound { Kind::Mapping(mapping) } else { Kind::Null };
                (anchor, Node { kind, location: first.unwrap_or(location) }, count)
            }
            _ => (0, Node { kind: Kind::Null, location }, 1),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), count));
            self.nodes += count;
        }
        Ok((node, count))
    }

    /// Refuses characters that YAML calls noncharacters: resolution uses them as marks.
    fn checked(&mut self, text: &str, location: Location) -> Location {
        if text.chars().any(|c| ('\u{fdd0}'..='\u{fdef}').contains(&c)) {
            self.problems.push(
                Problem::error(Code::YamlSyntax, "the text holds a code point that is not a character")
                    .at(&location, "here")
                    .help("remove the code points between U+FDD0 and U+FDEF"),
            );
        }
        location
    }

    fn sequence(&mut self, depth: usize) -> Result<(Vec<Node>, usize), Stop> {
        let (mut items, mut total) = (Vec::new(), 1);
        while let Some(next) = self.next()? {
            if matches!(next.0, Event::SequenceEnd) {
                break;
            }
            let (node, count) = self.node(next, depth + 1)?;
            items.push(node);
            total += count;
        }
        Ok((items, total))
    }

    /// The mapping, its size, and whether all its keys can be keys.
    fn mapping(&mut self, depth: usize) -> Result<(Mapping, usize, bool), Stop> {
        let (mut mapping, mut merged, mut total) = (Mapping::default(), Vec::<(Location, Node)>::new(), 1);
        let mut sound = true;
        let mut places: HashMap<String, Location> = HashMap::new();
        while let Some(next) = self.next()? {
            if matches!(next.0, Event::MappingEnd) {
                break;
            }
            let plain_key = matches!(next.0, Event::Scalar(_, ScalarStyle::Plain, _, None));
            let key_start = next.1;
            let (key, key_count) = self.node(next, depth + 1)?;
            let Some(next) = self.next()? else { break };
            let (value, value_count) = self.node(next, depth + 1)?;
            total += key_count + value_count;
            let text = match &key.kind {
                Kind::Scalar(scalar) => scalar.text.clone(),
                Kind::Null => "null".to_owned(),
                Kind::Sequence(_) | Kind::Mapping(_) => {
                    self.problems.push(odd_key(self.source, key_start, &key.location));
                    sound = false;
                    continue;
                }
            };
            if text == "<<" && plain_key {
                merged.push((key.location, value));
                continue;
            }
            match places.get(&text) {
                Some(first) => self.problems.push(duplicate(&text, &key.location, first)),
                None => {
                    places.insert(text.clone(), key.location.clone());
                    mapping.0.push((Key { text, location: key.location }, value));
                }
            }
        }
        self.merge(&mut mapping, merged);
        Ok((mapping, total, sound))
    }

    fn merge(&mut self, mapping: &mut Mapping, merged: Vec<(Location, Node)>) {
        if let [(first, _), (second, _), ..] = &merged[..] {
            self.problems
                .push(duplicate("<<", second, first).help("merge several mappings with one key: `<<: [*a, *b]`"));
        }
        for (location, value) in merged {
            for source in value.items() {
                let Some(entries) = source.mapping() else {
                    self.problems.push(
                        Problem::error(Code::WrongType, "`<<` merges mappings, and this is none")
                            .at(&location, "here")
                            .help("write `<<: *anchor`, where `&anchor` stands at a mapping"),
                    );
                    continue;
                };
                for (key, value) in entries.iter() {
                    if mapping.get(&key.text).is_none() {
                        mapping.0.push((key.clone(), value.clone()));
                    }
                }
            }
        }
    }
}

/// A copy of an anchored node, if it is not too large.
trait Copied {
    fn cloned_within(self, budget: usize) -> Option<(Node, usize)>;
}

impl Copied for Option<&(Node, usize)> {
    fn cloned_within(self, budget: usize) -> Option<(Node, usize)> {
        self.filter(|(_, count)| *count <= budget).cloned()
    }
}

fn scalar(text: &str, plain: bool) -> Kind {
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Kind::Null;
    }
    let form = if plain { Form::Plain } else { Form::Quoted };
    Kind::Scalar(Scalar { text: text.to_owned(), form })
}

fn duplicate(key: &str, again: &Location, first: &Location) -> Problem {
    Problem::error(Code::DuplicateKey, format!("the key `{key}` stands twice in one mapping"))
        .at(again, "again here")
        .at(first, "first here")
        .help("keep one of them")
}

fn too_large(location: &Location) -> Problem {
    Problem::error(Code::YamlTooLarge, "the document expands without bound")
        .at(location, "the limit is reached here")
        .help(format!("at most {MOST_NODES} values after aliases are followed, nested {DEEPEST} deep"))
}

/// A key that is a mapping or a list: most often a template without quotes.
fn odd_key(source: &Source, start: usize, location: &Location) -> Problem {
    let text = source.text();
    let begin = start.checked_sub(1).filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with("{{")));
    match begin.and_then(|begin| Some((begin, text.get(begin..)?.split("}}").next()?))) {
        Some((begin, inside)) => unquoted(&source.at(begin, inside.len() + 2), &format!("{inside}}}}}")),
        None => Problem::error(Code::WrongType, "a key must be text")
            .at(location, "this is not")
            .help("put the key in quotes"),
    }
}

fn unquoted(location: &Location, template: &str) -> Problem {
    let template = template.lines().next().unwrap_or_default();
    Problem::error(Code::UnquotedTemplate, format!("the template `{template}` stands without quotes"))
        .at(location, "YAML reads this as a mapping")
        .help(format!("put the whole value in quotes: `\"{template}\"`"))
}

/// A scanner's error; where an unquoted template stands just before it on the line, that is the error.
fn syntax_problem(source: &Source, error: &ScanError) -> Problem {
    let text = source.text();
    let skipped = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
    let offset = (error.marker().byte_offset().unwrap_or_else(|| byte_of(text, error.marker().index())) + skipped)
        .min(text.len());
    let before = text.get(..offset).unwrap_or(text);
    let after_line = text.get(offset..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| offset + at);
    let mut line_start = before.rfind('\n').map_or(0, |at| at + 1);
    for _ in 0..2 {
        let line = text.get(line_start..after_line).unwrap_or_default();
        if let Some((at, template)) = bare_template(line) {
            return unquoted(&source.at(line_start + at, template.len()), template);
        }
        line_start = text.get(..line_start.saturating_sub(1)).and_then(|t| t.rfind('\n')).map_or(0, |at| at + 1);
    }
    let message = error.kind().to_string().to_lowercase();
    Problem::error(Code::YamlSyntax, format!("the file is not YAML: {}", message.trim_end_matches('.')))
        .at(&source.at(offset, 0), "reading stopped here")
}

/// The first `{{...}}` of a line that is not inside quotes.
fn bare_template(line: &str) -> Option<(usize, &str)> {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '#') => return None,
            (None, '{') if line[at..].starts_with("{{") => {
                let rest = &line[at..];
                return Some((at, rest.find("}}").map_or(rest, |end| &rest[..end + 2])));
            }
            _ => {}
        }
    }
    None
}

fn byte_of(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
}
