//! The documentation is true: its manifests are sound, its commands exist, its links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use crate::place::{Place, repository};

/// Every Markdown file of the repository.
fn pages() -> Vec<PathBuf> {
    let (mut pages, mut folders) = (Vec::new(), vec![repository().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && !["target", "node_modules", ".git", ".orchestrate"].contains(&name.as_str()) {
                folders.push(path);
            } else if name.ends_with(".md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a text in one of these languages, each with the number of its first line.
fn blocks(text: &str, languages: &[&str]) -> Vec<(usize, String)> {
    let (mut found, mut open) = (Vec::new(), None::<(usize, bool, String)>);
    for (number, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => {
                let (start, wanted, body) = open.take().unwrap();
                if wanted {
                    found.push((start, body));
                }
            }
            (Some(language), None) => open = Some((number + 2, languages.contains(&language.trim()), String::new())),
            (None, Some((_, _, body))) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// All names of keys in a schema.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            let properties = object.get("properties").and_then(Value::as_object);
            found.extend(properties.into_iter().flat_map(|properties| properties.keys().cloned()));
            object.values().for_each(|value| keys(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_in_the_reference() {
    let (page, mut all) = (read("docs/manifest.md"), BTreeSet::new());
    let schema: Value = serde_json::from_str(&read("schema/deploy.schema.json")).unwrap();
    keys(&schema, &mut all);
    assert!(all.len() > 80, "{}", all.len());
    // In a table, and in an example.
    let examples: String = blocks(&page, &["yaml"]).into_iter().map(|(_, block)| block).collect();
    let lacking: Vec<&String> = all
        .iter()
        .filter(|key| {
            let shown = Regex::new(&format!(r"(?m)(^|[\s{{]){}:", regex::escape(key))).unwrap();
            !page.contains(&format!("`{key}`")) || !shown.is_match(&examples)
        })
        .collect();
    assert!(lacking.is_empty(), "not described, or in no example of docs/manifest.md: {lacking:?}");
}

#[test]
fn every_helper_is_in_the_reference() {
    let place = Place::with_manifest("version: 1\nproject: p\nimages: { a: { target: '{{nope 1}}' } }\n");
    let problems = place.run(&["check", "--json"]).exits(2).json();
    let help = problems["problems"][0]["help"].as_str().unwrap().to_owned();
    let helpers: Vec<&str> = help.strip_prefix("the helpers are: ").unwrap().split(", ").collect();
    assert!(helpers.len() > 15);
    let page = read("docs/manifest.md");
    for helper in helpers {
        let shown = page.contains(&format!("`{helper}`")) || page.contains(&format!("`{helper} "));
        assert!(shown, "the helper `{helper}` is not in docs/manifest.md");
    }
}

/// A Dockerfile that uses each arg, and each image named in an arg, of the images that are made by it.
fn dockerfile(images: &[&Value]) -> String {
    let (mut references, mut args, mut targets) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for image in images {
        for (name, value) in image["args"].as_object().into_iter().flatten() {
            if value.to_string().contains("{{ref") {
                references.insert(name)
            } else {
                args.insert(name)
            };
        }
        targets.extend(image["target"].as_str().filter(|target| !target.is_empty()));
    }
    let mut text: String = references.iter().map(|name| format!("ARG {name}=scratch\n")).collect();
    for name in &references {
        text.push_str(&format!("FROM ${{{name}}} AS of_{}\n", name.to_lowercase()));
    }
    for target in targets.into_iter().chain(["last"]) {
        text.push_str(&format!("FROM scratch AS {target}\n"));
        text.extend(args.iter().map(|name| format!("ARG {name}\n")));
        text.extend(references.iter().map(|name| format!("COPY --from=of_{} / /\n", name.to_lowercase())));
        text.push_str("COPY . .\n");
    }
    text
}

/// A manifest with the files that it names.
fn place_of(manifest: &str) -> Place {
    let place = Place::new()
        .file("deploy.yaml", manifest)
        .file("versions.env", "GO=1.24\n")
        .file("VERSION", "1.24\n")
        .file("matrix.yaml", "- name: one\n- name: two\n")
        .file("services/mail/Dockerfile", "FROM scratch\n")
        .committed();
    let shown = place.run(&["show", "--json"]);
    if shown.code != Some(0) {
        return place;
    }
    let shown = shown.json();
    let images: Vec<&Value> =
        ["bases", "images"].iter().filter_map(|part| shown[*part].as_object()).flat_map(|map| map.values()).collect();
    for image in &images {
        let path = image["dockerfile"].as_str().unwrap();
        let same: Vec<&Value> =
            images.iter().filter(|other| other["dockerfile"] == image["dockerfile"]).copied().collect();
        place.write(path, &dockerfile(&same));
    }
    place
}

#[test]
fn every_manifest_is_sound() {
    let tops = Regex::new(
        r"^(#.*\n)*(version|project|registries|defaults|bases|variants|images|vars|env|profiles|outside|x-\w+):",
    )
    .unwrap();
    let (mut checked, mut wrong) = (0, Vec::new());
    for page in pages() {
        let shown = page.strip_prefix(repository()).unwrap().display().to_string();
        // Those show what is wrong.
        if shown.starts_with("docs/problems") {
            continue;
        }
        for (line, block) in blocks(&fs::read_to_string(&page).unwrap(), &["yaml", "yml"]) {
            if !tops.is_match(&block) {
                continue;
            }
            let whole = block.lines().any(|line| line.starts_with("version:"));
            let manifest = if whole { block } else { format!("version: 1\nproject: docs\n{block}") };
            let ran = place_of(&manifest).run(&["check", "--json"]);
            let problems = ran.problems();
            // The files beside a manifest are not on its page.
            let absent = [
                "generated-missing",
                "missing-context",
                "missing-package",
                "source-missing",
                "matches-nothing",
                // The Dockerfiles of this test copy whole contexts.
                "manifest-in-context",
            ];
            if problems.iter().any(|problem| !absent.iter().any(|code| problem.starts_with(code))) {
                wrong.push(format!("{shown}:{line}:\n{}", ran.stdout));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 15, "only {checked} manifests were found");
}

/// The long flags of a command, as its help lists them.
fn flags(help: &str) -> Vec<String> {
    let flag = Regex::new(r"(?m)^ +(?:-\w, )?(--[a-z-]+)").unwrap();
    flag.captures_iter(help).map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_command_and_every_flag_is_described() {
    let page = read("docs/commands.md");
    let place = Place::new();
    let help = place.run(&["-h"]).stdout;
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let first = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands: Vec<&str> = first.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 8);
    let mut lacking = Vec::new();
    let common = page.split("\n## ").nth(1).unwrap();
    for command in commands {
        let section = page.split("\n## ").find(|section| section.starts_with(&format!("{command}\n")));
        let Some(section) = section else {
            lacking.push(command.to_owned());
            continue;
        };
        if !section.contains(&format!("\norchestrate {command}")) {
            lacking.push(format!("{command}: an example"));
        }
        for flag in flags(&place.run(&[command, "-h"]).stdout) {
            let named = |text: &str| text.contains(&format!("`{flag}`")) || text.contains(&format!("`{flag} "));
            if !named(section) && !named(common) {
                lacking.push(format!("{command} {flag}"));
            }
        }
    }
    assert!(lacking.is_empty(), "docs/commands.md lacks {lacking:?}");
}

#[test]
fn every_command_line_is_understood() {
    let place = Place::new();
    let (mut checked, mut wrong) = (0, Vec::new());
    for page in pages() {
        for (line, block) in blocks(&fs::read_to_string(&page).unwrap(), &["sh", "console"]) {
            for command in block.lines().filter_map(|line| line.trim_start_matches("$ ").strip_prefix("orchestrate ")) {
                let command =
                    command.split(" #").next().unwrap().split(" && ").next().unwrap().split(" > ").next().unwrap();
                let words = shell_words::split(command).unwrap();
                let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
                // Flags that are not known are refused before the help is shown. What follows `--` is for another program.
                arguments.truncate(arguments.iter().position(|word| *word == "--").unwrap_or(arguments.len()));
                arguments.push("--help");
                let ran = place.run(&arguments);
                if ran.code != Some(0) {
                    wrong.push(format!("{}:{line}: {command}\n{}", page.display(), ran.stderr));
                }
                checked += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 15, "only {checked} command lines were found");
}

/// The anchors of a page, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let (mut checked, mut broken) = (0, Vec::new());
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { page.clone() } else { page.parent().unwrap_or(Path::new("")).join(path) };
            let there = file.exists()
                && (anchor.is_empty() || fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor)));
            if !there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(checked > 20, "only {checked} links were found");
}
