//! Ctrl-C while functions are given their images.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::media::{outcomes, receipt};
use crate::moto::Moto;
use crate::world::World;

/// So many functions are worked on at once.
const AT_ONCE: usize = 8;

#[test]
fn functions_that_were_begun_finish_and_no_other_begins() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    let functions: Vec<_> = (0..AT_ONCE + 2).map(|number| (format!("L{number}"), format!("Api{number}"))).collect();
    moto.stack("media", &functions);
    let image = "  api:\n    platforms: [linux/arm64]\n    push: { registry: private, repository: api, tags: [latest] }\n    \
        deploy: { lambda: { stack: media, logical: \"L*\" } }\n";
    world.manifest(&world.registries(", create: true"), image);
    world.set(&json!({ "slow": { "lambda:UpdateFunctionCode": 4 } }));

    let mut command = world.command(&["apply", "--json"]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let mut begun = 0;
    while begun < AT_ONCE {
        let line = lines.next().expect("functions begin before the run ends").unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        begun += usize::from(event["event"]["type"] == "function-started");
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(!rest.iter().any(|line| line.contains("\"function-started\"")), "another one began: {rest:?}");
    let mut said = String::new();
    run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130), "{said}");

    let receipt_of_it = receipt(&world);
    assert_eq!(receipt_of_it["outcome"], "interrupted");
    let count =
        |receipt: &Value, wanted: &str| outcomes(receipt).into_iter().filter(|(_, outcome)| outcome == wanted).count();
    assert_eq!((count(&receipt_of_it, "deployed"), count(&receipt_of_it, "skipped")), (AT_ONCE, 2), "{receipt_of_it}");
    let digest = world.repository("123456789012/us-east-1:api")["tags"]["latest"].clone();
    for one in receipt_of_it["functions"].as_array().unwrap() {
        let runs = moto.function(one["function"].as_str().unwrap())["Code"]["ImageUri"].as_str().unwrap().to_owned();
        assert_eq!(
            runs.ends_with(digest.as_str().unwrap()),
            one["outcome"] == "deployed",
            "the receipt says what runs"
        );
    }

    world.set(&json!({ "slow": {} }));
    world.run(&["apply"]).expect(0).says("functions: 2 deployed, 8 kept");
}
