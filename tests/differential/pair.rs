//! One project before and after a change: what BuildKit says, what the key says.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use orchestrate::digest::Key;
use orchestrate::fingerprint::{Fingerprint, difference};
use orchestrate::workspace::Snapshot;

use crate::case::Case;
use crate::dice::Dice;
use crate::judge::ONLY_UTF8;
use crate::keys::{Bug, planned};
use crate::mutations::Class;
use crate::shapes::Shape;
use crate::truth::{Engine, Outcome};

/// How the two answers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Both say that something changed.
    Changed,
    /// Both say that nothing did.
    Unchanged,
    /// Both refuse what came of the change.
    Refused,
    /// This engine takes no such name in a context, though BuildKit does.
    Unjudged,
    /// The key is another one, and the build fails over what it made itself.
    Fails,
    /// BuildKit does something else and the key is the same: the defect that must not be.
    Stale,
    /// The key is another one, and BuildKit runs nothing and gives the same image.
    Needless,
    /// BuildKit refuses what a plan takes.
    Missed,
    /// A plan refuses what BuildKit takes.
    Overstrict,
    /// What the program would send gives another image than the whole context.
    Narrowed,
    /// The key with the stat cache is another one than without it.
    Cached,
}

/// A project before and after a change.
pub struct Pair {
    /// The project.
    pub shape: &'static str,
    /// The kinds of change; one, or some at once.
    pub classes: Vec<Class>,
    /// What was changed.
    pub what: Vec<String>,
    /// The keys.
    pub keys: (Result<Key, String>, Result<Key, String>),
    /// BuildKit's answers.
    pub truth: (Outcome, Outcome),
    /// What differs in the records.
    pub differences: Vec<String>,
    /// The comparison.
    pub verdict: Verdict,
    /// What the comparison would be with a bug put in.
    pub with_bugs: Vec<(Bug, Verdict)>,
    /// More about a verdict that is a defect.
    pub about: String,
}

/// A project that BuildKit has built, and that is changed again and again from the same beginning.
///
/// BuildKit remembers what it built of a group, so a step that one change made run is cached where a later change comes to the same step.
/// That hides no stale key (the first of them is one), and [`crate::run`] looks at a needless one again in a group of its own.
pub struct Group<'a> {
    engine: &'a Engine,
    shape: Shape,
    root: PathBuf,
    salt: String,
    before: Outcome,
    /// Steps that BuildKit says it runs again though nothing changed, as it does with a WORKDIR before anything else.
    restless: Vec<String>,
}

impl<'a> Group<'a> {
    /// Makes the project in `root` and builds it.
    pub fn new(engine: &'a Engine, shape: Shape, root: PathBuf, salt: String) -> Self {
        let case = made(&shape, &root, &salt);
        let before = engine.truth(&case, None);
        let restless = match (&before, engine.truth(&case, None)) {
            (Outcome::Built { digest, .. }, Outcome::Built { digest: again, ran }) => {
                assert_eq!(*digest, again, "`{}` is another image each time", shape.name);
                ran
            }
            (before, _) => panic!("`{}` cannot be built: {before:?}", shape.name),
        };
        Self { engine, shape, root, salt, before, restless }
    }

    fn truth(&self, case: &Case, narrowed: Option<&BTreeMap<String, Snapshot>>) -> Outcome {
        match self.engine.truth(case, narrowed) {
            Outcome::Built { digest, mut ran } => {
                // The place in front may be another one, because builds that run at once share their steps.
                let restless = |step: &str| self.restless.iter().any(|known| instruction(known) == instruction(step));
                ran.retain(|step| !restless(step));
                Outcome::Built { digest, ran }
            }
            failed @ Outcome::Failed { .. } => failed,
        }
    }

    /// Changes the project by each of the classes, and asks both. `narrowed`: builds what the program would send too.
    pub fn pair(&self, change: &Change, bugs: &[Bug], narrowed: bool) -> Pair {
        let engine = self.engine;
        // In the same place as before, so that BuildKit compares with what it received.
        let _ = fs::remove_dir_all(&self.root);
        let mut case = made(&self.shape, &self.root, &self.salt);
        let outside = engine.outside(&case);
        let before = planned(&case, &outside, Bug::None);
        let bugs_before: Vec<_> = bugs.iter().map(|bug| planned(&case, &outside, *bug).key).collect();
        let what = change.apply(&mut case).expect("it was tried on the same project");
        case.save();
        let outside = engine.outside(&case);
        let after = planned(&case, &outside, Bug::None);
        let _ = fs::remove_dir_all(case.root.join(".orchestrate"));
        let cold = planned(&case, &outside, Bug::None);
        let bugs_after: Vec<_> = bugs.iter().map(|bug| planned(&case, &outside, *bug).key).collect();
        let truth = (self.before.clone(), self.truth(&case, None));

        let mut verdict = compare((&before.key, &after.key), (&truth.0, &truth.1));
        let mut about = String::new();
        if verdict == Verdict::Overstrict && engine.is_refused_by_docker(&case) {
            verdict = Verdict::Refused;
        }
        if after.key != cold.key {
            verdict = Verdict::Cached;
        } else if let (true, Outcome::Built { digest, .. }, Ok(_)) = (narrowed, &truth.1, &after.key) {
            match self.truth(&case, Some(&after.snapshots)) {
                // The same image; whether BuildKit still had its steps is BuildKit's business.
                Outcome::Built { digest: narrowed, .. } if narrowed == *digest => {}
                other => {
                    verdict = Verdict::Narrowed;
                    about = format!("narrowed: {other:?}");
                }
            }
        }
        let keys_with_bugs = bugs.iter().zip(bugs_before.iter().zip(&bugs_after));
        let with_bugs = keys_with_bugs.map(|(bug, keys)| (*bug, compare(keys, (&truth.0, &truth.1)))).collect();
        let differences = match (&before.fingerprint, &after.fingerprint) {
            (Some(before), Some(after)) => differing(before, after),
            _ => Vec::new(),
        };
        Pair {
            shape: self.shape.name,
            classes: change.classes.clone(),
            what,
            keys: (before.key, after.key),
            truth,
            differences,
            verdict,
            with_bugs,
            about,
        }
    }
}

/// One or more kinds of change, and the dice that say which.
#[derive(Clone)]
pub struct Change {
    /// The kinds.
    pub classes: Vec<Class>,
    /// The dice.
    pub dice: Dice,
}

impl Change {
    /// Changes a project. `None` where there is nothing of the kind in it.
    pub fn apply(&self, case: &mut Case) -> Option<Vec<String>> {
        let mut dice = self.dice.clone();
        self.classes.iter().map(|class| (class.apply)(case, &mut dice)).collect()
    }

    /// Whether it finds something to change in a project of this shape.
    pub fn fits(&self, shape: &Shape, root: &Path) -> bool {
        let fits = self.apply(&mut made(shape, root, "salt")).is_some();
        let _ = fs::remove_dir_all(root);
        fits
    }
}

/// A step without its place in the stages, and however it is written: words as JSON, with more blanks, or on two lines.
fn instruction(step: &str) -> String {
    let instruction = step.split_once("] ").map_or(step, |(_, instruction)| instruction);
    let words = instruction.split(|c: char| c.is_whitespace() || "[]\",\\".contains(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

fn made(shape: &Shape, root: &Path, salt: &str) -> Case {
    fs::create_dir_all(root).unwrap();
    let mut case = Case::new(&root.canonicalize().unwrap(), salt.to_owned());
    (shape.make)(&mut case);
    case.save();
    case
}

fn differing(before: &Fingerprint, after: &Fingerprint) -> Vec<String> {
    difference(&before.record(), &after.record()).iter().map(|difference| format!("{difference:?}")).collect()
}

fn compare(keys: (&Result<Key, String>, &Result<Key, String>), truth: (&Outcome, &Outcome)) -> Verdict {
    let Ok(before) = keys.0 else { return Verdict::Overstrict };
    let Outcome::Built { digest: first, .. } = truth.0 else { return Verdict::Missed };
    if matches!(truth.1, Outcome::Failed { why, .. } if why.contains(ONLY_UTF8)) {
        return Verdict::Unjudged;
    }
    match (keys.1, truth.1) {
        (Err(_), Outcome::Failed { .. }) => Verdict::Refused,
        (Err(_), Outcome::Built { .. }) => Verdict::Overstrict,
        (Ok(after), Outcome::Failed { .. }) if after == before => Verdict::Stale,
        (Ok(_), Outcome::Failed { inside: true, .. }) => Verdict::Fails,
        (Ok(_), Outcome::Failed { inside: false, .. }) => Verdict::Missed,
        (Ok(after), Outcome::Built { digest, ran }) => {
            let changed = digest != first || !ran.is_empty();
            match (changed, after != before) {
                (true, true) => Verdict::Changed,
                (false, false) => Verdict::Unchanged,
                (true, false) => Verdict::Stale,
                (false, true) => Verdict::Needless,
            }
        }
    }
}

impl Pair {
    /// Whether somebody should look at it.
    pub fn is_defect(&self) -> bool {
        !matches!(
            self.verdict,
            Verdict::Changed | Verdict::Unchanged | Verdict::Refused | Verdict::Fails | Verdict::Unjudged
        )
    }

    /// Whether a line of docs/keys.md names this kind of change.
    pub fn is_documented(&self) -> bool {
        self.classes.iter().any(|class| class.documented.is_some())
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<&str> = self.classes.iter().map(|class| class.name).collect();
        let mark = if self.is_documented() { "on purpose: " } else { "" };
        writeln!(f, "{mark}{:?}: `{}`: {classes:?}: {:?}", self.verdict, self.shape, self.what)?;
        if self.keys.0 != self.keys.1 || self.verdict == Verdict::Stale {
            writeln!(f, "  keys {:?} -> {:?}", self.keys.0, self.keys.1)?;
        }
        writeln!(f, "  BuildKit {:?}\n        -> {:?}", self.truth.0, self.truth.1)?;
        if !self.about.is_empty() {
            writeln!(f, "  {}", self.about)?;
        }
        for difference in &self.differences {
            writeln!(f, "  record: {difference}")?;
        }
        Ok(())
    }
}
