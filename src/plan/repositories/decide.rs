//! What happens to each repository.

use std::collections::{BTreeMap, BTreeSet};

use super::lifecycle::{dangers, with_untagged};
use super::model::{RepositoryAction, RepositoryChange, RepositoryNote, RepositoryStep};
use super::policy::{Pullers, shut_out, with_pullers};
use super::seen::{AskRepository, Seen, SeenRepositories, SeenRepository, SeenSettings};
use crate::plan::decide::reference_of;
use crate::plan::model::{Action, Publication, Step};
use crate::project::{CreateRepository, Destination, Image, Keep, Project, Registry, RegistryKind, Runner};

/// ECR allows an image this many tags.
///
/// Source: "Amazon ECR service quotas", Amazon ECR user guide.
pub(in crate::plan) const MOST_TAGS: usize = 1_000;
/// From this many on the plan says so.
const MANY_TAGS: usize = 900;

/// What the destinations of a plan's images in one repository have in common.
struct Shelf<'a> {
    registry: &'a Registry,
    destination: &'a Destination,
    /// A function of the registry's own account is deployed from there.
    lambda: bool,
    /// The other accounts of which functions are.
    accounts: BTreeSet<String>,
    /// The longest that an untagged image stays.
    untagged_days: Option<u32>,
    publications: Vec<&'a Publication>,
}

/// The repositories of the plan's images at registries of AWS, by registry and repository.
fn shelves<'a>(project: &'a Project, steps: &'a [Step]) -> BTreeMap<(String, String), Shelf<'a>> {
    let mut shelves: BTreeMap<(String, String), Shelf<'a>> = BTreeMap::new();
    for step in steps {
        let Some(image) = project.images.get(&step.name) else { continue };
        for (destination, publication) in image.destinations.iter().zip(&step.destinations) {
            let Some(registry) = project.registries.get(&destination.registry).filter(|registry| is_of_aws(registry))
            else {
                continue;
            };
            let place = (destination.registry.to_string(), destination.repository.clone());
            let shelf = shelves.entry(place).or_insert_with(|| Shelf {
                registry,
                destination,
                lambda: false,
                accounts: BTreeSet::new(),
                untagged_days: None,
                publications: Vec::new(),
            });
            shelf.publications.push(publication);
        }
    }
    // What a repository is like depends on all images that lie there, whichever of them are in the plan.
    for image in project.images.values() {
        for (index, destination) in image.destinations.iter().enumerate() {
            let place = (destination.registry.to_string(), destination.repository.clone());
            let Some(shelf) = shelves.get_mut(&place) else { continue };
            shelf.pulled_by(image, index);
            let near: [&Keep; 3] = [&destination.keep, &shelf.registry.keep, &project.keep];
            let days = near.iter().find_map(|keep| keep.retain.clone()).and_then(|retain| retain.untagged_days);
            shelf.untagged_days = shelf.untagged_days.max(days);
        }
    }
    shelves
}

fn is_of_aws(registry: &Registry) -> bool {
    matches!(registry.kind, RegistryKind::Ecr { .. } | RegistryKind::EcrPublic { .. })
}

fn create_of(registry: &Registry) -> Option<&CreateRepository> {
    match &registry.kind {
        RegistryKind::Ecr { create, .. } | RegistryKind::EcrPublic { create, .. } => create.as_ref(),
        _ => None,
    }
}

/// What to ask AWS about, for the images of a plan.
pub fn repositories_to_ask(project: &Project, steps: &[Step]) -> Vec<AskRepository> {
    let ask = |((registry, repository), shelf): ((String, String), Shelf<'_>)| {
        let more = |publication: &&&Publication| publication.tags.iter().any(|tag| tag.from.is_none());
        let private = matches!(shelf.registry.kind, RegistryKind::Ecr { .. });
        let tagged = shelf.publications.iter().filter(more).filter_map(|publication| publication.digest);
        let tagged: BTreeSet<_> = tagged.filter(|_| private).collect();
        let policies = private && (create_of(shelf.registry).is_some() || !shelf.accounts.is_empty());
        AskRepository { registry, repository, policies, tagged: tagged.into_iter().collect() }
    };
    shelves(project, steps).into_iter().map(ask).collect()
}

/// What happens to the repositories of the plan's images. `seen` is what AWS said of them; what is not in it was not asked.
pub fn decide_repositories(project: &Project, steps: &[Step], seen: &SeenRepositories) -> Vec<RepositoryStep> {
    let step = |(place, shelf): ((String, String), Shelf<'_>)| {
        let hidden = SeenRepository::Hidden("it was not asked".to_owned());
        let seen = seen.get(&place).unwrap_or(&hidden);
        let mut step = RepositoryStep {
            reference: reference_of(project, shelf.destination),
            registry: place.0,
            repository: place.1,
            action: RepositoryAction::Keep,
            changes: Vec::new(),
            notes: Vec::new(),
        };
        shelf.decide(seen, &mut step);
        step
    };
    shelves(project, steps).into_iter().map(step).collect()
}

impl Shelf<'_> {
    /// Notes the functions that take an image from its destination there.
    fn pulled_by(&mut self, image: &Image, destination: usize) {
        let RegistryKind::Ecr { account: own, .. } = &self.registry.kind else { return };
        let from_here = image.deploy.iter().map(|deploy| &deploy.value).filter(|deploy| deploy.source == destination);
        for deployment in from_here.filter(|deploy| matches!(deploy.runner, Runner::Lambda(_))) {
            match &deployment.elsewhere {
                Some(elsewhere) if Some(&elsewhere.account) != own.as_ref() => {
                    self.accounts.insert(elsewhere.account.clone());
                }
                _ => self.lambda = true,
            }
        }
    }

    fn decide(&self, seen: &SeenRepository, step: &mut RepositoryStep) {
        let create = create_of(self.registry);
        let needed = self.publications.iter().any(|publication| publication.action != Action::Keep);
        match (seen, create) {
            (SeenRepository::Hidden(why), _) => {
                step.action = RepositoryAction::Unknown;
                step.notes.push(RepositoryNote::Hidden { what: "repository".to_owned(), why: why.clone() });
            }
            // Nothing goes there, so nobody needs it.
            (SeenRepository::Missing, _) if !needed => {}
            (SeenRepository::Missing, None) => step.action = RepositoryAction::Missing,
            (SeenRepository::Missing, Some(create)) => {
                step.action = RepositoryAction::Create;
                step.changes.push(self.creation(create));
                self.stuck(create, step);
                let nothing = SeenSettings { lifecycle: Seen::Absent, policy: Seen::Absent, ..SeenSettings::default() };
                self.policies(create, &nothing, step);
            }
            (SeenRepository::There(settings), create) => {
                if let Some(create) = create {
                    self.differences(create, settings, step);
                    self.policies(create, settings, step);
                    if !step.changes.is_empty() {
                        step.action = RepositoryAction::Change;
                    }
                } else {
                    self.shut_out(settings, step);
                }
                self.immovable(settings, step);
                self.many_tags(settings, step);
            }
        }
    }

    fn creation(&self, create: &CreateRepository) -> RepositoryChange {
        match &self.registry.kind {
            RegistryKind::EcrPublic { .. } => RepositoryChange::CreatePublic {
                description: create.description.clone(),
                about: create.about.clone(),
                usage: create.usage.clone(),
                tags: create.tags.clone(),
            },
            _ => RepositoryChange::Create {
                scan_on_push: create.scan_on_push,
                immutable: create.immutable,
                except: create.except.clone(),
                encryption: create.encryption.clone().unwrap_or_else(|| "AES256".to_owned()),
                tags: create.tags.clone(),
            },
        }
    }

    /// Settings of a repository that is there are said and left alone.
    fn differences(&self, create: &CreateRepository, settings: &SeenSettings, step: &mut RepositoryStep) {
        let both = [
            ("scan_on_push", create.scan_on_push, settings.scan_on_push),
            ("immutable", create.immutable, settings.immutable),
        ];
        for (setting, wanted, found) in both {
            if let Some(found) = found.filter(|found| *found != wanted) {
                step.notes.push(RepositoryNote::Differs { setting: setting.to_owned(), wanted, found });
            }
        }
    }

    /// What is added to the policies.
    fn policies(&self, create: &CreateRepository, settings: &SeenSettings, step: &mut RepositoryStep) {
        let RegistryKind::Ecr { region, account, .. } = &self.registry.kind else { return };
        if let Some(policy) = readable(&settings.lifecycle, "lifecycle policy", step) {
            // A rule counts days from 1.
            let days = self.untagged_days.map(|days| days.max(1));
            let changed = days.map(|days| (days, with_untagged(policy.as_deref(), days)));
            match (changed, policy.as_deref().map(dangers)) {
                (Some((_, Err(_))), _) | (_, Some(Err(_))) => strange("lifecycle policy", step),
                (changed, found) => {
                    if let Some((to, Ok(Some((from, policy))))) = changed {
                        step.changes.push(RepositoryChange::Untagged { from, to, policy });
                    }
                    step.notes.extend(found.and_then(Result::ok).unwrap_or_default());
                }
            }
        }
        if let Some(policy) = readable(&settings.policy, "repository policy", step) {
            let lambda = account.as_deref().filter(|_| self.lambda);
            let accounts: BTreeSet<String> = create.allow.iter().chain(&self.accounts).cloned().collect();
            let accounts: Vec<String> = accounts.into_iter().collect();
            let partition = partition(region);
            match with_pullers(policy.as_deref(), &Pullers { region, lambda, accounts: &accounts, partition }) {
                Ok(Some(granted)) => step.changes.push(RepositoryChange::Pull {
                    lambda: granted.lambda,
                    accounts: granted.accounts,
                    revoked: granted.revoked,
                    policy: granted.policy,
                }),
                Ok(None) => {}
                Err(_) => strange("repository policy", step),
            }
        }
    }

    /// Where nothing is to be changed: the accounts that the policy ought to let in.
    fn shut_out(&self, settings: &SeenSettings, step: &mut RepositoryStep) {
        let RegistryKind::Ecr { region, .. } = &self.registry.kind else { return };
        if self.accounts.is_empty() {
            return;
        }
        let Some(policy) = readable(&settings.policy, "repository policy", step) else { return };
        let accounts: Vec<String> = self.accounts.iter().cloned().collect();
        let pullers = Pullers { region, lambda: None, accounts: &accounts, partition: partition(region) };
        match shut_out(policy.as_deref(), &pullers) {
            Ok(out) => step.notes.extend(out.into_iter().map(|account| RepositoryNote::ShutOut { account })),
            Err(_) => strange("repository policy", step),
        }
    }

    /// Tags that have to move where none does. (A fixed tag on another image is a conflict of its own.)
    fn immovable(&self, settings: &SeenSettings, step: &mut RepositoryStep) {
        if settings.immutable != Some(true) {
            return;
        }
        let tags = self.publications.iter().flat_map(|publication| &publication.tags);
        let moving = tags.filter(|tag| !tag.fixed && tag.from.is_some() && tag.moves());
        let stuck: BTreeSet<&str> = moving
            .map(|tag| tag.tag.as_str())
            .filter(|tag| !settings.except.iter().any(|pattern| matches(pattern, tag)))
            .collect();
        step.notes.extend(stuck.into_iter().map(|tag| RepositoryNote::Immovable { tag: tag.to_owned() }));
    }

    /// Moving tags that would move no more once the repository is as `create` says.
    fn stuck(&self, create: &CreateRepository, step: &mut RepositoryStep) {
        let tags = self.publications.iter().flat_map(|publication| &publication.tags);
        let moving = tags.filter(|tag| create.immutable && !tag.fixed && !tag.at_build).map(|tag| tag.tag.as_str());
        let stuck: BTreeSet<&str> =
            moving.filter(|tag| !create.except.iter().any(|pattern| matches(pattern, tag))).collect();
        step.notes.extend(stuck.into_iter().map(|tag| RepositoryNote::Stuck { tag: tag.to_owned() }));
    }

    fn many_tags(&self, settings: &SeenSettings, step: &mut RepositoryStep) {
        let mut new: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for publication in &self.publications {
            let Some(digest) = publication.digest else { continue };
            let tags = publication.tags.iter().filter(|tag| tag.from != Some(digest) && tag.to == Some(digest));
            new.entry(digest).or_default().extend(tags.map(|tag| tag.tag.as_str()));
        }
        for (digest, new) in new {
            let tags = settings.tags.get(&digest).copied().unwrap_or_default() + new.len();
            if tags >= MANY_TAGS {
                step.notes.push(RepositoryNote::ManyTags { digest, tags });
            }
        }
    }
}

/// The text of a document that may be seen; what may not is noted.
fn readable(seen: &Seen, what: &str, step: &mut RepositoryStep) -> Option<Option<String>> {
    match seen {
        Seen::Unasked => None,
        Seen::Absent => Some(None),
        Seen::Text(text) => Some(Some(text.clone())),
        Seen::Hidden(why) => {
            step.notes.push(RepositoryNote::Hidden { what: what.to_owned(), why: why.clone() });
            None
        }
    }
}

/// Whether a pattern, in which `*` stands for any text, matches a tag.
///
/// Source: "Preventing image tags from being overwritten in Amazon ECR", Amazon ECR user guide.
fn matches(pattern: &str, tag: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = tag.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn strange(what: &str, step: &mut RepositoryStep) {
    step.notes.push(RepositoryNote::Strange { what: what.to_owned() });
}

/// What stands second in the ARNs of a region.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, tag) in
            [("latest", "latest"), ("*-latest", "api-latest"), ("v*", "v"), ("a*b*c", "a-b-b-c"), ("*", "x")]
        {
            assert!(matches(pattern, tag), "{pattern} {tag}");
        }
        for (pattern, tag) in
            [("latest", "latest2"), ("*-latest", "latest"), ("a*b*c", "a-c-b"), ("v*", "1v"), ("ab*ba", "aba")]
        {
            assert!(!matches(pattern, tag), "{pattern} {tag}");
        }
    }
}
