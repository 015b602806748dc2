//! Repositories that a run makes and sets: what stands there afterwards, and what the run says of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::World;

const PLACE: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const CREATE: &str = ", create: { allow: [\"210987654321\"] }, retain: { untagged_days: 14 }";
const TWO: &str = "  api:\n    push: [{ registry: private, repository: api, tags: [latest] }]\n  \
    web:\n    args: { WHO: web }\n    push: [{ registry: private, repository: web, tags: [latest] }]\n";

fn read(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.root().join(".orchestrate").join(name)).unwrap()
}

fn receipt(world: &World) -> Value {
    serde_json::from_str(&read(world, "receipt.json")).unwrap()
}

/// The events of the last run that are about repositories.
fn events(world: &World) -> Vec<Value> {
    let all = read(world, "events.jsonl");
    let all = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone());
    all.filter(|event| event["type"].as_str().unwrap().starts_with("repository-")).collect()
}

fn texts<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}

fn policy(world: &World, repository: &str) -> Option<Value> {
    let found = world.repository(&format!("123456789012/us-east-1:{repository}"))["policy"].clone();
    found.as_str().map(|text| serde_json::from_str(text).unwrap())
}

fn statements(policy: &Value) -> Vec<&str> {
    texts(&policy["Statement"], "Sid")
}

#[test]
fn what_is_made_is_in_the_events_and_in_the_receipt() {
    let world = World::new();
    world.manifest(&world.registries(CREATE), TWO);
    world
        .run(&["apply"])
        .expect(0)
        .says(&format!("ok {PLACE}/api made"))
        .says("  created: encrypted with AES256")
        .says("  untagged images go after 14 days")
        .says("  210987654321 may pull");
    let receipt = receipt(&world);
    assert_eq!(texts(&receipt["repositories"], "reference"), [format!("{PLACE}/api"), format!("{PLACE}/web")]);
    assert_eq!(texts(&receipt["repositories"], "outcome"), ["created", "created"]);
    assert_eq!(texts(&receipt["repositories"][0]["changes"], "kind"), ["create", "untagged", "pull"]);
    let events = events(&world);
    let of_api: Vec<&Value> = events.iter().filter(|event| !event.to_string().contains("/web")).collect();
    assert_eq!((&of_api[0]["type"], &of_api[0]["action"]), (&json!("repository-started"), &json!("create")));
    assert_eq!(of_api[1]["type"], "repository-finished");
    assert_eq!(of_api[1]["repository"], receipt["repositories"][0]);
    assert_eq!(events.len(), 4);

    // A run that finds them as they should be says nothing of them.
    world.run(&["apply"]).expect(0);
    assert_eq!(self::receipt(&world).get("repositories"), None);
    assert_eq!(self::events(&world), [""; 0]);
}

/// A permission is missing: what was done is said, no image has begun, and the same command goes on where it stopped.
#[test]
fn a_repository_that_fails_leaves_a_receipt_and_the_next_run_goes_on() {
    for (action, done) in [
        ("ecr:CreateRepository", &[][..]),
        ("ecr:PutLifecyclePolicy", &["create"][..]),
        ("ecr:SetRepositoryPolicy", &["create", "untagged"][..]),
    ] {
        let world = World::new();
        world.manifest(&world.registries(CREATE), TWO);
        world.set(&json!({ "deny": [action] }));
        let ran = world.run(&["apply"]).expect(1);
        ran.says(&format!("failed {PLACE}/api: no permission for `{action}`"))
            .says(&format!("failed {PLACE}/web: no permission for `{action}`"))
            .says(&format!(r#"add this statement to the policy: {{ "Effect": "Allow", "Action": "{action}""#))
            .says("nothing was built: repositories come first");
        let receipt = receipt(&world);
        assert_eq!(receipt["outcome"], "failed");
        for one in receipt["repositories"].as_array().unwrap() {
            assert_eq!(one["outcome"], "failed");
            let changes = one.get("changes").map(|changes| texts(changes, "kind")).unwrap_or_default();
            assert_eq!(changes, done, "{action}");
            assert!(one["error"].as_str().unwrap().contains(action), "{one}");
        }
        assert_eq!(texts(&receipt["images"], "outcome"), ["skipped", "skipped"]);
        assert_eq!(receipt["images"][0]["error"], format!("the repository {PLACE}/api"));
        let sent: Vec<_> = world.requests().into_iter().filter(|(_, what)| what.starts_with('P')).collect();
        assert!(sent.is_empty(), "{action}: {sent:?}");

        world.set(&json!({ "deny": [] }));
        world.clear();
        world.run(&["apply"]).expect(0);
        let after = self::receipt(&world);
        let outcome = if done.is_empty() { "created" } else { "changed" };
        assert_eq!(texts(&after["repositories"], "outcome"), [outcome; 2], "{action}");
        let left = texts(&after["repositories"][0]["changes"], "kind");
        let whole: BTreeSet<&str> = left.iter().chain(done).copied().collect();
        assert_eq!((left.len() + done.len(), whole.len()), (3, 3), "nothing is done twice: {left:?} after {done:?}");
        world.run(&["plan", "--exit-code"]).expect(0);
    }
}

/// One of two repositories may not be made: the other one is, and both are in the receipt.
#[test]
fn one_repository_that_fails_stops_no_other() {
    let world = World::with_registries(&["123456789012/us-east-1", "210987654321/us-east-1"]);
    let other = format!(
        "  other: {{ kind: ecr, region: us-east-1, account: \"210987654321\", cross_account: true, create: true, url: \"{}\" }}\n",
        world.private("210987654321/us-east-1")
    );
    let image = "  api:\n    push:\n      - { registry: private, repository: api, tags: [latest] }\n      \
        - { registry: other, repository: api, tags: [latest] }\n";
    world.manifest(&(world.registries(", create: true") + &other), image);
    world.run(&["apply"]).expect(1);
    let receipt = receipt(&world);
    let repositories = receipt["repositories"].as_array().unwrap().iter();
    let ended: BTreeSet<(&str, &str)> =
        repositories.map(|one| (one["registry"].as_str().unwrap(), one["outcome"].as_str().unwrap())).collect();
    assert_eq!(ended, BTreeSet::from([("private", "created"), ("other", "failed")]));
    assert_eq!(receipt["images"][0]["outcome"], "skipped");
}

#[test]
fn lambda_and_other_accounts_are_let_in_beside_statements_of_others() {
    let world = World::new();
    world.post("create", &json!({ "registry": "123456789012/us-east-1", "name": "api" }));
    let theirs = json!({ "Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "ecr:DeleteRepository" });
    let before = json!({ "Version": "2012-10-17", "Id": "theirs", "Statement": [theirs] });
    world.post("repository", &json!({ "repository": "api", "policy": before.to_string() }));
    let image = "  api:\n    push: [{ registry: private, repository: api, tags: [latest] }]\n    \
        deploy: [{ lambda: { function: api, create: true } }]\n";
    let allow = |accounts: &str| world.registries(&format!(", create: {{ allow: [{accounts}] }}"));
    world.manifest(&allow("\"210987654321\""), image);
    world.run(&["plan"]).expect(0).says("let Lambda, 210987654321 pull");
    // Lambda is not played here: what comes before it is done.
    world.run(&["apply", "--build-only"]).expect(0).says("Lambda, 210987654321 may pull");
    let after = policy(&world, "api").unwrap();
    assert_eq!(after["Id"], "theirs");
    assert_eq!(after["Statement"][0], theirs);
    let ours = ["OrchestrateLambdaPull", "OrchestratePull210987654321", "OrchestrateLambdaPull210987654321"];
    assert_eq!(statements(&after)[1..], ours);
    let pull = json!(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]);
    let service = |account: &str| json!({ "StringLike": { "aws:sourceArn": format!("arn:aws:lambda:us-east-1:{account}:function:*") } });
    for (statement, account) in [(1, "123456789012"), (3, "210987654321")] {
        let statement = &after["Statement"][statement];
        assert_eq!(statement["Principal"], json!({ "Service": "lambda.amazonaws.com" }));
        assert_eq!((&statement["Action"], &statement["Condition"]), (&pull, &service(account)));
    }
    assert_eq!(after["Statement"][2]["Principal"], json!({ "AWS": "arn:aws:iam::210987654321:root" }));

    let again = world.run(&["plan", "--json"]).expect(0);
    let again: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!((&again["repositories"][0]["action"], again["repositories"][0].get("changes")), (&json!("keep"), None));

    // One account more, and then that one alone.
    world.manifest(&allow("\"210987654321\", \"333333333333\""), image);
    world.run(&["plan"]).expect(0).says("let 333333333333 pull");
    world.run(&["apply", "--build-only"]).expect(0);
    world.manifest(&allow("\"333333333333\""), image);
    world.run(&["plan"]).expect(0).says("let 210987654321 pull no more");
    world.run(&["apply", "--build-only"]).expect(0).says("210987654321 may pull no more");
    let after = policy(&world, "api").unwrap();
    let ours = ["Theirs", "OrchestrateLambdaPull", "OrchestratePull333333333333", "OrchestrateLambdaPull333333333333"];
    assert_eq!(statements(&after), ours);
}

/// The images that a command leaves out count for what their repository is like.
#[test]
fn a_part_of_the_images_takes_nothing_from_their_repository() {
    let world = World::new();
    let image = "  api:\n    push: [{ registry: private, repository: all, tags: [api] }]\n    \
        deploy: [{ lambda: { function: api, create: true } }]\n  \
        web:\n    args: { WHO: web }\n    push: [{ registry: private, repository: all, tags: [web], retain: { untagged_days: 9 } }]\n";
    world.manifest(&world.registries(", create: true, retain: { untagged_days: 14 }"), image);
    world.run(&["apply", "--build-only", "--only", "web"]).expect(0).says("untagged images go after 14 days");
    assert_eq!(statements(&policy(&world, "all").unwrap()), ["OrchestrateLambdaPull"]);
    for only in ["api", "web"] {
        let plan = world.run(&["plan", "--json", "--only", only]).expect(0);
        let plan: Value = serde_json::from_str(&plan.out).unwrap();
        assert_eq!(plan["repositories"][0].get("changes"), None, "{only}");
    }
}

/// A saved plan does to repositories what it says, and nothing else.
#[test]
fn a_saved_plan_is_stale_where_a_repository_changed() {
    let world = World::new();
    world.manifest(&world.registries(CREATE), TWO);
    let saved = &["plan", "--out", ".orchestrate/saved.plan"];
    let apply = &["apply", ".orchestrate/saved.plan"];
    world.write(".orchestrate/keep", "");
    world.run(saved).expect(0);
    // A run of the same plan that went half the way is no staleness.
    world.set(&json!({ "deny": ["ecr:PutLifecyclePolicy"] }));
    world.run(apply).expect(1);
    world.set(&json!({ "deny": [] }));
    world.run(apply).expect(0);
    world.run(apply).expect(0);
    // Somebody takes the policy away.
    world.run(saved).expect(0);
    world.post("repository", &json!({ "repository": "web", "policy": null }));
    world.run(apply).expect(4).says(&format!("the repository `{PLACE}/web` is not as it was when it was planned"));
    // What could not be seen when it was planned is no promise.
    world.set(&json!({ "deny": ["ecr:GetRepositoryPolicy"] }));
    world.run(saved).expect(0);
    world.set(&json!({ "deny": [] }));
    world.run(apply).expect(0).says("210987654321 may pull");
}

#[test]
fn a_policy_of_which_nothing_is_left_is_deleted() {
    let world = World::new();
    let image = "  api:\n    push: [{ registry: private, repository: api, tags: [latest] }]\n";
    world.manifest(&world.registries(", create: { allow: [\"210987654321\"] }"), image);
    world.run(&["apply"]).expect(0);
    assert!(policy(&world, "api").is_some());
    world.manifest(&world.registries(", create: true"), image);
    world.run(&["apply"]).expect(0).says("210987654321 may pull no more");
    assert_eq!(policy(&world, "api"), None);
    world.run(&["plan", "--exit-code"]).expect(0);
}
