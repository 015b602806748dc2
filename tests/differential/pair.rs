//! One project before and after a change: what BuildKit says, what the key says.

use std::fmt;
use std::fs;
use std::path::Path;

use orchestrate::digest::Key;
use orchestrate::fingerprint::{Fingerprint, difference};

use crate::case::Case;
use crate::dice::Dice;
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

/// Makes the project, changes it by each of the classes, and asks both. `None` where a class finds nothing to change.
pub fn pair(engine: &Engine, shape: &Shape, classes: &[Class], at: (&Path, &str, &Dice), bugs: &[Bug]) -> Option<Pair> {
    let (folder, salt, dice) = at;
    let try_out = folder.join("try");
    let mut trial = made(shape, &try_out, salt);
    let what = apply(&mut trial, classes, &mut dice.clone());
    let _ = fs::remove_dir_all(folder);
    let what = what?;

    let mut case = made(shape, &folder.join("project"), salt);
    let outside = engine.outside(&case);
    let before = planned(&case, &outside, Bug::None);
    let bugs_before: Vec<_> = bugs.iter().map(|bug| planned(&case, &outside, *bug).key).collect();
    let truth_before = engine.truth(&case, None);
    apply(&mut case, classes, &mut dice.clone())?;
    case.save();
    let outside = engine.outside(&case);
    let after = planned(&case, &outside, Bug::None);
    let _ = fs::remove_dir_all(case.root.join(".orchestrate"));
    let cold = planned(&case, &outside, Bug::None);
    let bugs_after: Vec<_> = bugs.iter().map(|bug| planned(&case, &outside, *bug).key).collect();
    let truth_after = engine.truth(&case, None);

    let truth = (truth_before, truth_after);
    let mut verdict = compare((&before.key, &after.key), (&truth.0, &truth.1));
    let mut about = String::new();
    if after.key != cold.key {
        verdict = Verdict::Cached;
    } else if let (Outcome::Built { digest, .. }, Ok(_)) = (&truth.1, &after.key) {
        match engine.truth(&case, Some(&after.snapshots)) {
            Outcome::Built { digest: narrowed, ran } if narrowed == *digest && ran.is_empty() => {}
            other => {
                verdict = Verdict::Narrowed;
                about = format!("narrowed: {other:?}");
            }
        }
    }
    let mut with_bugs = Vec::new();
    for (bug, (before, after)) in bugs.iter().zip(bugs_before.iter().zip(&bugs_after)) {
        with_bugs.push((*bug, compare((before, after), (&truth.0, &truth.1))));
    }
    let differences = match (&before.fingerprint, &after.fingerprint) {
        (Some(before), Some(after)) => differing(before, after),
        _ => Vec::new(),
    };
    let classes = classes.to_vec();
    Some(Pair {
        shape: shape.name,
        classes,
        what,
        keys: (before.key, after.key),
        truth,
        differences,
        verdict,
        with_bugs,
        about,
    })
}

fn made(shape: &Shape, root: &Path, salt: &str) -> Case {
    fs::create_dir_all(root).unwrap();
    let mut case = Case::new(&root.canonicalize().unwrap(), salt.to_owned());
    (shape.make)(&mut case);
    case.save();
    case
}

fn apply(case: &mut Case, classes: &[Class], dice: &mut Dice) -> Option<Vec<String>> {
    classes.iter().map(|class| (class.apply)(case, dice)).collect()
}

fn differing(before: &Fingerprint, after: &Fingerprint) -> Vec<String> {
    difference(&before.record(), &after.record()).iter().map(|difference| format!("{difference:?}")).collect()
}

fn compare(keys: (&Result<Key, String>, &Result<Key, String>), truth: (&Outcome, &Outcome)) -> Verdict {
    let Ok(before) = keys.0 else { return Verdict::Overstrict };
    let Outcome::Built { digest: first, .. } = truth.0 else { return Verdict::Missed };
    match (keys.1, truth.1) {
        (Err(_), Outcome::Failed(_)) => Verdict::Refused,
        (Err(_), Outcome::Built { .. }) => Verdict::Overstrict,
        (Ok(after), Outcome::Failed(_)) if after == before => Verdict::Stale,
        (Ok(_), Outcome::Failed(_)) => Verdict::Missed,
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
    /// Whether a line of docs/keys.md names this kind of change.
    pub fn is_documented(&self) -> bool {
        self.classes.iter().any(|class| class.documented.is_some())
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<&str> = self.classes.iter().map(|class| class.name).collect();
        writeln!(f, "{:?}: `{}`: {classes:?}: {:?}", self.verdict, self.shape, self.what)?;
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
