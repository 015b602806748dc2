//! The examples: each is sound, and the five Lambdas are the same from the root and from their own folder.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::place::{Place, repository};

/// The root manifest and all examples, as in a clone.
fn clone() -> Place {
    let place = Place::new();
    crate::place::copy(&repository().join("examples"), &place.path("examples"));
    fs::copy(repository().join("deploy.yaml"), place.path("deploy.yaml")).unwrap();
    fs::copy(repository().join(".gitignore"), place.path(".gitignore")).unwrap();
    place.committed()
}

/// The folders that hold a manifest, the root among them.
fn folders() -> Vec<String> {
    let examples = fs::read_dir(repository().join("examples")).unwrap();
    let mut folders: Vec<String> = examples
        .map(|entry| format!("examples/{}", entry.unwrap().file_name().to_str().unwrap()))
        .filter(|folder| repository().join(folder).join("deploy.yaml").exists())
        .collect();
    folders.push(String::new());
    assert!(folders.len() >= 3, "{folders:?}");
    folders
}

#[test]
fn each_is_sound_in_every_profile() {
    let place = clone();
    for folder in folders() {
        let text = place.read(format!("{folder}/deploy.yaml").trim_start_matches('/'));
        let schema = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=");
        let schema = repository().join(&folder).join(schema.unwrap_or_else(|| panic!("{folder}: no schema in line 1")));
        assert!(schema.exists(), "{folder}: {}", schema.display());
        let profiles: &[&[&str]] =
            if text.contains("\nprofiles:") { &[&[], &["--profile", "local"], &["--profile", "aws"]] } else { &[&[]] };
        for profile in profiles {
            let run = |arguments: &[&str]| place.run_in(&folder, &[arguments, profile].concat()).exits(0);
            assert_eq!(run(&["check", "--json"]).problems(), Vec::<String>::new(), "{folder} {profile:?}");
            let plan = run(&["plan", "--offline", "--json"]);
            assert_eq!(plan.stderr, "", "{folder}");
            let plan = plan.json();
            assert!(!plan["images"].as_array().unwrap().is_empty());
            assert_eq!(plan.get("blockers"), None, "{folder} {profile:?}: {plan:#}");
        }
    }
}

/// What an image is made of and where it goes, by name.
fn images(plan: &Value) -> BTreeMap<String, Value> {
    let image = |step: &Value| {
        let destinations = step["destinations"].as_array().unwrap();
        let tags: Vec<Value> = destinations.iter().map(|place| json!([place["repository"], place["tags"]])).collect();
        (step["name"].as_str().unwrap().to_owned(), json!([step["key"], step["needs"], tags]))
    };
    plan["images"].as_array().unwrap().iter().map(image).collect()
}

#[test]
fn the_five_lambdas_are_the_same_from_the_root_and_from_their_folder() {
    let place = clone();
    for profile in [&[][..], &["--profile", "local"], &["--profile", "aws"]] {
        let at = |folder: &str, command: &[&str]| place.run_in(folder, &[command, profile].concat()).exits(0).json();
        let both = |command: &[&str]| (at("", command), at("examples/five-lambdas", command));
        let (root, own) = both(&["plan", "--offline", "--json"]);
        assert_eq!(images(&root).len(), 7);
        assert_eq!(images(&root), images(&own));
        assert_eq!((&root["project"], &root["functions"]), (&own["project"], &own["functions"]));
        let (root, own) = both(&["show", "--json"]);
        for part in ["bases", "images"] {
            for (name, image) in root[part].as_object().unwrap() {
                for field in ["args", "platforms", "push", "deploy", "groups"] {
                    assert_eq!(image[field], own[part][name][field], "{name}: {field}");
                }
            }
        }
    }
}

#[test]
fn each_readme_says_how_many_are_built() {
    let place = clone();
    for (folder, flags, count) in [
        ("examples/five-lambdas", &["--profile", "local"][..], "7 to build"),
        ("examples/base-chain", &[], "5 to build"),
    ] {
        let readme = place.read(&format!("{folder}/README.md"));
        assert!(readme.contains(&format!("# {count}")), "{folder}/README.md");
        let plan = place.run_in(folder, &[&["plan", "--offline"], flags].concat()).exits(0).stdout;
        assert!(plan.contains(count), "{folder}: {plan}");
    }
}
