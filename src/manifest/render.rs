//! Renders the templates in a tree of nodes.

use serde_json::Value;

use super::braces::locate;
use super::node::{Form, Key, Kind, Mapping, Node, Scalar};
use super::template::{MOST, Scope, Templates, Wrong, evaluate, has_reference, names_in, text_of};
use crate::problem::{Code, Location, Problem, Problems};

/// Renders, and collects what is wrong.
pub(crate) struct Renderer {
    templates: Templates,
    /// All problems so far.
    pub problems: Problems,
    /// How many of them are errors.
    errors: usize,
    /// What rendering may still cost; at 0 it has ended, and what is found afterwards is only a consequence.
    budget: usize,
}

impl Default for Renderer {
    fn default() -> Self {
        Self { templates: Templates::default(), problems: Problems::new(), errors: 0, budget: MOST }
    }
}

/// What a value costs that is no template.
const VALUE: usize = 16;

/// Which texts may name images.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum References {
    /// Args and contexts.
    Allowed,
    /// Everything else.
    Refused,
}

impl Renderer {
    /// Notes a problem.
    pub fn report(&mut self, problem: Problem) {
        let error = problem.severity == crate::problem::Severity::Error;
        if error {
            self.errors += 1;
        }
        if !self.exhausted() || problem.code == Code::YamlTooLarge {
            self.problems.push(problem);
        }
    }

    /// Whether rendering has ended early: the manifest expands without bound, which is a problem by now.
    pub fn exhausted(&self) -> bool {
        self.budget == 0
    }

    /// Ends rendering: `why` there are more values than a manifest can need.
    pub fn exhaust(&mut self, place: &Location, why: String, help: String) {
        if !self.exhausted() {
            self.budget = 0;
            self.report(Problem::error(Code::YamlTooLarge, why).at(place, "the limit is reached here").help(help));
        }
    }

    /// Takes the cost of a value that is no template.
    fn spend(&mut self, node: &Node, bytes: usize) {
        if self.budget > bytes + VALUE {
            self.budget -= bytes + VALUE;
        } else {
            let help = format!("what is copied to all images may have {} MB together", MOST >> 20);
            self.exhaust(&node.location, "the manifest expands without bound".to_owned(), help);
        }
    }

    /// Notes the problems of another stage.
    pub fn report_all(&mut self, problems: &Problems) {
        problems.sorted().into_iter().cloned().for_each(|problem| self.report(problem));
    }

    /// The number of errors so far: two equal numbers mean that nothing went wrong in between.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Notes what is wrong with the template of `node`.
    pub fn report_wrong(&mut self, node: &Node, wrong: Wrong) {
        let place = locate(node, &wrong.part);
        self.report(Problem::error(wrong.code, wrong.message).at(&place, "").maybe_help(wrong.help));
    }

    /// The names that the templates of a tree use.
    pub fn names(&self, node: &Node) -> Vec<String> {
        match &node.kind {
            Kind::Null => Vec::new(),
            Kind::Scalar(scalar) if node.is_template() => {
                self.templates.get(&scalar.text).map(|template| names_in(&template)).unwrap_or_default()
            }
            Kind::Scalar(_) => Vec::new(),
            Kind::Sequence(items) => items.iter().flat_map(|item| self.names(item)).collect(),
            Kind::Mapping(mapping) => mapping.iter().flat_map(|(_, value)| self.names(value)).collect(),
        }
    }

    /// The value of one scalar; `None` if something is wrong with it.
    pub fn value(&mut self, node: &Node, scope: &Scope<'_>) -> Option<Value> {
        let Kind::Scalar(Scalar { text, .. }) = &node.kind else { return Some(node.to_value()) };
        if !node.is_template() {
            self.spend(node, text.len());
            return Some(node.to_value());
        }
        if self.exhausted() {
            return None;
        }
        let template = match self.templates.get(text) {
            Ok(template) => template,
            Err(why) => {
                let why =
                    why.trim_start_matches("invalid handlebars syntax: ").lines().next().unwrap_or_default().to_owned();
                let message = format!("the template cannot be read: {why}");
                self.report(Problem::error(Code::BadTemplate, message).at(&node.location, ""));
                return None;
            }
        };
        match evaluate(&template, scope, &mut self.budget) {
            Ok(value) => Some(value),
            Err(wrongs) => {
                wrongs.into_iter().for_each(|wrong| self.report_wrong(node, wrong));
                None
            }
        }
    }

    /// The text of one scalar; `None` if something is wrong with it.
    pub fn text(&mut self, node: &Node, scope: &Scope<'_>) -> Option<String> {
        let value = self.value(node, scope)?;
        let Some(text) = text_of(&value) else {
            self.report(
                Problem::error(Code::WrongType, "the template gives a record, not a text").at(&node.location, ""),
            );
            return None;
        };
        Some(text)
    }

    /// The tree without templates. What cannot be rendered is null.
    pub fn node(&mut self, node: &Node, scope: &Scope<'_>, references: References) -> Node {
        self.spend(node, node.text().map_or(0, str::len));
        if self.exhausted() {
            return Node { kind: Kind::Null, location: node.location.clone() };
        }
        let kind = match &node.kind {
            Kind::Null => Kind::Null,
            Kind::Scalar(_) if !node.is_template() => node.kind.clone(),
            Kind::Scalar(_) => {
                let Some(value) = self.value(node, scope) else { return Node { kind: Kind::Null, ..node.clone() } };
                let rendered = Node::from_value(&value, &node.location);
                if references == References::Refused {
                    self.refuse_references(&rendered);
                }
                return rendered;
            }
            Kind::Sequence(items) => Kind::Sequence(self.sequence(items, scope, references)),
            Kind::Mapping(mapping) => Kind::Mapping(self.mapping(mapping, scope, references)),
        };
        Node { kind, location: node.location.clone() }
    }

    /// A list that a template gives becomes part of the list that the template stands in.
    fn sequence(&mut self, items: &[Node], scope: &Scope<'_>, references: References) -> Vec<Node> {
        let mut result = Vec::with_capacity(items.len());
        for item in items {
            let rendered = self.node(item, scope, references);
            match rendered.kind {
                Kind::Sequence(inner) if item.is_template() => result.extend(inner),
                _ => result.push(rendered),
            }
        }
        result
    }

    fn mapping(&mut self, mapping: &Mapping, scope: &Scope<'_>, references: References) -> Mapping {
        let mut result = Mapping::default();
        for (key, value) in mapping.iter() {
            let as_node = Node::scalar(&key.text, Form::Quoted, key.location.clone());
            let text = if as_node.is_template() { self.text(&as_node, scope) } else { Some(key.text.clone()) };
            let value = self.node(value, scope, references);
            if let Some(text) = text {
                result.0.push((Key { text, location: key.location.clone() }, value));
            }
        }
        result
    }

    fn refuse_references(&mut self, node: &Node) {
        if node.text().is_some_and(has_reference) {
            self.report(misplaced(node));
        }
    }
}

/// A `ref` where no image can be named.
pub(crate) fn misplaced(node: &Node) -> Problem {
    Problem::error(Code::MisplacedReference, "`ref` names an image where none can stand")
        .at(&locate(node, "ref"), "")
        .help("`{{ref 'NAME'}}` stands in `args` and `contexts` alone")
}
