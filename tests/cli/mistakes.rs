//! Mistakes of every stage come out in one run, each where it stands.

use crate::place::{Place, snapshot};

/// Eight mistakes, each of another stage.
const MANIFEST: &str = r#"version: 1
project: shop
registries:
  private: { kind: ecr, region: us-east-1, account: "123456789012" }
  public: { kind: ecr-public, alias: a1b2c3d4 }
defaults: { platforms: [linux/arm64] }
bases:
  common:
    dockerfile: docker/common
    push: { registry: private, repository: common, tags: [stable] }
  one: { dockerfile: docker/one }
  two: { dockerfile: docker/two }
variants:
  light: { dockerfile: docker/light }
images:
  api:
    variant: ligth
    push: { registry: private, repository: api, tags: ["api-latest"] }
  web:
    variant: light
    wieght: 2
    push: { registry: private, repository: web, tags: ["{{nmae}}-latest"] }
  mail:
    variant: light
    push: { registry: private, repository: shared, tags: [latest] }
  queue:
    variant: light
    push: { registry: private, repository: shared, tags: [latest] }
  site:
    dockerfile: docker/site
    push: { registry: public, repository: site, tags: [latest] }
  cron:
    variant: light
    push: { registry: private, repository: cron, tags: [latest] }
    deploy: { lambda: { function: Cron, region: eu-west-1 } }
  report: { dockerfile: docker/report }
  broken: { dockerfile: docker/broken }
"#;

fn place() -> Place {
    Place::with_manifest(MANIFEST)
        .file("docker/common", "FROM scratch\nCOPY deploy.yaml /\n")
        .file("docker/one", "FROM two\nCOPY deploy.yaml /1\n")
        .file("docker/two", "FROM one\nCOPY deploy.yaml /2\n")
        .file("docker/light", "FROM scratch\nCOPY deploy.yaml /\n")
        .file("docker/site", "FROM common\nCOPY deploy.yaml /site\n")
        .file(
            "docker/report",
            "FROM 123456789012.dkr.ecr.us-east-1.amazonaws.com/common:stabel\nCOPY deploy.yaml /report\n",
        )
        .file("docker/broken", "FROM scratch\nCOYP deploy.yaml /\n")
        .committed()
}

#[test]
fn of_every_stage_in_one_run() {
    let place = place();
    let ran = place.run(&["check", "--json"]).exits(2);
    assert_eq!(
        ran.problems(),
        [
            "unknown-variant deploy.yaml:17:14",
            "unknown-key deploy.yaml:21:5",
            "missing-name deploy.yaml:22:59",
            "tag-conflict deploy.yaml:28:59",
            "lambda-without-ecr deploy.yaml:35:35",
            "unknown-instruction docker/broken:2:1",
            "cycle docker/one:1:6",
            "unknown-tag docker/report:1:6",
            "leak docker/site:1:6",
        ]
    );
    snapshot!(place.run(&["check"]).exits(2));
    for command in ["plan", "apply", "show", "graph"] {
        assert_eq!(place.run(&[command, "--json"]).exits(2).stdout, ran.stdout, "{command}");
    }
}
