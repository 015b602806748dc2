//! Which image is next. Pure: the loop around it only tells what ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::ImageName;
use crate::plan::{Action, Executor, Plan, Step};

/// What building costs in the length of a path, next to what anything else costs.
const BUILD: u64 = 16;

/// Whether a builder has to work for it. What is assembled takes milliseconds and then waits on a registry, as what is copied does.
fn runs_programs(step: &Step) -> bool {
    step.action == Action::Build && step.executor == Executor::Buildkit
}

/// The images that are not done yet.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    waiting: BTreeMap<ImageName, BTreeSet<ImageName>>,
    dependents: BTreeMap<ImageName, Vec<ImageName>>,
    /// The length of the longest path from an image to the last of its dependents.
    path: BTreeMap<ImageName, u64>,
    weight: BTreeMap<ImageName, u32>,
    running: BTreeSet<ImageName>,
    jobs: u32,
}

impl Schedule {
    /// All images of a plan, for builders that bear `jobs` of weight at once.
    pub fn new(plan: &Plan, jobs: u32) -> Self {
        let mut schedule = Self { jobs: jobs.max(1), ..Self::default() };
        let names: BTreeSet<&ImageName> = plan.images.iter().map(|step| &step.name).collect();
        for step in &plan.images {
            let needs: BTreeSet<ImageName> = step.needs.iter().filter(|need| names.contains(need)).cloned().collect();
            for need in &needs {
                schedule.dependents.entry(need.clone()).or_default().push(step.name.clone());
            }
            schedule.waiting.insert(step.name.clone(), needs);
            let weight = if runs_programs(step) { step.weight.max(1) } else { 0 };
            schedule.weight.insert(step.name.clone(), weight);
        }
        for step in plan.images.iter().rev() {
            let after = schedule.dependents.get(&step.name).into_iter().flatten();
            let longest = after.filter_map(|name| schedule.path.get(name)).max().copied().unwrap_or(0);
            let own = if runs_programs(step) { BUILD * u64::from(step.weight.max(1)) } else { 1 };
            schedule.path.insert(step.name.clone(), longest + own);
        }
        schedule
    }

    /// Whether nothing is left and nothing runs.
    #[cfg(test)]
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// The next image that can start: of those that are ready and fit, the one with the longest path behind it. One that weighs more
    /// than all jobs runs alone.
    pub fn start(&mut self) -> Option<ImageName> {
        let used: u32 = self.running.iter().filter_map(|name| self.weight.get(name)).sum();
        let fits = |name: &ImageName| {
            let weight = self.weight.get(name).copied().unwrap_or(0);
            weight == 0 || used == 0 || used + weight <= self.jobs
        };
        let ready = self.waiting.iter().filter(|(_, needs)| needs.is_empty()).map(|(name, _)| name);
        let next = ready
            .filter(|name| fits(name))
            .max_by_key(|name| (self.path.get(*name).copied(), std::cmp::Reverse(*name)))?
            .clone();
        self.waiting.remove(&next);
        self.running.insert(next.clone());
        Some(next)
    }

    /// The builder is done with an image that is still to be published, which takes nothing of what builders bear.
    pub fn built(&mut self, name: &ImageName) {
        self.weight.insert(name.clone(), 0);
    }

    /// An image is done; what waited for it may start.
    pub fn succeeded(&mut self, name: &ImageName) {
        self.running.remove(name);
        for needs in self.waiting.values_mut() {
            needs.remove(name);
        }
    }

    /// An image failed: all that builds on it, directly or not, is lost and returned.
    pub fn failed(&mut self, name: &ImageName) -> Vec<ImageName> {
        self.running.remove(name);
        let mut lost = Vec::new();
        let mut queue = vec![name.clone()];
        while let Some(next) = queue.pop() {
            for dependent in self.dependents.get(&next).into_iter().flatten() {
                if self.waiting.remove(dependent).is_some() {
                    lost.push(dependent.clone());
                    queue.push(dependent.clone());
                }
            }
        }
        lost.sort();
        lost
    }

    /// Nothing more is started; what waited is returned.
    pub fn stop(&mut self) -> Vec<ImageName> {
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan from `name: needs, ...` lines; a name that ends in `!` weighs 2, one that ends in `=` is kept.
    fn schedule(jobs: u32, lines: &[(&str, &[&str])]) -> Schedule {
        let images: Vec<serde_json::Value> = lines
            .iter()
            .map(|(name, needs)| {
                serde_json::json!({
                    "name": name, "platforms": [], "key": "00".repeat(32), "keys": {}, "executor": "buildkit", "reasons": [],
                    "action": if name.ends_with('=') { "keep" } else { "build" },
                    "destinations": [], "needs": needs, "weight": if name.ends_with('!') { 2 } else { 1 },
                })
            })
            .collect();
        let plan =
            serde_json::json!({ "format": 1, "project": "x", "observed": true, "images": images, "functions": [] });
        Schedule::new(&serde_json::from_value(plan).unwrap(), jobs)
    }

    fn all(schedule: &mut Schedule) -> Vec<String> {
        std::iter::from_fn(|| schedule.start()).map(|name| name.to_string()).collect()
    }

    #[test]
    fn what_is_built_leaves_its_place_before_it_is_published() {
        let mut schedule = schedule(1, &[("a", &[]), ("b", &["a"]), ("c", &[])]);
        assert_eq!(all(&mut schedule), ["a"]);
        schedule.built(&ImageName::new("a"));
        assert_eq!(all(&mut schedule), ["c"], "b waits until a is published");
        schedule.succeeded(&ImageName::new("a"));
        assert_eq!(all(&mut schedule), Vec::<String>::new());
        schedule.succeeded(&ImageName::new("c"));
        assert_eq!(all(&mut schedule), ["b"]);
    }

    #[test]
    fn the_longest_path_starts_first_and_jobs_bound_the_weight() {
        let mut schedule = schedule(
            2,
            &[("a", &[]), ("base", &[]), ("label", &["base"]), ("x", &["label"]), ("b!", &[]), ("k=", &[])],
        );
        assert_eq!(all(&mut schedule), ["base", "a", "k="]);
        schedule.succeeded(&ImageName::new("base"));
        assert_eq!(all(&mut schedule), ["label"]);
        schedule.succeeded(&ImageName::new("a"));
        assert_eq!(all(&mut schedule), Vec::<String>::new(), "b! needs two jobs, one is taken");
        schedule.succeeded(&ImageName::new("label"));
        assert_eq!(all(&mut schedule), ["b!"]);
        schedule.succeeded(&ImageName::new("b!"));
        assert_eq!(all(&mut schedule), ["x"]);
        assert!(!schedule.is_done());
        schedule.succeeded(&ImageName::new("x"));
        schedule.succeeded(&ImageName::new("k="));
        assert!(schedule.is_done());
    }

    #[test]
    fn a_failure_loses_its_dependents_alone() {
        let mut schedule = schedule(8, &[("base", &[]), ("label", &["base"]), ("x", &["label"]), ("other", &[])]);
        assert_eq!(all(&mut schedule), ["base", "other"]);
        let lost: Vec<String> = schedule.failed(&ImageName::new("base")).iter().map(ToString::to_string).collect();
        assert_eq!(lost, ["label", "x"]);
        schedule.succeeded(&ImageName::new("other"));
        assert!(schedule.is_done());
    }

    #[test]
    fn an_image_heavier_than_all_jobs_runs_alone() {
        let mut schedule = schedule(1, &[("a!", &[]), ("b", &[])]);
        assert_eq!(all(&mut schedule).len(), 1);
    }
}
