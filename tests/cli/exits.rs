//! Each exit code of docs/exit-codes.md is given by some command.

use std::collections::BTreeMap;
use std::fs;

use crate::place::{Place, repository, snapshot};
use crate::published::{damage, publish, shop};

#[test]
fn the_table_names_each_code_once() {
    let page = fs::read_to_string(repository().join("docs/exit-codes.md")).unwrap();
    let codes: Vec<u8> =
        page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 70, 130]);
    let help = Place::new().run(&["--help"]).stdout;
    for code in codes.iter().filter(|code| **code != 70) {
        assert!(help.contains(&format!("{code} ")), "{code} is not in the help");
    }
}

#[test]
fn zero_and_five_nothing_to_do_and_changes() {
    let place = shop();
    publish(&place);
    let before = place.run(&["plan", "--exit-code"]).exits(5);
    let plan = place.run(&["plan"]).exits(0);
    let applied = place.run(&["apply"]).exits(0);
    let after = place.run(&["plan", "--exit-code"]).exits(0);
    snapshot!(before, plan, applied, after, place.run(&["apply"]).exits(0));
}

#[test]
fn one_something_failed() {
    let place = shop();
    damage(&place, "api", publish(&place));
    snapshot!(place.run(&["apply"]).exits(1), place.run(&["apply", "--quiet"]).exits(1));
    let receipt: serde_json::Value = serde_json::from_str(&place.read(".orchestrate/receipt.json")).unwrap();
    assert_eq!(receipt["outcome"], "failed");
}

#[test]
fn three_the_surroundings() {
    let place = shop();
    snapshot!(place.run(&["apply", "--buildkit", "unix:///nowhere/buildkit.sock"]).exits(3));
    assert!(!place.path(".orchestrate/images").exists(), "nothing was touched");
    let text = place
        .read("deploy.yaml")
        .replace("kind: layout, path: .orchestrate/images", "kind: oci, url: 'http://127.0.0.1:9'");
    place.write("deploy.yaml", &text);
    snapshot!(place.run(&["plan"]).exits(3));
}

#[test]
fn four_a_stale_plan() {
    let place = shop();
    publish(&place);
    place.run(&["plan", "--out", "saved.plan"]).exits(0);
    let text = place.read("Dockerfile");
    place.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let stale = place.run(&["apply", "saved.plan"]).exits(4);
    place.write("Dockerfile", &text);
    snapshot!(stale, place.run(&["apply", "saved.plan"]).exits(0));
}

/// Every row of the table in the page, by code.
#[test]
fn the_help_and_the_page_say_the_same() {
    let page = fs::read_to_string(repository().join("docs/exit-codes.md")).unwrap();
    let rows: BTreeMap<&str, &str> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            Some((cells.next()?, cells.next()?))
        })
        .collect();
    for (code, words) in
        [("0", "done"), ("1", "failed"), ("2", "is wrong"), ("3", "daemon"), ("4", "stale"), ("5", "changes")]
    {
        assert!(rows[code].contains(words), "{code}: {}", rows[code]);
    }
}
