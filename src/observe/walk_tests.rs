//! Random histories: branches, merges, rewritten commits, clones of any depth, skewed clocks, late runs. An oracle that sees everything
//! counts the moves of the default branch that go back, and the runs of it that are refused.

use std::collections::{BTreeMap, BTreeSet};

use proptest::test_runner::{RngAlgorithm, TestRng};
use rand_like::Dice;

use crate::plan::{Age, Course, Here, Mover, carried, judge};
use crate::project::Order;
use crate::registry::MoveNote;

mod rand_like {
    use proptest::prelude::Rng as _;
    use proptest::test_runner::TestRng;

    /// Numbers below a bound.
    pub struct Dice(pub TestRng);

    impl Dice {
        pub fn below(&mut self, bound: usize) -> usize {
            usize::try_from(self.0.next_u64() % bound as u64).unwrap_or_default()
        }

        pub fn chance(&mut self, percent: usize) -> bool {
            self.below(100) < percent
        }
    }
}

const NOW: i64 = 2_000_000_000;

struct Commit {
    parents: Vec<usize>,
    branch: String,
    time: i64,
    /// What it builds: a revert builds what was there before.
    image: usize,
}

/// A run: a commit and what of history its clone holds.
struct Run {
    commit: usize,
    seen: BTreeSet<usize>,
}

struct World {
    dice: Dice,
    commits: Vec<Commit>,
    main: usize,
    clock: i64,
    waiting: Vec<Run>,
    tag: Option<usize>,
    notes: BTreeMap<usize, Vec<MoveNote>>,
    /// The time of the newest commit of the default branch that moved the tag or found it right.
    newest: i64,
    counts: [usize; 5],
}

fn name(commit: usize) -> String {
    format!("{commit:040x}")
}

fn number(name: &str) -> usize {
    usize::from_str_radix(name, 16).unwrap()
}

impl World {
    fn add(&mut self, parents: Vec<usize>, branch: &str, time: i64) -> usize {
        let image = self.dice.below(6);
        self.commits.push(Commit { parents, branch: branch.to_owned(), time, image });
        self.commits.len() - 1
    }

    fn on_main(&mut self, parents: Vec<usize>) {
        self.clock += 1 + self.dice.below(1000) as i64;
        self.main = self.add(parents, "main", self.clock);
    }

    /// The commits that a clone of this depth holds.
    fn reach(&self, from: usize, depth: usize) -> BTreeSet<usize> {
        let (mut seen, mut edge) = (BTreeSet::from([from]), vec![from]);
        for _ in 1..depth {
            edge = edge.iter().flat_map(|commit| self.commits[*commit].parents.clone()).collect();
            seen.extend(edge.iter().copied());
        }
        seen
    }

    fn is_ancestor(&self, old: usize, new: usize, seen: &BTreeSet<usize>) -> bool {
        let (mut edge, mut done) = (vec![new], BTreeSet::new());
        while let Some(commit) = edge.pop() {
            if commit == old {
                return true;
            }
            if seen.contains(&commit) && done.insert(commit) {
                edge.extend(self.commits[commit].parents.iter().filter(|parent| seen.contains(parent)));
            }
        }
        false
    }

    fn step(&mut self) {
        match self.dice.below(10) {
            0..=2 => self.on_main(vec![self.main]),
            // `--amend`, or a squash: the tip is another commit now.
            3 => {
                let parents = self.commits[self.main].parents.clone();
                self.on_main(parents);
            }
            4 => {
                let side = self.dice.below(self.commits.len());
                self.on_main(vec![self.main, side]);
            }
            5 | 6 => {
                let parent = self.dice.below(self.commits.len());
                let branch = format!("side-{}", self.dice.below(3));
                let skew = (self.dice.below(2000) as i64 - 1000) * 86_400;
                self.add(vec![parent], &branch, self.clock + skew);
            }
            _ => {}
        }
        let newest = self.commits.len() - 1;
        let commit = if self.dice.chance(60) { self.main } else { newest };
        let seen = match self.dice.below(4) {
            0 => BTreeSet::from([commit]),
            1 => self.reach(commit, 3),
            2 => self.reach(commit, self.commits.len() + 1),
            _ => (0..self.commits.len()).collect(),
        };
        self.waiting.push(Run { commit, seen });
        // Runs come late, and in any order.
        while self.waiting.len() > 4 || (!self.waiting.is_empty() && self.dice.chance(50)) {
            let next = self.dice.below(self.waiting.len());
            let run = self.waiting.swap_remove(next);
            self.run(&run);
        }
    }

    fn run(&mut self, run: &Run) {
        let (time, branch, image) = {
            let commit = &self.commits[run.commit];
            (commit.time, commit.branch.clone(), commit.image)
        };
        let is_main = branch == "main";
        let here = Here { time: Some(time), branch: Some(branch.clone()), default: Some("main".to_owned()), now: NOW };
        let note = |confirms: bool, over: Option<Mover>| MoveNote {
            tags: vec!["latest".to_owned()],
            confirms: if confirms { vec!["latest".to_owned()] } else { Vec::new() },
            commit: name(run.commit),
            time: Some(time),
            branch: Some(branch.clone()),
            over,
            overrules: Vec::new(),
        };
        let claims = self.tag.and_then(|tag| self.notes.get(&tag)).map(|notes| MoveNote::claims(notes, "latest"));
        let claims = claims.unwrap_or_default();
        let age = |commit: &str| {
            let other = number(commit);
            match () {
                () if other == run.commit => Age::Before,
                () if !run.seen.contains(&other) => Age::Unknown,
                () if self.is_ancestor(other, run.commit, &run.seen) => Age::Before,
                () if self.is_ancestor(run.commit, other, &run.seen) => Age::After,
                () => Age::Unknown,
            }
        };
        let (moves, written) = if self.tag == Some(image) {
            (false, Some(note(true, None)))
        } else {
            match judge(&claims, &here, &Order::default(), &age).map(|standing| standing.course()) {
                None | Some(Course::Moves) => (true, Some(note(false, carried(&claims, &here, &Order::default())))),
                Some(Course::Stays) => (false, None),
                Some(Course::Refused) => {
                    self.counts[if is_main { 2 } else { 3 }] += 1;
                    (false, None)
                }
            }
        };
        if moves {
            self.counts[0] += 1;
            self.counts[1] += usize::from(is_main && time < self.newest);
            self.tag = Some(image);
        }
        if let Some(written) = written {
            let notes = self.notes.entry(image).or_default();
            if !notes.contains(&written) {
                notes.push(written);
            }
            if is_main {
                self.newest = self.newest.max(time);
            }
        } else if is_main {
            self.counts[4] += 1;
        }
    }
}

#[test]
fn where_times_grow_along_the_default_branch_nothing_goes_back_and_nothing_is_refused() {
    let mut sum = [0; 5];
    for seed in 0..400_u64 {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let dice = Dice(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let mut world = World {
            dice,
            commits: Vec::new(),
            main: 0,
            clock: 1_600_000_000,
            waiting: Vec::new(),
            tag: None,
            notes: BTreeMap::new(),
            newest: 0,
            counts: [0; 5],
        };
        world.on_main(Vec::new());
        for _ in 0..120 {
            world.step();
        }
        let [_, back, refused, ..] = world.counts;
        assert_eq!((back, refused), (0, 0), "seed {seed}: {:?}", world.counts);
        sum.iter_mut().zip(world.counts).for_each(|(sum, count)| *sum += count);
    }
    let [moves, _, _, others_refused, left] = sum;
    assert!(moves > 5_000 && others_refused > 1_000 && left > 1_000, "the walk comes everywhere: {sum:?}");
}
