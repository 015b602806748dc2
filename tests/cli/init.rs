//! `orchestrate init` on repositories of several shapes: what it writes is sound, and can be planned.

use std::fs;

use boon::{Compiler, Schemas};
use serde_json::Value;

use crate::place::{Place, snapshot};

/// Runs `init`, holds its file against the schema, checks it, and gives it with the plan that is made of it.
fn init(place: &Place) -> (String, Value) {
    let ran = place.run(&["init"]).exits(0);
    assert_eq!(ran.stdout, "");
    let text = place.read("deploy.yaml");
    assert!(text.starts_with("# yaml-language-server: $schema=.orchestrate/deploy.schema.json\n"), "{text}");
    assert_eq!(place.read(".orchestrate/deploy.schema.json"), place.run(&["schema"]).exits(0).stdout);
    let value: Value = serde_yaml::from_str(&text).unwrap();
    let schema: Value = serde_json::from_str(&place.read(".orchestrate/deploy.schema.json")).unwrap();
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("deploy.json", schema).unwrap();
    let index = compiler.compile("deploy.json", &mut schemas).unwrap();
    if let Err(error) = schemas.validate(&value, index) {
        panic!("{error:#}\n{text}");
    }
    let check = place.run(&["check", "--json"]);
    assert_eq!(check.problems(), Vec::<String>::new(), "{text}");
    let plan = place.run(&["plan", "--offline", "--json"]).exits(0).json();
    (text, plan)
}

/// The images of a plan, each with what it builds on.
fn images(plan: &Value) -> Vec<String> {
    let one = |step: &Value| {
        let needs: Vec<&str> = step["needs"].as_array().unwrap().iter().map(|need| need.as_str().unwrap()).collect();
        format!("{} <- {}", step["name"].as_str().unwrap(), needs.join(", ")).trim_end_matches(" <- ").to_owned()
    };
    plan["images"].as_array().unwrap().iter().map(one).collect()
}

/// Compares a manifest with the snapshot of the test.
macro_rules! shown {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($text);
        });
    };
}

#[test]
fn one_dockerfile_at_the_root() {
    let place = Place::new()
        .file(
            "Dockerfile",
            "FROM scratch AS build\nCOPY . /src\nFROM scratch\nARG PORT=8080\nCOPY --from=build /src /app\n",
        )
        .file("main.txt", "x\n")
        .committed();
    let (text, plan) = init(&place);
    assert_eq!(images(&plan), ["work"]);
    shown!(text);
}

#[test]
fn services_with_contexts_of_their_own_and_of_the_root() {
    let place = Place::new()
        .file("services/api/Dockerfile", "FROM scratch\nCOPY main.txt /\n")
        .file("services/api/main.txt", "api\n")
        .file("services/web/Dockerfile", "FROM scratch\nCOPY services/web/page.txt shared/ /\n")
        .file("services/web/page.txt", "web\n")
        .file("shared/text", "shared\n")
        .file("docker/tools.Dockerfile", "FROM scratch\nCOPY . .\n")
        .file("node_modules/left-pad/Dockerfile", "FROM scratch\n")
        .committed();
    let (text, plan) = init(&place);
    assert_eq!(images(&plan), ["tools", "api", "web"]);
    shown!(text);
}

#[test]
fn bases_by_name_by_reference_and_by_arg() {
    let place = Place::new()
        .file("base/Dockerfile", "FROM scratch\nCOPY text /\n")
        .file("base/text", "base\n")
        .file("media-tools/Dockerfile", "FROM base\nCOPY tool /\n")
        .file("media-tools/tool", "tool\n")
        .file("api/Dockerfile", "ARG MEDIA_TOOLS_IMAGE\nFROM ${MEDIA_TOOLS_IMAGE}\nCOPY main /\n")
        .file("api/main", "api\n")
        .file(
            "web/Dockerfile",
            "FROM ghcr.io/acme/base:1.4\nCOPY main /\nCOPY --from=registry.example/acme/media-tools:2 /tool /\n",
        )
        .file("web/main", "web\n")
        .committed();
    let (text, plan) = init(&place);
    assert_eq!(images(&plan), ["base", "media-tools <- base", "api <- media-tools", "web <- base, media-tools"]);
    shown!(text);
}

#[test]
fn handlers_of_two_dockerfiles() {
    let place = Place::copy_of("examples/five-lambdas");
    fs::remove_file(place.path("deploy.yaml")).unwrap();
    let (text, plan) = init(&place.committed());
    let made = images(&plan);
    for handler in ["media-lambda", "enhance-lambda", "thumbnail-lambda", "selection-lambda", "video-lambda"] {
        assert!(
            made.contains(&format!("{handler} <- runtime, media-tools"))
                || made.contains(&format!("{handler} <- media-tools, runtime")),
            "{made:?}"
        );
    }
    shown!(text);
}

#[test]
fn a_chain_of_bases() {
    let place = Place::copy_of("examples/base-chain");
    fs::remove_file(place.path("deploy.yaml")).unwrap();
    let (text, plan) = init(&place.committed());
    assert_eq!(
        images(&plan),
        [
            "receipt_dynamo",
            "receipt_label <- receipt_dynamo",
            "create-labels <- receipt_dynamo",
            "list-receipts <- receipt_dynamo",
            "upload-images <- receipt_dynamo"
        ]
    );
    shown!(text);
}

#[test]
fn one_variant_whose_run_chooses_the_handler() {
    let place = Place::new()
        .file(
            "build/Dockerfile",
            "FROM scratch AS build\nARG CMD_TARGET\nCOPY . /src\nRUN go build -o /out /src/cmd/${CMD_TARGET}\nFROM scratch\nCOPY --from=build /out /\n",
        )
        .file("cmd/api/main.go", "package main\n")
        .file("cmd/worker/main.go", "package main\n")
        .file("cmd/README", "not a handler\n")
        .committed();
    let (text, plan) = init(&place);
    assert_eq!(images(&plan), ["api", "worker"]);
    shown!(text);
}

#[test]
fn nothing_is_overwritten_and_nothing_is_made_of_nothing() {
    let place = Place::new();
    let nothing = place.run(&["init"]).exits(2);
    assert!(!place.path("deploy.yaml").exists() && !place.path(".orchestrate").exists());
    place.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    place.write("broken/Dockerfile", "FORM scratch\n");
    let written = place.run(&["init"]).exits(0);
    place.write("deploy.yaml", "mine\n");
    let refused = place.run(&["init"]).exits(2);
    assert_eq!(place.read("deploy.yaml"), "mine\n");
    let other = place.run(&["init", "-f", "other.yaml", "--json"]).exits(0);
    place.run(&["check", "-f", "other.yaml"]).exits(0);
    snapshot!(nothing, written, refused, other);
}
