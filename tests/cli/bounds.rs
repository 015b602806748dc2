//! Documents that expand without bound are refused at once, with little memory.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::place::{Place, output_within};

/// Kilobytes of address space: far more than any of these needs, far less than what they would expand to.
const MEMORY: u64 = 1_500_000;

/// Runs `check --json` within bounds and gives the codes of its problems.
fn codes(place: &Place, arguments: &[&str]) -> Vec<String> {
    let program = place.command(arguments);
    let mut bounded = Command::new("sh");
    bounded.args(["-c", &format!("ulimit -v {MEMORY} && exec \"$0\" \"$@\"")]).arg(program.get_program());
    bounded.args(program.get_args()).current_dir(program.get_current_dir().unwrap()).env_clear();
    bounded.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = output_within(bounded, Duration::from_secs(10)).expect("refused within ten seconds");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let problems = json["problems"].as_array().unwrap();
    problems.iter().map(|problem| problem["code"].as_str().unwrap().to_owned()).collect()
}

fn check(manifest: &str) -> Vec<String> {
    codes(&Place::with_manifest(manifest), &["check", "--json"])
}

/// Twenty lists, each ten times the one before.
fn aliases(form: &dyn Fn(usize, &str) -> String) -> String {
    let mut text = "version: 1\nproject: p\nx-0: &a0 { k: x }\n".to_owned();
    for level in 1..20 {
        let _ = writeln!(text, "x-{level}: &a{level} {}", form(level, &format!("*a{}", level - 1)));
    }
    text + "images: {}\n"
}

#[test]
fn aliases_in_lists_and_maps() {
    assert_eq!(check(&aliases(&|_, alias| format!("[{}]", [alias; 10].join(", ")))), ["yaml-too-large"]);
    let map = |_: usize, alias: &str| {
        let pairs: Vec<String> = (0..10).map(|index| format!("k{index}: {alias}")).collect();
        format!("{{ {} }}", pairs.join(", "))
    };
    assert_eq!(check(&aliases(&map)), ["yaml-too-large"]);
}

#[test]
fn nesting() {
    let text = format!("version: 1\nproject: p\nx-a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(check(&text)[0].starts_with("yaml-"));
    let text = format!("version: 1\nproject: p\nx-a: {}\n", "{ a: ".repeat(50_000));
    assert!(check(&text)[0].starts_with("yaml-"));
}

#[test]
fn the_product_of_a_matrix() {
    let axis =
        |name: char| format!("      {name}: [{}]\n", (0..60).map(|n| n.to_string()).collect::<Vec<_>>().join(", "));
    let axes: String = ('a'..='h').map(axis).collect();
    let name = ('a'..='h').map(|axis| format!("{{{{matrix.{axis}}}}}")).collect::<Vec<_>>().join("-");
    let text = format!("version: 1\nproject: p\nimages:\n  i:\n    matrix:\n{axes}    name: \"{name}\"\n");
    assert_eq!(check(&text), ["yaml-too-large"]);
    let excluded = format!("{text}    args: {{}}\n").replace("      a:", "      exclude: [{ a: 1 }]\n      a:");
    assert_eq!(check(&excluded), ["yaml-too-large"]);
}

#[test]
fn a_matrix_of_long_lists() {
    let list = "[{{vars.l}}]".replace("[{{vars.l}}]", "\"{{vars.l}}\"");
    let values = (0..5000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let text = format!(
        "version: 1\nproject: p\nvars: {{ l: [{values}] }}\nimages:\n  i:\n    matrix: {{ a: {list}, b: {list}, c: {list} }}\n    name: 'x-{{{{matrix.a}}}}-{{{{matrix.b}}}}-{{{{matrix.c}}}}'\n"
    );
    assert_eq!(check(&text), ["yaml-too-large"]);
}

/// Each var is ten times the one before.
fn doubling(levels: usize, use_it: &str) -> String {
    let mut text = "version: 1\nproject: p\nvars:\n  v0: xxxxxxxxxx\n".to_owned();
    for level in 1..=levels {
        let _ = writeln!(text, "  v{level}: \"{}\"", format!("{{{{vars.v{}}}}}", level - 1).repeat(10));
    }
    text + &format!("images:\n  i: {{ {use_it} }}\n")
}

#[test]
fn templates_that_grow() {
    let codes = check(&doubling(12, "args: { A: '{{vars.v12}}' }"));
    assert!(codes.contains(&"yaml-too-large".to_owned()) || codes.contains(&"bad-template".to_owned()), "{codes:?}");
}

#[test]
fn args_that_grow() {
    let mut text = "version: 1\nproject: p\nimages:\n  i:\n    args:\n      A0: xxxxxxxxxx\n".to_owned();
    for level in 1..=12 {
        let _ = writeln!(text, "      A{level}: \"{}\"", format!("{{{{args.A{}}}}}", level - 1).repeat(10));
    }
    let codes = check(&text);
    assert!(codes.contains(&"yaml-too-large".to_owned()) || codes.contains(&"bad-template".to_owned()), "{codes:?}");
}

#[test]
fn a_template_in_a_loop() {
    let each = "{{#each vars.l}}".repeat(8) + "x" + &"{{/each}}".repeat(8);
    let list = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let text =
        format!("version: 1\nproject: p\nvars: {{ l: [{list}] }}\nimages:\n  i: {{ args: {{ A: \"{each}\" }} }}\n");
    let codes = check(&text);
    assert!(codes.iter().all(|code| code == "bad-template" || code == "yaml-too-large"), "{codes:?}");
}

#[test]
fn a_file_without_end() {
    let place = Place::with_manifest("version: 1\nproject: p\nimages: {}\n");
    let file = std::fs::File::create(place.path("deploy.yaml")).unwrap();
    file.set_len(3_000_000_000).unwrap();
    let program = place.command(&["check"]);
    let mut bounded = Command::new("sh");
    bounded.args(["-c", &format!("ulimit -v {MEMORY} && exec \"$0\" check")]).arg(program.get_program());
    bounded.current_dir(place.path(""));
    let output = output_within(bounded, Duration::from_secs(10)).expect("refused within ten seconds");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
