//! Repositories, logins and images.

use serde_json::{Value, json};

use crate::world::World;

const CREATE: &str = ", create: { scan_on_push: true, tags: { team: media } }, retain: { untagged_days: 14 }";

/// One image at both registries, which a function runs.
fn shop(world: &World, more: &str) {
    let image = "  api:\n    push:\n      - { registry: private, repository: team/api, tags: [\"{{git.short}}\", latest] }\n      \
         - { registry: public, repository: api, tags: [latest] }\n    platforms: [linux/arm64]\n";
    world.manifest(&world.registries(more), image);
}

fn is_read(call: &str) -> bool {
    let operation = call.split_once(':').map_or(call, |(_, operation)| operation);
    ["Get", "Describe", "List", "BatchGet", "BatchCheck"].iter().any(|read| operation.starts_with(read))
}

#[test]
fn a_first_apply_makes_repositories_and_a_second_one_only_looks() {
    let world = World::new();
    shop(&world, CREATE);
    let planned = world.run(&["plan"]).expect(0);
    assert!(
        planned.out.contains("create       123456789012.dkr.ecr.us-east-1.amazonaws.com/team/api"),
        "{}",
        planned.out
    );
    assert!(planned.out.contains("let untagged images go after 14 days"), "{}", planned.out);
    assert!(planned.out.contains("create       public.ecr.aws/a1b2c3d4/api"), "{}", planned.out);
    assert!(planned.out.contains("create it: for everybody to read, described as `ours`"), "{}", planned.out);
    assert!(world.calls().iter().all(|call| is_read(call)), "{:?}", world.calls());
    assert_eq!(world.ask("state"), json!({}), "a plan creates nothing");

    world.run(&["apply"]).expect(0);
    let private = world.repository("123456789012/us-east-1:team/api");
    assert_eq!(private["scan"], true);
    assert_eq!(private["resource_tags"], json!([{ "Key": "team", "Value": "media" }]));
    let lifecycle: Value = serde_json::from_str(private["lifecycle"].as_str().unwrap()).unwrap();
    assert_eq!(lifecycle["rules"][0]["selection"]["countNumber"], 14);
    assert_eq!(world.repository("public:api")["catalog"], json!({ "description": "ours" }));
    let tags = private["tags"].as_object().unwrap();
    assert_eq!(tags.len(), 3, "the key, the commit and latest: {tags:?}");
    assert_eq!(world.repository("public:api")["tags"]["latest"], tags["latest"], "one image at both");

    world.clear();
    world.run(&["apply"]).expect(0).says("1 kept");
    assert!(world.calls().iter().all(|call| is_read(call)), "{:?}", world.calls());
    let requests = world.requests();
    let writes: Vec<_> =
        requests.iter().filter(|(_, what)| !what.starts_with("HEAD") && !what.starts_with("GET")).collect();
    assert!(writes.is_empty(), "{writes:?}");
    world.run(&["plan", "--exit-code"]).expect(0);
}

#[test]
fn rules_of_others_that_may_delete_what_runs_are_said() {
    let world = World::new();
    shop(&world, CREATE);
    world.run(&["apply"]).expect(0);
    let rules = json!({ "rules": [{ "rulePriority": 5, "selection": { "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10 },
        "action": { "type": "expire" } }] });
    world.post("repository", &json!({ "repository": "team/api", "lifecycle": rules.to_string() }));
    let planned = world.run(&["plan", "--exit-code"]).expect(5);
    assert!(
        planned.out.contains("its lifecycle rule 5 keeps only the newest 10 images: it may delete what runs"),
        "{}",
        planned.out
    );
    assert!(planned.out.contains("let untagged images go after 14 days"), "{}", planned.out);
    world.run(&["apply"]).expect(0);
    let lifecycle: Value =
        serde_json::from_str(world.repository("123456789012/us-east-1:team/api")["lifecycle"].as_str().unwrap())
            .unwrap();
    assert_eq!(lifecycle["rules"].as_array().unwrap().len(), 2, "the other's rule stays");
    world.run(&["plan", "--exit-code"]).expect(0);
}

#[test]
fn an_immutable_tag_that_is_put_again_with_the_same_digest_is_well() {
    let world = World::new();
    let image = "  api:\n    push: [{ registry: private, repository: api, tags: [latest] }]\n";
    world.manifest(&world.registries(", create: { immutable: { except: [latest] } }"), image);
    world.run(&["apply"]).expect(0);
    let repository = world.repository("123456789012/us-east-1:api");
    assert_eq!(repository["mutability"], "IMMUTABLE_WITH_EXCLUSION");
    let before = repository["tags"].clone();
    world.run(&["apply", "--rebuild", "api"]).expect(0);
    assert_eq!(world.repository("123456789012/us-east-1:api")["tags"], before);
    world.write("a.txt", "two");
    world.commit("two");
    world.run(&["apply"]).expect(0);
    assert_ne!(
        world.repository("123456789012/us-east-1:api")["tags"]["latest"],
        before["latest"],
        "the exception moves"
    );
}

#[test]
fn a_login_that_expires_during_the_run_is_fetched_anew() {
    let world = World::new();
    let image = "  api:\n    push: [{ registry: private, repository: api, tags: [latest] }]\n    verify: sleep 3\n";
    world.manifest(&world.registries(", create: true"), image);
    world.set(&json!({ "token_life": 2 }));
    world.run(&["apply"]).expect(0);
    let logins = world.calls().iter().filter(|call| *call == "ecr:GetAuthorizationToken").count();
    assert!((2..=4).contains(&logins), "{:?}", world.calls());
    assert!(world.repository("123456789012/us-east-1:api")["tags"]["latest"].is_string());
}

#[test]
fn a_hundred_images_are_planned_with_ten_calls() {
    let world = World::new();
    let names = (0..100).map(|number| format!("{{ name: i{number} }}")).collect::<Vec<_>>().join(", ");
    let image = format!(
        "  all:\n    matrix: {{ include: [{names}] }}\n    name: \"{{{{matrix.name}}}}\"\n    args: {{ WHO: \"{{{{name}}}}\" }}\n    push:\n      - \
         {{ registry: private, repository: all, tags: [\"{{{{name}}}}-{{{{git.short}}}}\", \"{{{{name}}}}-latest\"] }}\n"
    );
    world.manifest(&world.registries(CREATE), &image);
    world.run(&["plan"]).expect(0);
    world.run(&["apply"]).expect(0);
    world.clear();
    world.run(&["plan", "--exit-code"]).expect(0);
    let (calls, requests) = (world.calls(), world.requests());
    assert!(calls.len() + requests.len() <= 10, "{calls:?} {requests:?}");
    // Several tags of one image may be answered as one.
    world.set(&json!({ "one_for_each_image": true }));
    world.run(&["plan", "--exit-code"]).expect(0);
}

#[test]
fn several_regions_and_accounts_in_one_run() {
    let world = World::with_registries(&["123456789012/us-east-1", "123456789012/eu-west-1", "210987654321/us-east-1"]);
    let registry = |name: &str, account: &str, region: &str, more: &str| {
        let url = world.private(&format!("{account}/{region}"));
        format!("  {name}: {{ kind: ecr, region: {region}, url: \"{url}\", create: true{more} }}\n")
    };
    let registries = format!(
        "registries:\n{}{}{}",
        registry("here", "123456789012", "us-east-1", ""),
        registry("there", "123456789012", "eu-west-1", ""),
        registry("other", "210987654321", "us-east-1", ", role: \"arn:aws:iam::210987654321:role/push\"")
    );
    let to = |name: &str| format!("{{ registry: {name}, repository: api, tags: [latest] }}");
    world.manifest(&registries, &format!("  api:\n    push: [{}, {}, {}]\n", to("here"), to("there"), to("other")));
    world.run(&["apply"]).expect(0);
    let digests: Vec<Value> = ["123456789012/us-east-1", "123456789012/eu-west-1", "210987654321/us-east-1"]
        .iter()
        .map(|registry| world.repository(&format!("{registry}:api"))["tags"]["latest"].clone())
        .collect();
    assert!(digests[0].is_string() && digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    let logins = world.calls().iter().filter(|call| *call == "ecr:GetAuthorizationToken").count();
    assert_eq!(logins, 3, "one login for each registry");
}

#[test]
fn whoever_only_reads_needs_no_login_at_the_public_registry() {
    let mut world = World::new();
    let public = format!(
        "registries:\n  public: {{ kind: ecr-public, alias: a1b2c3d4, url: \"{}\", create: true }}\n",
        world.public()
    );
    world.manifest(&public, "  api:\n    push: [{ registry: public, repository: api, tags: [latest] }]\n");
    world.run(&["apply"]).expect(0);
    world.nobody();
    world.run(&["plan", "--exit-code"]).expect(0).says("could not be seen");
    // A login of Docker's that is no longer good must not stand in the way.
    world.write("home/.docker/config.json", r#"{"auths":{"public.ecr.aws":{"username":"AWS","password":"stale"}}}"#);
    world.run(&["plan", "--exit-code"]).expect(0);
    world.write("a.txt", "two");
    world.commit("two");
    world.write("home/.docker/config.json", "{}");
    world.run(&["apply"]).expect(3).says("there is no login for `public.ecr.aws`");
}

#[test]
fn the_account_is_asked_for_where_something_depends_on_it() {
    let world = World::new();
    let image = "  api:\n    args: { WHO: \"{{aws.account}}\" }\n    push: [{ registry: private, repository: api, tags: [latest] }]\n";
    world.manifest(&world.registries(", create: true"), image);
    world.run(&["check"]).expect(0);
    assert_eq!(world.calls(), [""; 0], "check asks nobody");
    world.run(&["plan", "--offline"]).expect(2).says("leave --offline out");
    assert_eq!(world.calls(), [""; 0]);
    world.run(&["plan"]).expect(0).says("123456789012.dkr.ecr.us-east-1.amazonaws.com/api");
    let asked = world.calls().iter().filter(|call| *call == "sts:GetCallerIdentity").count();
    assert_eq!(asked, 1, "once in a run");
}

#[test]
fn registries_with_a_private_authority() {
    let mut world = World::with_tls();
    shop(&world, CREATE);
    world.run(&["apply"]).expect(0);
    world.run(&["plan", "--exit-code"]).expect(0);
    world.environment.remove("SSL_CERT_FILE");
    world.run(&["plan"]).expect(3);
}

#[test]
fn the_receipt_counts_the_calls() {
    let world = World::new();
    shop(&world, CREATE);
    world.run(&["apply"]).expect(0);
    let receipt = std::fs::read_to_string(world.root().join(".orchestrate/receipt.json")).unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["requests"]["ecr:CreateRepository"], 1);
    assert!(receipt["requests"]["ecr:GetAuthorizationToken"].as_u64() >= Some(1));
}

#[test]
fn a_moving_tag_in_an_immutable_repository_is_refused_before_anything_is_built() {
    let world = World::new();
    let image = "  api:\n    push: [{ registry: private, repository: api, tags: [latest] }]\n";
    world.manifest(&world.registries(", create: { immutable: true }"), image);
    world.run(&["plan"]).expect(0).says("`latest` moves with each publication, but no tag will move there");
    world.run(&["apply"]).expect(0);
    world.write("a.txt", "two");
    world.commit("two");
    let before = world.repository("123456789012/us-east-1:api");
    world.run(&["apply"]).expect(2).says("api:latest` has to move, and the repository lets no tag move");
    assert_eq!(world.repository("123456789012/us-east-1:api"), before);
}

#[test]
fn a_profile_of_its_own_and_a_registry_that_lets_us_in() {
    let mut world = World::with_registries(&["210987654321/us-east-1"]);
    let url = world.private("210987654321/us-east-1");
    let registry = |more: &str| {
        format!(
            "registries:\n  r: {{ kind: ecr, region: us-east-1, account: \"210987654321\", url: \"{url}\"{more} }}\n"
        )
    };
    let image = "  api:\n    push: [{ registry: r, repository: api, tags: [latest] }]\n";
    world.write("home/.aws/config", "[profile staging]\nregion = us-east-1\n");
    let keys = format!(
        "[staging]\naws_access_key_id = AKIDOTHERACCOUNT\naws_secret_access_key = {}\n",
        crate::world::SECRET_KEY
    );
    world.write("home/.aws/credentials", &keys);
    // The environment has credentials too: of the first account.
    world.manifest(&registry(", profile: nowhere"), image);
    world.run(&["plan"]).expect(3).says("nowhere");
    world.manifest(&registry(", profile: staging, create: true"), image);
    world.run(&["apply"]).expect(0);
    world.nobody();
    world.run(&["doctor"]).expect(0).says("the profile `staging`");
    // The credentials in force are of the first account, which the second one lets in.
    world.environment.clear();
    world.manifest(&registry(""), image);
    world.run(&["plan"]).expect(3).says("is of the account 210987654321");
    world.manifest(&registry(", cross_account: true"), image);
    world.run(&["plan", "--exit-code"]).expect(0);
    world.write("a.txt", "two");
    world.commit("two");
    world.run(&["apply"]).expect(0);
}
