//! Saved plans and `--set`.

use super::testing::{Shop, message};
use crate::cli::exit::Exit;
use crate::registry::testing::{Options, TestRegistry};

async fn shop(registry: &TestRegistry) -> Shop {
    let manifest = format!(
        "version: 1\nproject: shop\nvars: {{ tag: stable, word: none }}\nregistries: {{ local: {{ kind: oci, url: \"http://{}\" }} }}\n\
         defaults: {{ platforms: [linux/amd64] }}\nimages:\n  app:\n    dockerfile: Dockerfile\n    args: {{ PASS: {{ value: \"x{{{{vars.word}}}}\", sensitive: true }} }}\n    \
         push: [{{ registry: local, repository: app, tags: [\"{{{{vars.tag}}}}\"] }}]\n",
        registry.host
    );
    let shop = Shop::new(&manifest);
    shop.write("Dockerfile", "FROM scratch\nARG PASS\nCOPY a.txt /\n");
    shop.commit("one");
    shop
}

#[tokio::test]
async fn a_saved_plan_holds_what_set_gave() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = shop(&registry).await;
    let set = ["--set", "tag=beta"];
    shop.publish(&set, "app", "one", true).await;
    let saved = shop.root().join(".orchestrate/saved.plan").display().to_string();
    std::fs::create_dir_all(shop.root().join(".orchestrate")).unwrap();
    shop.run(&["plan", "--out", &saved, "--set", "tag=beta"]).await.unwrap();

    for other in ["tag=gamma", "word=more"] {
        let (exit, text) = message(shop.run(&["apply", &saved, "--set", other]).await);
        assert_eq!(exit, Exit::Stale, "{text}");
        let name = other.split('=').next().unwrap();
        assert!(text.contains(&format!("`--set {name}` is not as it was when it was made")), "{text}");
    }
    shop.done(&["apply", &saved]).await;
    assert_eq!(super::testing::tags(&registry, "app").keys().collect::<Vec<_>>(), ["beta"]);
    // The same again says nothing else.
    shop.done(&["apply", &saved, "--set", "vars.tag=beta"]).await;
}

#[tokio::test]
async fn a_saved_plan_keeps_no_secret() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = shop(&registry).await;
    let set = ["--set", "word=do-not-keep"];
    shop.publish(&set, "app", "one", true).await;
    let saved = shop.root().join(".orchestrate/saved.plan").display().to_string();
    std::fs::create_dir_all(shop.root().join(".orchestrate")).unwrap();
    shop.run(&["plan", "--out", &saved, "--set", "word=do-not-keep"]).await.unwrap();
    assert!(!std::fs::read_to_string(&saved).unwrap().contains("do-not-keep"));

    let (exit, text) = message(shop.run(&["apply", &saved]).await);
    assert_eq!(exit, Exit::Wrong, "{text}");
    assert!(text.contains("give `--set word=...` again"), "{text}");
    let (exit, text) = message(shop.run(&["apply", &saved, "--set", "word=another"]).await);
    assert_eq!(exit, Exit::Stale, "the key tells: {text}");
    shop.done(&["apply", &saved, "--set", "word=do-not-keep"]).await;
}
