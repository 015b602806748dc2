//! What goes wrong, and what is said then.

use serde_json::json;

use crate::world::World;

const IMAGE: &str = "  api:\n    push: [{ registry: private, repository: api, tags: [latest] }]\n";

fn shop(more: &str) -> World {
    let world = World::new();
    world.manifest(&world.registries(more), IMAGE);
    world
}

/// Nothing was created or pushed.
fn untouched(world: &World) {
    assert_eq!(world.ask("state"), json!({}));
    let writes: Vec<_> = world.requests().into_iter().filter(|(_, what)| what.starts_with("P")).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[test]
fn no_credentials() {
    let mut world = shop(", create: true");
    world.nobody();
    world.run(&["plan"]).expect(3).says("there are no AWS credentials").says("aws sso login");
    world.run(&["apply"]).expect(3).says("there are no AWS credentials");
    world.run(&["check"]).expect(0);
    untouched(&world);
}

#[test]
fn expired_credentials() {
    let mut world = shop(", create: true");
    world.environment.insert("AWS_SESSION_TOKEN".to_owned(), Some("expired".to_owned()));
    world.run(&["apply"]).expect(3).says("the AWS credentials have expired").says("log in again");
    untouched(&world);
}

#[test]
fn credentials_that_aws_does_not_know() {
    let mut world = shop(", create: true");
    world.environment.insert("AWS_ACCESS_KEY_ID".to_owned(), Some("AKIDNOBODY".to_owned()));
    world.run(&["apply"]).expect(3).says("AWS does not take the credentials");
    untouched(&world);
}

#[test]
fn credentials_of_another_account() {
    let world = shop(", create: true, account: \"999999999999\"");
    for command in ["plan", "apply"] {
        let ran = world.run(&[command]).expect(3);
        let said =
            "is of the account 999999999999, but the credentials in force are of 123456789012; nothing was touched";
        ran.says(said).says("deploy.yaml:4:3").says("cross_account: true");
    }
    untouched(&world);
}

#[test]
fn one_permission_is_missing() {
    let world = shop(", create: true");
    world.set(&json!({ "deny": ["ecr:CreateRepository"] }));
    world
        .run(&["apply"])
        .expect(1)
        .says("no permission for `ecr:CreateRepository`")
        .says(r#"add this statement to the policy: { "Effect": "Allow", "Action": "ecr:CreateRepository", "Resource": "arn:aws:ecr:us-east-1:123456789012:repository/api" }"#);
    untouched(&world);
    world.set(&json!({ "deny": ["ecr:GetAuthorizationToken"] }));
    world.run(&["apply"]).expect(3).says("no permission for `ecr:GetAuthorizationToken`");
    untouched(&world);
}

/// A call may take several permissions: the one that is missing is named.
#[test]
fn the_permission_that_aws_missed_is_named() {
    let world = shop(", create: { tags: { team: media } }");
    world.set(&json!({ "deny": ["ecr:TagResource"] }));
    world
        .run(&["apply"])
        .expect(1)
        .says("no permission for `ecr:TagResource`")
        .says(r#""Action": "ecr:TagResource", "Resource": "arn:aws:ecr:us-east-1:123456789012:repository/api""#);
    untouched(&world);
}

#[test]
fn a_plan_says_what_it_may_not_see() {
    let world = shop(", create: true");
    world.set(&json!({ "deny": ["ecr:DescribeRepositories"] }));
    world
        .run(&["plan"])
        .expect(0)
        .says("its repository could not be seen: no permission for `ecr:DescribeRepositories`");
    world.set(&json!({ "deny": [] }));
    world.run(&["apply"]).expect(0);
    world.set(&json!({ "deny": ["ecr:GetLifecyclePolicy"] }));
    world
        .run(&["plan"])
        .expect(0)
        .says("its lifecycle policy could not be seen: no permission for `ecr:GetLifecyclePolicy`");
    world.set(&json!({ "deny": ["ecr:BatchGetImage"] }));
    world.run(&["plan"]).expect(3).says("no permission for `ecr:BatchGetImage`");
}

#[test]
fn throttling_passes() {
    let world = shop(", create: true");
    world.set(&json!({ "throttle": { "ecr:BatchGetImage": 2, "ecr:CreateRepository": 1 } }));
    world.run(&["apply"]).expect(0);
    world.set(&json!({ "throttle": { "ecr:BatchGetImage": 1000 } }));
    world.run(&["plan"]).expect(3).says("AWS limits `ecr:BatchGetImage`");
}

#[test]
fn a_repository_is_missing_and_nobody_may_create_it() {
    let world = shop("");
    world.run(&["plan"]).expect(2).says("there is no repository `123456789012.dkr.ecr.us-east-1.amazonaws.com/api`");
    world.run(&["apply"]).expect(2).says("`create: true` at the registry lets apply create it");
    untouched(&world);
}

#[test]
fn an_image_is_deleted_behind_our_back() {
    let world = shop(", create: true");
    world.run(&["apply"]).expect(0);
    world.post("forget", &json!({ "repository": "api", "tag": "latest" }));
    world.run(&["plan", "--exit-code"]).expect(5).says("to build");
    world.run(&["apply"]).expect(0);
    world.run(&["plan", "--exit-code"]).expect(0);
}

#[test]
fn a_thousand_tags_are_the_end() {
    let world = World::new();
    let image = "  api:\n    push: [{ registry: private, repository: api, tags: [\"c-{{git.short}}\"] }]\n";
    world.manifest(&world.registries(", create: true"), image);
    world.run(&["apply"]).expect(0);
    let tags = world.repository("123456789012/us-east-1:api")["tags"].clone();
    let first = tags.as_object().unwrap().keys().find(|tag| tag.starts_with("c-")).unwrap().clone();
    let more = |count: u32| json!({ "repository": "api", "more_tags": { "of": first, "count": count } });
    world.post("repository", &more(897));
    world.commit("another");
    world.run(&["plan"]).expect(0).says("would have 900 tags; ECR allows 1,000");
    world.post("repository", &more(998));
    world.run(&["apply"]).expect(2).says("would have 1001 tags");
}

#[test]
fn the_doctor_names_everything_that_is_in_the_way() {
    let mut world = shop("");
    world
        .run(&["doctor"])
        .expect(3)
        .says("repository 123456789012.dkr.ecr.us-east-1.amazonaws.com/api: it does not exist");
    let world_with_create = shop(", create: true");
    let ran = world_with_create.run(&["doctor", "--json"]).expect(0);
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let kinds: Vec<&str> =
        found["checks"].as_array().unwrap().iter().map(|check| check["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["builder", "credentials", "clock", "registry", "registry", "repository"]);
    untouched(&world_with_create);
    world.nobody();
    world
        .run(&["doctor"])
        .expect(3)
        .says("bad      credentials private: there are no AWS credentials")
        .says("skipped  plan");
}

#[test]
fn the_doctor_asks_the_registry_and_not_its_api_alone() {
    let world = World::new();
    let nowhere =
        world.registries(", create: true").replace(&world.private("123456789012/us-east-1"), "http://127.0.0.1:9");
    world.manifest(&nowhere, IMAGE);
    world.run(&["doctor"]).expect(3).says("`123456789012.dkr.ecr.us-east-1.amazonaws.com` cannot be asked");
}
