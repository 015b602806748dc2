//! The differential test: does the key change exactly where BuildKit would do something else?
//!
//! For each pair of a project before and after a change, BuildKit builds both, fed with the whole context as `docker build` would send it
//! (through our own session, walked and hashed by `context`, not by the product). "Did a step run again, or is the image another one"
//! is held against "is the key another one". A key that stays where BuildKit does something is **stale**, and there may be none;
//! a key that changes where BuildKit does nothing is **needless**, and at most 2 % may be, outside the classes that docs/keys.md names.
//! Beside that: what the program would send gives the same image, and the key is the same with the stat cache and without it.
//!
//! | variable | meaning |
//! |---|---|
//! | `ORCHESTRATE_DIFFERENTIAL_MUTATIONS` | how many changes; 10 of each class at least |
//! | `ORCHESTRATE_DIFFERENTIAL_SEED` | other changes than the usual ones |
//! | `ORCHESTRATE_DIFFERENTIAL_CLASS` | changes of this class alone |
//! | `ORCHESTRATE_TEST_SHARE` | the part of the changes that this run makes, such as `1/2`: two engines share them |
//! | `ORCHESTRATE_DIFFERENTIAL_IGNORED` | how many ignore files the docker command is asked about |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod case;
mod context;
mod dice;
mod ignored;
#[path = "../support/judge.rs"]
mod judge;
mod keys;
mod mutations;
mod pair;
#[path = "../support/real.rs"]
mod real;
mod run;
mod shapes;
mod truth;

use std::time::Instant;

use case::Case;
use keys::Bug;
use pair::Verdict;
use run::Figures;
use truth::Engine;

/// How many changes where nobody says otherwise.
const MUTATIONS: usize = 1_000;
const SEED: u64 = 20_261_121;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

#[test]
fn the_key_changes_where_buildkit_does_something_else() {
    if real::real("the_key_changes_where_buildkit_does_something_else").is_none() {
        return;
    }
    let engine = Engine::start();
    let count = number("ORCHESTRATE_DIFFERENTIAL_MUTATIONS").map(|count| usize::try_from(count).unwrap());
    let seed = number("ORCHESTRATE_DIFFERENTIAL_SEED").unwrap_or(SEED);
    let jobs = match std::env::var("ORCHESTRATE_DIFFERENTIAL_CLASS") {
        Ok(class) => run::jobs_of(&[&class], count.unwrap_or(100)),
        Err(_) => run::jobs(count.unwrap_or(MUTATIONS)),
    };
    let start = Instant::now();
    let pairs = run::run(&engine, &jobs, seed, &[]);
    let figures = Figures::of(&pairs, start);
    figures.print();
    for verdict in [Verdict::Stale, Verdict::Cached, Verdict::Narrowed, Verdict::Missed, Verdict::Overstrict] {
        assert_eq!(figures.count(verdict), 0, "{verdict:?}: see above");
    }
    assert!(figures.needless() <= 2.0, "{:.2} % of the changes are needless", figures.needless());
    if std::env::var_os("ORCHESTRATE_DIFFERENTIAL_CLASS").is_none() {
        assert!(figures.rare.is_empty(), "these classes found too little to change: {:?}", figures.rare);
    }
}

#[test]
fn the_docker_command_sends_what_the_harness_sends() {
    if real::real("the_docker_command_sends_what_the_harness_sends").is_none() {
        return;
    }
    let count = number("ORCHESTRATE_DIFFERENTIAL_IGNORED").map_or(44, |count| usize::try_from(count).unwrap());
    let unlike = ignored::unlike(count, SEED);
    assert!(unlike.is_empty(), "{}", unlike.join("\n"));
}

#[test]
fn plan_and_the_harness_have_the_same_keys() {
    for shape in shapes::all() {
        let folder = tempfile::tempdir().unwrap();
        let mut case = Case::new(&folder.path().canonicalize().unwrap(), "salt".to_owned());
        (shape.make)(&mut case);
        if !case.spec.outside.is_empty() {
            // The program asks a registry about these.
            continue;
        }
        case.save();
        let key = keys::planned(&case, &keys::Outside::new(), Bug::None).key.unwrap();
        let program = std::process::Command::new(env!("CARGO_BIN_EXE_orchestrate"))
            .args(["plan", "--offline", "--json", "-C"])
            .arg(&case.root)
            .output()
            .unwrap();
        assert!(program.status.success(), "{}: {}", shape.name, String::from_utf8_lossy(&program.stderr));
        let plan: serde_json::Value = serde_json::from_slice(&program.stdout).unwrap();
        let images = plan["images"].as_array().unwrap();
        let image = images.iter().find(|image| image["name"] == "x").unwrap();
        assert_eq!(image["key"], serde_json::to_value(key).unwrap(), "{}", shape.name);
    }
}

/// A bug that the harness must find with changes of these classes.
fn is_found(test: &str, bug: Bug, classes: &[&str]) {
    if real::real(test).is_none() {
        return;
    }
    let engine = Engine::start();
    let pairs = run::run(&engine, &run::jobs_of(classes, 24), SEED, &[bug]);
    assert!(pairs.iter().all(|pair| pair.verdict != Verdict::Stale), "stale without the bug too");
    let stale = |pair: &&pair::Pair| pair.with_bugs.iter().any(|(_, verdict)| *verdict == Verdict::Stale);
    let found: Vec<_> = pairs.iter().filter(stale).collect();
    assert!(!found.is_empty(), "nobody would notice {bug:?}");
}

#[test]
fn a_lost_x_bit_would_be_found() {
    is_found("a_lost_x_bit_would_be_found", Bug::NoExecutableBit, &["x bit", "umask"]);
}

#[test]
fn a_lost_ignore_file_would_be_found() {
    let classes = ["one more pattern", "one pattern less", "a new ignore file of the Dockerfile"];
    is_found("a_lost_ignore_file_would_be_found", Bug::NoIgnoreFile, &classes);
}

#[test]
fn a_lost_arg_would_be_found() {
    is_found("a_lost_arg_would_be_found", Bug::NoArg, &["an arg"]);
}
