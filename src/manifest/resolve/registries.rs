//! `registries:`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::aws::{self, ACCOUNT_HELP, is_account, login};
use super::read;
use crate::manifest::check;
use crate::manifest::choices::Choices;
use crate::manifest::node::{Key, Kind, Mapping, Node};
use crate::manifest::render::{References, Renderer};
use crate::manifest::template::Scope;
use crate::name::RegistryName;
use crate::problem::{Code, Problem};
use crate::project::{AwsLogin, CreateRepository, Keep, Order, Registry, RegistryKind, Retention};
use crate::reference::repository_problem;

/// Where images go if no registry is declared.
const DEFAULT_NAME: &str = "layout";
const DEFAULT_PATH: &str = ".orchestrate/images";

/// The registries of a project.
pub(super) struct Registries {
    /// By name.
    pub declared: BTreeMap<RegistryName, Registry>,
    /// Names of those that are declared with a mistake: what names them is no further mistake.
    broken: Vec<String>,
    /// Whether the only one is the layout that nobody declared.
    pub only_default: bool,
}

impl Registries {
    /// Whether a registry of this name is declared, with a mistake.
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.iter().any(|broken| broken == name)
    }
}

/// Resolves all registries, and lets the templates of images know their addresses.
pub(super) fn resolve(
    root: &Node,
    choices: &Choices,
    global: &mut Map<String, Value>,
    renderer: &mut Renderer,
) -> Registries {
    let mut declared = BTreeMap::new();
    let mut addresses = Map::new();
    let mut broken = Vec::new();
    let entries: Vec<(&Key, &Node)> =
        root.get("registries").and_then(Node::mapping).into_iter().flat_map(Mapping::iter).collect();
    for (key, node) in entries.iter().copied().filter(|(_, node)| node.kind != Kind::Null) {
        let errors = renderer.errors();
        let rendered = renderer.node(node, &Scope::new(global), References::Refused);
        if renderer.errors() > errors {
            addresses.insert(key.text.clone(), Value::Null);
            broken.push(key.text.clone());
            continue;
        }
        renderer.report_all(&check::definition("RegistryDecl", &rendered, &key.location, &key.text));
        let sound = renderer.errors() == errors;
        let registry = if sound { registry(key, &rendered, choices, renderer) } else { None };
        let prefix = registry.as_ref().and_then(Registry::reference_prefix);
        addresses.insert(key.text.clone(), prefix.map_or(Value::Null, Value::from));
        match registry {
            Some(registry) => drop(declared.insert(RegistryName::new(&key.text), registry)),
            None => broken.push(key.text.clone()),
        }
    }
    global.insert("@registries".to_owned(), Value::Object(addresses));
    let only_default = entries.is_empty();
    if only_default {
        let name = RegistryName::new(DEFAULT_NAME);
        let kind = RegistryKind::Layout { path: DEFAULT_PATH.to_owned() };
        let location = root.location.clone();
        declared
            .insert(name.clone(), Registry { name, kind, public: false, keep: Keep::default(), order: None, location });
    }
    Registries { declared, broken, only_default }
}

/// The keys that each kind takes besides those that all take, and the one that it must have.
const KEYS: &[(&str, &[&str], Option<&str>)] = &[
    ("ecr", &["region", "account", "cross_account", "profile", "role", "create", "url"], Some("region")),
    ("ecr-public", &["alias", "profile", "role", "create", "url"], Some("alias")),
    ("oci", &["url"], Some("url")),
    ("layout", &["path"], Some("path")),
    ("docker", &[], None),
];
const COMMON: &[&str] = &["kind", "public", "retain", "price", "in_use_by", "order"];

fn registry(key: &Key, node: &Node, choices: &Choices, renderer: &mut Renderer) -> Option<Registry> {
    let kind_node = node.get("kind")?;
    let kind = kind_node.text()?;
    let (_, own, needed) = KEYS.iter().find(|(name, _, _)| *name == kind)?;
    let errors = renderer.errors();
    for (entry, value) in node.mapping()?.iter() {
        let known = COMMON.contains(&entry.text.as_str()) || own.contains(&entry.text.as_str());
        if known || value.kind == Kind::Null {
            continue;
        }
        let owner =
            KEYS.iter().find(|(_, keys, _)| keys.contains(&entry.text.as_str())).map_or("other", |(name, _, _)| name);
        renderer.report(
            Problem::error(Code::InvalidRegistry, format!("a registry of kind `{kind}` has no `{}`", entry.text))
                .at(&entry.location, "")
                .at(&kind_node.location, "the kind")
                .help(format!("`{}` belongs to kind `{owner}`", entry.text)),
        );
    }
    if let Some(needed) = needed.filter(|needed| node.get(needed).and_then(Node::text).is_none_or(str::is_empty)) {
        renderer.report(
            Problem::error(Code::InvalidRegistry, format!("the registry `{}` lacks `{needed}`", key.text))
                .at(&key.location, format!("kind `{kind}` needs `{needed}`")),
        );
    }
    let kind = kind_of(kind, node, choices, renderer)?;
    if renderer.errors() > errors {
        return None;
    }
    let public = matches!(kind, RegistryKind::EcrPublic { .. }) || read::flag(node.get("public"));
    let name = RegistryName::new(&key.text);
    let (keep, order) = (keep_of(node, renderer), order_of(node));
    Some(Registry { name, kind, public, keep, order, location: key.location.clone() })
}

/// A profile may turn a registry into one of another kind; what the manifest said about the old kind is then void.
pub(crate) fn forget_old_kinds(root: &mut Node, overlay: &Node) {
    let Kind::Mapping(parts) = &mut root.kind else { return };
    let Some((_, Node { kind: Kind::Mapping(declared), .. })) =
        parts.0.iter_mut().find(|(key, _)| key.text == "registries")
    else {
        return;
    };
    for (key, node) in &mut declared.0 {
        let now = overlay.get("registries").and_then(|registries| registries.get(&key.text)?.get("kind")?.text());
        let Some((_, own, _)) = KEYS.iter().find(|(kind, _, _)| Some(*kind) == now) else { continue };
        if let Kind::Mapping(entries) = &mut node.kind {
            entries.0.retain(|(entry, _)| COMMON.contains(&entry.text.as_str()) || own.contains(&entry.text.as_str()));
        }
    }
}

fn kind_of(kind: &str, node: &Node, choices: &Choices, renderer: &mut Renderer) -> Option<RegistryKind> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    Some(match kind {
        "ecr" => {
            let login = login(node, renderer);
            // The role's own account is the role's; the chain's account says nothing about a profile.
            let of_role = login.role.as_deref().and_then(|role| role.split(':').nth(4)).map(str::to_owned);
            let of_chain = || choices.aws_account.clone().filter(|_| login == AwsLogin::default());
            let account = text("account").or(of_role).or_else(of_chain);
            if let (None, Some(profile)) = (&account, node.get("profile")) {
                let help = "write `account:` beside it: the manifest is resolved before that profile is asked";
                read::invalid(profile, "a registry with a `profile` needs its `account`", Some(help), renderer);
            }
            if let (Some(written), Some(place)) = (text("account"), node.get("account"))
                && !is_account(&written)
            {
                read::invalid(place, &format!("`{written}` is not an AWS account"), Some(ACCOUNT_HELP), renderer);
            }
            RegistryKind::Ecr {
                region: aws::region(node.get("region"), renderer).unwrap_or_default(),
                account,
                create: create_of(kind, node, renderer),
                url: aws::url(node.get("url"), renderer),
                login,
                cross_account: read::flag(node.get("cross_account")),
            }
        }
        "ecr-public" => RegistryKind::EcrPublic {
            alias: aws::alias(node.get("alias"), renderer),
            create: create_of(kind, node, renderer),
            url: aws::url(node.get("url"), renderer),
            login: login(node, renderer),
        },
        "oci" => oci(node.get("url")?, renderer)?,
        "layout" => {
            let place = node.get("path")?;
            let written = place.text()?;
            let path = if written.starts_with('/') { written.to_owned() } else { read::path(place, renderer)?.value };
            RegistryKind::Layout { path }
        }
        _ => RegistryKind::Docker,
    })
}

/// The keys of `create` that one kind of registry alone takes.
const OF_PRIVATE: &[&str] = &["scan_on_push", "immutable", "encryption", "allow"];
const OF_PUBLIC: &[&str] = &["description", "about", "usage"];

fn create_of(kind: &str, node: &Node, renderer: &mut Renderer) -> Option<CreateRepository> {
    let create = node.get("create")?;
    match create.truth() {
        Some(false) => return None,
        Some(true) => return Some(CreateRepository::default()),
        None => {}
    }
    let foreign = if kind == "ecr" { OF_PUBLIC } else { OF_PRIVATE };
    for (entry, _) in create.mapping().into_iter().flat_map(Mapping::iter) {
        if foreign.contains(&entry.text.as_str()) {
            let message = format!("a registry of kind `{kind}` has no `create.{}`", entry.text);
            renderer.report(Problem::error(Code::InvalidRegistry, message).at(&entry.location, ""));
        }
    }
    let text = |key: &str| create.get(key).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned);
    let immutable = create.get("immutable");
    let except = immutable.and_then(|immutable| immutable.get("except"));
    let region = node.get("region").and_then(Node::text).unwrap_or_default();
    aws::resource_tags(create.get("tags"), renderer);
    let allow = read::texts(create.get("allow"));
    for account in allow.iter().filter(|account| !is_account(&account.value)) {
        let message = format!("`{}` is not an AWS account", account.value);
        renderer.report(Problem::error(Code::InvalidValue, message).at(&account.location, "").help(ACCOUNT_HELP));
    }
    Some(CreateRepository {
        scan_on_push: read::flag(create.get("scan_on_push")),
        immutable: except.is_some() || read::flag(immutable),
        except: read::texts(except).into_iter().map(|text| text.value).collect(),
        encryption: aws::encryption(create.get("encryption"), region, renderer),
        tags: read::text_map(create.get("tags")),
        allow: allow.into_iter().map(|account| account.value).collect(),
        description: text("description"),
        about: text("about"),
        usage: text("usage"),
    })
}

fn oci(node: &Node, renderer: &mut Renderer) -> Option<RegistryKind> {
    let written = node.text()?;
    let parsed = written.split_once("://").filter(|(scheme, rest)| {
        matches!(*scheme, "http" | "https")
            && !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.contains(['@', '?', '#', ' '])
    });
    let Some((scheme, rest)) = parsed else {
        let help = if written.contains('@') {
            "credentials come from Docker's config, never from the manifest".to_owned()
        } else {
            format!("write `https://{}`, or `http://` where there is no TLS", written.trim_start_matches('/'))
        };
        let problem = Problem::error(Code::InvalidRegistry, "`url` is not the address of a registry");
        renderer.report(problem.at(&node.location, "").help(help));
        return None;
    };
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let path = prefix.trim_matches('/');
    if let Some(why) = repository_problem(path).filter(|_| !path.is_empty()) {
        let lower = path.to_lowercase();
        let help = match repository_problem(&lower) {
            None => format!("write `{scheme}://{host}/{lower}`; `{{{{lower ...}}}}` does it to a template"),
            Some(_) => "repositories below it would have this name before their own".to_owned(),
        };
        let problem = Problem::error(Code::InvalidRegistry, format!("`{path}` cannot begin a repository: {why}"));
        renderer.report(problem.at(&node.location, "").help(help));
        return None;
    }
    Some(RegistryKind::Oci {
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
    })
}

/// What `order` says beside a registry, a destination or a function.
pub(super) fn order_of(node: &Node) -> Option<Order> {
    let order = node.get("order").filter(|order| order.kind != Kind::Null)?;
    let branch = order.get("branch").and_then(Node::text).filter(|branch| !branch.is_empty()).map(str::to_owned);
    Some(Order { history: order.text() == Some("history"), branch })
}

/// What `retain`, `price` and `in_use_by` say beside a registry, a destination, or at the top.
pub(super) fn keep_of(node: &Node, renderer: &mut Renderer) -> Keep {
    let retain = node.get("retain").map(|retain| Retention {
        commits: read::number(retain.get("commits"), renderer),
        untagged_days: read::number(retain.get("untagged_days"), renderer),
        min_age: retain.get("min_age").and_then(|age| read::duration(age, renderer)),
    });
    let price = node.get("price").and_then(|price| {
        let parsed = price.text()?.trim().parse::<f64>().ok().filter(|price| *price >= 0.0);
        if parsed.is_none() {
            read::invalid(price, "`price` is what a GB costs each month: a number", None, renderer);
        }
        parsed
    });
    let in_use_by = read::texts(node.get("in_use_by")).into_iter().map(|text| text.value).collect();
    Keep { retain, price, in_use_by }
}

/// `price` and `in_use_by` at the top of the manifest.
pub(super) fn keep(root: &Node, scope: &Scope<'_>, renderer: &mut Renderer) -> Keep {
    let mut part = Mapping::default();
    for (key, value) in root.mapping().into_iter().flat_map(Mapping::iter) {
        if matches!(key.text.as_str(), "price" | "in_use_by") {
            part.0.push((key.clone(), renderer.node(value, scope, References::Refused)));
        }
    }
    keep_of(&Node { kind: Kind::Mapping(part), location: root.location.clone() }, renderer)
}
