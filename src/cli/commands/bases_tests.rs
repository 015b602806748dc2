//! What images of the manifest take from the configuration of the images that they build on.

use std::collections::BTreeMap;

use super::testing::Shop;
use crate::digest::Key;
use crate::plan::Executor;

/// `base`, `middle` on it and `leaf` on that, none of which is published anywhere.
fn shop(base: &str, middle: &str, leaf: &str) -> Shop {
    let shop = Shop::new(
        "version: 1\nproject: shop\ndefaults: { platforms: [linux/amd64] }\nbases:\n  base: { context: base }\n\
         images:\n  middle: { context: middle, args: { BASE: \"{{ref 'base'}}\" } }\n  leaf: { context: leaf, args: { BASE: \"{{ref 'middle'}}\" } }\n",
    );
    for (name, text) in [("base", base), ("middle", middle), ("leaf", leaf)] {
        for folder in ["src", "conf"] {
            std::fs::create_dir_all(shop.root().join(name).join(folder)).unwrap();
            shop.write(&format!("{name}/{folder}/f"), "1");
        }
        shop.write(&format!("{name}/Dockerfile"), text);
    }
    shop.commit("one");
    shop
}

impl Shop {
    async fn keys(&self) -> BTreeMap<String, Key> {
        let plan = self.planned(&["--offline"]).await.0.plan;
        plan.images.iter().map(|step| (step.name.to_string(), step.key)).collect()
    }

    /// The images of which an edit changes the key.
    async fn changed_by(&self, path: &str) -> Vec<String> {
        let before = self.keys().await;
        self.write(path, "2");
        let after = self.keys().await;
        self.write(path, "1");
        after.into_iter().filter(|(name, key)| before[name] != *key).map(|(name, _)| name).collect()
    }
}

const ON: &str = "ARG BASE\nFROM $BASE\n";

#[tokio::test]
async fn a_trigger_reads_for_the_child_and_not_for_the_grandchild() {
    let shop = shop("FROM scratch\nONBUILD COPY src /src\n", &format!("{ON}LABEL x=1\n"), &format!("{ON}LABEL x=1\n"));
    assert_eq!(shop.changed_by("base/src/f").await, Vec::<String>::new());
    assert_eq!(shop.changed_by("middle/src/f").await, ["leaf", "middle"], "the leaf through its base");
    assert_eq!(shop.changed_by("middle/conf/f").await, Vec::<String>::new());
    assert_eq!(shop.changed_by("leaf/src/f").await, Vec::<String>::new());
    shop.write("base/Dockerfile", "FROM scratch\nONBUILD COPY conf /src\n");
    assert_eq!(shop.changed_by("middle/conf/f").await, ["leaf", "middle"]);
}

#[tokio::test]
async fn a_trigger_chooses_the_builder_and_declares_args() {
    let shop = shop(
        "FROM scratch\nONBUILD ARG FLAVOR=a\nONBUILD RUN make $FLAVOR\n",
        &format!("{ON}LABEL x=1\n"),
        &format!("{ON}LABEL x=1\n"),
    );
    let plan = shop.planned(&["--offline"]).await.0.plan;
    let executors: Vec<_> = plan.images.iter().map(|step| (step.name.as_str(), step.executor)).collect();
    assert!(executors.contains(&("base", Executor::Assemble)) && executors.contains(&("leaf", Executor::Assemble)));
    assert!(executors.contains(&("middle", Executor::Buildkit)), "{executors:?}");
    let because = plan.images.iter().find(|step| step.name.as_str() == "middle").unwrap().executor_because.clone();
    assert!(because.as_deref().unwrap().contains("ONBUILD of base"), "{because:?}");

    let before = shop.keys().await;
    let manifest = std::fs::read_to_string(shop.root().join("deploy.yaml")).unwrap();
    shop.write("deploy.yaml", &manifest.replace("\"{{ref 'base'}}\"", "\"{{ref 'base'}}\", FLAVOR: b"));
    assert_ne!(shop.keys().await["middle"], before["middle"]);
}

#[tokio::test]
async fn triggers_can_be_switched_off() {
    let shop = shop("FROM scratch\nONBUILD COPY src /src\n", &format!("{ON}LABEL x=1\n"), &format!("{ON}LABEL x=1\n"));
    let before = shop.keys().await;
    let manifest = std::fs::read_to_string(shop.root().join("deploy.yaml")).unwrap();
    shop.write(
        "deploy.yaml",
        &manifest.replace("\"{{ref 'base'}}\"", "\"{{ref 'base'}}\", BUILDKIT_DISABLE_ONBUILD: \"1\""),
    );
    assert_ne!(shop.keys().await["middle"], before["middle"]);
    assert_eq!(shop.changed_by("middle/src/f").await, Vec::<String>::new());
}

#[tokio::test]
async fn variables_of_a_base_say_what_its_dependents_read() {
    let base = "FROM scratch\nENV DIR=src OTHER=conf\nARG HIDDEN=conf\n";
    let middle = format!("{ON}COPY $DIR /a\n");
    // ARG is not handed on to other images, ENV is, through any number of them.
    let leaf = format!("{ON}COPY $OTHER/f${{HIDDEN}} /b\n");
    let shop = shop(base, &middle, &leaf);
    assert_eq!(shop.changed_by("middle/src/f").await, ["leaf", "middle"]);
    assert_eq!(shop.changed_by("middle/conf/f").await, Vec::<String>::new());
    assert_eq!(shop.changed_by("leaf/conf/f").await, ["leaf"]);
    assert_eq!(shop.changed_by("leaf/src/f").await, Vec::<String>::new());
    assert!(shop.planned(&["--offline"]).await.0.prepared.wired.warnings.is_empty());
}

#[tokio::test]
async fn a_volatile_value_that_a_base_hands_on_does_not_count() {
    let shop =
        shop("FROM scratch\nARG REV\nENV REV=$REV\n", &format!("{ON}LABEL rev=$REV\n"), &format!("{ON}LABEL x=1\n"));
    let manifest = std::fs::read_to_string(shop.root().join("deploy.yaml")).unwrap();
    let with = |value: &str| {
        let args = format!("{{ context: base, args: {{ REV: {{ value: {value}, volatile: true }} }} }}");
        shop.write("deploy.yaml", &manifest.replace("{ context: base }", &args));
    };
    with("one");
    let before = shop.keys().await;
    with("two");
    assert_eq!(shop.keys().await, before);
}

/// A chain that is deep, written with the last image first, and a circle.
#[tokio::test]
async fn chains_are_followed_from_their_bases_and_circles_are_told() {
    let mut manifest = "version: 1\nproject: shop\ndefaults: { platforms: [linux/amd64] }\nimages:\n".to_owned();
    let depth = 400;
    for number in (1..=depth).rev() {
        manifest += &format!("  i{number}: {{ context: on, args: {{ BASE: \"{{{{ref 'i{}'}}}}\" }} }}\n", number - 1);
    }
    manifest += "  i0: { context: first }\n";
    let shop = Shop::new(&manifest);
    for (name, text) in [("on", "ARG BASE\nFROM $BASE\nCOPY $DIR /x\n"), ("first", "FROM scratch\nENV DIR=src\n")] {
        std::fs::create_dir_all(shop.root().join(name).join("src")).unwrap();
        shop.write(&format!("{name}/src/f"), "1");
        shop.write(&format!("{name}/g"), "1");
        shop.write(&format!("{name}/Dockerfile"), text);
    }
    shop.commit("one");
    assert_eq!(shop.changed_by("on/src/f").await.len(), depth);
    assert_eq!(shop.changed_by("on/g").await, Vec::<String>::new());

    shop.write(
        "deploy.yaml",
        &manifest.replace("i0: { context: first }", "i0: { context: on, args: { BASE: \"{{ref 'i400'}}\" } }"),
    );
    let refused = shop.run(&["plan", "--offline"]).await;
    assert!(format!("{refused:?}").contains("in a circle"), "{refused:?}");
}

/// What an older version of this program built by other rules has a key of its own now; everything else keeps its key.
#[tokio::test]
async fn images_of_which_a_rule_changed_have_other_keys() {
    let shop = Shop::new("version: 1\nproject: shop\ndefaults: { platforms: [linux/arm64] }\nimages:\n  app: {}\n");
    shop.commit("one");
    let options = async |shop: &Shop| {
        let prepared = shop.planned(&["--offline"]).await.0.prepared;
        let options = prepared.images.values().flat_map(|image| image.platforms.values());
        options.flat_map(|work| work.fingerprint.options.clone()).collect::<Vec<_>>().join(" ")
    };
    for (text, wanted) in [
        ("FROM scratch\nCOPY a.txt /\n", ""),
        ("FROM scratch\nCOPY --chown=1:2 a.txt /\n", ""),
        ("FROM scratch\nCOPY --exclude=b a.txt /\n", ""),
        ("FROM scratch\nCOPY --exclude=/b a.txt /\n", "assembled=2"),
        ("FROM scratch\nCOPY --exclude=$E a.txt /\n", "assembled=2"),
        ("FROM scratch\nCOPY --chown=1:staff a.txt /\n", "assembled=2"),
        ("FROM scratch\nCOPY --chmod=755 a.txt /d/\n", "assembled=2"),
        ("FROM scratch AS b\nFROM --platform=linux/amd64 b\nCOPY a.txt /\n", ""),
    ] {
        shop.write("Dockerfile", text);
        assert_eq!(options(&shop).await, wanted, "{text}");
    }
    shop.write("Dockerfile", "FROM scratch\nCOPY a.txt /\n");
    let manifest = std::fs::read_to_string(shop.root().join("deploy.yaml")).unwrap();
    for (value, wanted) in
        [("\"0\"", ""), ("\"1000000000\"", "epoch=1000000000"), ("{ value: \"7\", volatile: true }", "")]
    {
        shop.write(
            "deploy.yaml",
            &manifest.replace("app: {}", &format!("app: {{ args: {{ SOURCE_DATE_EPOCH: {value} }} }}")),
        );
        assert_eq!(options(&shop).await, wanted, "{value}");
    }
}
