//! From facts to actions.

use std::collections::BTreeSet;

use super::facts::{
    AskMover, Facts, ImageFacts, Narrowing, Observed, ObservedDestination, Previous, Wanted, WantedDestination,
    WantedTag,
};
use super::functions::functions;
use super::model::{Action, Blocker, FORMAT, Narrowed, Plan, Publication, Step, TagMove};
use super::order::{Course, Standing, Why};
use super::places::path_in_repository;
use super::reason::Reason;
use super::rebuild::{Rebuild, rebuild};
use super::wanted::run_images;
use crate::digest::Digest;
use crate::fingerprint::difference;
use crate::name::ImageName;
use crate::project::{Destination, Image, Project, Registry, RegistryKind};

/// Host and repository of a destination; for a layout its folder.
pub fn reference_of(project: &Project, destination: &Destination) -> String {
    let registry = project.registries.get(&destination.registry);
    let path = match registry.map(|registry| &registry.kind) {
        Some(RegistryKind::Layout { path }) => Some(path.clone()),
        Some(RegistryKind::Docker) => Some("docker".to_owned()),
        _ => registry.and_then(Registry::reference_prefix),
    };
    match path {
        Some(path) => format!("{path}/{}", destination.repository),
        None => format!("{}/{}", destination.registry, destination.repository),
    }
}

/// Decides what happens to each image, destination and function.
pub fn decide(facts: &Facts<'_>, wanted: &[Wanted], observed: &Observed) -> Plan {
    let mut images: Vec<Step> = wanted
        .iter()
        .filter_map(|wanted| {
            let (image, known) = (facts.project.images.get(&wanted.image)?, facts.images.get(&wanted.image)?);
            Some(Decision { facts, image, known, wanted, observed }.step())
        })
        .collect();
    leave_out_what_nobody_needs(&mut images);
    let mut blockers = blockers(&images, wanted);
    blockers.extend(unordered(facts, &images));
    let (functions, in_the_way) = functions(facts, &images, observed);
    blockers.extend(in_the_way);
    Plan {
        format: FORMAT,
        project: facts.project.name.clone(),
        profile: facts.project.profile.clone(),
        from: facts.choices.from.clone(),
        only: facts.selection.chosen.iter().filter(|_| facts.selection.partial).cloned().collect(),
        set: facts.choices.set.clone(),
        commit: facts.choices.commit.clone(),
        observed: !facts.choices.offline,
        repositories: Vec::new(),
        functions,
        images,
        unseen: Vec::new(),
        rebuilds: rebuilds(facts),
        blockers,
        warnings: Vec::new(),
    }
}

fn rebuilds(facts: &Facts<'_>) -> Vec<Rebuild> {
    let all = run_images(facts);
    all.filter_map(|(image, known)| rebuild(image, known.published, facts.choices.now, facts.choices.offline)).collect()
}

/// An image that was not asked for is built only where an image that is built needs it.
fn leave_out_what_nobody_needs(images: &mut [Step]) {
    let mut needed: BTreeSet<ImageName> = BTreeSet::new();
    for step in images.iter_mut().rev() {
        if step.action == Action::Build && !step.chosen && !needed.contains(&step.name) {
            step.action = Action::Keep;
            step.reasons = vec![Reason::NotNeeded];
            for publication in &mut step.destinations {
                publication.action = Action::Keep;
            }
        }
        if step.action == Action::Build {
            needed.extend(step.needs.iter().cloned());
        }
    }
}

struct Decision<'a> {
    facts: &'a Facts<'a>,
    image: &'a Image,
    known: &'a ImageFacts,
    wanted: &'a Wanted,
    observed: &'a Observed,
}

impl Decision<'_> {
    fn step(&self) -> Step {
        let name = &self.image.name;
        let nothing = Vec::new();
        let observed = self.observed.destinations.get(name).unwrap_or(&nothing);
        let rebuild = self.facts.choices.rebuild.contains(name);
        let pinned = self.observed.pinned.get(name).filter(|_| !rebuild);
        // The home's digest wins where destinations differ: the first writer's image is the image.
        let published = observed.iter().find_map(|destination| destination.published);
        let promoted = self.observed.promoted.get(name).filter(|_| published.is_none());
        let elsewhere = promoted.map(|promoted| promoted.digest).or(pinned.map(|(_, digest)| *digest));
        let source = if rebuild { None } else { published.or(elsewhere) };
        let mut destinations = Vec::new();
        for index in 0..self.image.destinations.len() {
            let seen = observed.get(index).cloned().unwrap_or_default();
            let wanted = &self.wanted.destinations[index];
            let mut publication = self.publication(index, wanted, &seen, source);
            if let (Action::Copy, Some(promoted)) = (publication.action, promoted) {
                publication.from = Some(promoted.reference.clone());
            } else if publication.action == Action::Copy {
                let holder = observed.iter().position(|other| other.published == source && source.is_some());
                if index == 0 && holder.is_none() && pinned.is_some() {
                    publication.action = Action::Tag;
                    publication.pinned = pinned.map(|(key, _)| *key);
                } else {
                    publication.from =
                        self.image.destinations.get(holder.unwrap_or(0)).map(|d| reference_of(self.facts.project, d));
                }
            }
            destinations.push(publication);
        }
        let action = destinations.iter().map(|publication| publication.action).max().unwrap_or(Action::Build);
        let needs = self.facts.graph.needs(name).into_iter().filter(|need| self.facts.selection.all.contains(*need));
        Step {
            name: name.clone(),
            platforms: self.image.platforms.clone(),
            key: self.known.key,
            keys: self.known.fingerprints.iter().map(|(platform, print)| (platform.clone(), print.key())).collect(),
            action,
            executor: self.known.executor,
            executor_because: self.known.executor_because.clone(),
            reasons: self.reasons(action, rebuild, &destinations),
            destinations,
            needs: needs.cloned().collect(),
            uncommitted: self.known.uncommitted.iter().take(20).cloned().collect(),
            narrowed: narrowed(&self.known.narrowing),
            weight: self.image.weight,
            chosen: self.facts.selection.chosen.contains(name),
        }
    }

    fn publication(
        &self,
        index: usize,
        wanted: &WantedDestination,
        seen: &ObservedDestination,
        source: Option<Digest>,
    ) -> Publication {
        let destination = &self.image.destinations[index];
        let here = seen.published.is_some() && seen.published == source;
        let action = match (source, here) {
            (None, _) => Action::Build,
            (Some(_), false) => Action::Copy,
            (Some(_), true) => Action::Keep,
        };
        let moved = |tag: &WantedTag| {
            let from = seen.tags.get(&tag.tag).copied().flatten();
            let moved = self.observed.movers.get(&(self.image.name.clone(), index, tag.tag.clone()));
            let moved = moved.filter(|_| !tag.fixed && from != source).cloned().unwrap_or_default();
            let stays = moved.standing.as_ref().filter(|standing| standing.course() == Course::Stays);
            let newer = stays.map(|standing| standing.mover.clone());
            let to = if newer.is_some() { from } else { source };
            let order = moved.standing.filter(|standing| standing.why != Why::Ancestor);
            let (fixed, at_build, over) = (tag.fixed, tag.at_build, moved.over);
            TagMove { tag: tag.tag.clone(), from, to, fixed, at_build, newer, order, over }
        };
        let (on_change, always): (Vec<&WantedTag>, Vec<&WantedTag>) = wanted.tags.iter().partition(|tag| tag.on_change);
        let always: Vec<TagMove> = always.into_iter().map(moved).collect();
        // A run that ended before its last tag: what stands under the moving ones is not what is published.
        let unfinished = || always.iter().any(|tag| !tag.fixed && tag.moves());
        // They come first, so that a moving tag which stands right says that they do.
        let mut tags: Vec<TagMove> = Vec::new();
        if action == Action::Build || unfinished() {
            tags.extend(on_change.into_iter().map(moved));
        }
        tags.extend(always);
        let action = if action == Action::Keep && tags.iter().any(TagMove::moves) { Action::Tag } else { action };
        Publication {
            reference: reference_of(self.facts.project, destination),
            registry: destination.registry.to_string(),
            repository: destination.repository.clone(),
            action,
            digest: source,
            from: None,
            pinned: None,
            tags,
        }
    }

    fn reasons(&self, action: Action, rebuild: bool, destinations: &[Publication]) -> Vec<Reason> {
        match action {
            Action::Keep => Vec::new(),
            Action::Build if rebuild => vec![Reason::Forced],
            Action::Build if self.image.destinations.is_empty() => vec![Reason::NotPushed],
            Action::Build if self.observed.unsound.contains_key(&self.image.name) => {
                vec![Reason::Unsound { reference: self.observed.unsound[&self.image.name].clone() }]
            }
            Action::Build if self.facts.choices.offline => vec![Reason::NotAsked],
            Action::Build => match self.observed.previous.get(&self.image.name) {
                None if self.is_traced() => vec![Reason::NeverPublished],
                None => vec![Reason::Untraced],
                Some(previous) => self.compared(previous, destinations),
            },
            Action::Copy | Action::Tag => destinations.iter().flat_map(moved).collect(),
        }
    }

    /// Whether a tag would stand on the image that was published last, if one was.
    fn is_traced(&self) -> bool {
        self.wanted.destinations.iter().any(|destination| {
            !destination.known_by.is_empty() || destination.tags.iter().any(|tag| !tag.fixed && !tag.at_build)
        })
    }

    /// The differences between what was published last and what would be built, over all platforms, each once.
    fn compared(&self, previous: &Previous, destinations: &[Publication]) -> Vec<Reason> {
        if previous.records.is_empty() {
            return vec![Reason::UnknownOrigin { tag: previous.tag.clone(), digest: previous.digest }];
        }
        let mut reasons: Vec<Reason> = Vec::new();
        let mut same_key = true;
        for (platform, fingerprint) in &self.known.fingerprints {
            let record = fingerprint.record();
            let Some(old) = previous.records.iter().find(|old| &old.platform == platform) else {
                reasons.push(Reason::Platform { old: None, new: Some(platform.to_string()) });
                continue;
            };
            same_key &= old.key == record.key;
            for found in difference(old, &record) {
                let place = |context: Option<&str>, path: &str| {
                    path_in_repository(self.image, &self.facts.choices.prefix, context, path)
                };
                let reason = Reason::of(found, &self.known.narrowing, &place);
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
        for old in &previous.records {
            if !self.known.fingerprints.contains_key(&old.platform) {
                reasons.push(Reason::Platform { old: Some(old.platform.to_string()), new: None });
            }
        }
        match (reasons.is_empty(), same_key, destinations.first()) {
            (true, true, Some(home)) => vec![Reason::Missing { reference: home.reference.clone() }],
            (true, _, _) => vec![Reason::Unexplained],
            (false, _, _) => reasons,
        }
    }
}

fn narrowed(narrowing: &Narrowing) -> Option<Narrowed> {
    let first = narrowing.first.iter().map(ToString::to_string).collect();
    (narrowing.dropped > 0).then_some(Narrowed { dropped: narrowing.dropped, first })
}

fn moved(publication: &Publication) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if publication.action == Action::Copy {
        reasons.push(Reason::Missing { reference: publication.reference.clone() });
    }
    if let Some(pinned) = publication.pinned {
        reasons.push(Reason::SameBases { pinned });
    }
    reasons.extend(publication.tags.iter().filter(|tag| tag.moves()).map(|tag| Reason::TagMoves {
        reference: format!("{}:{}", publication.reference, tag.tag),
        old: tag.from,
        new: tag.to,
    }));
    reasons
}

fn blockers(images: &[Step], wanted: &[Wanted]) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    for (step, wanted) in images.iter().zip(wanted) {
        for (publication, wanted) in step.destinations.iter().zip(&wanted.destinations) {
            for tag in &publication.tags {
                let path = wanted.tags.iter().find(|other| other.tag == tag.tag).and_then(|other| other.dirty.clone());
                match (tag.from, path) {
                    (_, Some(path)) if tag.moves() => {
                        blockers.push(Blocker::Dirty { image: step.name.clone(), tag: tag.tag.clone(), path });
                    }
                    (Some(stands), _) if tag.fixed && tag.moves() => blockers.push(Blocker::TagConflict {
                        image: step.name.clone(),
                        reference: format!("{}:{}", publication.reference, tag.tag),
                        stands,
                        wanted: tag.to,
                    }),
                    _ => {}
                }
            }
        }
    }
    blockers
}

/// Whether a standing stops the plan. Equal times do not where `apply` first asks git for more history.
pub(super) fn is_refused(facts: &Facts<'_>, standing: &Standing) -> bool {
    standing.course() == Course::Refused && !(standing.why == Why::EqualTimes && facts.choices.may_deepen)
}

/// Tags that this commit may not move.
fn unordered(facts: &Facts<'_>, images: &[Step]) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    for step in images {
        for publication in &step.destinations {
            for tag in publication.tags.iter().filter(|tag| !tag.fixed && tag.moves()) {
                if let Some(order) = tag.order.as_ref().filter(|order| is_refused(facts, order)) {
                    let reference = format!("{}:{}", publication.reference, tag.tag);
                    let (image, mover, order) = (step.name.clone(), order.mover.clone(), order.clone());
                    blockers.push(Blocker::Unordered { image, reference, mover, order });
                }
            }
        }
    }
    blockers
}

/// The moving tags that a plan would move away from something: who moved each there is to be asked before it is decided again.
pub fn tags_to_ask(project: &Project, plan: &Plan) -> Vec<AskMover> {
    let mut asked = Vec::new();
    for step in &plan.images {
        for (index, publication) in step.destinations.iter().enumerate() {
            for tag in publication.tags.iter().filter(|tag| !tag.fixed && tag.moves()) {
                if let (Some(digest), Some(image)) = (tag.from, project.images.get(&step.name)) {
                    let order = project.order_of(image, index);
                    asked.push(AskMover { image: step.name.clone(), index, tag: tag.tag.clone(), digest, order });
                }
            }
        }
    }
    asked
}
