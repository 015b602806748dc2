use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::testing::{Action, Fault, Options, TestRegistry};
use super::super::{Anonymous, By, Client, Error, Proxies, Repository, RepositoryName, Settings, push_image};
use super::{Folder, at, quick};

#[tokio::test]
async fn one_host_gets_only_so_many_requests_at_a_time() {
    let registry = TestRegistry::start(Options::default()).await;
    registry.fail(Fault { on: "PUT", times: 100, action: Action::ReadSlowly });
    let client = Client::new(Settings { concurrency: 3, ..quick() }, Arc::new(Anonymous));
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    let folder = Folder::new();
    let layers: Vec<(u64, usize)> = (0..20).map(|seed| (seed, 100_000)).collect();
    let image = folder.image(&layers).await;
    push_image(&repository, &folder.store, &image, &[], 20).await.unwrap();
    assert_eq!(registry.state().busy.1, 3);
}

#[tokio::test]
async fn manifests_keep_the_pace_of_their_registry() {
    let registry = TestRegistry::start(Options::default()).await;
    let pace = vec![(registry.host.clone(), Duration::from_millis(100))];
    let client = Client::new(Settings { manifest_pace: pace, ..quick() }, Arc::new(Anonymous));
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    let folder = Folder::new();
    let image = folder.image(&[(1, 10)]).await;
    push_image(&repository, &folder.store, &image, &[], 4).await.unwrap();
    let manifest = folder.store.manifest(&image).await.unwrap().unwrap();
    let started = Instant::now();
    let tags: Vec<String> = (0..8).map(|number| format!("t{number}")).collect();
    let puts = tags.iter().map(|tag| repository.put_manifest(By::Tag(tag), &manifest));
    assert!(futures::future::join_all(puts).await.iter().all(Result::is_ok));
    assert!(started.elapsed() >= Duration::from_millis(700), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_proxy_is_used_unless_it_is_not_wanted() {
    let proxy = TestRegistry::start(Options::default()).await;
    let settings = |none: &str| Settings {
        endpoints: [("registry.invalid".to_owned(), "http://registry.invalid".to_owned())].into(),
        proxies: Proxies { http: Some(format!("http://{}", proxy.host)), https: None, none: none.to_owned() },
        ..quick()
    };
    let name = RepositoryName::new("registry.invalid", "team/app");
    let client = Client::new(settings("other.invalid"), Arc::new(Anonymous));
    assert_eq!(client.head_manifest(&name, By::Tag("a")).await.unwrap(), None);
    assert_eq!(proxy.seen("HEAD").len(), 1);
    let client = Client::new(settings("invalid"), Arc::new(Anonymous));
    let error = client.head_manifest(&name, By::Tag("a")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let client = Client::new(settings(""), Arc::new(Anonymous));
    let loopback = TestRegistry::start(Options::default()).await;
    client.head_manifest(&at(&loopback, "team/app"), By::Tag("a")).await.unwrap();
    assert_eq!(proxy.seen("HEAD").len(), 1, "loopback is never asked of a proxy");
}

#[tokio::test]
async fn redirects_end() {
    let registry = TestRegistry::start(Options::default()).await;
    let client = super::anonymous();
    let around = vec![("Location", "/v2/team/app/manifests/a".to_owned())];
    registry.fail(Fault { on: "GET", times: 100, action: Action::Answer(302, around, "") });
    let error = client.get_manifest(&at(&registry, "team/app"), By::Tag("a")).await.unwrap_err();
    assert!(matches!(error, Error::Nonsense { .. }), "{error}");
    assert!(registry.seen("GET").len() <= 6);
}
