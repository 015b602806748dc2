//! Publication from the command line down, over registries in this process: what is built is put there by the tests themselves, under the
//! keys that the manifest gives it.

use super::apply::conduct;
use super::plan::make_plan;
use super::testing::{Shop, message, one_image, tags};
use crate::cli::exit::Exit;
use crate::digest::Digest;
use crate::event::{Outcome, RunOutcome};
use crate::plan::{Action, Blocker, Reason};
use crate::registry::testing::{Options, TestRegistry};

#[tokio::test]
async fn tags_never_go_backward() {
    for referrers in [true, false] {
        let registry = TestRegistry::start(Options { referrers, ..Options::default() }).await;
        let shop = Shop::new(&one_image(&registry));
        let first = shop.commit("one");
        let one = shop.publish(&[], "app", "one", true).await;
        assert_eq!(shop.done(&["apply"]).await.images[0].outcome, Outcome::Tagged);
        let second = shop.commit("two");
        let two = shop.publish(&[], "app", "two", true).await;
        shop.done(&["apply"]).await;
        assert_eq!(tags(&registry, "app")["latest"], two);

        // The older commit runs again, and last: it gives its own tag, and leaves the one that a newer commit moved.
        shop.git(&["checkout", "-q", &first, "--", "."]);
        shop.git(&["checkout", "-q", "-b", "old", &first]);
        registry.state().repositories.get_mut("app").unwrap().tags.remove(&format!("v-{}", &first[..7]));
        let (planned, ..) = shop.planned(&[]).await;
        let latest = &planned.plan.images[0].destinations[0].tags[1];
        assert_eq!((latest.from, latest.to), (Some(two), Some(two)), "the plan says it");
        assert_eq!(latest.newer.as_ref().unwrap().commit, second);
        let receipt = shop.done(&["apply"]).await;
        let standing = tags(&registry, "app");
        assert_eq!((standing["latest"], standing[&format!("v-{}", &first[..7])]), (two, one));
        assert!(!receipt.images[0].published[0].tags.contains(&"latest".to_owned()), "{receipt:?}");
        assert!(shop.events().contains("tag-left"));

        // Another branch: history does not tell.
        let aside = shop.commit("three");
        let three = shop.publish(&[], "app", "three", true).await;
        let (planned, ..) = shop.planned(&[]).await;
        assert!(matches!(&planned.plan.blockers[..], [Blocker::Unordered { mover, .. }] if mover.commit == second));
        let (exit, text) = message(shop.run(&["apply"]).await);
        assert_eq!(exit, Exit::Wrong, "{text}");
        assert_eq!(tags(&registry, "app")["latest"], two);
        shop.done(&["apply", "--allow-older"]).await;
        assert_eq!(tags(&registry, "app")["latest"], three);

        // And on from there.
        shop.git(&["checkout", "-q", "main"]);
        shop.git(&["-c", "user.name=t", "-c", "user.email=t@t", "merge", "-q", "-s", "ours", "-m", "merge", &aside]);
        shop.done(&["apply"]).await;
        assert_eq!(tags(&registry, "app")["latest"], two, "a merge comes after both");
    }
}

#[tokio::test]
async fn a_late_run_of_a_commit_that_was_reverted_moves_nothing_back() {
    for referrers in [true, false] {
        let registry = TestRegistry::start(Options { referrers, ..Options::default() }).await;
        let shop = Shop::new(&one_image(&registry));
        shop.commit("good");
        let good = shop.publish(&[], "app", "good", true).await;
        shop.done(&["apply"]).await;
        // Its run is slow; the revert comes first, and finds `latest` where it wants it.
        let bad = shop.commit("bad");
        shop.publish(&[], "app", "bad", true).await;
        let reverted = shop.commit("good");
        shop.done(&["apply"]).await;
        shop.git(&["checkout", "-q", &bad]);
        shop.done(&["apply"]).await;
        assert_eq!(tags(&registry, "app")["latest"], good, "{reverted} wants it there");
        assert!(shop.events().contains("tag-left"));
    }
}

#[tokio::test]
async fn a_rollback_undoes_the_last_run_that_moved_something() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    shop.commit("one");
    let one = shop.publish(&[], "app", "one", true).await;
    shop.done(&["apply"]).await;
    shop.commit("two");
    let two = shop.publish(&[], "app", "two", true).await;
    shop.done(&["apply"]).await;
    shop.done(&["apply"]).await;
    assert_eq!(tags(&registry, "app")["latest"], two);
    shop.done(&["apply", "--rollback"]).await;
    assert_eq!(tags(&registry, "app")["latest"], one, "the run between found nothing to do");
    shop.done(&["apply", "--rollback"]).await;
    assert_eq!(tags(&registry, "app")["latest"], two, "and back");
}

#[tokio::test]
async fn a_receipt_that_cannot_be_written_is_said_before_anything_is_done() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    shop.commit("one");
    shop.publish(&[], "app", "one", true).await;
    let nowhere = shop.root().join("nowhere/receipt.json").display().to_string();
    let (exit, text) = message(shop.run(&["apply", "--receipt", &nowhere]).await);
    assert_eq!(exit, Exit::Wrong, "{text}");
    assert!(text.contains("cannot write the receipt to") && !text.contains("nowhere/.tmp"), "{text}");
    assert!(!tags(&registry, "app").contains_key("latest"));
}

#[tokio::test]
async fn a_tag_that_moves_between_plan_and_put_is_judged_anew() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    shop.commit("one");
    let one = shop.publish(&[], "app", "one", true).await;
    shop.done(&["apply"]).await;
    shop.commit("two");
    shop.publish(&[], "app", "two", true).await;
    let saved = format!("{}/.orchestrate/saved.json", shop.root().display());
    shop.done(&["plan", "--out", &saved]).await;

    // By something that leaves no note: refused, and before that the saved plan is stale.
    let (planned, settings, arguments) = shop.planned(&[]).await;
    let other = Digest::of(b"no note");
    let forge = |registry: &TestRegistry, to: Digest| {
        let mut state = registry.state();
        let repo = state.repositories.get_mut("app").unwrap();
        let any = repo.manifests[&one].clone();
        repo.manifests.insert(to, any);
        repo.tags.insert("latest".to_owned(), to);
    };
    forge(&registry, other);
    let receipt = conduct(planned, &settings, &arguments).await.unwrap();
    assert_eq!(receipt.outcome, RunOutcome::Failed);
    let error = receipt.images[0].error.clone().unwrap();
    assert!(error.contains("was moved to") && error.contains("orchestrate plan"), "{error}");
    assert_eq!(tags(&registry, "app")["latest"], other);
    let (exit, text) = message(shop.run(&["apply", &saved]).await);
    assert_eq!((exit, text.contains("latest")), (Exit::Stale, true), "{text}");
}

#[tokio::test]
async fn a_forged_key_tag_counts_as_absent() {
    for referrers in [true, false] {
        let registry = TestRegistry::start(Options { referrers, ..Options::default() }).await;
        let shop = Shop::new(&one_image(&registry));
        shop.commit("one");
        shop.publish(&[], "app", "forged", false).await;
        let (settings, _) = shop.settings(&["plan"]);
        let trusting = make_plan(&settings, &Default::default(), &[]).await.unwrap();
        assert_eq!(trusting.plan.images[0].action, Action::Tag, "a plan trusts the key tag");
        let (planned, ..) = shop.planned(&[]).await;
        assert_eq!(planned.plan.images[0].action, Action::Build);
        assert!(matches!(&planned.plan.images[0].reasons[..], [Reason::Unsound { .. }]));
        let (exit, text) = message(shop.run(&["apply", "--publish"]).await);
        assert_eq!((exit, text.contains("app")), (Exit::Surroundings, true), "{text}");
        assert!(tags(&registry, "app").is_empty());
    }
}

#[tokio::test]
async fn publish_moves_the_tags_of_what_shards_built() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    let commit = shop.commit("one");
    let (exit, text) = message(shop.run(&["apply", "--publish"]).await);
    assert_eq!((exit, text.contains("--build-only")), (Exit::Surroundings, true), "{text}");
    let one = shop.publish(&[], "app", "one", true).await;
    shop.done(&["apply", "--build-only"]).await;
    shop.done(&["apply", "--no-push"]).await;
    assert!(tags(&registry, "app").is_empty());
    shop.done(&["apply", "--publish"]).await;
    assert_eq!(tags(&registry, "app"), [("latest".to_owned(), one), (format!("v-{}", &commit[..7]), one)].into());
    let before = registry.state().log.len();
    shop.done(&["apply"]).await;
    assert_eq!(registry.state().log.len() - before, 3, "one for the destination, one for each tag");
    shop.done(&["tag", "app", "1.0", "1.0.3"]).await;
    assert_eq!(tags(&registry, "app")["1.0.3"], one);
    let (exit, text) = message(shop.run(&["tag", "app", "key-00000000000000000000000000000000"]).await);
    assert_eq!((exit, text.contains("key")), (Exit::Wrong, true), "{text}");
}

#[tokio::test]
async fn a_tag_by_hand_is_taken_from_no_other_image_unasked() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    let first = shop.commit("one");
    let one = shop.publish(&[], "app", "one", true).await;
    shop.done(&["apply"]).await;
    shop.done(&["tag", "app", "v9"]).await;
    let second = shop.commit("two");
    let two = shop.publish(&[], "app", "two", true).await;
    shop.done(&["apply"]).await;
    let fixed = |commit: &str| format!("v-{}", &commit[..7]);

    // A commit's tag, and one that nobody moved: refused, and nothing beside them is put.
    for tag in [fixed(&first), "v9".to_owned()] {
        let (exit, text) = message(shop.run(&["tag", "app", "new", &tag]).await);
        assert_eq!(exit, Exit::Wrong, "{text}");
        for part in [format!("app:{tag}`"), one.to_string(), two.to_string()] {
            assert!(text.contains(&part), "{part} is missing in: {text}");
        }
        let standing = tags(&registry, "app");
        assert_eq!((standing.get("new"), standing[&tag]), (None, one));
    }
    shop.done(&["tag", "app", &fixed(&second), "latest"]).await;
    shop.done(&["tag", "app", "v9", "--move"]).await;
    assert_eq!(tags(&registry, "app")["v9"], two);

    // The older commit takes back neither the moving tag nor what was moved by hand.
    shop.git(&["checkout", "-q", &first]);
    for tag in ["latest", "v9"] {
        for words in [&["tag", "app", tag][..], &["tag", "app", tag, "--move"]] {
            let (exit, text) = message(shop.run(words).await);
            assert_eq!((exit, text.contains(&second[..7])), (Exit::Wrong, true), "{text}");
            assert_eq!(tags(&registry, "app")[tag], two);
        }
        shop.done(&["tag", "app", tag, "--allow-older"]).await;
        assert_eq!(tags(&registry, "app")[tag], one);
    }

    // On the newer commit again it moves forward: the note says who moved it back.
    shop.git(&["checkout", "-q", "main"]);
    shop.done(&["tag", "app", "latest", "--json"]).await;
    assert_eq!(tags(&registry, "app")["latest"], two);
}

#[tokio::test]
async fn promotion_copies_by_key_and_builds_nothing() {
    for far in [false, true] {
        let dev = TestRegistry::start(Options::default()).await;
        let prod = TestRegistry::start(Options::default()).await;
        let target = if far { &prod } else { &dev };
        let manifest = format!(
            "version: 1\nproject: shop\nregistries:\n  main: {{ kind: oci, url: \"http://{}/dev\" }}\n\
defaults: {{ platforms: [linux/amd64] }}\nimages:\n  app:\n    dockerfile: Dockerfile\n    push:\n      - {{ registry: main, repository: app, tags: [latest] }}\n      - {{ registry: main, repository: second, tags: [] }}\n\
profiles:\n  dev: {{}}\n  prod:\n    registries:\n      main: {{ url: \"http://{}/prod\" }}\n",
            dev.host, target.host
        );
        let shop = Shop::new(&manifest);
        shop.commit("one");
        let one = shop.publish(&["--profile", "dev"], "app", "one", true).await;
        let sent =
            |registry: &TestRegistry| registry.seen("PUT").iter().filter(|seen| seen.line.contains("/blobs/")).count();
        let before = sent(target);
        let receipt = shop.done(&["apply", "--profile", "prod", "--from", "dev"]).await;
        assert_eq!((receipt.images[0].outcome, receipt.images[0].digest), (Outcome::Copied, Some(one)));
        assert_eq!(tags(target, "prod/app")["latest"], one);
        assert!(target.state().repositories["prod/second"].manifests.contains_key(&one));
        // To another host everything streams once; on the same one it is mounted, the record too.
        let streamed = sent(target) - before;
        assert!(if far { streamed >= 4 } else { streamed == 0 }, "{streamed}");
        if !far {
            let mounted = target.seen("POST /v2/prod/app/blobs/uploads/").len();
            assert!(mounted >= 2, "{mounted}");
        }
        let (planned, ..) = shop.planned(&["--profile", "prod", "--from", "dev"]).await;
        assert!(!planned.plan.has_changes());
        let (exit, _) = message(shop.run(&["plan", "--profile", "dev", "--from", "dev"]).await);
        assert_eq!(exit, Exit::Wrong);
    }
}

#[tokio::test]
async fn verify_stands_before_every_tag() {
    let registry = TestRegistry::start(Options::default()).await;
    let image = |name: &str, verify: &str| {
        format!(
            "  {name}:\n    dockerfile: Dockerfile\n    labels: {{ name: {name} }}\n    verify: {verify}\n    push: [{{ registry: local, repository: {name}, tags: [latest] }}]\n"
        )
    };
    let head = format!(
        "version: 1\nproject: shop\nregistries:\n  local: {{ kind: oci, url: \"http://{}\" }}\ndefaults: {{ platforms: [linux/amd64] }}\nimages:\n",
        registry.host
    );
    let good = image("good", "[sh, -c, 'echo saw $ORCHESTRATE_REFERENCE']");
    let shop = Shop::new(&format!(
        "{head}{good}{}",
        image("bad", "[sh, -c, 'echo $ORCHESTRATE_IMAGE is rotten >&2; exit 3']")
    ));
    shop.commit("one");
    let digest = shop.publish(&[], "good", "good", true).await;
    shop.publish(&[], "bad", "bad", true).await;
    assert_eq!(shop.run(&["apply"]).await.unwrap(), Exit::Failed);
    assert!(tags(&registry, "good").is_empty() && tags(&registry, "bad").is_empty(), "no tag moves");
    let events = shop.events();
    assert!(
        events.contains(&format!("saw {}/good@{digest}", registry.host)) && events.contains("bad is rotten"),
        "{events}"
    );
    let error = shop.receipt().images.iter().find_map(|image| image.error.clone()).unwrap();
    assert!(error.contains("did not accept") && error.contains('3'), "{error}");
    assert_eq!(shop.run(&["apply", "--publish-partial"]).await.unwrap(), Exit::Failed);
    assert_eq!(tags(&registry, "good")["latest"], digest);
    assert!(tags(&registry, "bad").is_empty());
    let receipt = shop.receipt();
    let published =
        |name: &str| receipt.images.iter().find(|image| image.name.as_str() == name).unwrap().published[0].tags.clone();
    assert_eq!((published("good").len(), published("bad").len()), (2, 1), "{receipt:?}");
}

#[tokio::test]
async fn immutable_repositories_are_a_normal_case() {
    for referrers in [true, false] {
        let registry = TestRegistry::start(Options { immutable: true, referrers, ..Options::default() }).await;
        let shop = Shop::new(&one_image(&registry).replace(", latest]", "]"));
        let first = shop.commit("one");
        let one = shop.publish(&[], "app", "one", true).await;
        shop.done(&["apply"]).await;
        let second = shop.commit("one");
        shop.done(&["apply"]).await;
        let tag = |commit: &str| format!("v-{}", &commit[..7]);
        assert_eq!(tags(&registry, "app"), [(tag(&first), one), (tag(&second), one)].into());
        let (planned, ..) = shop.planned(&[]).await;
        assert!(!planned.plan.has_changes());
        // A commit tag that stands on something else is a conflict, not a fight.
        let other = shop.commit("two");
        shop.publish(&[], "app", "two", true).await;
        registry.state().repositories.get_mut("app").unwrap().tags.insert(tag(&other), one);
        let (planned, ..) = shop.planned(&[]).await;
        assert!(matches!(&planned.plan.blockers[..], [Blocker::TagConflict { stands, .. }] if *stands == one));
        let (exit, _) = message(shop.run(&["apply"]).await);
        assert_eq!(exit, Exit::Wrong);
    }
}

/// `verify:` judges what has no tags too; what it refused gets no tag by hand, and what it accepted is not judged again.
#[tokio::test]
async fn verify_is_never_skipped() {
    let registry = TestRegistry::start(Options::default()).await;
    let manifest = |verify: &str, tags: &str| {
        format!(
            "version: 1\nproject: shop\nregistries:\n  local: {{ kind: oci, url: \"http://{}\" }}\ndefaults: {{ platforms: [linux/amd64] }}\n\
             images:\n  app:\n    verify: [sh, -c, \"echo x >> ran; {verify}\"]\n    push: [{{ registry: local, repository: app, tags: {tags} }}]\n",
            registry.host
        )
    };
    let shop = Shop::new(&manifest("exit 1", "[]"));
    shop.commit("one");
    let ran = || std::fs::read_to_string(shop.root().join("ran")).unwrap_or_default().lines().count();
    assert_eq!(shop.run(&["apply"]).await.unwrap(), Exit::Failed);
    assert_eq!(ran(), 1, "it ran though there is no tag");
    assert_eq!(shop.run(&["apply"]).await.unwrap(), Exit::Failed, "and refuses the kept image too");
    assert_eq!(ran(), 2);
    let (exit, text) = message(shop.run(&["tag", "app", "good"]).await);
    assert!(exit == Exit::Wrong && text.contains("`verify` has not accepted"), "{text}");
    assert!(tags(&registry, "app").is_empty());

    shop.write("deploy.yaml", &manifest("exit 0", "[]"));
    for _ in 0..2 {
        shop.done(&["apply"]).await;
        assert_eq!(ran(), 3, "once for an image and a command");
    }
    assert_eq!(shop.run(&["tag", "app", "good"]).await.unwrap(), Exit::Done);
    assert!(tags(&registry, "app").contains_key("good"));

    // Whoever is left behind holds nothing up.
    shop.write("deploy.yaml", &manifest("sleep 60 & exit 0", "[latest]"));
    let began = std::time::Instant::now();
    shop.done(&["apply"]).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    assert!(tags(&registry, "app").contains_key("latest"));
}
