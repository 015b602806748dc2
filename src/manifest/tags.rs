//! Tags: a rendering is split at blanks; what uses the key is rendered once the key is known.

use serde_json::{Map, Value};

use super::node::Node;
use super::render::Renderer;
use super::taint::{Taint, Taints};
use super::template::{MOST, Scope, Templates, evaluate, has_reference, text_of};
use crate::digest::Key;
use crate::problem::{Code, Location, Problem};
use crate::project::{TagRule, TagText};
use crate::reference::tag_problem;

/// What `published` says before an image was ever published.
const NOT_YET: &str = "set-at-build";

/// Where the templates of tags get their names from.
pub(crate) trait TagScope {
    /// The names.
    fn scope(&self) -> &Scope<'_>;
    /// What they owe to git.
    fn taints(&self) -> &Taints;
}

/// The tags of one template, and what they depend on; `None` if something is wrong.
pub(crate) fn resolve(node: &Node, names: &impl TagScope, renderer: &mut Renderer) -> Option<(TagText, Taint)> {
    let used = renderer.names(node);
    let taint = names.taints().of(&used);
    if taint.late {
        let template = node.text()?.to_owned();
        let mut scope = names.scope().clone();
        // Tried once with stand-ins, so that what else is wrong with it is found now.
        scope.local.insert("key".to_owned(), "0".repeat(32).into());
        scope.local.insert("published".to_owned(), "2026-01-01".into());
        let tried = renderer.text(node, &scope)?;
        check(&tried, node, &suspects(names, &used), renderer)?;
        let dated = used.iter().any(|name| name == "published");
        return Some((TagText::Late { template, scope: names.scope().only(&used), dated }, taint));
    }
    let text = renderer.text(node, names.scope())?;
    check(&text, node, &suspects(names, &used), renderer)?;
    Some((TagText::Rendered(split(&text)), taint))
}

fn split(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn check(text: &str, node: &Node, suspects: &[Suspect], renderer: &mut Renderer) -> Option<()> {
    if has_reference(text) {
        renderer.report(super::render::misplaced(node));
        return None;
    }
    let mut sound = true;
    for tag in text.split_whitespace() {
        if let Some(problem) = problem_of(tag, suspects, &node.location) {
            renderer.report(problem);
            sound = false;
        }
    }
    sound.then_some(())
}

/// A name that a template uses, with its text.
struct Suspect {
    name: String,
    text: String,
}

/// The names of a template whose text may not fit into a tag.
fn suspects(names: &impl TagScope, used: &[String]) -> Vec<Suspect> {
    let text = |name: &String| {
        let parts: Vec<&str> = name.split('.').collect();
        Some(Suspect { name: name.clone(), text: text_of(names.scope().get(&parts)?)? })
    };
    used.iter().filter_map(text).collect()
}

/// What is wrong with a tag, and which name of its template to change: the one whose text does not fit.
fn problem_of(tag: &str, suspects: &[Suspect], location: &Location) -> Option<Problem> {
    let why = tag_problem(tag)?;
    let fits = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let culprit = suspects.iter().find(|suspect| !fits(&suspect.text) && tag.contains(&suspect.text));
    let help = match culprit {
        Some(Suspect { name, text }) => {
            let odd = text.chars().find(|c| !c.is_ascii() || !fits(&c.to_string())).unwrap_or('/');
            format!(
                "`{{{{slug {name}}}}}` makes it fit; `{{{{replace {name} '{odd}' '-'}}}}` changes nothing but `{odd}`"
            )
        }
        None => "`{{slug ...}}` makes a text fit".to_owned(),
    };
    Some(Problem::error(Code::InvalidTag, format!("`{tag}` cannot be a tag: {why}")).at(location, "").help(help))
}

/// The tags of a rule. `key` is the key as templates show it: its first 32 hexadecimal digits; `published` is the day on which
/// the key was first published, `2026-01-31`, or nothing before.
///
/// # Errors
/// A rendering that cannot be a tag.
pub fn render_tag(rule: &TagRule, key: Option<&Key>, published: Option<&str>) -> Result<Vec<String>, Problem> {
    let (template, scope) = match &rule.text {
        TagText::Rendered(tags) => return Ok(tags.clone()),
        TagText::Late { template, scope, .. } => (template, scope),
    };
    let mut names: Map<String, Value> = scope.as_object().cloned().unwrap_or_default();
    if let Some(key) = key {
        names.insert("key".to_owned(), key.hex().chars().take(32).collect::<String>().into());
    }
    names.insert("published".to_owned(), published.unwrap_or(NOT_YET).into());
    let wrong = |message: String| Problem::error(Code::BadTemplate, message).at(&rule.location, "");
    let compiled = Templates::default().get(template).map_err(wrong)?;
    let value = evaluate(&compiled, &Scope::new(&names), &mut { MOST }).map_err(|wrongs| {
        let wrong = wrongs.into_iter().next();
        let (code, message) = wrong.map_or((Code::BadTemplate, String::new()), |wrong| (wrong.code, wrong.message));
        Problem::error(code, message).at(&rule.location, "")
    })?;
    let tags = split(&text_of(&value).unwrap_or_default());
    match tags.iter().find_map(|tag| problem_of(tag, &[], &rule.location)) {
        Some(problem) => Err(problem),
        None => Ok(tags),
    }
}
