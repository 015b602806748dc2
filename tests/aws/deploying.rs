//! Functions, end to end: moto's Lambda, IAM and CloudFormation beside servers that behave as ECR and ECR Public do.

use serde_json::{Value, json};

use crate::media::{all, five_lambdas, is_read, outcomes, receipt, tag};
use crate::moto::Moto;
use crate::world::World;

#[test]
fn five_lambdas_are_made_and_then_updated() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    five_lambdas(&world);
    let planned = world.run(&["plan", "--profile", "aws"]).expect(0);
    assert!(planned.out.contains("functions: 5 to create"), "{}", planned.out);
    let before = moto.function("AiSocialMediaApiHandler");
    assert_eq!(before["message"].as_str().map(|said| said.contains("not found")), Some(true), "{before}");

    world.run(&["apply", "--profile", "aws"]).expect(0).says("functions: 5 made");
    assert_eq!(outcomes(&receipt(&world)), all("created"));
    let light = "ai-social-media-lambda-light";
    let heavy = "ai-social-media-lambda-heavy";
    let runs = |function: &str| {
        let found = moto.function(&format!("AiSocialMedia{function}"));
        found["Code"]["ImageUri"].as_str().unwrap_or_else(|| panic!("{found}")).to_owned()
    };
    let image =
        |repository: &str, digest: &str| format!("123456789012.dkr.ecr.us-east-1.amazonaws.com/{repository}@{digest}");
    assert_eq!(runs("ApiHandler"), image(light, &tag(&world, light, "api-latest")));
    assert_eq!(runs("VideoProcessor"), image(heavy, &tag(&world, heavy, "video-latest")));
    let api = moto.function("AiSocialMediaApiHandler")["Configuration"].clone();
    assert_eq!(
        (&api["Architectures"], &api["MemorySize"], &api["Timeout"]),
        (&json!(["arm64"]), &json!(256), &json!(30))
    );
    assert_eq!(api["Role"], "arn:aws:iam::123456789012:role/orchestrate/AiSocialMediaApiHandler-us-east-1");

    // A second run looks, and no more.
    world.run(&["apply", "--profile", "aws"]).expect(0).says("5 kept");
    let second = receipt(&world);
    assert_eq!(outcomes(&second), all("kept"));
    let calls: Vec<&String> =
        second["requests"].as_object().unwrap().keys().filter(|kind| kind.contains(':')).collect();
    println!("a second apply calls: {:#}", second["requests"]);
    assert!(calls.iter().all(|call| is_read(call)), "{calls:?}");
    assert_eq!(second["requests"]["lambda:GetFunction"], 5);

    // One handler changes: one function is updated.
    world.write("cmd/video-lambda/main.say", "say another\n");
    world.commit("video");
    world.run(&["apply", "--profile", "aws"]).expect(0).says("functions: 1 deployed, 4 kept");
    let third = receipt(&world);
    assert_eq!(third["requests"]["lambda:UpdateFunctionCode"], 2, "the rehearsal and the update");
    assert_eq!(runs("VideoProcessor"), image(heavy, &tag(&world, heavy, "video-latest")));
    assert_eq!(runs("ApiHandler"), image(light, &tag(&world, light, "api-latest")));

    // And back.
    world.run(&["apply", "--profile", "aws", "--rollback"]).expect(0);
    assert_eq!(runs("VideoProcessor"), image(heavy, &tag(&world, heavy, "video-latest")));
    assert_ne!(
        third["functions"].as_array().unwrap().iter().find(|one| one["image"] == "video").unwrap()["runs"],
        Value::Null
    );
}

#[test]
fn a_stack_names_the_functions() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    moto.stack("media", &[("APICrudLambda4F3A".to_owned(), "media-APICrudLambda4F3A-x1y2".to_owned())]);
    let image = "  api:\n    platforms: [linux/arm64]\n    push: { registry: private, repository: api, tags: [latest] }\n    \
        deploy:\n      - lambda: { stack: media, logical: \"APICrudLambda*\" }\n      - lambda: { stack: media, output: Name }\n";
    world.manifest(&world.registries(", create: true"), image);
    let planned = world.run(&["plan", "--json"]).expect(0);
    let plan: Value = serde_json::from_str(&planned.out).unwrap();
    assert_eq!(plan["functions"].as_array().unwrap().len(), 1, "once, though named twice: {}", plan["functions"]);
    assert_eq!(plan["functions"][0]["function"], "media-APICrudLambda4F3A-x1y2");
    assert_eq!(plan["functions"][0]["action"], "deploy");
    world.run(&["apply"]).expect(0).says("functions: 1 deployed");
    let runs = moto.function("media-APICrudLambda4F3A-x1y2")["Code"]["ImageUri"].as_str().unwrap().to_owned();
    assert!(runs.ends_with(&tag(&world, "api", "latest")), "{runs}");
}

#[test]
fn doctor_looks_at_functions() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    let image = "  api:\n    platforms: [linux/arm64]\n    push: { registry: private, repository: api, tags: [latest] }\n    \
        deploy:\n      - lambda: { function: Made, create: true }\n      - lambda: Nowhere\n";
    world.manifest(&world.registries(", create: true"), image);
    world.run(&["doctor"]).expect(3).says("there is no function `Nowhere`").says("apply will make it");
}
