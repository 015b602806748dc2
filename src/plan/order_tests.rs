//! The rule of moving tags, by values: the table of docs/publication.md.

use super::order::{Age, Claim, Course, Here, Why, carried, judge};
use crate::project::Order;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 24 * 60 * 60;

fn claim(time: i64, branch: Option<&str>) -> Claim {
    Claim { commit: "c".repeat(40), time: Some(time), branch: branch.map(str::to_owned), confirms: false }
}

fn here(time: i64, branch: Option<&str>) -> Here {
    Here { time: Some(time), branch: branch.map(str::to_owned), default: Some("main".to_owned()), now: NOW }
}

fn why(claim: &Claim, here: &Here, age: Age) -> Option<Why> {
    judge(std::slice::from_ref(claim), here, &Order::default(), &|_| age).map(|standing| standing.why)
}

#[test]
fn the_table() {
    let (main, side, other) = (Some("main"), Some("side"), Some("other"));
    let year = 365 * DAY;
    let table = [
        // The note's time and branch; ours; what comes of it where history does not tell.
        (100, main, 200, main, Some(Why::NewerByTime)),
        (200, main, 100, main, Some(Why::OlderByTime)),
        (100, main, 100, main, Some(Why::EqualTimes)),
        (100, side, 200, side, Some(Why::NewerByTime)),
        (200, side, 100, side, Some(Why::OlderByTime)),
        (200, side, 100, main, Some(Why::DefaultBranch)),
        (100, side, 200, main, Some(Why::DefaultBranch)),
        (100, main, 200, side, Some(Why::OtherBranch)),
        (100, other, 200, side, Some(Why::OtherBranch)),
        (100, main, 200, None, Some(Why::OtherBranch)),
        (NOW + year, main, 100, main, Some(Why::DatedAhead)),
        (NOW + DAY, main, 100, main, Some(Why::OlderByTime)),
        (NOW + year, main, 100, side, Some(Why::OtherBranch)),
        (100, main, NOW + year, main, Some(Why::DatedAhead)),
        (NOW + 60, main, NOW + year, main, Some(Why::OlderByTime)),
        // Notes of older versions name no branch.
        (100, None, 200, main, Some(Why::NothingNoted)),
        (100, None, 100, main, Some(Why::NothingNoted)),
        (200, None, 100, main, Some(Why::OlderByTime)),
        (100, None, 200, None, Some(Why::NothingNoted)),
        (100, None, 200, side, Some(Why::OtherBranch)),
    ];
    for (time, branch, ours, our_branch, expected) in table {
        let (claim, here) = (claim(time, branch), here(ours, our_branch));
        assert_eq!(why(&claim, &here, Age::Unknown), expected, "{claim:?} {here:?}");
        assert_eq!(why(&claim, &here, Age::Before), None, "history decides: {claim:?} {here:?}");
        assert_eq!(why(&claim, &here, Age::After), Some(Why::Ancestor), "history decides: {claim:?} {here:?}");
    }
}

#[test]
fn a_note_whose_time_cannot_be_read() {
    let unread = Claim { time: None, ..claim(0, None) };
    assert_eq!(why(&unread, &here(100, Some("main")), Age::Unknown), Some(Why::NothingNoted));
    assert_eq!(why(&unread, &here(100, Some("side")), Age::Unknown), Some(Why::OtherBranch));
}

#[test]
fn a_run_that_changed_nothing_stops_its_own_descendants_and_the_default_branch_alone() {
    let confirms = |branch| Claim { confirms: true, ..claim(200, Some(branch)) };
    let ours = |branch| here(100, Some(branch));
    assert_eq!(why(&confirms("main"), &ours("main"), Age::Unknown), Some(Why::OlderByTime));
    assert_eq!(why(&confirms("side"), &ours("side"), Age::Unknown), None);
    assert_eq!(why(&confirms("main"), &ours("side"), Age::Unknown), None);
    assert_eq!(why(&confirms("side"), &ours("main"), Age::After), Some(Why::Ancestor));
}

#[test]
fn the_strict_order_and_a_checkout_without_a_commit() {
    let strict = Order { history: true, branch: None };
    let of = |order: &Order, here: &Here| {
        judge(&[claim(100, Some("main"))], here, order, &|_| Age::Unknown).map(|standing| standing.why)
    };
    assert_eq!(of(&strict, &here(200, Some("main"))), Some(Why::Unordered));
    assert_eq!(of(&Order::default(), &Here { time: None, ..here(0, None) }), Some(Why::Unordered));
}

#[test]
fn the_branch_that_takes_from_any_other() {
    let note = claim(200, Some("side"));
    let of = |named: Option<&str>, default: Option<&str>, ours: &str| {
        let order = Order { history: false, branch: named.map(str::to_owned) };
        let here = Here { default: default.map(str::to_owned), ..here(100, Some(ours)) };
        judge(std::slice::from_ref(&note), &here, &order, &|_| Age::Unknown).unwrap().course()
    };
    assert_eq!(of(None, Some("trunk"), "trunk"), Course::Moves);
    assert_eq!(of(Some("release"), Some("main"), "release"), Course::Moves, "the manifest wins");
    assert_eq!(of(Some("release"), Some("main"), "main"), Course::Refused);
    assert_eq!(of(None, None, "main"), Course::Moves, "its usual names, where nothing names it");
    assert_eq!(of(None, None, "master"), Course::Moves);
    assert_eq!(of(None, None, "feature"), Course::Refused);
}

#[test]
fn the_strongest_note_decides() {
    let both = [claim(100, Some("side")), claim(300, Some("main"))];
    let standing = judge(&both, &here(200, Some("main")), &Order::default(), &|_| Age::Unknown).unwrap();
    assert_eq!((standing.why, standing.mover.time), (Why::OlderByTime, 300));
}

#[test]
fn a_branch_carries_on_what_it_takes_from_the_default_one() {
    let notes = [claim(100, Some("main")), claim(150, Some("main")), claim(900, Some("side"))];
    let order = Order::default();
    assert_eq!(carried(&notes, &here(500, Some("side")), &order).map(|over| over.time), Some(150));
    assert_eq!(carried(&notes, &here(500, Some("main")), &order), None);
}

#[test]
fn a_refusal_says_what_to_write() {
    let standing =
        judge(&[claim(1, Some("main"))], &here(2, Some("side")), &Order::default(), &|_| Age::Unknown).unwrap();
    assert_eq!(standing.to_string(), "on the branch `main`, and this run is on `side`");
    assert!(standing.help().contains("when: \"{{eq git.branch 'main'}}\""), "{}", standing.help());
}
