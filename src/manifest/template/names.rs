//! Compiled templates, and the names that they use.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

/// Templates by text: one text is compiled once, however many images use it.
#[derive(Default)]
pub(crate) struct Templates(RefCell<HashMap<String, Compiled>>);

/// The most blocks, and the most parentheses, of one template: the parser calls itself for each.
const DEEPEST: usize = 128;

/// A template, or why it is none.
type Compiled = Result<Rc<Template>, String>;

impl Templates {
    /// The template of a text.
    pub fn get(&self, text: &str) -> Compiled {
        if let Some(known) = self.0.borrow().get(text) {
            return known.clone();
        }
        if text.matches("{{#").count() > DEEPEST || text.matches('(').count() > DEEPEST {
            return Err(format!("more than {DEEPEST} blocks or parentheses"));
        }
        let compiled = Template::compile(text).map(Rc::new).map_err(|error| error.reason().to_string());
        self.0.borrow_mut().insert(text.to_owned(), compiled.clone());
        compiled
    }
}

/// All names that a template reads, in order.
pub(crate) fn names_in(template: &Template) -> Vec<String> {
    let mut names = Vec::new();
    elements(&template.elements, &mut names);
    names
}

fn elements(elements: &[TemplateElement], names: &mut Vec<String>) {
    for element in elements {
        match element {
            TemplateElement::Expression(helper) | TemplateElement::HtmlExpression(helper) => expression(helper, names),
            TemplateElement::HelperBlock(helper) => {
                helper.params.iter().for_each(|param| parameter(param, names));
                for template in [&helper.template, &helper.inverse].into_iter().flatten() {
                    self::elements(&template.elements, names);
                }
            }
            _ => {}
        }
    }
}

fn expression(helper: &HelperTemplate, names: &mut Vec<String>) {
    if helper.params.is_empty() {
        parameter(&helper.name, names);
    }
    helper.params.iter().for_each(|param| parameter(param, names));
}

fn parameter(param: &Parameter, names: &mut Vec<String>) {
    match param {
        Parameter::Name(_) | Parameter::Path(_) => names.extend(param.as_name().map(plain)),
        Parameter::Subexpression(inner) => elements(std::slice::from_ref(inner.as_element()), names),
        _ => {}
    }
}

/// A path in its plain form: `this/a.[b c]` is `a.b c`.
pub(super) fn plain(path: &str) -> String {
    parts(path).join(".")
}

/// The parts of a path: separated by `.` or `/`; `[...]` is one part.
pub(super) fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some((inside, tail)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            parts.push(inside);
            rest = tail;
        } else {
            let end = rest.find(['.', '/', '[']).unwrap_or(rest.len());
            parts.push(&rest[..end]);
            rest = &rest[end..];
        }
        rest = rest.strip_prefix(['.', '/']).unwrap_or(rest);
    }
    if parts.len() > 1 && parts[0] == "this" {
        parts.remove(0);
    }
    parts.retain(|part| !part.is_empty());
    parts
}
