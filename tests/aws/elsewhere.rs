//! Functions in another account than the registry of their images.

use serde_json::{Value, json};

use crate::moto::Moto;
use crate::world::World;

const SHARED: &str = "123456789012";
const LIVE: &str = "210987654321";
const ROLE: &str = "arn:aws:iam::210987654321:role/deploy";

/// An image of the shared account that a function there runs, and one of the same name in the other account.
fn image() -> String {
    format!(
        "  api:\n    platforms: [linux/arm64]\n    push: {{ registry: private, repository: api, tags: [latest] }}\n    deploy:\n      \
         - lambda: {{ function: Api, create: true }}\n      - lambda: {{ function: Api, role: \"{ROLE}\", create: true }}\n"
    )
}

fn receipt(world: &World) -> Value {
    serde_json::from_slice(&std::fs::read(world.root().join(".orchestrate/receipt.json")).unwrap()).unwrap()
}

fn tag(world: &World) -> String {
    let found = world.repository(&format!("{SHARED}/us-east-1:api"))["tags"]["latest"].clone();
    found.as_str().unwrap().to_owned()
}

fn runs(moto: &Moto, account: &str) -> String {
    let found = moto.function_of(account, "Api");
    let image = found["Code"]["ImageUri"].as_str().unwrap_or_else(|| panic!("{account}: {found}")).to_owned();
    image.split_once('@').unwrap().1.to_owned()
}

#[test]
fn functions_of_two_accounts_run_one_image() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    world.manifest(&world.registries(", create: true"), &image());
    let planned = world.run(&["plan"]).expect(0);
    planned.says("let Lambda, 210987654321 pull").says("lambda us-east-1 210987654321  api (it is not there)");
    world.run(&["apply"]).expect(0).says("functions: 2 made");
    let first = tag(&world);
    assert_eq!((runs(&moto, SHARED), runs(&moto, LIVE)), (first.clone(), first.clone()));
    let made = moto.function_of(LIVE, "Api")["Configuration"]["Role"].as_str().unwrap().to_owned();
    assert!(made.starts_with("arn:aws:iam::210987654321:role/orchestrate/"), "its role is of its own account: {made}");
    let receipt = receipt(&world);
    let functions = receipt["functions"].as_array().unwrap().iter();
    let accounts: Vec<Value> = functions.map(|one| one.get("account").cloned().unwrap_or_default()).collect();
    assert_eq!(accounts, [Value::Null, json!(LIVE)]);

    // Nothing is left to do, in either account; the shared one asks for its own function, and the other for its.
    world.clear();
    world.run(&["plan", "--exit-code"]).expect(0);
    let calls = world.calls();
    let looked = calls.iter().filter(|call| *call == "lambda:GetFunction" || call.ends_with("/functions/Api"));
    assert_eq!(looked.count(), 2, "{calls:?}");
    // A change reaches both, and a rollback takes both back.
    world.write("a.txt", "two");
    world.commit("two");
    world.run(&["apply"]).expect(0).says("functions: 2 deployed");
    let second = tag(&world);
    assert_ne!(second, first);
    assert_eq!((runs(&moto, SHARED), runs(&moto, LIVE)), (second.clone(), second));
    world.run(&["apply", "--rollback"]).expect(0);
    assert_eq!((runs(&moto, SHARED), runs(&moto, LIVE)), (first.clone(), first));
    world.run(&["doctor"]).expect(0).says("(the role `arn:aws:iam::210987654321:role/deploy`)");
}

#[test]
fn without_create_the_plan_says_who_is_shut_out() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    world.post("create", &json!({ "registry": "123456789012/us-east-1", "name": "api" }));
    let image = image().replace("      - lambda: { function: Api, create: true }\n", "");
    world.manifest(&world.registries(""), &image);
    world.run(&["plan"]).expect(0).says("its policy does not let the functions of 210987654321 pull");
    world.manifest(&world.registries(", create: true"), &image);
    world.run(&["apply"]).expect(0).says("210987654321 may pull").says("functions: 1 made");
    world.manifest(&world.registries(""), &image);
    let planned = world.run(&["plan", "--exit-code"]).expect(0);
    assert!(!planned.text().contains("does not let"), "{}", planned.text());
}

#[test]
fn credentials_of_another_account_than_the_functions_are_refused() {
    let world = World::new();
    let image = image().replace(&format!("role: \"{ROLE}\""), "account: \"999999999999\"");
    world.manifest(&world.registries(", create: true"), &image);
    for command in ["plan", "apply", "doctor"] {
        let said = "`Api` (deploy.yaml:12:29) runs in the account 999999999999, but the credentials in force are of 123456789012; \
                    nothing was touched";
        world.run(&[command]).expect(3).says(said).says("name a `profile` or `role` of it beside the function");
    }
    assert_eq!(world.ask("state"), json!({}));
    world.run(&["check"]).expect(0);
}
