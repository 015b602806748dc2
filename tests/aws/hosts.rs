//! AWS at its own names, with TLS by an authority of its own, an engine that builds and pulls there, and moto behind: nothing is told to the
//! program but what a user tells it, and Docker's own client does the same first.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::engine::Engine;
use crate::media::{all, as_it_stands, is_read, outcomes, receipt, tag};
use crate::moto::Moto;
use crate::real;
use crate::world::World;

const PRIVATE: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const PUBLIC: &str = "public.ecr.aws";

/// `None`, and said so, where the servers of the tests are missing or we may not give names to addresses.
fn world(test: &str, moto: &Moto) -> Option<(World, Engine)> {
    real::real(test)?;
    let id = std::process::Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        real::skip(test, "only root can give the names of AWS to addresses of this machine");
        return None;
    }
    let mut world = World::at_its_own_names(&moto.url);
    let engine = Engine::start(&mut world);
    Some((world, engine))
}

/// Whether docker did it, and what it said.
fn docker(world: &World, engine: &Engine, arguments: &[&str]) -> (bool, String) {
    let output = engine.docker(world, arguments);
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn log_in(world: &World, engine: &Engine, host: &str, password: &str) {
    let mut command = engine.client(world);
    let mut login = command
        .args(["login", "--username", "AWS", "--password-stdin", host])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    login.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = login.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn docker_and_buildx_take_it_for_ecr() {
    let test = "docker_and_buildx_take_it_for_ecr";
    let moto = Moto::start();
    let Some((world, engine)) = world(test, &moto) else { return };
    let run = |arguments: &[&str]| docker(&world, &engine, arguments);
    let done = |arguments: &[&str]| {
        let (done, said) = run(arguments);
        assert!(done, "{arguments:?}: {said}");
    };
    let refused = |arguments: &[&str], part: &str| {
        let (done, said) = run(arguments);
        assert!(!done && said.contains(part), "{arguments:?}: {said}");
    };
    let app = &format!("{PRIVATE}/team/app:one");
    done(&["buildx", "build", "--provenance=false", "--load", "-t", app, "."]);
    refused(&["push", app], "no basic auth credentials");
    log_in(&world, &engine, PRIVATE, &world.token(false));
    refused(&["push", app], "404 Not Found");
    world.post(
        "create",
        &json!({ "registry": "123456789012/us-east-1", "name": "team/app", "mutability": "IMMUTABLE" }),
    );
    done(&["push", app]);
    done(&["image", "rm", app]);
    done(&["pull", app]);
    // buildx pushes by itself, and pulls its base.
    world.write("Dockerfile.next", &format!("FROM {app}\nCOPY a.txt /b.txt\n"));
    let next = &format!("{PRIVATE}/team/app:two");
    let build =
        |tag: &str| run(&["buildx", "build", "--provenance=false", "--push", "-f", "Dockerfile.next", "-t", tag, "."]);
    let (built, said) = build(next);
    assert!(built, "{said}");
    world.write("a.txt", "other");
    let (built, said) = build(next);
    assert!(!built && said.contains("400 Bad Request"), "the tag is immutable: {said}");
    world.set(&json!({ "expire_tokens": true }));
    // Its HEAD gets no words.
    refused(&["pull", next], "403 Forbidden");

    let app = &format!("{PUBLIC}/a1b2c3d4/app:one");
    world.post("create", &json!({ "registry": "public", "name": "app" }));
    done(&["buildx", "build", "--provenance=false", "--load", "-t", app, "."]);
    log_in(&world, &engine, PUBLIC, &world.token(true));
    done(&["push", app]);
    done(&["image", "rm", app]);
    world.set(&json!({ "expire_tokens": true }));
    refused(&["pull", app], "403 Forbidden");
    done(&["logout", PUBLIC]);
    done(&["pull", app]);
}

#[test]
fn five_lambdas_end_to_end() {
    let moto = Moto::start();
    let Some((world, _engine)) = world("five_lambdas_end_to_end", &moto) else { return };
    as_it_stands(&world);
    world.run(&["doctor", "--profile", "aws"]).expect(0);
    let planned = world.run(&["plan", "--profile", "aws"]).expect(0);
    assert!(
        planned.out.contains("plan: 7 to build") && planned.out.contains("functions: 5 to create"),
        "{}",
        planned.out
    );
    assert_eq!(world.ask("state"), json!({}), "a plan makes nothing");

    // Every login ends after two seconds: the run needs many, and so do the builds, for their bases.
    world.set(&json!({ "token_life": 2, "clear_log": true }));
    world.run(&["apply", "--profile", "aws"]).expect(0).says("7 built").says("functions: 5 made");
    let logins = world.calls().iter().filter(|call| *call == "ecr:GetAuthorizationToken").count();
    assert!(logins > 1, "{logins}");
    assert_eq!(outcomes(&receipt(&world)), all("created"));
    let state = world.ask("state");
    let repositories: Vec<&String> = state.as_object().unwrap().keys().collect();
    assert_eq!(repositories.len(), 8, "{repositories:?}");
    for (name, repository) in state.as_object().unwrap() {
        if name.starts_with("public:") {
            assert_eq!(repository["catalog"]["description"], "The media Lambdas", "{name}");
            continue;
        }
        assert_eq!(repository["scan"], true, "{name}");
        assert!(repository["lifecycle"].as_str().unwrap().contains("\"countNumber\":14"), "{name}: {repository}");
        let deploys = name.contains("ai-social-media-lambda");
        assert_eq!(repository["policy"].to_string().contains("lambda.amazonaws.com"), deploys, "{name}");
    }
    let (light, heavy) = ("ai-social-media-lambda-light", "ai-social-media-lambda-heavy");
    let runs = |function: &str| {
        let found = moto.function(&format!("AiSocialMedia{function}"));
        found["Code"]["ImageUri"].as_str().unwrap_or_else(|| panic!("{found}")).to_owned()
    };
    let image = |repository: &str, name: &str| format!("{PRIVATE}/{repository}@{}", tag(&world, repository, name));
    assert_eq!(runs("ApiHandler"), image(light, "api-latest"));
    assert_eq!(runs("VideoProcessor"), image(heavy, "video-latest"));
    // What is open is in both registries, the same; what is not is in one.
    let public = |repository: &str| world.repository(&format!("public:{repository}"))["tags"].clone();
    assert_eq!(public("lambda-heavy")["video-latest"], tag(&world, heavy, "video-latest"));
    assert_eq!(public("lambda-heavy")["select-latest"], Value::Null);
    assert_eq!(public("lambda-light")["api-latest"], Value::Null);

    // A second run, on a machine that has nothing of the first, looks and no more.
    std::fs::remove_dir_all(world.root().join(".orchestrate")).unwrap();
    world.clear();
    world.run(&["apply", "--profile", "aws"]).expect(0).says("7 kept").says("5 kept");
    let second = receipt(&world);
    assert_eq!(outcomes(&second), all("kept"));
    println!("a second apply calls: {:#}", second["requests"]);
    let requests = second["requests"].as_object().unwrap();
    let calls: Vec<&String> = requests.keys().filter(|kind| kind.contains(':')).collect();
    assert!(!calls.is_empty() && calls.iter().all(|call| is_read(call)), "{calls:?}");
    let sent = world.requests();
    let writes: Vec<_> =
        sent.iter().filter(|(_, what)| !what.starts_with("GET ") && !what.starts_with("HEAD ")).collect();
    assert!(writes.is_empty(), "{writes:?}");

    // One handler changes: one function is updated, and no other is touched.
    let others = ["ApiHandler", "EnhancementProcessor", "SelectionProcessor", "ThumbnailProcessor"].map(runs);
    world.write("cmd/video-lambda/main.say", "#!/bin/say\nsay another\n");
    world.commit("video");
    world.run(&["apply", "--profile", "aws"]).expect(0).says("1 built").says("functions: 1 deployed, 4 kept");
    assert_eq!(receipt(&world)["requests"]["lambda:UpdateFunctionCode"], 2, "the rehearsal and the update");
    assert_eq!(runs("VideoProcessor"), image(heavy, "video-latest"));
    assert_eq!(["ApiHandler", "EnhancementProcessor", "SelectionProcessor", "ThumbnailProcessor"].map(runs), others);
}
