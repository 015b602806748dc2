//! `# syntax=`: front ends are pinned where BuildKit runs them, and nobody asks for them elsewhere.

use super::testing::{Shop, one_image};
use crate::cli::exit::Exit;
use crate::digest::{Digest, Key};
use crate::graph::FRONTEND;
use crate::plan::{Executor, Unseen};
use crate::registry::testing::{Options, TestRegistry};

/// A shop with this Dockerfile.
async fn shop(dockerfile: &str) -> (TestRegistry, Shop) {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    shop.write("Dockerfile", &dockerfile.replace("HOST", &registry.host));
    shop.commit("one");
    (registry, shop)
}

impl Shop {
    async fn key(&self, words: &[&str]) -> Key {
        self.planned(words).await.0.plan.images[0].key
    }

    fn pin_front_end(&self, content: &[u8]) {
        let lock = format!(
            "{{\"version\": 1, \"images\": {{}}, \"frontends\": {{\"docker/dockerfile:1\": \"{}\"}}}}\n",
            Digest::of(content)
        );
        self.write("deploy.lock", &lock);
    }
}

#[tokio::test]
async fn an_assembled_image_has_no_use_for_a_front_end() {
    let (_registry, shop) = shop("# syntax=docker/dockerfile:1\nFROM scratch\nCOPY a.txt /\n").await;
    let (planned, ..) = shop.planned(&["--locked"]).await;
    assert_eq!(planned.plan.images[0].executor, Executor::Assemble);
    assert!(planned.prepared.added.is_empty());
    let with = shop.key(&["--locked", "--offline"]).await;
    shop.write("Dockerfile", "FROM scratch\nCOPY a.txt /\n");
    assert_eq!(shop.key(&["--locked", "--offline"]).await, with, "the line is a comment");
    shop.pin_front_end(b"unused");
    assert_eq!(shop.key(&["--locked", "--offline"]).await, with);
    assert_eq!(shop.run(&["update"]).await.unwrap(), Exit::Done);
    let lock = std::fs::read_to_string(shop.root().join("deploy.lock")).unwrap();
    assert!(!lock.contains("frontends"), "what nothing uses is dropped: {lock}");
}

#[tokio::test]
async fn a_front_end_that_buildkit_runs_is_pinned() {
    for (dockerfile, manifest) in [
        ("# syntax=docker/dockerfile:1\nFROM scratch\nCOPY a.txt /\nRUN x\n", ""),
        ("# syntax=docker.io/docker/dockerfile:1\nFROM scratch\nCOPY a.txt /\n", "    executor: buildkit\n"),
        ("FROM scratch\nCOPY a.txt /\nRUN x\n", "    args: { BUILDKIT_SYNTAX: \"docker/dockerfile:1 and more\" }\n"),
    ] {
        let (registry, shop) = shop(dockerfile).await;
        shop.write("deploy.yaml", &(one_image(&registry) + manifest));
        let (planned, ..) = shop.planned(&["--offline"]).await;
        let Unseen::Pin { reference } = &planned.plan.unseen[0].because else { panic!("{:?}", planned.plan.unseen) };
        assert!(reference.ends_with("docker/dockerfile:1"), "{reference}");
        shop.pin_front_end(b"one");
        let (planned, ..) = shop.planned(&["--locked", "--offline"]).await;
        let print = planned.prepared.facts.values().next().unwrap().fingerprints.values().next().unwrap();
        assert_eq!(print.outside[FRONTEND].digest, Digest::of(b"one"));
        let one = planned.plan.images[0].key;
        shop.pin_front_end(b"two");
        assert_ne!(shop.key(&["--locked", "--offline"]).await, one, "another version may build something else");
        // Written with its digest there is nothing to pin.
        shop.write("deploy.lock", "{\"version\": 1, \"images\": {}}\n");
        let digest = Digest::of(b"two");
        let pinned = |text: &str| text.replace("dockerfile:1", &format!("dockerfile:1@{digest}"));
        shop.write("Dockerfile", &pinned(dockerfile));
        shop.write("deploy.yaml", &(one_image(&registry) + &pinned(manifest)));
        shop.key(&["--locked", "--offline"]).await;
    }
}

#[tokio::test]
async fn an_unknown_front_end_is_pinned_and_sees_everything() {
    let (registry, shop) = shop("FROM scratch\nCOPY a.txt /\n").await;
    let first = shop.publish(&[], "app", "a front end", true).await;
    shop.write("a.txt", "two");
    let second = shop.publish(&[], "app", "another", true).await;
    assert_ne!(first, second);
    let stand = |digest| {
        registry.state().repositories.get_mut("app").unwrap().tags.insert("fe".to_owned(), digest);
    };
    stand(first);
    shop.write("Dockerfile", &format!("# syntax={}/app:fe some words\nthis: is\n  no: Dockerfile\n", registry.host));
    let (planned, ..) = shop.planned(&[]).await;
    let step = &planned.plan.images[0];
    let because = step.executor_because.as_deref().unwrap();
    assert!(because.contains("whole context") && because.contains("Dockerfile:1:10"), "{because}");
    assert_eq!(planned.prepared.added.len(), 1, "{:?}", planned.prepared.added);
    assert_eq!(shop.run(&["update"]).await.unwrap(), Exit::Done);
    let locked = shop.key(&["--locked"]).await;
    assert_eq!(locked, step.key);

    // The pin holds until `update`.
    stand(second);
    assert_eq!(shop.key(&[]).await, locked);
    assert_eq!(shop.run(&["update", "--check"]).await.unwrap(), Exit::Changes);
    assert_eq!(shop.run(&["update"]).await.unwrap(), Exit::Done);
    let moved = shop.key(&["--locked"]).await;
    assert_ne!(moved, locked);

    // It may read whatever there is.
    shop.write("b.txt", "new");
    assert_ne!(shop.key(&["--locked"]).await, moved);
    shop.write("deploy.yaml", &(one_image(&registry) + "    executor: buildkit\n"));
    let (planned, ..) = shop.planned(&["--locked"]).await;
    assert!(planned.plan.images[0].executor_because.as_deref().unwrap().contains("whole context"), "said there too");
}
