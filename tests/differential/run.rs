//! Many pairs at a time, and the figures.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use crate::dice::Dice;
use crate::judge::Share;
use crate::keys::Bug;
use crate::mutations::{self, Class};
use crate::pair::{Change, Group, Pair, Verdict};
use crate::shapes::{self, Shape};
use crate::truth::Engine;

/// So many pairs are looked at at a time.
const WORKERS: usize = 4;
/// So many changes are made to a project that BuildKit built once.
const GROUP: usize = 12;
/// Of so many pairs, one is built from what the program would send too.
const NARROWED: usize = 4;
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
    let share = Share::of_environment();
    let mut number = 0..;
    jobs.retain(|_| number.next().is_some_and(|number| share.has(number)));
    jobs
}

/// `count` changes of these classes.
pub fn jobs_of(names: &[&str], count: usize) -> Vec<Job> {
    let class = |number: usize| vec![mutations::named(names[number % names.len()])];
    (0..count).map(|number| Job { classes: class(number), number }).collect()
}

/// Looks at all of them.
pub fn run(engine: &Engine, jobs: &[Job], seed: u64, bugs: &[Bug]) -> Vec<Pair> {
    let (shapes, left_out): (Vec<Shape>, Vec<Shape>) =
        shapes::all().into_iter().partition(|shape| shape.needs.is_none_or(|needs| engine.knows.contains(&needs)));
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|shape| shape.name).collect();
        say(&format!("differential test: shapes with flags that this engine does not know: {}\n", names.join(", ")));
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    // Where there is memory for it, these many small projects are no work for the disk.
    let try_out = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let finder = Finder { shapes: &shapes, classes: mutations::all(), seed, folder: try_out.path().to_owned() };
    let found = in_parallel(jobs, |number, job| finder.find(number, job));
    let mut by_shape: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
    for (shape, change) in found.into_iter().flatten() {
        by_shape.entry(shape).or_default().push(change);
    }
    let chunks = by_shape.iter().flat_map(|(shape, changes)| changes.chunks(GROUP).map(|chunk| (*shape, chunk)));
    let groups: Vec<(usize, &[Change])> = chunks.collect();
    let nonce = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let pairs = in_parallel(&groups, |number, (shape, changes)| {
        let place = folder.join(number.to_string());
        let new = |part: &str| {
            let root = place.join(part).join("project");
            Group::new(engine, shapes[*shape], root, format!("salt-{nonce:x}-{number}-{part}"))
        };
        let group = new("all");
        let mut pairs = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            let mut pair = group.pair(change, bugs, index % NARROWED == 0);
            if pair.verdict == Verdict::Needless {
                pair = new(&format!("again-{index}")).pair(change, bugs, false);
            }
            if pair.is_defect() {
                say(&pair.to_string());
            }
            pairs.push(pair);
        }
        let _ = std::fs::remove_dir_all(place);
        pairs
    });
    pairs.into_iter().flatten().collect()
}

/// Does all of it with [`WORKERS`] threads; the answers in the order of the questions.
fn in_parallel<T: Sync, A: Send>(all: &[T], work: impl Fn(usize, &T) -> A + Sync) -> Vec<A> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(number) else { break };
                    let answer = work(number, one);
                    done.lock().unwrap().push((number, answer));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, answer)| answer).collect()
}

/// Looks for projects in which there is something to change.
struct Finder<'a> {
    shapes: &'a [Shape],
    classes: Vec<Class>,
    seed: u64,
    folder: PathBuf,
}

impl Finder<'_> {
    /// A shape in which there is something to change, and the change.
    fn find(&self, number: usize, job: &Job) -> Option<(usize, Change)> {
        let name = format!("{:?} {}", job.classes.iter().map(|class| class.name).collect::<Vec<_>>(), job.number);
        let mut dice = Dice::new(self.seed, &name);
        let mut order: Vec<usize> = (0..self.shapes.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, dice.below(at + 1));
        }
        // Steps that run take ten times as long.
        order.sort_by_cached_key(|shape| self.shapes[*shape].runs && !dice.once_in(2));
        for shape in order {
            let classes = if job.classes.is_empty() {
                (0..=dice.below(3)).map(|_| self.classes[dice.below(self.classes.len())]).collect()
            } else {
                job.classes.clone()
            };
            let change = Change { classes, dice: Dice::new(dice.next(), self.shapes[shape].name) };
            if change.fits(&self.shapes[shape], &self.folder.join(number.to_string())) {
                return Some((shape, change));
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
            rare: classes
                .into_iter()
                .filter(|(_, count)| *count < PER_CLASS / Share::of_environment().parts())
                .collect(),
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

    /// Prints them.
    pub fn print(&self) {
        let verdicts: Vec<String> =
            self.verdicts.iter().map(|(verdict, count)| format!("{verdict:?} {count}")).collect();
        say(&format!(
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
    }
}

/// Prints past the test runner, which swallows what a test that passes prints.
fn say(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).unwrap();
}
