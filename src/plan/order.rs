//! Who may move a tag, or deploy to a function: the one rule that `plan`, `apply`, `tag` and `--rollback` go by.
//!
//! Whoever moves a tag notes commit, time and branch beside the image. What history tells of the noted commit decides. Where it tells
//! nothing (another branch, a rewritten commit, a shallow clone), commit times decide within a branch, and the default branch takes from
//! any other.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::Mover;
use crate::project::Order;

/// How far ahead of the registry's clock a commit may be dated, in seconds, before its time says nothing.
const AHEAD: i64 = 24 * 60 * 60;

/// Where a commit is in history, seen from the one that is checked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It is an ancestor, or the commit itself.
    Before,
    /// It is a descendant.
    After,
    /// On another branch, rewritten, not here, or cut off: history does not tell.
    Unknown,
}

/// What one note claims of a tag or a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// All hexadecimal digits of the commit.
    pub commit: String,
    /// The commit's time, in seconds since 1970; `None` where it cannot be read.
    pub time: Option<i64>,
    /// The branch that the run was on, where it was on one.
    pub branch: Option<String>,
    /// The run found the tag where it wanted it, rather than move it there.
    pub confirms: bool,
}

impl Claim {
    /// Who made it.
    pub fn mover(&self) -> Mover {
        Mover { commit: self.commit.clone(), time: self.time.unwrap_or_default(), branch: self.branch.clone() }
    }
}

/// The run that wants to move a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// The time of the commit that is checked out; `None` where there is no commit.
    pub time: Option<i64>,
    /// Its branch, where it is on one.
    pub branch: Option<String>,
    /// The default branch of the repository, where it is known.
    pub default: Option<String>,
    /// The registry's clock, in seconds since 1970.
    pub now: i64,
}

impl Here {
    /// Whether a branch takes from any other. Where nothing names the default branch, its usual names do.
    pub fn is_default(&self, branch: Option<&str>, order: &Order) -> bool {
        match (order.branch.as_deref().or(self.default.as_deref()), branch) {
            (Some(default), Some(branch)) => default == branch,
            (None, Some(branch)) => matches!(branch, "main" | "master"),
            (_, None) => false,
        }
    }
}

/// Why a tag moves although history does not tell, or does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Moves: the noted commit is no ancestor, and older by its time.
    NewerByTime,
    /// Moves: this run is on the default branch, the noted commit on another.
    DefaultBranch,
    /// Moves: the noted commit is dated more than a day ahead of the registry's clock, so its time does not count.
    DatedAhead,
    /// Moves: the note names no branch, or has no time that can be read.
    NothingNoted,
    /// Does not move, which is an error: another branch than the default one would take the tag from another branch.
    OtherBranch,
    /// Does not move, which is an error: the same branch and the same time.
    EqualTimes,
    /// Does not move, which is an error: history alone is asked (`order: history`), or there is no commit here, and nothing is known.
    Unordered,
    /// Stays: the noted commit is no descendant, and newer by its time.
    OlderByTime,
    /// Stays: the noted commit is a descendant.
    Ancestor,
}

/// What a verdict means for the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Course {
    /// It moves.
    Moves,
    /// It does not move, and the run is refused.
    Refused,
    /// It stays as it is, and the run goes on.
    Stays,
}

impl Why {
    /// What it means for the tag.
    pub const fn course(self) -> Course {
        match self {
            Self::NewerByTime | Self::DefaultBranch | Self::DatedAhead | Self::NothingNoted => Course::Moves,
            Self::OtherBranch | Self::EqualTimes | Self::Unordered => Course::Refused,
            Self::OlderByTime | Self::Ancestor => Course::Stays,
        }
    }

    /// Whether more history could make the verdict a better one.
    pub const fn is_doubtful(self) -> bool {
        matches!(self, Self::EqualTimes | Self::DatedAhead)
    }
}

/// A verdict that is more than "history says that it moves forward".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// Why.
    pub why: Why,
    /// Who moved the tag to what it points at, or deployed it.
    pub mover: Mover,
    /// The branch of this run, where it is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The branch that takes from any other, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// What all notes say of moving a tag: the strongest of what each says. `None` if every noted commit comes before this one.
pub fn judge(claims: &[Claim], here: &Here, order: &Order, age: &dyn Fn(&str) -> Age) -> Option<Standing> {
    let judged = claims.iter().filter_map(|claim| Some((one(claim, here, order, age)?, claim)));
    let (why, claim) = judged.max_by_key(|(why, claim)| (why.course(), *why, claim.time))?;
    let default = order.branch.clone().or_else(|| here.default.clone());
    Some(Standing { why, mover: claim.mover(), branch: here.branch.clone(), default })
}

fn one(claim: &Claim, here: &Here, order: &Order, age: &dyn Fn(&str) -> Age) -> Option<Why> {
    match age(&claim.commit) {
        Age::Before => return None,
        Age::After => return Some(Why::Ancestor),
        Age::Unknown => {}
    }
    let Some(ours) = here.time.filter(|_| !order.history) else { return Some(Why::Unordered) };
    let is_default = |branch: &Option<String>| here.is_default(branch.as_deref(), order);
    let (our_branch_is, their_branch_is) = (is_default(&here.branch), is_default(&claim.branch));
    // A run that changed nothing is a witness for its own branch alone: it must not stop another one.
    if claim.confirms && !(our_branch_is && their_branch_is) {
        return None;
    }
    match &claim.branch {
        Some(_) if claim.branch == here.branch || (our_branch_is && their_branch_is) => {}
        Some(_) if our_branch_is => return Some(Why::DefaultBranch),
        None if our_branch_is || here.branch.is_none() => {}
        _ => return Some(Why::OtherBranch),
    }
    let latest = here.now.saturating_add(AHEAD);
    match claim.time {
        None => Some(Why::NothingNoted),
        Some(time) if time > latest => Some(Why::DatedAhead),
        // Ours does not count either where it is dated ahead: it is made now at the latest. More history may say better.
        Some(time) if ours > latest => Some(if time > here.now { Why::OlderByTime } else { Why::DatedAhead }),
        Some(time) if time > ours => Some(Why::OlderByTime),
        Some(_) if claim.branch.is_none() => Some(Why::NothingNoted),
        Some(time) if time == ours => Some(Why::EqualTimes),
        Some(_) => Some(Why::NewerByTime),
    }
}

/// What the note of a run on another branch than the default one carries on: the newest claim of the default branch that it takes the tag
/// away from. Without it a late run of the default branch would find the other branch's note alone, and move the tag back.
pub fn carried(claims: &[Claim], here: &Here, order: &Order) -> Option<Mover> {
    if here.is_default(here.branch.as_deref(), order) {
        return None;
    }
    let of_default = claims.iter().filter(|claim| here.is_default(claim.branch.as_deref(), order));
    of_default.max_by_key(|claim| claim.time).map(Claim::mover)
}

impl Standing {
    /// What it means for the tag.
    pub const fn course(&self) -> Course {
        self.why.course()
    }

    /// What to do about a refusal.
    pub fn help(&self) -> String {
        match (self.why, &self.default) {
            (Why::OtherBranch, default) => {
                let default = default.as_deref().unwrap_or("main");
                format!(
                    "only the default branch takes a tag from another branch: give the tag `when: \"{{{{eq git.branch '{default}'}}}}\"`, or use --allow-older"
                )
            }
            _ => "fetch the whole history (`fetch-depth: 0`), or use --allow-older".to_owned(),
        }
    }
}

/// The reason after "moved by commit 1234567".
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let theirs = self.mover.branch.as_deref();
        match self.why {
            Why::NewerByTime => f.write_str("not a descendant; newer by its commit time"),
            Why::DefaultBranch => {
                write!(f, "not a descendant; the default branch takes it from `{}`", theirs.unwrap_or("another branch"))
            }
            Why::DatedAhead => {
                f.write_str("not a descendant; a commit dated more than a day ahead of the registry's clock, which does not count")
            }
            Why::NothingNoted => f.write_str("not a descendant; the note of the commit before names no branch or no time"),
            Why::OtherBranch => {
                let ours = self.branch.as_ref().map_or_else(|| "no branch".to_owned(), |branch| format!("`{branch}`"));
                match theirs {
                    Some(theirs) => write!(f, "on the branch `{theirs}`, and this run is on {ours}"),
                    None => write!(f, "whose branch is not known, and this run is on {ours}"),
                }
            }
            Why::EqualTimes => f.write_str(
                "which is neither an ancestor nor a descendant of HEAD (a rewritten commit, or a shallow clone) and has the same commit time",
            ),
            Why::Unordered => {
                f.write_str("which is neither an ancestor nor a descendant of HEAD (another branch, or a shallow clone)")
            }
            Why::OlderByTime => f.write_str("not a descendant; newer by its commit time"),
            Why::Ancestor => f.write_str("a descendant of this one"),
        }
    }
}
