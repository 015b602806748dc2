//! `rebuild_every` from the outside.

use crate::place::{Place, snapshot};
use crate::published::publish_on;

const MANIFEST: &str = r#"version: 1
project: shop
registries:
  disk: { kind: layout, path: .orchestrate/images }
defaults: { platforms: [linux/amd64], executor: buildkit }
bases:
  common:
    rebuild_every: 7d
    push: { repository: common, tags: ["{{published}}"] }
"#;

#[test]
fn an_old_base_is_due() {
    let place = Place::with_manifest(MANIFEST).committed();
    publish_on(&place, Some(1_600_000_000));
    snapshot!(
        place.run(&["plan"]).exits(0),
        place.run(&["plan", "--offline"]).exits(0),
        place.run(&["update", "--check"]).exits(5),
        place.run(&["update"]).exits(0),
        place.run(&["update"]).exits(0),
        place.run(&["plan"]).exits(0),
        place.run(&["update", "--offline"]).exits(2),
    );
    assert!(place.read("deploy.lock").contains("\"common\": 1"));
}
