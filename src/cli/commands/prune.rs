//! `orchestrate prune`.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::make_plan;
use crate::apply::remove;
use crate::cli::args::{Choose, PruneArguments};
use crate::cli::exit::{Exit, Failure};
use crate::cli::print;
use crate::cli::repositories::{Shelf, everything, patterns, shelves};
use crate::cli::settings::Settings;
use crate::digest::Digest;
use crate::functions::InUse;
use crate::name::ImageName;
use crate::observe::stock_of;
use crate::project::{AwsLogin, Project, RegistryKind};
use crate::registry::{Error, Repository};
use crate::report::{PrunedRepository, prune_json, prune_text};
use crate::storage::{Pruning, Removed, Rules, Stock, prune as decide};
use crate::workspace::commit_times;

/// What stays at least, in seconds, where `min_age` does not say.
const MIN_AGE: i64 = 7 * 86_400;

/// Says what may go from the repositories, and with `--yes` deletes it.
pub async fn prune(settings: &Settings, arguments: &PruneArguments) -> Result<Exit, Failure> {
    if settings.offline {
        return Err(Failure::wrong("what lies in a registry must be asked for", "leave --offline out"));
    }
    let shown = shown(settings)?;
    let all = everything(settings)?;
    let choose = Choose { allow_dirty: true, allow_older: true, ..Choose::default() };
    let planned = make_plan(&all, &choose, &[]).await?;
    let shelves = shelves(&planned.loaded.project, &patterns(settings)?);
    let mut stocks: BTreeMap<String, Stock> = BTreeMap::new();
    for shelf in shelves.iter().filter(|shelf| shelf.registry_can(&planned.loaded.project)) {
        let repository = planned.repositories.get(&shelf.registry, &shelf.repository);
        let stock = stock_of(&repository).await.map_err(|error| failed(&error, Exit::Surroundings))?;
        stocks.insert(shelf.reference.clone(), stock);
    }
    share_what_is_known(&mut stocks);
    let times = commit_times(planned.loaded.git.as_ref());
    let used = used(settings, &planned.loaded.project).await?;
    let mut pruned = Vec::new();
    for shelf in shelves.iter().filter(|shelf| shelf.images.iter().any(|image| shown.contains(image))) {
        let Some(stock) = stocks.remove(&shelf.reference) else { continue };
        let mut rules = rules(shelf, &planned.plan, &stock, &times);
        rules.in_use.extend(used.iter().filter_map(|used| used_here(used, &shelf.reference)));
        let pruning = if shelf.retain.is_empty() { Pruning::default() } else { decide(&stock, &rules) };
        let mut done = None;
        if arguments.yes && !shelf.retain.is_empty() {
            let repository = planned.repositories.get(&shelf.registry, &shelf.repository);
            done = Some(delete(&repository, &stock, &pruning, &rules.moving).await?);
        }
        let ruled = !shelf.retain.is_empty();
        pruned.push(PrunedRepository {
            reference: shelf.reference.clone(),
            stock,
            pruning,
            ruled,
            done,
            now: rules.now,
        });
    }
    if settings.json {
        print(&format!("{:#}\n", prune_json(&pruned)));
    } else {
        print(&prune_text(&pruned, settings.out, settings.verbose));
    }
    Ok(Exit::Done)
}

/// What functions run in the accounts and regions of the manifest: all versions of all functions, whoever deployed them.
///
/// # Errors
/// A service that cannot be asked: nobody knows then what may go.
async fn used(settings: &Settings, project: &Project) -> Result<Vec<InUse>, Failure> {
    let registries = project.registries.values().filter_map(|registry| match &registry.kind {
        RegistryKind::Ecr { region, login, .. } => Some((login, region.as_str())),
        _ => None,
    });
    let deployments = project.images.values().flat_map(|image| &image.deploy).map(|deployment| &deployment.value);
    let elsewhere =
        deployments.filter_map(|deployment| Some((&deployment.elsewhere.as_ref()?.login, deployment.region.as_str())));
    let places: BTreeSet<(&AwsLogin, &str)> = registries.chain(elsewhere).collect();
    let functions = settings.cloud.functions();
    let mut used = Vec::new();
    for (login, region) in places {
        let found = functions.in_use(login, region).await;
        used.extend(found.map_err(|error| Failure::surroundings(error.message, error.help))?);
    }
    Ok(used)
}

/// The digest or tag of this repository that something runs, and what does.
fn used_here(used: &InUse, repository: &str) -> Option<(String, String)> {
    let what = used.reference.strip_prefix(repository)?.strip_prefix(['@', ':'])?;
    Some((what.to_owned(), used.by.clone()))
}

/// The images whose repositories are shown.
fn shown(settings: &Settings) -> Result<BTreeSet<ImageName>, Failure> {
    let loaded = crate::cli::load::load(settings)?;
    if settings.only.is_empty() {
        return Ok(loaded.project.images.keys().cloned().collect());
    }
    let wired = loaded.wire(settings, &crate::cli::load::BaseConfigs::new())?;
    Ok(wired.selection.chosen)
}

async fn delete(
    repository: &Repository,
    stock: &Stock,
    pruning: &Pruning,
    moving: &BTreeSet<String>,
) -> Result<Removed, Failure> {
    remove(repository, stock, pruning, moving).await.map_err(|error| failed(&error, Exit::Failed))
}

fn failed(error: &Error, exit: Exit) -> Failure {
    let help = match error.status() {
        Some(405) => Some(
            "this registry does not delete: Debian's docker-registry and registry:2 do with `storage.delete.enabled: true`"
                .to_owned(),
        ),
        _ => error.help(),
    };
    Failure::Message { exit, message: error.to_string(), help }
}

/// A public destination says no more than the key; where the same image lies elsewhere too, its record there tells the rest.
fn share_what_is_known(stocks: &mut BTreeMap<String, Stock>) {
    let mut known: BTreeMap<Digest, i64> = BTreeMap::new();
    for (digest, item) in stocks.values().flat_map(|stock| &stock.items) {
        if let Some(published) = item.published {
            known.entry(*digest).or_insert(published);
        }
    }
    for (digest, item) in stocks.values_mut().flat_map(|stock| &mut stock.items) {
        item.published = item.published.or_else(|| known.get(digest).copied());
    }
}

fn rules(shelf: &Shelf, plan: &crate::plan::Plan, stock: &Stock, times: &BTreeMap<String, i64>) -> Rules {
    let mut rules = Rules { patterns: shelf.patterns.clone(), now: now(), ..Rules::default() };
    for step in plan.images.iter().filter(|step| shelf.images.contains(&step.name)) {
        rules.images.insert(step.name.to_string());
        rules.keys.insert(step.key.tag());
        for publication in step.destinations.iter().filter(|publication| publication.reference == shelf.reference) {
            let moving = publication.tags.iter().filter(|tag| !tag.fixed);
            rules.moving.extend(moving.map(|tag| tag.tag.clone()));
        }
    }
    let in_use = shelf.in_use.iter().map(|used| below(used, &shelf.reference));
    rules.in_use = in_use.map(|used| (used.clone(), used)).collect();
    rules.untagged_days = shelf.retain.iter().map(|retain| retain.untagged_days).min().flatten();
    let longest = shelf.retain.iter().filter_map(|retain| retain.untagged_days).max();
    rules.untagged_days = rules.untagged_days.and(longest);
    let ages = shelf
        .retain
        .iter()
        .map(|retain| retain.min_age.map_or(MIN_AGE, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)));
    rules.min_age = ages.max().unwrap_or(MIN_AGE);
    for tag in stock.tags.keys() {
        for commit in rules.patterns.iter().filter_map(|pattern| pattern.varying(tag)) {
            if let Some(time) = time_of(commit, times) {
                rules.commit_times.insert(commit.to_owned(), time);
            }
        }
    }
    rules
}

/// The time of the only commit that begins with these digits.
fn time_of(commit: &str, times: &BTreeMap<String, i64>) -> Option<i64> {
    if commit.len() < 7 {
        return None;
    }
    let mut fitting = times.range(commit.to_owned()..).take_while(|(hash, _)| hash.starts_with(commit));
    let (_, time) = fitting.next()?;
    fitting.next().is_none().then_some(*time)
}

/// The tag or digest of a reference into this repository; anything else as it is.
fn below(used: &str, reference: &str) -> String {
    let rest = used.strip_prefix(reference).and_then(|rest| rest.strip_prefix([':', '@']));
    let digest = used.rsplit_once('@').map(|(_, digest)| digest);
    rest.or(digest).unwrap_or(used).to_owned()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_elsewhere_is_not_here() {
        let used =
            |reference: &str| InUse { reference: reference.to_owned(), by: "lambda Api:1 (us-east-1)".to_owned() };
        let here = |reference: &str| used_here(&used(reference), "host/app").map(|(what, _)| what);
        assert_eq!(here("host/app@sha256:1").as_deref(), Some("sha256:1"));
        assert_eq!(here("host/app:v1").as_deref(), Some("v1"));
        assert_eq!(here("host/app-two@sha256:1"), None);
        assert_eq!(here("other/app@sha256:1"), None);
    }

    #[test]
    fn what_is_in_use_may_be_a_reference() {
        assert_eq!(below("host/app:v1", "host/app"), "v1");
        assert_eq!(below("host/app@sha256:1", "host/app"), "sha256:1");
        assert_eq!(below("other/app@sha256:1", "host/app"), "sha256:1");
        assert_eq!(below("other/app:v1", "host/app"), "other/app:v1");
        assert_eq!(below("v1", "host/app"), "v1");
    }

    #[test]
    fn a_short_hash_finds_its_commit_unless_two_begin_so() {
        let times =
            BTreeMap::from([("abcdef0123".to_owned(), 1), ("abcdef9123".to_owned(), 2), ("bbbbbbb1".to_owned(), 3)]);
        assert_eq!(time_of("bbbbbbb", &times), Some(3));
        assert_eq!(time_of("abcdef0", &times), Some(1));
        assert_eq!(time_of("abcdef", &times), None, "too short");
        assert_eq!(time_of("ccccccc", &times), None);
    }
}
