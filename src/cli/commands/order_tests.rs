//! Which of two runs may move a tag, with git itself and over a registry in this process.

use super::testing::{Shop, message, one_image, tags};
use crate::cli::exit::Exit;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::plan::{Blocker, Why};
use crate::registry::testing::{Options, TestRegistry};

/// Times that are long past for the registry.
const T: i64 = 1_700_000_000;

/// A commit at a time, published under its key.
async fn published(shop: &Shop, content: &str, time: i64) -> Digest {
    shop.commit_at(content, time);
    shop.publish(&[], "app", content, true).await
}

/// The verdict on `latest` in the plan made now.
async fn verdict(shop: &Shop) -> Option<Why> {
    let (planned, ..) = shop.planned(&[]).await;
    let tags = &planned.plan.images[0].destinations[0].tags;
    tags.iter().find(|tag| tag.tag == "latest").unwrap().order.as_ref().map(|standing| standing.why)
}

#[tokio::test]
async fn an_amended_commit_moves_its_tags_and_a_late_run_of_the_old_one_does_not() {
    for referrers in [true, false] {
        let registry = TestRegistry::start(Options { referrers, ..Options::default() }).await;
        let shop = Shop::new(&one_image(&registry));
        let first = published(&shop, "one", T).await;
        shop.done(&["apply"]).await;
        let old = shop.git(&["rev-parse", "HEAD"]);
        shop.write("a.txt", "two");
        shop.git(&["commit", "-q", "-a", "--amend", "-m", "amended"]);
        let two = shop.publish(&[], "app", "two", true).await;
        assert_eq!(verdict(&shop).await, Some(Why::NewerByTime));
        let (planned, ..) = shop.planned(&[]).await;
        let text = crate::report::plan_text(&planned.plan, crate::report::Style::PLAIN, false);
        assert!(text.contains("not a descendant; newer by its commit time"), "{text}");
        shop.done(&["apply"]).await;
        assert_eq!(tags(&registry, "app")["latest"], two);

        // The old commit again, late, on the same branch: it leaves the tag, and says so.
        shop.git(&["reset", "-q", "--hard", &old]);
        let (planned, ..) = shop.planned(&[]).await;
        assert!(planned.plan.blockers.is_empty(), "{:?}", planned.plan.blockers);
        let text = crate::report::plan_text(&planned.plan, crate::report::Style::PLAIN, false);
        assert!(text.contains("is left where it is"), "{text}");
        assert!(planned.plan.to_json().contains("older-by-time"));
        let receipt = shop.done(&["apply"]).await;
        assert_eq!((tags(&registry, "app")["latest"], receipt.left.len()), (two, 1));
        assert_eq!((receipt.left[0].tag.as_str(), receipt.left[0].because), ("latest", Some(Why::OlderByTime)));
        assert!(shop.events().contains("older-by-time"));
        assert_ne!(first, two);
    }
}

#[tokio::test]
async fn a_branch_that_applied_by_mistake_does_not_block_the_default_one() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    published(&shop, "one", T).await;
    shop.done(&["apply"]).await;
    shop.git(&["checkout", "-q", "-b", "side"]);
    let aside = published(&shop, "side", T + 1000).await;
    shop.done(&["apply"]).await;
    assert_eq!(tags(&registry, "app")["latest"], aside, "a descendant may");
    shop.git(&["checkout", "-q", "main"]);
    let two = published(&shop, "two", T + 10).await;
    assert_eq!(verdict(&shop).await, Some(Why::DefaultBranch));
    shop.done(&["apply"]).await;
    assert_eq!(tags(&registry, "app")["latest"], two);

    // Another branch does not take from it, and is told what to write.
    shop.git(&["checkout", "-q", "side"]);
    let (planned, ..) = shop.planned(&[]).await;
    assert!(
        matches!(&planned.plan.blockers[..], [Blocker::Unordered { order, .. }] if order.why == Why::OtherBranch),
        "{:?}",
        planned.plan.blockers
    );
    let text = crate::report::plan_text(&planned.plan, crate::report::Style::PLAIN, false);
    assert!(text.contains("when: \"{{eq git.branch 'main'}}\""), "{text}");
    assert_eq!(shop.run(&["plan"]).await.unwrap(), Exit::Wrong);
    assert_eq!(message(shop.run(&["apply"]).await).0, Exit::Wrong);
    let (exit, text) = message(shop.run(&["tag", "app", "latest"]).await);
    assert!(exit == Exit::Wrong && text.contains("eq git.branch 'main'"), "{text}");
    // What moves no tag is not stopped by it.
    shop.done(&["apply", "--build-only"]).await;
    shop.done(&["apply", "--no-push"]).await;
    assert_eq!(tags(&registry, "app")["latest"], two);
    // A late run of the first commit finds what the branch took from: the tag does not go back.
    shop.done(&["apply", "--allow-older"]).await;
    assert_eq!(tags(&registry, "app")["latest"], aside);
}

#[tokio::test]
async fn what_a_branch_took_the_tag_from_is_carried_on() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    published(&shop, "one", T).await;
    shop.git(&["branch", "early"]);
    published(&shop, "two", T + 10).await;
    shop.done(&["apply"]).await;
    shop.git(&["checkout", "-q", "-b", "side"]);
    let aside = published(&shop, "side", T + 20).await;
    shop.done(&["apply"]).await;
    // A late run of the first commit in a clone that holds nothing else.
    let lone = shop.clone_of("early", 1, "main");
    let receipt = lone.done(&["apply"]).await;
    assert_eq!((tags(&registry, "app")["latest"], receipt.left.len()), (aside, 1), "{receipt:?}");
}

#[tokio::test]
async fn clones_of_depth_one_move_forward_and_not_back() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    published(&shop, "one", T).await;
    shop.clone_of("main", 1, "main").done(&["apply"]).await;
    shop.git(&["branch", "first"]);
    let two = published(&shop, "two", T + 10).await;
    let lone = shop.clone_of("main", 1, "main");
    lone.git(&["remote", "remove", "origin"]);
    assert_eq!(verdict(&lone).await, Some(Why::NewerByTime));
    lone.done(&["apply"]).await;
    assert_eq!(tags(&registry, "app")["latest"], two);
    let late = shop.clone_of("first", 1, "main");
    late.git(&["remote", "remove", "origin"]);
    assert_eq!(late.done(&["apply"]).await.left.len(), 1);
    assert_eq!(tags(&registry, "app")["latest"], two);
}

#[tokio::test]
async fn equal_times_are_settled_by_more_history_or_refused() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    published(&shop, "one", T).await;
    shop.done(&["apply"]).await;
    let two = published(&shop, "two", T).await;
    // Without a place to fetch from it is refused.
    let lone = shop.clone_of("main", 1, "main");
    let origin = lone.git(&["remote", "get-url", "origin"]);
    lone.git(&["remote", "remove", "origin"]);
    assert_eq!(verdict(&lone).await, Some(Why::EqualTimes));
    assert_eq!(message(lone.run(&["apply"]).await).0, Exit::Wrong);
    // With one, `plan` says that it is open, and `apply` fetches.
    lone.git(&["remote", "add", "origin", &origin]);
    assert_eq!(lone.run(&["plan"]).await.unwrap(), Exit::Done);
    lone.done(&["apply"]).await;
    assert_eq!(tags(&registry, "app")["latest"], two);
}

#[tokio::test]
async fn a_commit_dated_a_year_ahead_holds_nothing_up() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&one_image(&registry));
    let year_ahead = jiff::Timestamp::now().as_second() + 365 * 86_400;
    published(&shop, "one", year_ahead).await;
    shop.done(&["apply"]).await;
    published(&shop, "two", T).await;
    let lone = shop.clone_of("main", 1, "main");
    lone.git(&["remote", "remove", "origin"]);
    assert_eq!(verdict(&lone).await, Some(Why::DatedAhead));
    lone.done(&["apply"]).await;
    let (planned, ..) = lone.planned(&[]).await;
    assert!(!planned.plan.has_changes());
}

#[tokio::test]
async fn the_strict_order_refuses_what_history_does_not_tell() {
    let registry = TestRegistry::start(Options::default()).await;
    let manifest = one_image(&registry).replace("kind: oci,", "kind: oci, order: history,");
    let shop = Shop::new(&manifest);
    published(&shop, "one", T).await;
    shop.done(&["apply"]).await;
    shop.write("a.txt", "two");
    shop.git(&["commit", "-q", "-a", "--amend", "-m", "amended"]);
    shop.publish(&[], "app", "two", true).await;
    assert_eq!(verdict(&shop).await, Some(Why::Unordered));
    assert_eq!(message(shop.run(&["apply"]).await).0, Exit::Wrong);
}

#[tokio::test]
async fn a_forced_run_heals_all_images_of_the_run() {
    let registry = TestRegistry::start(Options::default()).await;
    let one = one_image(&registry);
    let second =
        "  web:\n    dockerfile: Dockerfile.web\n    push: [{ registry: local, repository: web, tags: [latest] }]\n";
    let shop = Shop::new(&format!("{one}{second}").replace("kind: oci,", "kind: oci, order: history,"));
    shop.write("Dockerfile.web", "FROM scratch\nCOPY web.txt /\n");
    shop.write("web.txt", "web");
    published(&shop, "one", T).await;
    shop.publish(&[], "web", "web", true).await;
    shop.done(&["apply"]).await;
    // Rewritten; `app` changed, `web` did not.
    shop.write("a.txt", "two");
    shop.git(&["commit", "-q", "-a", "--amend", "-m", "amended"]);
    shop.publish(&[], "app", "two", true).await;
    assert_eq!(message(shop.run(&["apply"]).await).0, Exit::Wrong);
    shop.done(&["apply", "--allow-older"]).await;
    // The next commit changes `web`, of which the rewritten commit had moved the tag.
    shop.write("web.txt", "other");
    let _ = shop.commit("two");
    let web = shop.publish(&[], "web", "other", true).await;
    shop.done(&["apply"]).await;
    assert_eq!(tags(&registry, "web")["latest"], web);
}

#[tokio::test]
async fn publish_partial_is_stopped_by_blockers_of_its_own_images_alone() {
    let registry = TestRegistry::start(Options::default()).await;
    let second = "  web:\n    dockerfile: Dockerfile\n    labels: { name: web }\n    push: [{ registry: local, repository: web, tags: [latest] }]\n";
    let shop = Shop::new(&format!("{}{second}", one_image(&registry)));
    let commit = shop.commit("one");
    let one = shop.publish(&[], "app", "one", true).await;
    let web = shop.publish(&[], "web", "web", true).await;
    let other = Digest::of(b"other");
    {
        let mut state = registry.state();
        let repository = state.repositories.get_mut("app").unwrap();
        let any = repository.manifests[&one].clone();
        repository.manifests.insert(other, any);
        repository.tags.insert(format!("v-{}", &commit[..7]), other);
    }
    assert_eq!(message(shop.run(&["apply"]).await).0, Exit::Wrong);
    assert_eq!(shop.run(&["plan", "--exit-code"]).await.unwrap(), Exit::Wrong, "2 wins over 5");
    let saved = format!("{}/.orchestrate/saved.json", shop.root().display());
    assert_eq!(shop.run(&["plan", "--out", &saved]).await.unwrap(), Exit::Wrong);
    assert_eq!(message(shop.run(&["apply", &saved]).await).0, Exit::Wrong);
    assert_eq!(shop.run(&["apply", "--publish-partial"]).await.unwrap(), Exit::Failed);
    assert_eq!(tags(&registry, "web")["latest"], web);
    assert!(!tags(&registry, "app").contains_key("latest"), "{one}");
    let app = shop.receipt().images.iter().find(|image| image.name.as_str() == "app").cloned().unwrap();
    assert!(app.outcome == Outcome::Failed && app.error.unwrap().contains("never overwritten"));
    // Nothing is left but what is blocked.
    assert_eq!(message(shop.run(&["apply", "--publish-partial"]).await).0, Exit::Wrong);
}
