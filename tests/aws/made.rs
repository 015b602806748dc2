//! Functions that are made: their addresses, and runs that do not get to the end of it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::media::{is_read, outcomes, receipt};
use crate::moto::Moto;
use crate::world::World;

fn shop(create: &str) -> (Moto, World) {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    let image = format!(
        "  api:\n    platforms: [linux/arm64]\n    push: {{ registry: private, repository: api, tags: [latest] }}\n    \
         deploy: {{ lambda: {{ function: Api, publish: true, create: {create} }} }}\n"
    );
    world.manifest(&world.registries(", create: true"), &image);
    (moto, world)
}

/// A second run changes nothing and makes nothing.
fn settled(world: &World) {
    world.run(&["plan", "--exit-code"]).expect(0);
    world.clear();
    world.run(&["apply"]).expect(0).says("1 kept");
    assert!(world.calls().iter().all(|call| is_read(call)), "{:?}", world.calls());
}

/// What Lambda says of the function's tags, versions and policy.
fn state(moto: &Moto) -> Value {
    let script = "import boto3, json\nclient = boto3.client('lambda')\nfound = client.get_function(FunctionName='Api')\n\
        versions = [one['Version'] for one in client.list_versions_by_function(FunctionName='Api')['Versions']]\n\
        policy = json.loads(client.get_policy(FunctionName='Api')['Policy'])\n\
        apis = boto3.client('apigatewayv2').get_apis()['Items']\n\
        print(json.dumps({'tags': found.get('Tags', {}), 'versions': versions, 'statements': policy['Statement'], \
        'apis': [api['Name'] for api in apis]}), end='')\n";
    serde_json::from_str(&moto.python(script)).unwrap()
}

fn statements(state: &Value) -> Vec<&str> {
    let statements = state["statements"].as_array().unwrap().iter();
    statements.map(|statement| statement["Sid"].as_str().unwrap()).collect()
}

#[test]
fn an_address_that_failed_is_given_by_the_next_run() {
    for (create, address, ids) in [
        ("{ url: true }", "lambda-url.us-east-1.on.aws", &["orchestrate-url", "orchestrate-call"][..]),
        ("{ http_api: true }", "execute-api.us-east-1.amazonaws.com", &["orchestrate-api"]),
    ] {
        let (moto, world) = shop(create);
        world.set(&json!({ "deny": ["lambda:AddPermission"] }));
        world.run(&["apply"]).expect(1).says("no permission for `lambda:AddPermission`");
        assert_eq!(outcomes(&receipt(&world)), [("Api".to_owned(), "failed".to_owned())]);
        world.set(&json!({ "deny": [] }));
        world.run(&["plan", "--exit-code"]).expect(5).says("the run that made it did not finish it");
        world.run(&["apply"]).expect(0).says(address);
        assert_eq!(outcomes(&receipt(&world)), [("Api".to_owned(), "deployed".to_owned())]);
        let state = state(&moto);
        // (Lambda publishes no second version of what did not change; moto does.)
        assert_eq!((&state["tags"], &state["versions"][1]), (&json!({}), &json!("1")), "{state}");
        assert_eq!(statements(&state), ids);
        assert!(state["apis"].as_array().unwrap().len() <= 1, "one API, not two: {state}");
        settled(&world);
    }
}

#[test]
fn a_run_that_is_killed_after_it_made_a_function_is_finished_by_the_next() {
    let (moto, world) = shop("{ http_api: true }");
    world.set(&json!({ "slow": { "lambda:GetFunctionConfiguration": 20 } }));
    let mut run = world.command(&["apply"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !world.calls().contains(&"lambda:CreateFunction".to_owned()) {
        assert!(Instant::now() < until, "no function is made: {:?}", world.calls());
        std::thread::sleep(Duration::from_millis(20));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    world.set(&json!({ "slow": {} }));
    world.run(&["plan"]).expect(0).says("the run that made it did not finish it");
    world.run(&["apply"]).expect(0).says("execute-api.us-east-1.amazonaws.com");
    let state = state(&moto);
    assert_eq!(state["versions"], json!(["$LATEST", "1"]));
    assert_eq!((statements(&state), &state["apis"]), (vec!["orchestrate-api"], &json!(["Api"])));
    settled(&world);
}

#[test]
fn who_may_not_see_tags_still_plans_and_applies() {
    let (_moto, world) = shop("{ http_api: true }");
    world.set(&json!({ "deny": ["lambda:ListTags"] }));
    world.run(&["apply"]).expect(0).says("execute-api");
    settled(&world);
}
