//! The schemas of what the program writes, held against what it writes.

use std::collections::BTreeSet;
use std::fs;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use crate::place::{Place, repository};
use crate::published::{damage, publish, shop};

/// A committed schema, compiled.
pub struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    pub fn committed(name: &str) -> Self {
        let path = repository().join("schema").join(name);
        let value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource(name, value).unwrap();
        let index = compiler.compile(name, &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn takes(&self, value: &Value) -> bool {
        self.schemas.validate(value, self.index).is_ok()
    }

    pub fn must_take(&self, what: &str, value: &Value) {
        if let Err(error) = self.schemas.validate(value, self.index) {
            panic!("{what}: {error:#}\n{value:#}");
        }
    }
}

#[test]
fn the_committed_schemas_are_fresh() {
    let mut stale = Vec::new();
    for of in ["deploy", "plan", "events"] {
        let fresh = Place::new().run(&["schema", of]).exits(0).stdout;
        let path = repository().join(format!("schema/{of}.schema.json"));
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(&path, &fresh).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != fresh {
            stale.push(path);
        }
    }
    assert!(stale.is_empty(), "run this test once with UPDATE_SCHEMA=1: {stale:?}");
    assert_eq!(Place::new().run(&["schema"]).stdout, Place::new().run(&["schema", "deploy"]).stdout);
}

#[test]
fn plans_are_as_their_schema_says() {
    let schema = Schema::committed("plan.schema.json");
    let place = shop();
    let offline = place.run(&["plan", "--offline", "--json"]).exits(0).json();
    let build = place.run(&["plan", "--json"]).exits(0).json();
    publish(&place);
    let tag = place.run(&["plan", "--json"]).exits(0).json();
    place.run(&["apply"]).exits(0);
    let keep = place.run(&["plan", "--json", "--out", "saved.plan"]).exits(0).json();
    let saved: Value = serde_json::from_str(&place.read("saved.plan")).unwrap();
    assert_eq!(saved, keep);
    place.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let dirty = place.run(&["plan", "--json"]).exits(2).json();
    assert_eq!(dirty["blockers"][0]["kind"], "dirty");
    let root = Place::copy_of("examples/five-lambdas").committed();
    let aws = root.run(&["plan", "--json", "--offline", "--profile", "aws"]).exits(0).json();
    for (what, plan) in
        [("offline", &offline), ("build", &build), ("tag", &tag), ("keep", &keep), ("dirty", &dirty), ("aws", &aws)]
    {
        schema.must_take(what, plan);
    }
    let actions: Vec<&Value> = [&build, &tag, &keep].iter().map(|plan| &plan["images"][0]["action"]).collect();
    assert_eq!(actions, ["build", "tag", "keep"]);
}

#[test]
fn events_are_as_their_schema_says() {
    let schema = Schema::committed("events.schema.json");
    let place = shop();
    let digest = publish(&place);
    let applied = place.run(&["apply", "--json"]).exits(0);
    damage(&place, "api", digest);
    place.run(&["apply"]).exits(0);
    let text = place.read("deploy.yaml").replace("\"api-latest\"", "\"api-newest\"");
    place.write("deploy.yaml", &text);
    let failed = place.run(&["apply", "--json", "--allow-dirty", "--buildkit", "unix:///nowhere.sock"]);
    let mut kinds = Vec::new();
    for (index, line) in applied.stdout.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        schema.must_take(line, &event);
        assert_eq!(event["seq"], index);
        kinds.push(event["event"]["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds.first().unwrap(), "version");
    assert_eq!(kinds.last().unwrap(), "run-finished");
    assert!(kinds.contains(&"tag-moved".to_owned()), "{kinds:?}");
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    let log: Vec<Value> =
        place.read(".orchestrate/events.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    log.iter().for_each(|event| schema.must_take("events.jsonl", event));
}

/// A whole run that builds, without any server.
#[test]
fn a_run_that_builds_is_as_the_schemas_say() {
    let (plans, events) = (Schema::committed("plan.schema.json"), Schema::committed("events.schema.json"));
    let place = Place::copy_of("examples/quickstart").committed();
    let applied = place.run(&["apply", "--json"]).exits(0);
    let mut kinds = BTreeSet::new();
    for line in applied.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        events.must_take(line, &event);
        kinds.insert(event["event"]["type"].as_str().unwrap().to_owned());
    }
    for kind in
        ["version", "run-started", "step-started", "phase-started", "blobs-sent", "step-finished", "run-finished"]
    {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    place.write("handlers/shared/footer.txt", "another footer\n");
    let plan = place.run(&["plan", "--json"]).exits(0).json();
    plans.must_take("an edited input", &plan);
    let reasons: BTreeSet<&str> = plan["images"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|step| step["reasons"].as_array().unwrap())
        .map(|reason| reason["kind"].as_str().unwrap())
        .collect();
    assert!(reasons.contains("file"), "{reasons:?}");
}

#[test]
fn a_failed_run_is_as_the_schema_says() {
    let schema = Schema::committed("events.schema.json");
    let place = shop();
    damage(&place, "api", publish(&place));
    let failed = place.run(&["apply", "--json"]).exits(1);
    let events: Vec<Value> = failed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    events.iter().for_each(|event| schema.must_take("a failed run", event));
    assert!(events.iter().any(|event| event["event"]["type"] == "step-failed"));
    assert_eq!(events.last().unwrap()["event"]["receipt"]["outcome"], "failed");
}

#[test]
fn what_is_wrong_is_refused() {
    let plans = Schema::committed("plan.schema.json");
    let plan = shop().run(&["plan", "--offline", "--json"]).exits(0).json();
    assert!(plans.takes(&plan));
    let with = |pointer: &str, value: Value| {
        let mut plan = plan.clone();
        *plan.pointer_mut(pointer).unwrap() = value;
        plan
    };
    for (pointer, value) in [
        ("/images/0/action", json!("explode")),
        ("/images/0/reasons/0/kind", json!("because")),
        ("/images/0/platforms", json!("linux/amd64")),
        ("/format", json!("1")),
    ] {
        assert!(!plans.takes(&with(pointer, value)), "{pointer}");
    }
    let events = Schema::committed("events.schema.json");
    assert!(events.takes(&json!({ "seq": 0, "at": 0, "event": { "type": "version", "format": 1 } })));
    assert!(!events.takes(&json!({ "seq": 0, "at": 0, "event": { "type": "surprise" } })));
    assert!(!events.takes(&json!({ "seq": -1, "at": 0, "event": { "type": "version", "format": 1 } })));
}
