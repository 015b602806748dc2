//! What depends on the day of a publication: `rebuild_every`, and `published` in tags and labels.

use super::testing::{LONG_AGO, Shop, message, tags};
use crate::cli::dates::now;
use crate::cli::exit::Exit;
use crate::event::Outcome;
use crate::fingerprint::day_of;
use crate::oci::{Contents, ImageConfig};
use crate::plan::{Action, Reason, Rebuild, RebuildState};
use crate::problem::Code;
use crate::registry::By;
use crate::registry::testing::{Options, TestRegistry};

fn manifest(registry: &TestRegistry, image: &str) -> String {
    format!(
        "version: 1\nproject: shop\nregistries:\n  local: {{ kind: oci, url: \"http://{0}\" }}\n  open: {{ kind: oci, url: \"http://{0}\", public: true }}\n\
defaults: {{ platforms: [linux/amd64] }}\nimages:\n  app:\n{image}",
        registry.host
    )
}

/// An image that is to be rebuilt every week.
fn weekly(registry: &TestRegistry) -> Shop {
    let shop = Shop::new(&manifest(
        registry,
        "    rebuild_every: 7d\n    push: [{ registry: local, repository: app, tags: [latest] }]\n",
    ));
    shop.commit("one");
    shop
}

impl Shop {
    async fn rebuilds(&self, words: &[&str]) -> Vec<RebuildState> {
        let plan = self.planned(words).await.0.plan;
        plan.rebuilds.into_iter().map(|Rebuild { state, .. }| state).collect()
    }

    fn lock(&self) -> String {
        std::fs::read_to_string(self.root().join("deploy.lock")).unwrap_or_default()
    }
}

#[tokio::test]
async fn an_old_image_is_due_and_update_raises_its_generation() {
    for referrers in [true, false] {
        let registry = TestRegistry::start(Options { referrers, ..Options::default() }).await;
        let shop = weekly(&registry);
        assert_eq!(shop.rebuilds(&[]).await, [], "what is built anyway is not due");
        shop.publish(&[], "app", "one", true).await;
        shop.done(&["apply"]).await;
        let due = RebuildState::Due { published: LONG_AGO };
        assert_eq!(shop.rebuilds(&[]).await, std::slice::from_ref(&due));
        assert_eq!(shop.rebuilds(&["--locked"]).await, [due], "said and left");
        let plan = shop.planned(&[]).await.0.plan;
        assert!(!plan.has_changes(), "a plan does what the lock says: {plan:#?}");

        assert_eq!(shop.run(&["update", "--check"]).await.unwrap(), Exit::Changes);
        assert_eq!(shop.lock(), "", "--check writes nothing");
        assert_eq!(shop.run(&["update", "--locked"]).await.unwrap(), Exit::Done);
        assert!(shop.lock().contains("\"app\": 1"), "{}", shop.lock());
        let raised = shop.lock();
        assert_eq!(shop.run(&["update"]).await.unwrap(), Exit::Done);
        assert_eq!(shop.lock(), raised, "raised once, until it is built");
        assert_eq!(shop.run(&["update", "--check"]).await.unwrap(), Exit::Done);

        let step = shop.planned(&[]).await.0.plan.images.remove(0);
        assert_eq!(step.action, Action::Build);
        assert!(
            matches!(&step.reasons[..], [Reason::Setting { name, old, new }]
                if name == "generation" && old.as_deref() == Some("0") && new.as_deref() == Some("1")),
            "{:?}",
            step.reasons
        );
        // Built for real: published today, the image is young again.
        assert_eq!(shop.done(&["apply"]).await.images[0].outcome, Outcome::Built);
        assert_eq!(shop.rebuilds(&[]).await, []);
        assert_eq!(shop.run(&["update", "--check"]).await.unwrap(), Exit::Done);
    }
}

#[tokio::test]
async fn what_cannot_be_judged_is_said() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = weekly(&registry);
    assert_eq!(shop.rebuilds(&["--offline"]).await, [RebuildState::NotAsked]);
    let (exit, text) = message(shop.run(&["update", "--offline"]).await);
    assert_eq!((exit, text.contains("--offline")), (Exit::Wrong, true), "{text}");

    shop.publish_at(&[], "app", "one", None).await;
    assert_eq!(shop.rebuilds(&[]).await, [RebuildState::Undated]);
    // A clock that was set back: what is published seems to come from the future.
    let published = now() + 10 * 24 * 3600;
    registry.state().repositories.clear();
    shop.publish_at(&[], "app", "one", Some(published)).await;
    assert_eq!(shop.rebuilds(&[]).await, [RebuildState::Ahead { published }]);
    assert_eq!(shop.run(&["update"]).await.unwrap(), Exit::Done);
    assert!(!shop.lock().contains("generations"), "{}", shop.lock());
    // By an hour: it is just young.
    registry.state().repositories.clear();
    shop.publish_at(&[], "app", "one", Some(now() + 3600)).await;
    assert_eq!(shop.rebuilds(&[]).await, []);
}

#[tokio::test]
async fn generations_of_images_that_are_gone_go_too() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = weekly(&registry);
    shop.write("deploy.lock", "{\"version\": 1, \"images\": {}, \"generations\": {\"app\": 3, \"gone\": 2}}\n");
    assert_eq!(shop.run(&["update"]).await.unwrap(), Exit::Done);
    assert!(shop.lock().contains("\"app\": 3") && !shop.lock().contains("gone"), "{}", shop.lock());
}

const DATED: &str = "    labels: { built: \"on {{published}}\", kind: app }\n    push: [{ registry: local, repository: app, tags: [\"v-{{published}} {{published}}\", latest] }]\n";

#[tokio::test]
async fn a_tag_has_the_day_of_the_first_publication() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&manifest(&registry, DATED));
    shop.commit("one");
    let old = shop.publish(&[], "app", "one", true).await;
    let day = day_of(LONG_AGO);
    let plan = shop.planned(&[]).await.0.plan;
    let planned: Vec<_> =
        plan.images[0].destinations[0].tags.iter().map(|tag| (tag.tag.as_str(), tag.at_build)).collect();
    assert_eq!(planned, [(format!("v-{day}").as_str(), false), (day.as_str(), false), ("latest", false)]);
    shop.done(&["apply"]).await;
    assert_eq!(tags(&registry, "app")[&format!("v-{day}")], old);
    assert!(!shop.planned(&[]).await.0.plan.has_changes(), "the day stays");

    // A record without a date: the tag cannot be known.
    registry.state().repositories.clear();
    shop.publish_at(&[], "app", "one", None).await;
    let problems = match shop.run(&["plan"]).await {
        Err(crate::cli::exit::Failure::Problems(problems)) => problems,
        other => panic!("{other:?}"),
    };
    assert_eq!(problems.sorted()[0].code, Code::UnknownDay);
}

#[tokio::test]
async fn what_is_built_gets_the_day_when_it_is_published() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&manifest(&registry, DATED));
    shop.commit("one");
    let saved = format!("{}/.orchestrate/saved.json", shop.root().display());
    shop.done_planning(&saved).await;
    let (planned, ..) = shop.planned(&[]).await;
    let publication = &planned.plan.images[0].destinations[0];
    let tags_planned: Vec<_> = publication.tags.iter().map(|tag| (tag.tag.as_str(), tag.at_build)).collect();
    assert_eq!(tags_planned, [("v-set-at-build", true), ("set-at-build", true), ("latest", false)]);
    let before = day_of(now());
    let receipt = shop.done(&["apply", &saved]).await;
    let today = receipt.images[0].published[0].tags.iter().find_map(|tag| tag.strip_prefix("v-")).unwrap().to_owned();
    assert!([before, day_of(now())].contains(&today), "{receipt:?}");
    let standing = tags(&registry, "app");
    let built = receipt.images[0].digest.unwrap();
    assert_eq!(
        standing.keys().cloned().collect::<Vec<_>>(),
        [today.clone(), "latest".to_owned(), format!("v-{today}")]
    );
    assert!(standing.values().all(|digest| *digest == built));

    // The label says the same day, and is kept out of the key.
    let home = planned.repositories.get("local", "app");
    let raw = home.get_manifest(By::Digest(built)).await.unwrap().unwrap();
    let Ok(Contents::Manifest(image)) = raw.contents() else { panic!("{raw:?}") };
    let config: ImageConfig = serde_json::from_slice(&home.read_blob(&image.config, 1 << 20).await.unwrap()).unwrap();
    assert_eq!(config.config.labels["built"], format!("on {today}"));
    let print = planned.prepared.facts.values().next().unwrap().fingerprints.values().next().unwrap();
    assert_eq!(print.labels.keys().collect::<Vec<_>>(), ["kind"]);

    // The saved plan once more, and a new one: nothing is left to do.
    shop.done(&["apply", &saved]).await;
    assert!(!shop.planned(&[]).await.0.plan.has_changes());
}

#[tokio::test]
async fn at_public_destinations_alone_no_day_is_known() {
    let registry = TestRegistry::start(Options::default()).await;
    let open = DATED.replace("registry: local", "registry: open");
    let problems = match Shop::new(&manifest(&registry, &open)).run(&["plan"]).await {
        Err(crate::cli::exit::Failure::Problems(problems)) => problems,
        other => panic!("{other:?}"),
    };
    assert_eq!(problems.sorted()[0].code, Code::UnknownDay);
}
