//! What an image is built from, and the rest of its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::image::{Draft, named};
use super::read;
use crate::manifest::choices::Choices;
use crate::manifest::node::{Mapping, Node};
use crate::manifest::path_text::clean;
use crate::manifest::render::Renderer;
use crate::manifest::template::text_with_references;
use crate::problem::{Code, Problem};
use crate::project::{
    Arg, Cache, Compression, Context, ContextPart, Destination, ExecutorChoice, Generated, Image, Inputs, Label,
    Language, LanguageInputs, Located, Modes, NamedContext, Output, PackageName, Role, Secret, TextPart,
};
use crate::reference::Reference;

const BUILD_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const PUSH_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The parts of an image that have been resolved before.
pub(super) struct Parts {
    pub args: BTreeMap<String, Arg>,
    pub destinations: Vec<Destination>,
    pub groups: Vec<String>,
}

/// The image; `None` if something is wrong with it.
pub(super) fn image(
    rest: &Node,
    parts: Parts,
    choices: &Choices,
    draft: &mut Draft<'_>,
    renderer: &mut Renderer,
) -> Option<Image> {
    let Parts { args, destinations, groups } = parts;
    let context = context(rest, draft, renderer);
    let dockerfile = dockerfile(rest, context.as_ref(), draft, renderer);
    let contexts = contexts(rest.get("contexts"), draft, renderer);
    let discloses = read::texts(rest.get("discloses"));
    for image in &discloses {
        named(draft, &image.value, &image.location);
    }
    let mut length = |key: &str| rest.get(key).and_then(|node| read::duration(node, renderer));
    let (timeout, push_timeout) = (length("timeout"), length("push_timeout"));
    let rebuild_every = rest
        .get("rebuild_every")
        .and_then(|node| Some(Located { value: read::duration(node, renderer)?, location: node.location.clone() }));
    Some(Image {
        name: draft.name.clone(),
        role: draft.role,
        groups,
        variant: draft.scope.get(&["variant"]).and_then(|name| name.as_str()).map(str::to_owned),
        contexts,
        target: read::texts(rest.get("target")).pop(),
        platforms: read::platforms(rest.get("platforms"), &choices.host_platform, renderer),
        args,
        labels: labels(rest.get("labels"), draft, renderer),
        annotations: read::text_map(rest.get("annotations")),
        secrets: secrets(rest.get("secrets"), renderer),
        ssh: ssh(rest.get("ssh")),
        allow: allow(rest.get("allow"), renderer),
        inputs: inputs(rest.get("inputs"), renderer),
        modes: read::word(rest.get("modes"), &[("exact", Modes::Exact)]),
        generated: generated(rest.get("generated"), renderer),
        destinations,
        // What runs it is looked at once it is known: a mistake there is none of the image.
        deploy: Vec::new(),
        cache: cache(rest.get("cache")),
        output: output(rest.get("output"), renderer),
        timeout: timeout.unwrap_or(BUILD_TIMEOUT),
        push_timeout: push_timeout.unwrap_or(PUSH_TIMEOUT),
        weight: weight(rest.get("weight"), renderer),
        rebuild_every,
        verify: verify(rest.get("verify"), renderer),
        discloses,
        outside: read::texts(rest.get("outside")),
        parents_published: rest.get("parents").and_then(Node::text) == Some("published"),
        executor: read::word(
            rest.get("executor"),
            &[("buildkit", ExecutorChoice::Buildkit), ("assemble", ExecutorChoice::Assemble)],
        ),
        location: draft.location.clone(),
        // Last, so that everything else has been looked at when one of them is wrong.
        dockerfile: dockerfile?,
        context: context?,
    })
}

fn context(rest: &Node, draft: &Draft<'_>, renderer: &mut Renderer) -> Option<Located<Context>> {
    let Some(node) = rest.get("context") else {
        return Some(Located { value: Context::Folder(".".to_owned()), location: draft.location.clone() });
    };
    if node.text().is_some() {
        let folder = read::path(node, renderer)?;
        return Some(Located { value: Context::Folder(folder.value), location: folder.location });
    }
    let parts: Option<Vec<ContextPart>> = node
        .get("paths")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .map(|item| context_part(item, renderer))
        .collect();
    Some(Located { value: Context::Assembled(parts?), location: node.location.clone() })
}

fn context_part(item: &Node, renderer: &mut Renderer) -> Option<ContextPart> {
    let from = read::path(item.get("from").unwrap_or(item), renderer)?.value;
    let to = item.get("to").and_then(Node::text).map(clean);
    if let (Some(to), Some(node)) = (&to, item.get("to"))
        && (to == ".." || to.starts_with("../") || node.text().is_some_and(|text| text.starts_with('/')))
    {
        let problem = Problem::error(Code::InvalidPath, format!("`{to}` lies outside the context"));
        renderer.report(problem.at(&node.location, "").help("`to` is a place inside the context"));
    }
    let only = item.get("only").map(Node::items).unwrap_or_default();
    let only = only.iter().filter_map(|glob| glob.text().map(str::to_owned)).collect();
    Some(ContextPart { to: to.unwrap_or_else(|| from.clone()), from, only })
}

fn dockerfile(
    rest: &Node,
    context: Option<&Located<Context>>,
    draft: &Draft<'_>,
    renderer: &mut Renderer,
) -> Option<Located<String>> {
    if let Some(node) = rest.get("dockerfile") {
        return read::path(node, renderer);
    }
    let value = match context.map(|context| &context.value) {
        Some(Context::Folder(folder)) => clean(&format!("{folder}/Dockerfile")),
        _ => "Dockerfile".to_owned(),
    };
    Some(Located { value, location: draft.location.clone() })
}

fn contexts(
    node: Option<&Node>,
    draft: &mut Draft<'_>,
    renderer: &mut Renderer,
) -> BTreeMap<String, Located<NamedContext>> {
    let mut contexts = BTreeMap::new();
    for (key, value) in node.and_then(Node::mapping).into_iter().flat_map(Mapping::iter) {
        let place = value.get("image").unwrap_or(value);
        let found = match value.get("image") {
            Some(image) => image.text().map(|text| {
                let written = text_with_references(text);
                let name = written.as_ref().and_then(|text| text.images().next()).map_or(text, |name| name.as_str());
                named(draft, name, &image.location);
                NamedContext::Image(crate::name::ImageName::new(name))
            }),
            None => value.text().and_then(|text| context_of(text, value, draft, renderer)),
        };
        if let Some(found) = found {
            contexts.insert(key.text.clone(), Located { value: found, location: place.location.clone() });
        }
    }
    contexts
}

fn context_of(text: &str, node: &Node, draft: &mut Draft<'_>, renderer: &mut Renderer) -> Option<NamedContext> {
    let written = text.strip_prefix("docker-image://").unwrap_or(text);
    let parsed = text_with_references(written);
    match parsed.as_ref().map(|text| &text.0[..]) {
        Some([TextPart::Image(name)]) => {
            named(draft, name.as_str(), &node.location);
            return Some(NamedContext::Image(name.clone()));
        }
        Some([TextPart::Literal(_)]) => {}
        _ => {
            renderer.report(crate::manifest::render::misplaced(node));
            return None;
        }
    }
    if written.len() == text.len() {
        return read::path(node, renderer).map(|path| NamedContext::Folder(path.value));
    }
    match written.parse::<Reference>() {
        Ok(_) => Some(NamedContext::Outside(written.to_owned())),
        Err(error) => {
            read::invalid(node, &error.to_string(), Some("write `docker-image://HOST/REPOSITORY:TAG`"), renderer);
            None
        }
    }
}

fn labels(node: Option<&Node>, draft: &Draft<'_>, renderer: &mut Renderer) -> BTreeMap<String, Label> {
    let mut labels = BTreeMap::new();
    for (key, value) in node.and_then(Node::mapping).into_iter().flat_map(Mapping::iter) {
        let Some(text) = value.get("value").unwrap_or(value).text() else { continue };
        let volatile = read::flag(value.get("volatile")) || text.contains(Label::DAY);
        if volatile && draft.role == Role::Base {
            let message = format!("the label `{}` is volatile on the base `{}`", key.text, draft.name);
            let help = "what builds on this base keeps the value that it was built with";
            renderer.report(Problem::warning(Code::VolatileBase, message).at(&key.location, "").help(help));
        }
        labels.insert(key.text.clone(), Label { value: text.to_owned(), volatile, location: value.location.clone() });
    }
    labels
}

fn secrets(node: Option<&Node>, renderer: &mut Renderer) -> BTreeMap<String, Secret> {
    let mut secrets = BTreeMap::new();
    for (key, value) in node.and_then(Node::mapping).into_iter().flat_map(Mapping::iter) {
        let file = if value.text().is_some() { Some(value) } else { value.get("file") };
        let secret = match (file, value.get("env").and_then(Node::text)) {
            (Some(file), None) => secret_file(file, renderer).map(Secret::File),
            (None, Some(variable)) => Some(Secret::Env(variable.to_owned())),
            _ => {
                let message =
                    format!("the secret `{}` comes from a `file` or from `env`: exactly one of the two", key.text);
                renderer.report(Problem::error(Code::InvalidValue, message).at(&key.location, ""));
                None
            }
        };
        secrets.extend(secret.map(|secret| (key.text.clone(), secret)));
    }
    secrets
}

/// A secret may lie outside the repository: an absolute path is taken as it is.
fn secret_file(node: &Node, renderer: &mut Renderer) -> Option<String> {
    let text = node.text()?;
    if text.starts_with('/') || text.starts_with("~/") {
        return Some(text.to_owned());
    }
    read::path(node, renderer).map(|path| path.value)
}

fn ssh(node: Option<&Node>) -> BTreeMap<String, String> {
    match node {
        Some(node) if node.mapping().is_some() => read::text_map(Some(node)),
        node => read::texts(node).into_iter().map(|id| (id.value, "default".to_owned())).collect(),
    }
}

fn allow(node: Option<&Node>, renderer: &mut Renderer) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for item in node.map(Node::items).unwrap_or_default() {
        let Some(text) = item.text().filter(|text| !text.is_empty()) else { continue };
        let device = text.strip_prefix("device=").is_some_and(|name| !name.is_empty());
        if !device && !["network.host", "security.insecure", "device"].contains(&text) {
            let help = "`network.host`, `security.insecure`, `device` or `device=NAME`";
            read::invalid(item, &format!("`{text}` is nothing that a build can be allowed"), Some(help), renderer);
            continue;
        }
        allowed.insert(text.to_owned());
    }
    allowed
}

fn inputs(node: Option<&Node>, renderer: &mut Renderer) -> Inputs {
    let get = |key: &str| node.and_then(|node| node.get(key));
    let languages =
        Language::ALL.into_iter().filter_map(|language| language_inputs(language, get(language.as_str())?, renderer));
    let languages = languages.collect();
    let patterns = |key: &str| read::patterns(get(key));
    Inputs { include: patterns("include"), exclude: patterns("exclude"), extra: patterns("extra"), languages }
}

/// `None` where no package is named, which switches the language off.
fn language_inputs(language: Language, node: &Node, renderer: &mut Renderer) -> Option<LanguageInputs> {
    let full = node.mapping().is_some();
    let named = if full { node.get("package")? } else { node };
    let mut packages = Vec::new();
    for item in named.items() {
        let Some(written) = item.text().filter(|text| !text.is_empty()) else { continue };
        let Some(path) = read::path(item, renderer) else { continue };
        packages.push(Located {
            value: PackageName { written: written.to_owned(), path: path.value },
            location: path.location,
        });
    }
    let tags = node.get("tags").filter(|_| full).map(|tags| read::texts(Some(tags)));
    Some(LanguageInputs {
        language,
        packages: Some(packages).filter(|packages| !packages.is_empty())?,
        tags: tags.map(|tags| {
            let tags = tags.iter().flat_map(|tag| tag.value.split(','));
            tags.map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
        }),
        cgo: node.get("cgo").filter(|_| full).and_then(Node::truth),
    })
}

fn generated(node: Option<&Node>, renderer: &mut Renderer) -> Vec<Located<Generated>> {
    let items = node.map(Node::items).unwrap_or_default();
    let one = |item: &Node, renderer: &mut Renderer| {
        let path = read::path(item.get("path")?, renderer)?;
        let by = item.get("by")?.text()?.to_owned();
        Some(Located { value: Generated { path: path.value, by }, location: path.location })
    };
    items.iter().filter_map(|item| one(item, renderer)).collect()
}

fn cache(node: Option<&Node>) -> Cache {
    let list = |key: &str| {
        let texts = read::texts(node.and_then(|node| node.get(key))).into_iter();
        texts
            .map(|text| if text.value.contains('=') { text.value } else { format!("type=registry,ref={}", text.value) })
            .collect()
    };
    Cache { from: list("from"), to: list("to") }
}

fn output(node: Option<&Node>, renderer: &mut Renderer) -> Output {
    let get = |key: &str| node.and_then(|node| node.get(key));
    let compression = match get("compression").and_then(Node::text) {
        Some("zstd") => Compression::Zstd,
        Some("uncompressed") => Compression::Uncompressed,
        _ => Compression::Gzip,
    };
    let level: Option<i32> = read::number(get("level"), renderer);
    let most = match compression {
        Compression::Gzip => 9,
        Compression::Zstd => 22,
        Compression::Uncompressed => 0,
    };
    if let (Some(level), Some(node)) = (level, get("level"))
        && !(0..=most).contains(&level)
    {
        read::invalid(
            node,
            &format!("level {level} is out of range"),
            Some(&format!("it goes from 0 to {most} here")),
            renderer,
        );
    }
    Output { compression, level, sbom: read::flag(get("sbom")), provenance: read::flag(get("provenance")) }
}

fn weight(node: Option<&Node>, renderer: &mut Renderer) -> u32 {
    let weight = read::number(node, renderer).unwrap_or(1);
    if let (0, Some(node)) = (weight, node) {
        read::invalid(node, "`weight` is at least 1", None, renderer);
    }
    weight.max(1)
}

fn verify(node: Option<&Node>, renderer: &mut Renderer) -> Option<Located<Vec<String>>> {
    let node = node?;
    let words = match node.text() {
        Some(text) => shell_words::split(text).unwrap_or_default(),
        None => read::texts(Some(node)).into_iter().map(|word| word.value).collect(),
    };
    if words.is_empty() {
        read::invalid(node, "`verify` is a command", Some("write words, with quotes that are closed"), renderer);
        return None;
    }
    Some(Located { value: words, location: node.location.clone() })
}
