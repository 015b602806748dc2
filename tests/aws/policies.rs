//! The policies of docs/aws.md and docs/functions.md, held against the calls that the program makes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::media::{outcomes, receipt};
use crate::moto::Moto;
use crate::world::World;

const REPOSITORIES: &str = include_str!("../../docs/aws.md");
const FUNCTIONS: &str = include_str!("../../docs/functions.md");

/// The actions of the policies below a heading of a page.
fn documented(page: &str, heading: &str) -> BTreeSet<String> {
    let section = page.split(&format!("### {heading}\n")).nth(1).expect("the heading is there");
    let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let mut actions = BTreeSet::new();
    for block in section.split("```json\n").skip(1) {
        let policy: Value = serde_json::from_str(block.split("```").next().unwrap()).expect("a policy is JSON");
        for statement in policy["Statement"].as_array().unwrap() {
            match &statement["Action"] {
                Value::String(action) => drop(actions.insert(action.clone())),
                list => {
                    let list = list.as_array().unwrap().iter();
                    actions.extend(list.map(|action| action.as_str().unwrap().to_owned()));
                }
            }
        }
    }
    actions
}

/// What IAM calls a request to the data plane.
///
/// Source: "How Amazon Elastic Container Registry works with IAM", Amazon ECR user guide. Referrers take the permission of ListImageReferrers:
/// `ecr:BatchGetImage`.
fn actions_of(registry: &str, request: &str) -> Vec<String> {
    let (method, path) = request.split_once(' ').unwrap();
    let prefix = if registry == "public" { "ecr-public" } else { "ecr" };
    let reads = matches!(method, "GET" | "HEAD");
    let names: &[&str] = match () {
        // Everybody may read what is public.
        () if path.starts_with("/token") || (registry == "public" && reads && !path.contains("/blobs/")) => &[],
        () if path.contains("/manifests/") && method == "PUT" => &["PutImage"],
        () if path.contains("/manifests/") || path.contains("/referrers/") => &["BatchGetImage"],
        () if path.contains("/uploads/") && method == "POST" => &["InitiateLayerUpload"],
        () if path.contains("/uploads/") && method == "PUT" => &["UploadLayerPart", "CompleteLayerUpload"],
        () if path.contains("/uploads/") => &["UploadLayerPart"],
        () if path.contains("/blobs/") && method == "HEAD" => &["BatchCheckLayerAvailability"],
        () if registry == "public" => &[],
        () if path.contains("/blobs/") => &["GetDownloadUrlForLayer"],
        () if path.contains("/tags/") => &["ListImages"],
        () => &["Unknown"],
    };
    names.iter().map(|name| format!("{prefix}:{name}")).collect()
}

/// Every action that was used since the last [`World::clear`].
fn used(world: &World) -> BTreeSet<String> {
    let mut used: BTreeSet<String> = world.calls().into_iter().collect();
    for (registry, request) in world.requests() {
        used.extend(actions_of(&registry, &request));
    }
    // Every principal may ask who it is.
    used.remove("sts:GetCallerIdentity");
    if used.contains("ecr-public:GetAuthorizationToken") {
        used.insert("sts:GetServiceBearerToken".to_owned());
    }
    if used.contains("ecr:CreateRepository") {
        used.insert("ecr:TagResource".to_owned());
    }
    if used.contains("ecr-public:CreateRepository") {
        used.insert("ecr-public:TagResource".to_owned());
    }
    used
}

#[test]
fn the_policies_of_the_documentation_are_what_is_used() {
    let world = World::new();
    let more = ", create: { tags: { a: b }, allow: [\"210987654321\"] }, retain: { commits: 1, untagged_days: 1, min_age: 1s }";
    let image = "  api:\n    push:\n      - { registry: private, repository: api, tags: [\"{{git.short}}\", latest] }\n      \
         - { registry: public, repository: api, tags: [\"{{git.short}}\"], retain: { commits: 1, min_age: 1s } }\n";
    world.manifest(&world.registries(more), image);

    let plan = documented(REPOSITORIES, "Policy: plan");
    let mut planned = BTreeSet::new();
    let mut look = |world: &World| {
        world.clear();
        world.run(&["plan"]).expect(0);
        world.run(&["doctor"]).expect(0);
        let used = used(world);
        assert!(used.is_subset(&plan), "not in the policy of plan: {:?}", used.difference(&plan));
        planned.extend(used);
    };
    look(&world);

    let apply = documented(REPOSITORIES, "Policy: apply");
    let allowed: BTreeSet<String> = plan.union(&apply).cloned().collect();
    let mut applied = BTreeSet::new();
    for content in ["one", "two", "three"] {
        world.write("a.txt", content);
        world.commit(content);
        look(&world);
        world.clear();
        world.run(&["apply"]).expect(0);
        let used = used(&world);
        assert!(used.is_subset(&allowed), "not in the policy of apply: {:?}", used.difference(&allowed));
        applied.extend(used);
    }
    world.commit("a tag more");
    look(&world);
    // Nobody is let in any more.
    world.manifest(&world.registries(&more.replace(", allow: [\"210987654321\"]", "")), image);
    look(&world);
    world.clear();
    world.run(&["apply"]).expect(0);
    let last = used(&world);
    assert!(last.is_subset(&allowed), "not in the policy of apply: {:?}", last.difference(&allowed));
    applied.extend(last);
    assert_eq!(planned, plan, "the policy of plan allows what is not used");
    let idle: Vec<_> = apply.difference(&applied).collect();
    assert!(idle.is_empty(), "the policy of apply allows what is not used: {idle:?}");

    let prune = documented(REPOSITORIES, "Policy: prune");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    world.clear();
    world.run(&["prune", "--yes"]).expect(0);
    let used = used(&world);
    let allowed: BTreeSet<String> = plan.union(&prune).cloned().collect();
    assert!(used.is_subset(&allowed), "not in the policy of prune: {:?}", used.difference(&allowed));
    let idle: Vec<_> = prune.difference(&used).collect();
    assert!(idle.is_empty(), "the policy of prune allows what is not used: {idle:?}");

    // What a policy does not allow is refused by name, so that the test above would notice.
    world.set(&json!({ "deny": ["ecr:BatchGetImage"] }));
    world.run(&["plan"]).expect(3).says("\"Action\": \"ecr:BatchGetImage\"");
}

/// What IAM needs besides the actions that are calls: Service Authorization Reference, AWS Lambda; API_GetFunction for `lambda:ListTags`.
const IMPLIED: [(&str, &str); 4] = [
    ("lambda:GetFunction", "lambda:ListTags"),
    ("lambda:CreateFunction", "lambda:TagResource"),
    ("lambda:CreateFunction", "iam:PassRole"),
    ("bedrock-agentcore:UpdateAgentRuntime", "iam:PassRole"),
];

/// Every action about functions that was used since the last [`World::clear`].
fn used_for_functions(world: &World) -> BTreeSet<String> {
    let services = ["lambda:", "iam:", "cloudformation:", "bedrock-agentcore:", "apigateway:"];
    let calls = world.calls().into_iter();
    let mut used: BTreeSet<String> = calls.filter(|call| services.iter().any(|one| call.starts_with(one))).collect();
    for (call, needed) in IMPLIED {
        if used.contains(call) {
            used.insert(needed.to_owned());
        }
    }
    used
}

/// A world in which nothing is allowed but what the policies of these names allow; and what of it is about functions.
fn allow(world: &World, names: &[&str]) -> BTreeSet<String> {
    let of = |page: &str| -> BTreeSet<String> {
        names.iter().flat_map(|name| documented(page, &format!("Policy: {name}"))).collect()
    };
    let (repositories, functions) = (of(REPOSITORIES), of(FUNCTIONS));
    let only: BTreeSet<&String> = repositories.union(&functions).collect();
    world.set(&json!({ "only": only, "deny": [] }));
    world.clear();
    functions
}

#[test]
fn the_policies_for_functions_are_what_is_used() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    moto.stack("media", &[("ApiX".to_owned(), "media-api".to_owned()), ("Last".to_owned(), "media-last".to_owned())]);
    moto.runtime("media_agent");
    let more = ", create: true, retain: { commits: 1, untagged_days: 0, min_age: 1s }";
    let image = "  api:\n    platforms: [linux/arm64]\n    push: { registry: private, repository: api, tags: [\"c-{{git.short}}\", latest] }\n    \
        deploy:\n      - lambda: { function: Made, alias: live, create: { url: true } }\n      \
        - lambda: { function: Fronted, create: { http_api: true } }\n      - lambda: { stack: media, logical: \"Api*\" }\n      \
        - lambda: { stack: media, output: Name }\n      - agentcore: media_agent\n";
    world.manifest(&world.registries(more), image);

    let plan = allow(&world, &["plan"]);
    world.run(&["plan"]).expect(0).says("2 to create, 3 to deploy");
    let used = used_for_functions(&world);
    assert_eq!(used, plan, "what a plan uses, and what its policy allows");
    world.run(&["doctor"]).expect(3).says("no permission for `lambda:UpdateFunctionCode`");

    let apply = allow(&world, &["plan", "apply"]);
    // An address that fails once, so that it is looked for.
    world.set(&json!({ "deny": ["lambda:AddPermission"] }));
    world.run(&["apply"]).expect(1);
    world.set(&json!({ "deny": [] }));
    world.run(&["apply"]).expect(0);
    world.run(&["doctor"]).expect(0);
    // Another image; and a function that is made anew, for which its role is there.
    moto.python("import boto3\nboto3.client('lambda').delete_function(FunctionName='Fronted')\n");
    world.write("a.txt", "two");
    world.commit("two");
    world.run(&["apply"]).expect(0);
    let wanted = [("Fronted", "created"), ("Made", "deployed"), ("media-api", "deployed"), ("media-last", "deployed")];
    let wanted = wanted.into_iter().chain([("media_agent", "deployed")]);
    let wanted: Vec<(String, String)> = wanted.map(|(name, done)| (name.to_owned(), done.to_owned())).collect();
    assert_eq!(outcomes(&receipt(&world)), wanted);
    assert_eq!(used_for_functions(&world), apply, "what an apply uses, and what its policies allow");

    world.commit("three");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let prune = allow(&world, &["plan", "prune"]);
    world.run(&["prune", "--yes"]).expect(0);
    let mut used = used_for_functions(&world);
    let idle: Vec<_> = documented(FUNCTIONS, "Policy: prune").difference(&used).cloned().collect();
    assert!(idle.is_empty(), "the policy of prune allows what is not used: {idle:?}");
    // Those two are on the other page.
    used.retain(|action| !["lambda:ListFunctions", "bedrock-agentcore:ListAgentRuntimes"].contains(&action.as_str()));
    assert!(used.is_subset(&prune), "not in the policies of prune: {:?}", used.difference(&prune));
}
