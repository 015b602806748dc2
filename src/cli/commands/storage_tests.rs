//! `prune` and `sizes` from the command line down.

use super::testing::{Shop, message, tags};
use crate::cli::exit::Exit;
use crate::digest::Digest;
use crate::registry::testing::{Options, TestRegistry, Untag};
use crate::registry::{Anonymous, By, Client, Repository, RepositoryName, Settings, copy_image};

fn manifest(host: &str, repository: &str, in_use: &str) -> String {
    format!(
        "version: 1\nproject: shop\nregistries:\n  local:\n    kind: oci\n    url: \"http://{host}\"\n    price: 0.10\n    retain: {{ commits: 2, untagged_days: 1, min_age: 1h }}\n    in_use_by: [{in_use}]\n\
defaults: {{ platforms: [linux/amd64] }}\nimages:\n  app:\n    dockerfile: Dockerfile\n    push: [{{ registry: local, repository: {repository}, tags: [\"v-{{{{git.short}}}}\", latest] }}]\n"
    )
}

/// Five commits, of which the last two change nothing: four images. The dates of the commits lie years back, an hour apart.
async fn five_commits(shop: &Shop) -> (Vec<String>, Vec<Digest>) {
    let (mut commits, mut digests) = (Vec::new(), Vec::new());
    for (number, content) in ["one", "two", "three", "four", "four"].into_iter().enumerate() {
        commits.push(shop.commit_at(content, 1_600_000_000 + 3600 * number as i64));
        if number < 4 {
            digests.push(shop.publish(&[], "app", content, true).await);
        }
        shop.done(&["apply"]).await;
    }
    (commits, digests)
}

fn repository(host: &str, path: &str) -> Repository {
    let client = Client::new(Settings::default(), std::sync::Arc::new(Anonymous));
    Repository::remote(&client, RepositoryName::new(host, path))
}

/// Every tag resolves to an image that is whole.
async fn all_whole(repository: &Repository) {
    for tag in repository.tags().await.unwrap() {
        let found = repository.head_manifest(By::Tag(&tag)).await.unwrap().unwrap_or_else(|| panic!("{tag} dangles"));
        let copy = tempfile::tempdir().unwrap();
        copy_image(repository, &Repository::layout(copy.path()), &found.digest, 2).await.unwrap();
    }
}

#[tokio::test]
async fn prune_keeps_what_is_needed_and_deletes_the_rest() {
    for (referrers, untag) in [(true, Untag::Yes), (false, Untag::Refused), (true, Untag::WithTheImage)] {
        let registry = TestRegistry::start(Options { referrers, untag, ..Options::default() }).await;
        let shop = Shop::new(&manifest(&registry.host, "app", ""));
        let (commits, digests) = five_commits(&shop).await;
        let before = tags(&registry, "app");
        shop.done(&["prune"]).await;
        assert_eq!(tags(&registry, "app"), before, "without --yes nothing is touched");
        assert!(registry.seen("DELETE").is_empty());

        shop.done(&["prune", "--yes"]).await;
        let standing = tags(&registry, "app");
        let tag = |number: usize| format!("v-{}", &commits[number][..7]);
        let expected: std::collections::BTreeMap<String, Digest> =
            [("latest".to_owned(), digests[3]), (tag(3), digests[3]), (tag(4), digests[3])].into();
        assert_eq!(standing, expected);
        let state_of = |registry: &TestRegistry| registry.state().repositories["app"].manifests.len();
        let left = state_of(&registry);
        for digest in &digests[..3] {
            assert!(!registry.state().repositories["app"].manifests.contains_key(digest));
        }
        // What is left: the image, its record and its notes, and the list of them where there is no API.
        let subjects = registry.state().repositories["app"].manifests.values().all(|(_, bytes)| {
            let parsed: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            let subject = parsed["subject"]["digest"].as_str();
            subject.is_none_or(|subject| subject == digests[3].to_string())
        });
        assert!(subjects, "records go with their images");
        all_whole(&repository(&registry.host, "app")).await;
        shop.done(&["prune", "--yes"]).await;
        assert_eq!(state_of(&registry), left, "a second run finds nothing");
        shop.done(&["apply"]).await;
        assert_eq!(tags(&registry, "app"), expected);
    }
}

#[tokio::test]
async fn prune_takes_old_tags_from_images_that_stay() {
    for untag in [Untag::Yes, Untag::Refused, Untag::WithTheImage] {
        let registry = TestRegistry::start(Options { untag, ..Options::default() }).await;
        let shop = Shop::new(&manifest(&registry.host, "app", ""));
        let mut commits = Vec::new();
        for number in 0..4 {
            commits.push(shop.commit_at("same", 1_600_000_000 + 3600 * number));
            if number == 0 {
                shop.publish(&[], "app", "same", true).await;
            }
            shop.done(&["apply"]).await;
        }
        shop.done(&["prune", "--yes"]).await;
        let standing: Vec<String> = tags(&registry, "app").into_keys().collect();
        let tag = |number: usize| format!("v-{}", &commits[number][..7]);
        let mut expected = vec!["latest".to_owned(), tag(2), tag(3)];
        match untag {
            Untag::Yes => {}
            Untag::Refused => expected.extend([tag(0), tag(1)]),
            // The first that was tried is gone; the image and all else was put back.
            Untag::WithTheImage => {
                let first = if tag(0) < tag(1) { tag(1) } else { tag(0) };
                expected.push(first);
            }
        }
        expected.sort();
        assert_eq!(standing, expected);
        all_whole(&repository(&registry.host, "app")).await;
    }
}

#[tokio::test]
async fn what_is_in_use_or_not_ours_stays() {
    let registry = TestRegistry::start(Options::default()).await;
    let shop = Shop::new(&manifest(&registry.host, "app", ""));
    let (commits, digests) = five_commits(&shop).await;
    let host = &registry.host;
    let used = format!("\"{host}/app@{}\", \"v-{}\"", digests[0], &commits[1][..7]);
    shop.write("deploy.yaml", &manifest(host, "app", &used));
    registry.state().repositories.get_mut("app").unwrap().tags.insert("by-hand".to_owned(), digests[2]);
    shop.done(&["prune", "--yes"]).await;
    for digest in &digests {
        assert!(registry.state().repositories["app"].manifests.contains_key(digest), "{digest}");
    }
    assert!(tags(&registry, "app").contains_key(&format!("v-{}", &commits[1][..7])));
    assert!(
        !tags(&registry, "app").contains_key(&format!("v-{}", &commits[0][..7])),
        "an old commit of an image in use"
    );

    shop.write(
        "deploy.yaml",
        &manifest(host, "app", "").replace("    retain: { commits: 2, untagged_days: 1, min_age: 1h }\n", ""),
    );
    let before = tags(&registry, "app");
    shop.done(&["prune", "--yes"]).await;
    assert_eq!(tags(&registry, "app"), before, "without a rule everything stays");
    shop.done(&["sizes"]).await;
    let (exit, _) = message(shop.run(&["prune", "--offline"]).await);
    assert_eq!(exit, Exit::Wrong);
}

/// Distribution's own registry, with deletion switched on.
#[tokio::test]
async fn prune_at_a_real_registry() {
    let Some(host) = crate::registry::testing::real_registry("cli::prune_at_a_real_registry") else { return };
    let path = format!("prune/{}-{}", std::process::id(), rand::random::<u32>());
    let shop = Shop::new(&manifest(&host, &path, ""));
    let (commits, digests) = five_commits(&shop).await;
    shop.done(&["sizes"]).await;
    shop.done(&["prune", "--yes"]).await;
    let repository = repository(&host, &path);
    for digest in &digests[..3] {
        assert_eq!(repository.head_manifest(By::Digest(*digest)).await.unwrap(), None);
    }
    let given: Vec<String> =
        repository.tags().await.unwrap().into_iter().filter(|tag| !tag.starts_with("key-")).collect();
    for tag in [format!("v-{}", &commits[3][..7]), format!("v-{}", &commits[4][..7]), "latest".to_owned()] {
        assert_eq!(repository.head_manifest(By::Tag(&tag)).await.unwrap().unwrap().digest, digests[3]);
        assert!(given.contains(&tag));
    }
    all_whole(&repository).await;
    shop.done(&["prune", "--yes"]).await;
    shop.done(&["apply"]).await;
    assert_eq!(repository.head_manifest(By::Tag("latest")).await.unwrap().unwrap().digest, digests[3]);
}
