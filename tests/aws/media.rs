//! The example with five Lambdas, and what is asked of a run of it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::World;

/// The example in `world`, as it stands.
pub fn as_it_stands(world: &World) {
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/five-lambdas")), world.root());
    world.commit("five lambdas");
}

/// The five Lambdas of the examples in `world`, for its registries. Their handlers are copied instead of compiled, so that no engine is
/// needed: what is built by whom is not what is tested here.
pub fn five_lambdas(world: &World) {
    as_it_stands(world);
    let manifest = fs::read_to_string(world.root().join("deploy.yaml")).unwrap();
    let private = format!("kind: ecr\n        url: \"{}\"\n", world.private("123456789012/us-east-1"));
    let public = format!("kind: ecr-public\n        url: \"{}\"\n", world.public());
    let here = manifest.replace("kind: ecr\n", &private).replace("kind: ecr-public\n", &public);
    assert_ne!(here, manifest);
    world.write("deploy.yaml", &here);
    for recipe in ["light", "heavy"] {
        let path = format!("cmd/media-lambda/Dockerfile.{recipe}");
        let text = fs::read_to_string(world.root().join(&path)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("RUN ")).collect();
        world.write(&path, &lines.join("\n").replace("--from=builder /handler", "--from=builder /src/main.say"));
    }
    world.commit("five lambdas");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            if entry.file_name() != ".orchestrate" {
                copy(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The receipt of the last run.
pub fn receipt(world: &World) -> Value {
    serde_json::from_slice(&fs::read(world.root().join(".orchestrate/receipt.json")).unwrap()).unwrap()
}

/// Functions and what became of each, sorted.
pub fn outcomes(receipt: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let functions = receipt["functions"].as_array().unwrap();
    let mut all: Vec<_> = functions.iter().map(|one| (text(&one["function"]), text(&one["outcome"]))).collect();
    all.sort();
    all
}

const FIVE: [&str; 5] =
    ["ApiHandler", "EnhancementProcessor", "SelectionProcessor", "ThumbnailProcessor", "VideoProcessor"];

/// This outcome for all five.
pub fn all(outcome: &str) -> Vec<(String, String)> {
    FIVE.iter().map(|name| (format!("AiSocialMedia{name}"), outcome.to_owned())).collect()
}

/// The digest that a tag of the private registry points at.
pub fn tag(world: &World, repository: &str, tag: &str) -> String {
    let found = &world.repository(&format!("123456789012/us-east-1:{repository}"))["tags"][tag];
    found.as_str().unwrap_or_else(|| panic!("{repository}:{tag}")).to_owned()
}

/// Whether a call of AWS's only reads.
pub fn is_read(call: &str) -> bool {
    let operation = call.split_once(':').map_or(call, |(_, operation)| operation);
    ["Get", "GET", "Describe", "List", "BatchGet", "BatchCheck"].iter().any(|read| operation.starts_with(read))
}
