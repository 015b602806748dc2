//! YAML as a tree in which every key and every value knows where it was written.

use serde_json::{Map, Value};

use crate::problem::Location;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it was written. For a mapping or a sequence: its first entry.
    pub location: Location,
}

/// The kinds of values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// Text as written; a number or a truth value is only text until somebody asks.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file.
    Mapping(Mapping),
}

/// Text, and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// After YAML's escapes.
    pub text: String,
    /// How far it may still be taken for something other than text.
    pub form: Form,
}

/// How a scalar came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Written without quotes: may be a number or a truth value.
    Plain,
    /// Written in quotes or as a block: text.
    Quoted,
    /// Came out of a template or from the command line: whatever is asked for.
    Rendered,
    /// Taken as it is: no template (values of an args file).
    Verbatim,
}

/// An ordered mapping without repeated keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mapping(pub Vec<(Key, Node)>);

/// A key and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// The key as text.
    pub text: String,
    /// Where it was written.
    pub location: Location,
}

impl Mapping {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key with its place, and its value.
    pub fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        self.0.iter().find(|(k, _)| k.text == key).map(|(k, v)| (k, v))
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.0.iter().position(|(k, _)| k.text == key)?;
        Some(self.0.remove(at).1)
    }

    /// Puts a value in the place of the one with the same key, or last.
    pub fn set(&mut self, key: Key, value: Node) {
        match self.0.iter_mut().find(|(k, _)| k.text == key.text) {
            Some(entry) => *entry = (key, value),
            None => self.0.push((key, value)),
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Node)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl Node {
    /// An empty mapping.
    pub fn empty(location: Location) -> Self {
        Self { kind: Kind::Mapping(Mapping::default()), location }
    }

    /// A scalar that came from elsewhere than the text at `location`.
    pub fn scalar(text: impl Into<String>, form: Form, location: Location) -> Self {
        Self { kind: Kind::Scalar(Scalar { text: text.into(), form }), location }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn mapping(&self) -> Option<&Mapping> {
        match &self.kind {
            Kind::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The value of a key that is there and not null.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.mapping()?.get(key).filter(|value| value.kind != Kind::Null)
    }

    /// The entries of a sequence, or the value itself: the short form of a list of one. Null is no entry.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::Sequence(items) => items,
            Kind::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The truth value that the text spells.
    pub fn truth(&self) -> Option<bool> {
        match self.text()?.trim() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Whether the text holds a template that is still to be rendered.
    pub fn is_template(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(Scalar { text, form: Form::Plain | Form::Quoted }) if text.contains("{{"))
    }

    /// The value as templates see it: plain `true` and `false` are truth values, other scalars are text as written.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Scalar(Scalar { text, form: Form::Plain | Form::Rendered }) if text == "true" => Value::Bool(true),
            Kind::Scalar(Scalar { text, form: Form::Plain | Form::Rendered }) if text == "false" => Value::Bool(false),
            Kind::Scalar(scalar) => Value::String(scalar.text.clone()),
            Kind::Sequence(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Mapping(mapping) => Value::Object(
                mapping.iter().map(|(key, value)| (key.text.clone(), value.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// A value of a template as a node; everything in it stands where the template stands.
    pub fn from_value(value: &Value, location: &Location) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(truth) => Kind::Scalar(Scalar { text: truth.to_string(), form: Form::Rendered }),
            Value::Number(number) => Kind::Scalar(Scalar { text: number.to_string(), form: Form::Rendered }),
            Value::String(text) => Kind::Scalar(Scalar { text: text.clone(), form: Form::Rendered }),
            Value::Array(items) => Kind::Sequence(items.iter().map(|v| Self::from_value(v, location)).collect()),
            Value::Object(map) => Kind::Mapping(Mapping(
                map.iter()
                    .map(|(key, value)| {
                        let key = Key { text: key.clone(), location: location.clone() };
                        (key, Self::from_value(value, location))
                    })
                    .collect(),
            )),
        };
        Self { kind, location: location.clone() }
    }
}
