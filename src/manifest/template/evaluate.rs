//! Evaluates a template.

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::{Map, Value};

use super::helpers::{self, HELPERS, text_of, truthy};
use super::names::parts;
use super::scope::{Scope, step};
use crate::problem::{Code, did_you_mean};

/// What all templates of a manifest may cost together, in bytes read and made. A thousand images with fifty templates each stay far below.
pub(crate) const MOST: usize = 128 << 20;
/// What one template may cost.
const MOST_OF_ONE: usize = 4 << 20;
/// What a step costs beside the bytes that it reads and makes.
const STEP: usize = 64;

/// What is wrong with a template: at most one problem for each name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wrong {
    /// The kind of problem.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The part of the template to underline; all of it if empty.
    pub part: String,
    /// What to do.
    pub help: Option<String>,
}

/// Evaluates `template`: to a value of any type if it is exactly one name, else to text. What that costs is taken from `budget`; where
/// nothing is left, the last thing that is wrong is that the templates expand without bound.
pub(crate) fn evaluate(template: &Template, scope: &Scope<'_>, budget: &mut usize) -> Result<Value, Vec<Wrong>> {
    let allowance = MOST_OF_ONE.min(*budget);
    let mut run = Run { scope, frames: Vec::new(), wrong: Vec::new(), budget: allowance };
    let value = match &template.elements[..] {
        [TemplateElement::Expression(helper) | TemplateElement::HtmlExpression(helper)] if is_name(helper) => {
            run.expression(helper)
        }
        elements => {
            let mut text = String::new();
            run.elements(elements, &mut text);
            Value::String(text)
        }
    };
    *budget = if run.budget == 0 { 0 } else { *budget - (allowance - run.budget) };
    if run.wrong.is_empty() { Ok(value) } else { Err(run.wrong) }
}

fn is_name(helper: &HelperTemplate) -> bool {
    helper.params.is_empty() && helper.hash.is_empty() && matches!(helper.name, Parameter::Name(_) | Parameter::Path(_))
}

struct Run<'a> {
    scope: &'a Scope<'a>,
    /// `this`, `@index` and the like of the blocks around, innermost last.
    frames: Vec<Map<String, Value>>,
    wrong: Vec<Wrong>,
    /// What may still be spent; 0 ends the evaluation.
    budget: usize,
}

impl Run<'_> {
    /// Takes what is about to be made from the budget; `false` if there is not enough.
    fn spend(&mut self, bytes: usize) -> bool {
        if self.budget == 0 {
            return false;
        }
        self.budget = self.budget.saturating_sub(bytes.saturating_add(STEP));
        if self.budget == 0 {
            self.wrong.push(Wrong {
                code: Code::YamlTooLarge,
                message: "the templates expand without bound".to_owned(),
                part: String::new(),
                help: Some(format!(
                    "one template may read and make {} MB, all of a manifest together {} MB",
                    MOST_OF_ONE >> 20,
                    MOST >> 20
                )),
            });
        }
        self.budget > 0
    }

    fn elements(&mut self, elements: &[TemplateElement], out: &mut String) {
        for element in elements {
            if !self.spend(0) {
                return;
            }
            match element {
                TemplateElement::RawString(text) if self.spend(text.len()) => out.push_str(text),
                TemplateElement::RawString(_) => {}
                TemplateElement::Expression(helper) | TemplateElement::HtmlExpression(helper) => {
                    let value = self.expression(helper);
                    match text_of(&value) {
                        Some(text) => out.push_str(&text),
                        None => self.bad("a record cannot stand in a text".to_owned(), &name_of(helper), None),
                    }
                }
                TemplateElement::HelperBlock(block) => self.block(block, out),
                TemplateElement::Comment(_) => {}
                _ => self.bad("partials and decorators are not part of these templates".to_owned(), "", None),
            }
        }
    }

    fn bad(&mut self, message: String, part: &str, help: Option<String>) {
        self.wrong.push(Wrong { code: Code::BadTemplate, message, part: part.to_owned(), help });
    }

    fn block(&mut self, block: &HelperTemplate, out: &mut String) {
        let name = name_of(block);
        let [subject] = &block.params[..] else {
            self.bad(format!("`#{name}` takes one value"), &name, None);
            return;
        };
        let subject = self.parameter(subject);
        match name.as_str() {
            "if" => self.branch(block, truthy(&subject), out),
            "unless" => self.branch(block, !truthy(&subject), out),
            "with" => self.inside(block.template.as_ref(), Map::from_iter([("this".to_owned(), subject)]), out),
            "each" => self.each(block, &subject, out),
            other => {
                let help = did_you_mean(other, ["if", "unless", "each", "with"]);
                self.bad(format!("there is no block `#{other}`"), other, help);
            }
        }
    }

    fn branch(&mut self, block: &HelperTemplate, truth: bool, out: &mut String) {
        let taken = if truth { &block.template } else { &block.inverse };
        if let Some(template) = taken {
            self.elements(&template.elements, out);
        }
    }

    fn each(&mut self, block: &HelperTemplate, subject: &Value, out: &mut String) {
        let entries: Vec<(Value, Value)> = match subject {
            Value::Array(items) => items.iter().enumerate().map(|(at, item)| (Value::from(at), item.clone())).collect(),
            Value::Object(map) => map.iter().map(|(key, item)| (Value::from(key.clone()), item.clone())).collect(),
            Value::String(text) => text.split_whitespace().enumerate().map(|(at, w)| (at.into(), w.into())).collect(),
            _ => Vec::new(),
        };
        if entries.is_empty() {
            if let Some(template) = &block.inverse {
                self.elements(&template.elements, out);
            }
            return;
        }
        let last = entries.len() - 1;
        for (at, (key, item)) in entries.into_iter().enumerate() {
            if !self.spend(0) {
                return;
            }
            let frame = [
                ("this", item),
                ("@key", key),
                ("@index", at.into()),
                ("@first", (at == 0).into()),
                ("@last", (at == last).into()),
            ];
            let frame = frame.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            self.inside(block.template.as_ref(), frame, out);
        }
    }

    fn inside(&mut self, template: Option<&Template>, frame: Map<String, Value>, out: &mut String) {
        self.frames.push(frame);
        if let Some(template) = template {
            self.elements(&template.elements, out);
        }
        self.frames.pop();
    }

    fn expression(&mut self, helper: &HelperTemplate) -> Value {
        if !helper.hash.is_empty() {
            self.bad("helpers take no named values".to_owned(), &name_of(helper), None);
            return Value::Null;
        }
        if helper.params.is_empty() {
            return self.parameter(&helper.name);
        }
        let name = name_of(helper);
        if name == "default" {
            return self.default(&helper.params);
        }
        if !HELPERS.contains(&name.as_str()) {
            let help = did_you_mean(&name, HELPERS.iter().copied())
                .unwrap_or_else(|| format!("the helpers are: {}", HELPERS.join(", ")));
            self.bad(format!("there is no helper `{name}`"), &name, Some(help));
            return Value::Null;
        }
        let before = self.wrong.len();
        let values: Vec<Value> = helper.params.iter().map(|param| self.parameter(param)).collect();
        if self.wrong.len() > before || !self.spend(helpers::cost(&name, &values)) {
            return Value::Null;
        }
        helpers::call(&name, &values, self.scope).unwrap_or_else(|wrong| {
            self.wrong.push(wrong);
            Value::Null
        })
    }

    /// `default NAME OTHER`: the only place where a name may be missing.
    fn default(&mut self, params: &[Parameter]) -> Value {
        let [name, other] = params else {
            self.bad("`default` takes a name and another value".to_owned(), "default", None);
            return Value::Null;
        };
        let value = match name {
            Parameter::Name(_) | Parameter::Path(_) => name.as_name().and_then(|path| self.lookup(path)),
            other => Some(self.parameter(other)),
        };
        match value {
            None | Some(Value::Null) => self.parameter(other),
            Some(Value::String(text)) if text.is_empty() => self.parameter(other),
            Some(value) => value,
        }
    }

    fn parameter(&mut self, param: &Parameter) -> Value {
        match param {
            Parameter::Name(_) | Parameter::Path(_) => {
                let path = param.as_name().unwrap_or_default();
                self.lookup(path).unwrap_or_else(|| {
                    if self.budget > 0 {
                        self.missing(path);
                    }
                    Value::Null
                })
            }
            Parameter::Literal(Value::Number(number)) if number.is_f64() => {
                let help = "write it in quotes, so that `3.10` stays `3.10`".to_owned();
                self.bad(format!("the number `{number}` has a fraction"), "", Some(help));
                Value::Null
            }
            Parameter::Literal(value) => value.clone(),
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(helper) => self.expression(helper),
                _ => Value::Null,
            },
            _ => {
                self.bad("this form of a value is not part of these templates".to_owned(), "", None);
                Value::Null
            }
        }
    }

    /// A copy of the value of a path; `None` if there is none, or nothing is left to pay for it.
    fn lookup(&mut self, path: &str) -> Option<Value> {
        let found = self.find(path)?;
        let size = helpers::size(found);
        let value = (size < self.budget).then(|| found.clone());
        self.spend(size).then_some(value)?
    }

    fn find(&self, path: &str) -> Option<&Value> {
        let mut frames = &self.frames[..];
        let mut path = path;
        while let Some(outer) = path.strip_prefix("../") {
            frames = frames.split_last().map_or(frames, |(_, rest)| rest);
            path = outer;
        }
        let parts = parts(path);
        if let Some(frame) = frames.last() {
            if let Some((first, rest)) = parts.split_first()
                && let Some(value) = frame.get(*first)
            {
                return rest.iter().try_fold(value, |value, name| step(value, name));
            }
            if let Some(value) = parts.iter().try_fold(frame.get("this")?, |value, name| step(value, name)) {
                return Some(value);
            }
        }
        self.scope.get(&parts)
    }

    fn missing(&mut self, path: &str) {
        let name = parts(path).join(".");
        let help = advice(&name, self.scope);
        let message = if HELPERS.contains(&name.as_str()) {
            format!("the helper `{name}` needs a value")
        } else {
            format!("there is no `{name}` here")
        };
        self.wrong.push(Wrong { code: Code::MissingName, message, part: path.to_owned(), help: Some(help) });
    }
}

fn name_of(helper: &HelperTemplate) -> String {
    helper.name.as_name().unwrap_or_default().to_owned()
}

/// What to do about a missing name.
fn advice(name: &str, scope: &Scope<'_>) -> String {
    let names = scope.names();
    if let Some(variable) = name.strip_prefix("env.") {
        return if scope.get(&["@env", variable]).is_some() {
            format!(
                "the environment variable `{variable}` is not set; `{{{{default env.{variable} '...'}}}}` gives another value"
            )
        } else {
            format!("add `{variable}` to `env:` at the top of the manifest")
        };
    }
    if name == "aws.account" {
        return "give `account:` to an ECR registry, or let AWS be asked who you are: leave --offline out".to_owned();
    }
    if let Some(fact) = name.strip_prefix("git.") {
        let why = match fact {
            _ if scope.get(&["git"]).is_none() => "this folder is not in a git checkout",
            "branch" => "no branch is checked out",
            "tag" => "the commit has no tag",
            _ => "git knows `commit`, `short`, `branch`, `tag`, `dirty` and `date`",
        };
        return format!("{why}; `{{{{default {name} '...'}}}}` gives another value");
    }
    if name == "key" {
        return "`key` is known in tags alone".to_owned();
    }
    if name == "published" {
        return "`published` is known in tags and labels alone".to_owned();
    }
    did_you_mean(name, names.iter().map(String::as_str)).unwrap_or_else(|| {
        let first = name.split('.').next().unwrap_or(name);
        let mut near: Vec<&str> =
            names.iter().map(String::as_str).filter(|n| n.split('.').next() == Some(first)).take(12).collect();
        if near.is_empty() {
            near = vec!["project", "name", "variant", "matrix.*", "args.*", "vars.*", "git.*", "env.*", "aws.account"];
        }
        format!("the names here are: {}", near.join(", "))
    })
}
