//! What to ask the registries: keys, and the tags that images should have.

use std::collections::BTreeMap;

use super::decide::reference_of;
use super::facts::{Facts, ImageFacts, Since, Wanted, WantedDestination, WantedTag};
use crate::digest::Key;
use crate::fingerprint::day_of;
use crate::manifest;
use crate::name::ImageName;
use crate::problem::{Code, Location, Problem, Problems};
use crate::project::{Destination, Image, TagRule};

/// What `--allow-dirty` appends, before the key.
const DIRTY: &str = "-dirty-";

/// What to ask the registries: each destination of each image that the run is about, with every tag that it should have.
///
/// # Errors
/// A tag that cannot be rendered with the key, or that two images claim.
pub fn wanted(facts: &Facts<'_>) -> Result<Vec<Wanted>, Problems> {
    let mut all = Vec::new();
    let mut problems = Problems::new();
    let mut claims: BTreeMap<(String, String), (&ImageName, &Location)> = BTreeMap::new();
    for (image, known) in run_images(facts) {
        let chosen = facts.selection.chosen.contains(&image.name);
        let mut destinations = Vec::new();
        for destination in &image.destinations {
            let mut tags: Vec<WantedTag> = Vec::new();
            for rule in destination.tags.iter().filter(|_| chosen) {
                // Claims are compared as if no day were known: two images that share a tag do so on every day.
                let rendered = rendered(rule, known)
                    .and_then(|rendered| Ok((rendered, manifest::render_tag(rule, Some(&known.key), None)?)));
                let (rendered, claimed) = match rendered {
                    Ok(rendered) => rendered,
                    Err(problem) => {
                        problems.push(problem);
                        continue;
                    }
                };
                for tag in claimed {
                    let place = (reference_of(facts.project, destination), tag);
                    match claims.get(&place) {
                        Some((other, location)) if *other != &image.name => {
                            problems.push(claimed_twice(&place, (&image.name, &rule.location), (other, location)));
                        }
                        _ => drop(claims.insert(place, (&image.name, &rule.location))),
                    }
                }
                for tag in rendered {
                    let tag = wanted_tag(tag, rule, known, facts);
                    if !tags.contains(&tag) {
                        tags.push(tag);
                    }
                }
            }
            let known_by = if chosen { Vec::new() } else { moving_tags(destination, known) };
            destinations.push(WantedDestination { key_tag: known.key.tag(), tags, known_by });
        }
        all.push(Wanted { image: image.name.clone(), destinations });
    }
    problems.or(all)
}

/// The tags of the first moving rule that can be rendered.
fn moving_tags(destination: &Destination, known: &ImageFacts) -> Vec<String> {
    let mut moving = destination.tags.iter().filter(|rule| !rule.fixed && !rule.immutable && !rule.is_dated());
    moving.find_map(|rule| manifest::render_tag(rule, Some(&known.key), None).ok()).unwrap_or_default()
}

pub(super) fn run_images<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = (&'a Image, &'a ImageFacts)> {
    let order = facts.graph.order().iter().filter(|name| facts.selection.all.contains(*name));
    order.filter_map(|name| Some((facts.project.images.get(name)?, facts.images.get(name)?)))
}

/// The tags of a rule: with the day of the first publication, once there was one.
fn rendered(rule: &TagRule, known: &ImageFacts) -> Result<Vec<String>, Problem> {
    let day = match known.published {
        Some(Since::At(seconds)) => Some(day_of(seconds)),
        Some(Since::Undated) if rule.is_dated() => {
            let message = "the day of the first publication is not known: the record of what is published has none";
            let help = "build it anew with `--rebuild`, or leave `published` out of the tag";
            return Err(Problem::error(Code::UnknownDay, message).at(&rule.location, "").help(help));
        }
        _ => None,
    };
    manifest::render_tag(rule, Some(&known.key), day.as_deref())
}

fn wanted_tag(tag: String, rule: &TagRule, known: &ImageFacts, facts: &Facts<'_>) -> WantedTag {
    let (fixed, on_change) = (rule.fixed || rule.immutable, rule.on_change);
    let at_build = rule.is_dated() && known.published.is_none();
    match known.uncommitted.first() {
        Some(_) if rule.uses_git && facts.choices.allow_dirty => {
            let tag = format!("{tag}{DIRTY}{}", known.key.short());
            WantedTag { tag, fixed, on_change, at_build, dirty: None }
        }
        Some(path) if rule.uses_git => WantedTag { tag, fixed, on_change, at_build, dirty: Some(path.clone()) },
        _ => WantedTag { tag, fixed, on_change, at_build, dirty: None },
    }
}

/// The tag that a plan could not render before the image was published (`at_build`), with the day on which it was. `None` where
/// the template gives fewer tags with the day than without.
pub fn dated_tag(destination: &Destination, planned: &str, key: &Key, day: &str) -> Option<String> {
    destination.tags.iter().filter(|rule| rule.is_dated()).find_map(|rule| {
        let before = manifest::render_tag(rule, Some(key), None).ok()?;
        let (at, rest) = before.iter().enumerate().find_map(|(at, tag)| {
            let rest = planned.strip_prefix(tag.as_str())?;
            (rest.is_empty() || rest.starts_with(DIRTY)).then_some((at, rest))
        })?;
        let tag = manifest::render_tag(rule, Some(key), Some(day)).ok()?.into_iter().nth(at)?;
        Some(format!("{tag}{rest}"))
    })
}

fn claimed_twice(place: &(String, String), one: (&ImageName, &Location), other: (&ImageName, &Location)) -> Problem {
    Problem::error(Code::TagConflict, format!("two images claim the tag `{}:{}`", place.0, place.1))
        .at(one.1, format!("`{}` claims it here", one.0))
        .at(other.1, format!("`{}` claims it here", other.0))
        .help("put `{{name}}` into the tag, or give each image a repository of its own")
}
