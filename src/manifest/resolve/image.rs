//! One declaration of `bases:` or `images:` to its images.

use serde_json::{Map, Value};

use super::{Images, World, args, deploy, push, read, recipe};
use crate::manifest::check;
use crate::manifest::matrix::{self, Cell};
use crate::manifest::node::{Form, Key, Kind, Mapping, Node};
use crate::manifest::overlay::merge;
use crate::manifest::render::{References, Renderer};
use crate::manifest::taint::Taints;
use crate::manifest::template::{Scope, has_reference};
use crate::name::ImageName;
use crate::problem::{Code, Location, Problem, did_you_mean};
use crate::project::{Label, Role};

/// What one image is resolved from, and what has been found so far.
pub(super) struct Draft<'a> {
    /// Base or image.
    pub role: Role,
    /// The name.
    pub name: ImageName,
    /// Where it is declared.
    pub location: Location,
    /// The names that its templates may use.
    pub scope: Scope<'a>,
    /// What these names owe to git.
    pub taints: Taints,
    /// Names of images that are used, with the place of their use.
    pub used: Vec<(ImageName, Location)>,
}

impl World<'_> {
    /// Expands a declaration and resolves each of its images.
    pub(super) fn declaration(&self, role: Role, key: &Key, node: &Node, images: &mut Images, renderer: &mut Renderer) {
        let own = if node.kind == Kind::Null { Node::empty(key.location.clone()) } else { node.clone() };
        let cells: Vec<Option<Cell>> = match own.get("matrix") {
            Some(_) if own.get("name").is_none() => {
                renderer.report(
                    Problem::error(Code::MatrixWithoutName, format!("the matrix `{}` has no `name`", key.text))
                        .at(&key.location, "one declaration, many images: each needs a name")
                        .help("add a template that differs for each image: `name: \"{{matrix.name}}\"`"),
                );
                images.unnamed = true;
                return;
            }
            Some(matrix) => {
                let before = renderer.errors();
                let cells = matrix::expand(key, matrix, &Scope::new(self.global), self.files, renderer);
                images.unnamed |= renderer.errors() > before;
                cells.into_iter().map(Some).collect()
            }
            None => vec![None],
        };
        let names = own.get("matrix").map(|matrix| renderer.names(matrix)).unwrap_or_default();
        let mut taints = self.taints.clone();
        taints.derive("matrix", &names);
        // Without the matrix, so that no image carries the cells of all others.
        let mut own = own;
        if let Kind::Mapping(mapping) = &mut own.kind {
            mapping.remove("matrix");
        }
        if images.named.len() + cells.len() > matrix::MOST_IMAGES {
            let help = format!("a manifest has at most {}", matrix::MOST_IMAGES);
            renderer.exhaust(&key.location, format!("`{}` gives more images than a manifest can have", key.text), help);
        }
        for cell in cells {
            if renderer.exhausted() {
                return;
            }
            self.image(role, key, (&own, cell.as_ref(), &taints), images, renderer);
        }
    }

    /// One image. Whatever is wrong with one part of it does not keep the other parts from being looked at.
    fn image(
        &self,
        role: Role,
        key: &Key,
        (own, cell, taints): (&Node, Option<&Cell>, &Taints),
        images: &mut Images,
        renderer: &mut Renderer,
    ) {
        let errors = renderer.errors();
        let mut scope = Scope::new(self.global);
        let mut taints = taints.clone();
        if let Some(cell) = cell {
            scope.local.insert("matrix".to_owned(), Value::Object(cell.values.clone()));
        }
        let Some(name) = self.name(key, own, &scope, renderer) else {
            images.unnamed = true;
            return;
        };
        scope.local.insert("name".to_owned(), name.as_str().into());
        taints.derive("name", &own.get("name").map(|n| renderer.names(n)).unwrap_or_default());
        let location = cell.map_or_else(|| key.location.clone(), |cell| cell.location.clone());
        if let Some(first) = images.named.insert(name.clone(), location.clone()) {
            renderer.report(duplicate(&name, &location, &first));
            return;
        }
        let recipe = self.recipe(own, &mut scope, renderer);
        let own = args::with_files(own, &scope, self.files, renderer);
        let levels: Vec<Node> = [self.root.get("defaults"), recipe]
            .into_iter()
            .flatten()
            .map(|level| args::with_files(level, &scope, self.files, renderer))
            .collect();
        let effective = levels.into_iter().fold(None, over).map_or(own.clone(), |low| merge(low, &own));
        let mut draft = Draft { role, name, location, scope, taints, used: Vec::new() };
        let args = args::resolve(&effective, &own, self.set, &mut draft, renderer);
        let before_rest = renderer.errors();
        let rest = rendered(&effective, &draft.scope, renderer);
        if renderer.errors() == before_rest {
            renderer.report_all(&check::definition("ImageDecl", &rest, &draft.location, draft.name.as_str()));
        }
        let sound = renderer.errors() == before_rest;
        let destinations = push::destinations(&effective, self.registries, &mut draft, renderer);
        let parts = recipe::Parts { args, destinations, groups: groups(key, &rest) };
        let image = if sound { recipe::image(&rest, parts, self.choices, &mut draft, renderer) } else { None };
        images.used.extend(draft.used);
        if let Some(mut image) = image.filter(|_| renderer.errors() == errors) {
            image.deploy = deploy::deployments(rest.get("deploy"), &image, self.registries, renderer);
            images.all.insert(image.name.clone(), image);
        }
    }

    /// The declaration of the variant, whose name joins the scope.
    fn recipe(&self, own: &Node, scope: &mut Scope<'_>, renderer: &mut Renderer) -> Option<&Node> {
        let defaults = self.root.get("defaults");
        let node = own.get("variant").or_else(|| defaults.and_then(|node| node.get("variant")))?;
        let name = renderer.text(node, scope)?;
        scope.local.insert("variant".to_owned(), name.as_str().into());
        self.variant(node, &name, scope, renderer)
    }

    fn name(&self, key: &Key, own: &Node, scope: &Scope<'_>, renderer: &mut Renderer) -> Option<ImageName> {
        let written =
            own.get("name").cloned().unwrap_or_else(|| Node::scalar(&key.text, Form::Verbatim, key.location.clone()));
        let name = renderer.text(&written, scope)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+');
        let sound = name.chars().all(legal) && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !sound || has_reference(&name) {
            renderer.report(
                Problem::error(Code::InvalidName, format!("`{name}` cannot be the name of an image"))
                    .at(&written.location, "")
                    .help(
                        "a name begins with a letter or a digit and holds letters, digits, `-`, `_`, `.`, `+` and `/`",
                    ),
            );
            return None;
        }
        Some(ImageName::new(name))
    }

    /// The declaration of a variant; null is one with nothing in it.
    fn variant(&self, node: &Node, name: &str, scope: &Scope<'_>, renderer: &mut Renderer) -> Option<&Node> {
        let variants = self.root.get("variants").and_then(Node::mapping);
        if let Some(recipe) = variants.and_then(|variants| variants.get(name)) {
            return Some(recipe).filter(|recipe| recipe.kind != Kind::Null);
        }
        let known: Vec<&str> = variants.into_iter().flat_map(Mapping::iter).map(|(key, _)| key.text.as_str()).collect();
        let help = did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known[..] {
            [] => "the manifest declares no `variants:`".to_owned(),
            _ => format!("the variants are: {}", known.join(", ")),
        });
        let place = self.written_in_cell(node, scope, name);
        let problem = Problem::error(Code::UnknownVariant, format!("there is no variant `{name}`"));
        renderer.report(problem.at(&place, "").help(help));
        None
    }

    /// Where the text of a template came from: the matrix entry that wrote it, if one did, else the template itself.
    fn written_in_cell(&self, node: &Node, scope: &Scope<'_>, text: &str) -> Location {
        let matrix = scope.get(&["matrix"]).and_then(Value::as_object);
        let found = matrix.filter(|_| node.is_template()).and_then(|values| self.cell_value(values, text));
        found.unwrap_or_else(|| node.location.clone())
    }

    fn cell_value(&self, values: &Map<String, Value>, text: &str) -> Option<Location> {
        let declarations = ["bases", "images"].into_iter().filter_map(|part| self.root.get(part)?.mapping());
        for (_, declaration) in declarations.flat_map(Mapping::iter) {
            let include = declaration.get("matrix").and_then(|matrix| matrix.get("include"));
            for item in include.map(Node::items).unwrap_or_default() {
                if item.to_value().as_object() == Some(values) {
                    let entries = item.mapping()?.iter();
                    let mut written = entries.filter(|(_, value)| value.text() == Some(text));
                    return written.next().map(|(_, value)| value.location.clone());
                }
            }
        }
        None
    }
}

/// The key of the declaration, and `groups`.
fn groups(key: &Key, rest: &Node) -> Vec<String> {
    let mut groups = vec![key.text.clone()];
    groups.extend(read::texts(rest.get("groups")).into_iter().map(|text| text.value));
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(group.clone()));
    groups
}

/// A level laid over those below it.
fn over(below: Option<Node>, level: Node) -> Option<Node> {
    Some(match below {
        Some(below) => merge(below, &level),
        None => level,
    })
}

fn duplicate(name: &ImageName, again: &Location, first: &Location) -> Problem {
    Problem::error(Code::DuplicateImage, format!("two images are named `{name}`"))
        .at(again, "this one")
        .at(first, "and this one")
        .help("bases and images share one name space; let `name` differ")
}

/// Everything but what has been rendered already (name, matrix, variant, args) and what is rendered later (push).
fn rendered(effective: &Node, scope: &Scope<'_>, renderer: &mut Renderer) -> Node {
    let mut rest = Mapping::default();
    for (key, value) in effective.mapping().into_iter().flat_map(Mapping::iter) {
        match key.text.as_str() {
            "matrix" | "name" | "variant" | "args" | "args_file" | "push" => {}
            "labels" => {
                let mut dated = scope.clone();
                dated.local.insert("published".to_owned(), Label::DAY.to_string().into());
                rest.0.push((key.clone(), renderer.node(value, &dated, References::Refused)));
            }
            "contexts" => rest.0.push((key.clone(), renderer.node(value, scope, References::Allowed))),
            _ => rest.0.push((key.clone(), renderer.node(value, scope, References::Refused))),
        }
    }
    Node { kind: Kind::Mapping(rest), location: effective.location.clone() }
}

/// The names of images in a list, noted as used.
pub(super) fn named(draft: &mut Draft<'_>, name: &str, location: &Location) {
    draft.used.push((ImageName::new(name), location.clone()));
}

impl crate::manifest::tags::TagScope for Draft<'_> {
    fn scope(&self) -> &Scope<'_> {
        &self.scope
    }

    fn taints(&self) -> &Taints {
        &self.taints
    }
}
