//! Many pairs at a time, and the figures.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use crate::dice::Dice;
use crate::keys::Bug;
use crate::mutations::{self, Class};
use crate::pair::{Pair, Verdict, pair};
use crate::shapes::{self, Shape};
use crate::truth::Engine;

/// So many pairs are looked at at a time.
const WORKERS: usize = 4;
/// So many projects are tried until a class finds something to change.
const TRIES: usize = 400;
/// Every class is tried so often, whatever the number of changes.
pub const PER_CLASS: usize = 10;

/// What to change.
#[derive(Clone)]
pub struct Job {
    /// By name; empty: chance decides.
    classes: Vec<Class>,
    number: usize,
}

/// Each class [`PER_CLASS`] times, and then up to `count` in all some classes at once, by chance.
pub fn jobs(count: usize) -> Vec<Job> {
    let classes = mutations::all();
    let each = classes.iter().flat_map(|class| (0..PER_CLASS).map(|number| Job { classes: vec![*class], number }));
    let mut jobs: Vec<Job> = each.collect();
    for number in jobs.len()..count {
        jobs.push(Job { classes: Vec::new(), number });
    }
    jobs
}

/// `count` changes of these classes.
pub fn jobs_of(names: &[&str], count: usize) -> Vec<Job> {
    let class = |number: usize| vec![mutations::named(names[number % names.len()])];
    (0..count).map(|number| Job { classes: class(number), number }).collect()
}

/// Looks at all of them.
pub fn run(engine: &Engine, jobs: &[Job], seed: u64, bugs: &[Bug]) -> Vec<Pair> {
    let shapes: Vec<Shape> = shapes::all().into_iter().filter(|shape| engine.newer || !shape.newer).collect();
    let folder = tempfile::tempdir().unwrap();
    let nonce = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(number) else { break };
                    let place = folder.path().join(number.to_string());
                    let salt = format!("salt-{nonce:x}-{number}");
                    if let Some(pair) = job.run(engine, &shapes, seed, (&place, &salt), bugs) {
                        done.lock().unwrap().push((number, pair));
                    }
                    let _ = std::fs::remove_dir_all(place);
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, pair)| pair).collect()
}

impl Job {
    fn run(
        &self,
        engine: &Engine,
        shapes: &[Shape],
        seed: u64,
        (place, salt): (&std::path::Path, &str),
        bugs: &[Bug],
    ) -> Option<Pair> {
        let name = format!("{:?} {}", self.classes.iter().map(|class| class.name).collect::<Vec<_>>(), self.number);
        let mut dice = Dice::new(seed, &name);
        let all = mutations::all();
        for _ in 0..TRIES {
            let shape = *dice.pick(shapes)?;
            // Steps that run take ten times as long.
            if shape.runs && !dice.once_in(2) {
                continue;
            }
            let classes = if self.classes.is_empty() {
                (0..=dice.below(3)).map(|_| all[dice.below(all.len())]).collect()
            } else {
                self.classes.clone()
            };
            let of_this = Dice::new(dice.next(), shape.name);
            if let Some(pair) = pair(engine, &shape, &classes, (place, salt, &of_this), bugs) {
                return Some(pair);
            }
        }
        None
    }
}

/// What came of a run.
pub struct Figures {
    /// Pairs by verdict; needless ones of documented classes are not among them.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// Needless ones of documented classes.
    pub on_purpose: usize,
    /// How many pairs.
    pub pairs: usize,
    /// Classes that were tried less than [`PER_CLASS`] times.
    pub rare: Vec<(&'static str, usize)>,
    shapes: usize,
    seconds: u64,
}

impl Figures {
    /// Counts.
    pub fn of(pairs: &[Pair], start: Instant) -> Self {
        let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
        let mut classes: BTreeMap<&str, usize> = mutations::all().iter().map(|class| (class.name, 0)).collect();
        let mut on_purpose = 0;
        for pair in pairs {
            if pair.verdict == Verdict::Needless && pair.is_documented() {
                on_purpose += 1;
            } else {
                *verdicts.entry(pair.verdict).or_default() += 1;
            }
            for class in &pair.classes {
                *classes.entry(class.name).or_default() += 1;
            }
        }
        let shapes: BTreeSet<&str> = pairs.iter().map(|pair| pair.shape).collect();
        Self {
            verdicts,
            on_purpose,
            pairs: pairs.len(),
            rare: classes.into_iter().filter(|(_, count)| *count < PER_CLASS).collect(),
            shapes: shapes.len(),
            seconds: start.elapsed().as_secs(),
        }
    }

    /// How many have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    /// Needless ones outside documented classes, of all, in percent.
    pub fn needless(&self) -> f64 {
        100.0 * self.count(Verdict::Needless) as f64 / self.pairs.max(1) as f64
    }

    /// Prints them, and each pair that is a defect.
    pub fn print(&self, pairs: &[Pair]) {
        let fine = [Verdict::Changed, Verdict::Unchanged, Verdict::Refused];
        let mut out = String::new();
        for pair in pairs.iter().filter(|pair| !fine.contains(&pair.verdict)) {
            let mark = if pair.is_documented() { "on purpose: " } else { "" };
            out.push_str(&format!("{mark}{pair}"));
        }
        let verdicts: Vec<String> = self.verdicts.iter().map(|(verdict, count)| format!("{verdict:?} {count}")).collect();
        out.push_str(&format!(
            "differential test: {} shapes, {} classes, {} changes in {} s: {}; stale {}; needless {:.2} % (and {} on purpose)\n",
            self.shapes,
            mutations::all().len(),
            self.pairs,
            self.seconds,
            verdicts.join(", "),
            self.count(Verdict::Stale),
            self.needless(),
            self.on_purpose,
        ));
        // Past the test runner, which swallows what a test that passes prints.
        std::io::stdout().write_all(out.as_bytes()).unwrap();
    }
}
