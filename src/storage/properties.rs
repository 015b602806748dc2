//! What prune must never do, over repositories that nobody thought of.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::digest::Digest;

const DAY: i64 = 86_400;
const NOW: i64 = 1_000 * DAY;

fn digest(number: usize) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn item(kind: ItemKind, number: usize, published: Option<i64>, image: Option<&str>) -> Item {
    let blob = |salt: usize| Blob { digest: digest(1_000 + number % 7 + salt), size: 10 };
    Item { kind, bytes: 1, blobs: vec![blob(0), blob(20)], published, image: image.map(str::to_owned) }
}

/// A repository: images, indexes of some of them, things attached, and tags of every kind.
fn stocks() -> impl Strategy<Value = Stock> {
    let image = (proptest::option::of(0..60_i64), 0..3_usize);
    let images = proptest::collection::vec(image, 1..20);
    let tags = proptest::collection::vec((0..6_usize, 0..25_usize, 0..24_usize), 0..40);
    let indexes = proptest::collection::vec(proptest::collection::vec(0..20_usize, 1..4), 0..4);
    let attached = proptest::collection::vec(0..30_usize, 0..8);
    (images, tags, indexes, attached).prop_map(|(images, tags, indexes, attached)| {
        let mut stock = Stock::default();
        let count = images.len();
        for (number, (age, owner)) in images.into_iter().enumerate() {
            let published = age.map(|days| NOW - days * DAY);
            let owner = [None, Some("api"), Some("another")][owner];
            stock.items.insert(digest(number), item(ItemKind::Image, number, published, owner));
        }
        for (number, children) in indexes.into_iter().enumerate() {
            let children = children.into_iter().map(|child| digest(child % count)).collect();
            let published = Some(NOW - 30 * DAY);
            stock
                .items
                .insert(digest(100 + number), item(ItemKind::Index(children), 100 + number, published, Some("api")));
        }
        for (number, to) in attached.into_iter().enumerate() {
            let to = if to < 20 { digest(to % count) } else { digest(200 + to % 4) };
            stock.items.insert(digest(200 + number), item(ItemKind::Attached { to }, 200 + number, None, None));
        }
        for (kind, name, on) in tags {
            let tag = match kind {
                0 => format!("key-{name:032x}"),
                1 => "latest".to_owned(),
                2 => format!("release-{name}"),
                3 => format!("api-v2-{name:07x}"),
                _ => format!("api-{name:07x}"),
            };
            let on = if on < 20 { digest(on % count) } else { digest(100 + on % 4) };
            if stock.items.contains_key(&on) {
                stock.tags.insert(tag, on);
            }
        }
        stock
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let commits = proptest::option::of(0..6_u32);
    (commits, proptest::option::of(0..20_u32), 0..20_i64, 0..25_usize, 0..20_usize).prop_map(
        |(commits, untagged_days, min_days, key, used)| Rules {
            patterns: vec![
                Pattern { prefix: "api-".to_owned(), suffix: String::new(), commits },
                Pattern { prefix: "api-v2-".to_owned(), suffix: String::new(), commits: Some(2) },
            ],
            commit_times: (0..12).map(|name: i64| (format!("{name:07x}"), NOW - (40 - name) * DAY)).collect(),
            moving: BTreeSet::from(["latest".to_owned()]),
            keys: BTreeSet::from([format!("key-{key:032x}")]),
            images: BTreeSet::from(["api".to_owned()]),
            in_use: [digest(used).to_string(), "api-0000003".to_owned()].map(|what| (what.clone(), what)).into(),
            untagged_days,
            min_age: min_days * DAY,
            now: NOW,
        },
    )
}

/// All that a manifest needs: its children and theirs.
fn closure(stock: &Stock, from: Digest, to: &mut BTreeSet<Digest>) {
    if to.insert(from)
        && let Some(ItemKind::Index(children)) = stock.items.get(&from).map(|item| &item.kind)
    {
        for child in children {
            closure(stock, *child, to);
        }
    }
}

/// What is left after it was done.
fn left(stock: &Stock, pruning: &Pruning) -> Stock {
    let gone: BTreeSet<Digest> = pruning.going().map(|(digest, _)| *digest).collect();
    let untagged: BTreeSet<&str> = pruning.untagged().collect();
    let mut left = stock.clone();
    left.items.retain(|digest, _| !gone.contains(digest));
    left.tags.retain(|tag, digest| !gone.contains(digest) && !untagged.contains(tag.as_str()));
    left
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_needed_stays(stock in stocks(), rules in rules()) {
        let pruning = prune(&stock, &rules);
        prop_assert_eq!(pruning.verdicts.len(), stock.items.len(), "each manifest has a verdict");
        let gone: BTreeSet<Digest> = pruning.going().map(|(digest, _)| *digest).collect();
        let mut needed = BTreeSet::new();
        for (tag, digest) in &stock.tags {
            let protected = rules.moving.contains(tag) || rules.keys.contains(tag) || rules.in_use.contains_key(tag)
                || tag.starts_with("release-");
            if protected {
                closure(&stock, *digest, &mut needed);
            }
        }
        for item in stock.items.keys().filter(|digest| rules.in_use.contains_key(&digest.to_string())) {
            closure(&stock, *item, &mut needed);
        }
        prop_assert!(needed.is_disjoint(&gone));
        // What stays is whole, and keeps what is attached to it.
        for (digest, item) in stock.items.iter().filter(|(digest, _)| !gone.contains(digest)) {
            let mut whole = BTreeSet::new();
            closure(&stock, *digest, &mut whole);
            prop_assert!(whole.is_disjoint(&gone));
            if let ItemKind::Attached { to } = item.kind {
                prop_assert!(!gone.contains(&to));
            }
        }
        for digest in &gone {
            let item = &stock.items[digest];
            if let ItemKind::Attached { to } = item.kind {
                prop_assert!(gone.contains(&to));
            }
            // Nothing young, and nothing of which the age is unknown, goes for its own sake.
            let own = pruning.going().any(|(other, why)| other == digest && matches!(why, Why::OldCommits | Why::Untagged));
            if own {
                prop_assert!(item.published.is_some_and(|at| NOW - at >= rules.min_age));
            }
        }
        for tag in pruning.untagged() {
            prop_assert!(tag.starts_with("api-") && !rules.in_use.contains_key(tag));
        }
    }

    #[test]
    fn the_newest_of_each_pattern_stay(stock in stocks(), rules in rules()) {
        let pruning = prune(&stock, &rules);
        let after = left(&stock, &pruning);
        for (pattern, others) in [(&rules.patterns[0], Some("api-v2-")), (&rules.patterns[1], None)] {
            let of = |stock: &Stock| -> Vec<String> {
                let tags = stock.tags.keys().filter(|tag| pattern.varying(tag).is_some());
                tags.filter(|tag| others.is_none_or(|other| !tag.starts_with(other))).cloned().collect()
            };
            let (before, kept) = (of(&stock), of(&after));
            let at_least = pattern.commits.map_or(before.len(), |commits| before.len().min(commits as usize));
            prop_assert!(kept.len() >= at_least, "{:?} of {:?}", kept, before);
            let time = |tag: &String| {
                let commit = pattern.varying(tag).and_then(|commit| rules.commit_times.get(commit).copied());
                commit.or(stock.items[&stock.tags[tag]].published)
            };
            // Whatever went is older than the newest that had to stay.
            let mut times: Vec<i64> = before.iter().filter_map(time).collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            let bound = pattern.commits.and_then(|commits| times.get(commits as usize).copied());
            for gone in before.iter().filter(|tag| !kept.contains(tag)) {
                prop_assert!(time(gone).is_some_and(|time| Some(time) <= bound), "{gone}");
            }
        }
    }

    #[test]
    fn a_second_run_finds_nothing_and_a_milder_rule_deletes_no_more(stock in stocks(), rules in rules()) {
        let pruning = prune(&stock, &rules);
        let after = left(&stock, &pruning);
        let again = prune(&after, &rules);
        prop_assert_eq!(again.going().count(), 0);
        prop_assert_eq!(again.untagged().count(), 0);
        prop_assert_eq!(pruning.freed(&stock), stock.bytes_of(stock.items.keys()) - after.bytes_of(after.items.keys()));
        let milder = Rules { min_age: rules.min_age + 10 * DAY, ..rules.clone() };
        let gone: BTreeSet<Digest> = pruning.going().map(|(digest, _)| *digest).collect();
        let fewer: BTreeSet<Digest> = prune(&stock, &milder).going().map(|(digest, _)| *digest).collect();
        prop_assert!(fewer.is_subset(&gone));
    }
}

#[test]
fn a_table_of_cases() {
    let mut stock = Stock::default();
    let mut put = |number: usize, days: i64, tags: &[&str]| {
        stock.items.insert(digest(number), item(ItemKind::Image, number, Some(NOW - days * DAY), Some("api")));
        for tag in tags {
            stock.tags.insert((*tag).to_owned(), digest(number));
        }
    };
    let key = |number: usize| format!("key-{number:032x}");
    put(0, 90, &["latest", "api-aaaaaa0", &key(0)]);
    put(1, 80, &["api-aaaaaa1", &key(1)]);
    put(2, 20, &["api-aaaaaa2", "api-aaaaaa3"]);
    put(3, 3, &["api-aaaaaa4"]);
    put(4, 50, &[&key(4)]);
    put(5, 2, &[&key(5)]);
    put(6, 50, &["v1.0"]);
    let times = BTreeMap::from([("aaaaaa2".to_owned(), NOW - 20 * DAY), ("aaaaaa3".to_owned(), NOW - 10 * DAY)]);
    let rules = Rules {
        patterns: vec![Pattern { prefix: "api-".to_owned(), suffix: String::new(), commits: Some(2) }],
        commit_times: times,
        moving: BTreeSet::from(["latest".to_owned()]),
        images: BTreeSet::from(["api".to_owned()]),
        untagged_days: Some(1),
        min_age: 7 * DAY,
        now: NOW,
        ..Rules::default()
    };
    let verdicts = prune(&stock, &rules).verdicts;
    let untag = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let expected = [
        Verdict::Stays { why: Stays::Moving("latest".to_owned()), untag: untag(&["api-aaaaaa0"]) },
        Verdict::Goes(Why::OldCommits),
        Verdict::Stays { why: Stays::Newest("api-*".to_owned()), untag: untag(&["api-aaaaaa2"]) },
        Verdict::Stays { why: Stays::Newest("api-*".to_owned()), untag: vec![] },
        Verdict::Goes(Why::Untagged),
        Verdict::Stays { why: Stays::Young, untag: vec![] },
        Verdict::Stays { why: Stays::OtherTag("v1.0".to_owned()), untag: vec![] },
    ];
    for (number, expected) in expected.into_iter().enumerate() {
        assert_eq!(verdicts[&digest(number)], expected, "image {number}");
    }
}
