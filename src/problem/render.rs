//! Problems as text for people (through miette) and as JSON.

use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde_json::{Value, json};
use textwrap::WordSplitter;

use super::{Problem, Problems, Severity, Source};

/// One problem as miette sees it. All labels of a miette report lie in one text, so those in other texts become reports of their own.
struct Report<'a> {
    problem: &'a Problem,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Elsewhere>,
}

/// A label that lies in another text than the problem's first.
struct Elsewhere {
    text: String,
    source: NamedSource<String>,
    label: LabeledSpan,
}

fn named(source: &Source) -> NamedSource<String> {
    NamedSource::new(source.name(), source.shown())
}

impl<'a> Report<'a> {
    fn new(problem: &'a Problem) -> Self {
        let first = problem.labels.first().map(|label| &label.location.source);
        let mut report = Report { problem, source: first.map(named), labels: Vec::new(), related: Vec::new() };
        for label in &problem.labels {
            let span = label.location.span;
            if Some(&label.location.source) == first {
                let text = (!label.text.is_empty()).then(|| label.text.clone());
                report.labels.push(LabeledSpan::new(text, span.start, span.length));
            } else {
                // The text stands above the place, so the place needs none.
                let place = LabeledSpan::new(None, span.start, span.length);
                let source = named(&label.location.source);
                report.related.push(Elsewhere { text: label.text.clone(), source, label: place });
            }
        }
        report
    }
}

macro_rules! displays {
    ($type:ty, $self:ident => $text:expr) => {
        impl fmt::Display for $type {
            fn fmt(&$self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&$self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }
        impl std::error::Error for $type {}
    };
}

displays!(Report<'_>, self => &self.problem.message);
displays!(Elsewhere, self => if self.text.is_empty() { "see also" } else { &self.text });

impl Diagnostic for Report<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.problem.code))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
    fn related<'b>(&'b self) -> Option<Box<dyn Iterator<Item = &'b dyn Diagnostic> + 'b>> {
        Some(Box::new(self.related.iter().map(|other| other as &dyn Diagnostic)))
    }
}

impl Diagnostic for Elsewhere {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(self.label.clone())))
    }
}

/// All the problems as text for people, each with the line that it stands in.
pub fn render(problems: &Problems, color: bool, width: usize) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_links(false)
        .with_context_lines(1)
        // References and names stay whole, so that they can be copied.
        .with_break_words(false)
        .with_word_splitter(WordSplitter::NoHyphenation);
    let mut text = String::new();
    for problem in problems.sorted() {
        if handler.render_report(&mut text, &Report::new(problem)).is_err() {
            text.push_str(&problem.message);
        }
        text.push('\n');
    }
    text
}

/// All the problems as data: code, severity, message, places with file, line and column, help.
pub fn to_json(problems: &Problems) -> Value {
    let place = |label: &super::Label| {
        let (line, column) = label.location.line_column();
        json!({ "file": label.location.source.name(), "line": line, "column": column, "length": label.location.span.length, "text": label.text })
    };
    let one = |problem: &Problem| {
        json!({
            "code": problem.code,
            "severity": problem.severity,
            "message": problem.message,
            "places": problem.labels.iter().map(place).collect::<Vec<_>>(),
            "help": problem.help,
        })
    };
    Value::Array(problems.sorted().into_iter().map(one).collect())
}
