//! AgentCore runtimes.

use serde_json::{Value, json};

use crate::media::{is_read, outcomes, receipt, tag};
use crate::moto::Moto;
use crate::world::World;

fn manifest(world: &World, platform: &str, deploy: &str) {
    let image = format!(
        "  agent:\n    platforms: [{platform}]\n    push: {{ registry: private, repository: agent, tags: [\"c-{{{{git.short}}}}\", latest] }}\n    \
         deploy: {deploy}\n"
    );
    world.manifest(&world.registries(", create: true, retain: { commits: 1, untagged_days: 0, min_age: 1s }"), &image);
}

/// What the service says of a runtime.
fn seen(moto: &Moto, id: &str) -> Value {
    let script = format!(
        "import boto3, json\nfound = boto3.client('bedrock-agentcore-control').get_agent_runtime(agentRuntimeId='{id}')\n\
         print(json.dumps({{'image': found['agentRuntimeArtifact']['containerConfiguration']['containerUri'], \
         'role': found['roleArn'], 'env': found['environmentVariables'], 'network': found['networkConfiguration'], \
         'version': found['agentRuntimeVersion']}}), end='')\n"
    );
    serde_json::from_str(&moto.python(&script)).unwrap()
}

#[test]
fn a_runtime_is_given_its_image_waited_for_and_kept_by_prune() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    let id = moto.runtime("media_agent");
    manifest(&world, "linux/amd64", "{ agentcore: media_agent }");
    world.run(&["check"]).expect(2).says("AgentCore runs linux/arm64 alone");

    manifest(&world, "linux/arm64", "{ agentcore: media_agent }");
    world.run(&["plan"]).expect(0).says("functions: 1 to deploy");
    world.clear();
    world.run(&["apply"]).expect(0).says("functions: 1 deployed");
    assert_eq!(outcomes(&receipt(&world)), [("media_agent".to_owned(), "deployed".to_owned())]);
    let digest = tag(&world, "agent", "latest");
    let found = seen(&moto, &id);
    assert!(found["image"].as_str().unwrap().ends_with(&digest), "{found}");
    assert_eq!(found["version"], "2");
    assert_eq!((&found["env"], &found["network"]["networkMode"]), (&json!({ "STAGE": "live" }), &json!("PUBLIC")));
    assert_eq!(found["role"], "arn:aws:iam::123456789012:role/agent", "an update replaces all, so all was sent back");
    let calls = world.calls();
    let sent = calls.iter().position(|call| call == "bedrock-agentcore:UpdateAgentRuntime").unwrap();
    let waited = calls[sent..].iter().filter(|call| *call == "bedrock-agentcore:GetAgentRuntime").count();
    assert!(waited >= 3, "twice it was updating, then ready: {calls:?}");

    world.clear();
    world.run(&["apply"]).expect(0).says("1 kept");
    assert!(world.calls().iter().all(|call| is_read(call)), "{:?}", world.calls());

    // Newer images come, and nobody deploys them any more: what runs stays.
    for content in ["two", "three"] {
        world.write("a.txt", content);
        manifest(&world, "linux/arm64", "[]");
        world.run(&["apply"]).expect(0);
    }
    let between = tag(&world, "agent", "latest");
    world.write("a.txt", "four");
    manifest(&world, "linux/arm64", "[]");
    world.run(&["apply"]).expect(0);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    world.run(&["prune", "--yes"]).expect(0);
    let left = world.repository("123456789012/us-east-1:agent")["tags"].to_string();
    assert!(left.contains(&digest), "it runs: {left}");
    assert!(!left.contains(&between), "nothing runs it: {left}");
}
