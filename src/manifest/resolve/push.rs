//! `push:` and its tags.

use super::image::Draft;
use super::{aws, read, registries};
use crate::manifest::check;
use crate::manifest::node::{Key, Kind, Mapping, Node};
use crate::manifest::render::{References, Renderer};
use crate::manifest::tags;
use crate::name::RegistryName;
use crate::problem::{Code, Problem, did_you_mean};
use crate::project::{Destination, Keep, TagRule};
use crate::reference::repository_problem;

/// The destinations of an image, in their order.
pub(super) fn destinations(
    effective: &Node,
    registries: &registries::Registries,
    draft: &mut Draft<'_>,
    renderer: &mut Renderer,
) -> Vec<Destination> {
    let Some(push) = effective.get("push") else {
        return if registries.only_default { default_destination(registries, draft) } else { Vec::new() };
    };
    let mut found = Vec::new();
    for item in push.items() {
        let items = if item.is_template() {
            let rendered = renderer.node(item, &draft.scope, References::Refused);
            rendered.items().to_vec()
        } else {
            vec![item.clone()]
        };
        for item in items {
            found.extend(destination(&item, registries, draft, renderer));
        }
    }
    found
}

/// Without registries and without `push:`, images go to the layout on disk under their own names.
fn default_destination(registries: &registries::Registries, draft: &Draft<'_>) -> Vec<Destination> {
    let repository = draft.name.as_str().to_lowercase().replace('+', "-");
    let to = |name: &RegistryName| Destination {
        registry: name.clone(),
        repository: repository.clone(),
        tags: Vec::new(),
        keep: Keep::default(),
        order: None,
        location: draft.location.clone(),
    };
    registries.declared.keys().map(to).collect()
}

fn destination(
    item: &Node,
    registries: &registries::Registries,
    draft: &mut Draft<'_>,
    renderer: &mut Renderer,
) -> Option<Destination> {
    let errors = renderer.errors();
    let mut plain = Mapping::default();
    let mut tags_node = None;
    for (key, value) in item.mapping().into_iter().flat_map(Mapping::iter) {
        if key.text == "tags" {
            tags_node = Some(value);
        } else {
            plain.0.push((key.clone(), renderer.node(value, &draft.scope, References::Refused)));
        }
    }
    let plain = match item.mapping() {
        Some(_) => Node { kind: Kind::Mapping(plain), location: item.location.clone() },
        None => item.clone(),
    };
    if renderer.errors() > errors {
        return None;
    }
    renderer.report_all(&check::definition("PushDecl", &plain, &item.location, "push"));
    if renderer.errors() > errors || plain.get("when").is_some_and(is_false) {
        return None;
    }
    if plain.mapping()?.get("when").is_some_and(|when| when.kind == Kind::Null) {
        return None;
    }
    let registry = registry_of(&plain, registries, renderer);
    let repository = repository_of(&plain, draft, renderer);
    let declared = registry.as_ref().and_then(|name| registries.declared.get(name));
    if let (Some(name), Some(declared)) = (&repository, declared) {
        aws::repository(name, declared, &place_of(item), renderer);
    }
    let tags = tags_node.map(|node| tag_rules(node, draft, renderer)).unwrap_or_default();
    let (keep, order) = (registries::keep_of(&plain, renderer), registries::order_of(&plain));
    (renderer.errors() == errors).then_some(Destination {
        registry: registry?,
        repository: repository?,
        tags,
        keep,
        order,
        location: place_of(item),
    })
}

fn place_of(item: &Node) -> crate::problem::Location {
    let entry = item.mapping().and_then(|mapping| mapping.get("repository").or_else(|| mapping.get("registry")));
    entry.map_or_else(|| item.location.clone(), |node| node.location.clone())
}

/// `when` is true unless empty or `false`.
fn is_false(when: &Node) -> bool {
    when.text().is_none_or(|text| matches!(text.trim(), "" | "false"))
}

fn registry_of(item: &Node, registries: &registries::Registries, renderer: &mut Renderer) -> Option<RegistryName> {
    let known = || registries.declared.keys().map(RegistryName::as_str);
    match item.get("registry") {
        Some(node) => {
            let name = RegistryName::new(node.text()?);
            if registries.declared.contains_key(&name) || registries.is_broken(name.as_str()) {
                return Some(name);
            }
            let help = did_you_mean(name.as_str(), known())
                .unwrap_or_else(|| format!("the registries are: {}", known().collect::<Vec<_>>().join(", ")));
            let problem = Problem::error(Code::UnknownRegistry, format!("there is no registry `{name}`"));
            renderer.report(problem.at(&node.location, "").help(help));
            None
        }
        None if registries.declared.len() == 1 => registries.declared.keys().next().cloned(),
        None => {
            let help = format!("name one of: {}", known().collect::<Vec<_>>().join(", "));
            let problem =
                Problem::error(Code::MissingKey, "this destination names no `registry`, and there are several");
            renderer.report(problem.at(&item.location, "").help(help));
            None
        }
    }
}

fn repository_of(item: &Node, draft: &Draft<'_>, renderer: &mut Renderer) -> Option<String> {
    let (repository, place) = match item.get("repository") {
        Some(node) => (node.text()?.to_owned(), node.location.clone()),
        None => (draft.name.as_str().to_owned(), item.location.clone()),
    };
    if let Some(why) = repository_problem(&repository) {
        renderer.report(
            Problem::error(Code::InvalidRepository, format!("`{repository}` cannot be a repository: {why}"))
                .at(&place, "")
                .help(repository_help(&repository)),
        );
        return None;
    }
    Some(repository)
}

/// What makes a text fit: lower case alone, where that is what it lacks.
fn repository_help(repository: &str) -> String {
    let lower = repository.to_lowercase();
    match repository_problem(&lower) {
        None => format!("repositories are written in lower case: `{lower}`; `{{{{lower ...}}}}` does it to a template"),
        Some(_) => "`{{lower ...}}` and `{{slug ...}}` make a text fit".to_owned(),
    }
}

fn tag_rules(node: &Node, draft: &Draft<'_>, renderer: &mut Renderer) -> Vec<TagRule> {
    node.items().iter().filter_map(|item| tag_rule(item, draft, renderer)).collect()
}

fn tag_rule(item: &Node, draft: &Draft<'_>, renderer: &mut Renderer) -> Option<TagRule> {
    let Some(full) = item.mapping() else {
        let (text, taint) = tags::resolve(item, draft, renderer)?;
        return Some(rule(item, text, taint, (false, false)));
    };
    let errors = renderer.errors();
    let mut rest = Mapping::default();
    for (key, value) in full.iter().filter(|(key, _)| key.text != "tag") {
        rest.0.push((key.clone(), renderer.node(value, &draft.scope, References::Refused)));
    }
    let tag = full.get("tag")?;
    let tag_key = Key { text: "tag".to_owned(), location: tag.location.clone() };
    let mut checked = rest.clone();
    checked.0.push((tag_key, tag.clone()));
    let checked = Node { kind: Kind::Mapping(checked), location: item.location.clone() };
    renderer.report_all(&check::definition("TagDecl", &checked, &item.location, "tags"));
    let rest = Node { kind: Kind::Mapping(rest), location: item.location.clone() };
    let absent = rest.mapping()?.get("when").is_some_and(is_false);
    if renderer.errors() > errors || absent {
        return None;
    }
    let (text, taint) = tags::resolve(tag, draft, renderer)?;
    let on_change = rest.get("on").and_then(Node::text) == Some("change");
    Some(rule(tag, text, taint, (on_change, read::flag(rest.get("immutable")))))
}

fn rule(
    node: &Node,
    text: crate::project::TagText,
    taint: crate::manifest::taint::Taint,
    (on_change, immutable): (bool, bool),
) -> TagRule {
    TagRule { text, fixed: taint.fixed, uses_git: taint.git, on_change, immutable, location: node.location.clone() }
}
