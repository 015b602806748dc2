use super::super::testing::{Action, Auth, Fault, Options, TestRegistry};
use super::super::{By, Credential, Repository, RequestKind, Secret, push_image};
use super::{Folder, anonymous, at, logged_in, logged_in_by};

#[tokio::test]
async fn basic_is_sent_when_asked_for_and_from_then_on() {
    let registry = TestRegistry::start(Options { auth: Auth::Basic, ..Options::default() }).await;
    let client = logged_in(&registry.host);
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    repository.head_manifest(By::Tag("a")).await.unwrap();
    repository.head_manifest(By::Tag("b")).await.unwrap();
    let log = registry.seen("HEAD");
    assert_eq!(log.len(), 3, "one without, one with, one with at once");
    assert_eq!(log[0].authorization, "");
    assert!(log[1].authorization.starts_with("Basic ") && log[2].authorization == log[1].authorization);
    assert!(log[0].user_agent.starts_with("orchestrate/"), "{}", log[0].user_agent);
}

#[tokio::test]
async fn nobody_and_the_wrong_one_are_told_to_log_in() {
    let registry = TestRegistry::start(Options { auth: Auth::Basic, ..Options::default() }).await;
    let nobody = Repository::remote(&anonymous(), at(&registry, "team/app"));
    let error = nobody.head_manifest(By::Tag("a")).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert!(error.help().unwrap().contains(&format!("docker login {}", registry.host)));
    registry.state().password = "changed".to_owned();
    let client = logged_in(&registry.host);
    let wrong = Repository::remote(&client, at(&registry, "team/app"));
    let error = wrong.head_manifest(By::Tag("a")).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    // And one question for the list of tags, which tells a refusal from an absence.
    assert!(client.counters().total() <= 3, "a wrong password is not repeated: {:?}", client.counters().counts());
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn many_questions_at_once_cost_one_challenge() {
    let registry = TestRegistry::start(Options { auth: Auth::Token { uses: 1000 }, ..Options::default() }).await;
    let client = logged_in(&registry.host);
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    let tags: Vec<String> = (0..50).map(|number| format!("t{number}")).collect();
    let answers = futures::future::join_all(tags.iter().map(|tag| repository.head_manifest(By::Tag(tag)))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().is_none()));
    assert_eq!(client.counters().of(RequestKind::ManifestHead), 51);
    assert_eq!(client.counters().of(RequestKind::Token), 1);
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_of_a_push_is_renewed() {
    let registry = TestRegistry::start(Options { auth: Auth::Token { uses: 3 }, ..Options::default() }).await;
    let client = logged_in(&registry.host);
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    let folder = Folder::new();
    let image = folder.image(&[(1, 300_000), (2, 300_000), (3, 300_000)]).await;
    // One at a time: a token that is used up by others while it is on its way would be no token that expires.
    push_image(&repository, &folder.store, &image, &[], 1).await.unwrap();
    assert!(registry.state().repositories["team/app"].manifests.contains_key(&image));
    assert!(client.counters().of(RequestKind::Token) > 2, "{:?}", client.counters().counts());
}

#[tokio::test]
async fn tokens_that_are_revoked_while_blobs_are_sent_are_renewed() {
    let registry = TestRegistry::start(Options { auth: Auth::Token { uses: 1000 }, ..Options::default() }).await;
    registry.fail(Fault { on: "PUT", times: 4, action: Action::ReadSlowly });
    let client = logged_in(&registry.host);
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    let folder = Folder::new();
    let image = folder.image(&[(1, 900_000), (2, 900_000), (3, 900_000)]).await;
    let push = push_image(&repository, &folder.store, &image, &[], 3);
    let revoke = async {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        registry.state().tokens.clear();
    };
    tokio::join!(push, revoke).0.unwrap();
    assert!(registry.state().repositories["team/app"].manifests.contains_key(&image));
    assert!(client.counters().of(RequestKind::Token) > 2, "{:?}", client.counters().counts());
}

#[tokio::test]
async fn a_401_out_of_nothing_is_answered_with_a_fresh_token() {
    let registry = TestRegistry::start(Options { auth: Auth::Token { uses: 1000 }, ..Options::default() }).await;
    let client = logged_in(&registry.host);
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    repository.head_manifest(By::Tag("a")).await.unwrap();
    registry.fail(Fault { on: "HEAD", times: 1, action: Action::Answer(401, vec![], "") });
    repository.head_manifest(By::Tag("a")).await.unwrap();
    assert_eq!(client.counters().of(RequestKind::Token), 2);
}

#[tokio::test]
async fn a_mount_asks_for_both_repositories() {
    let registry = TestRegistry::start(Options { auth: Auth::Token { uses: 1000 }, ..Options::default() }).await;
    let client = logged_in(&registry.host);
    let _ = client.mount_blob(&at(&registry, "team/app"), "base", crate::digest::Digest::of(b"x")).await.unwrap();
    let asked = registry.seen("GET /token");
    assert_eq!(asked.len(), 1);
    let scopes: Vec<String> = registry.state().tokens.values().flat_map(|(scopes, _)| scopes.clone()).collect();
    assert_eq!(scopes, ["repository:base:pull", "repository:team/app:pull,push"]);
}

#[tokio::test]
async fn credentials_are_not_sent_where_a_redirect_leads() {
    let elsewhere = TestRegistry::start(Options::default()).await;
    let folder = Folder::new();
    let blob = folder.blob(1, 5000).await;
    let other = Repository::remote(&anonymous(), at(&elsewhere, "team/app"));
    other.ensure_blob(&blob, &folder.store.source(&blob.digest), &[]).await.unwrap();
    elsewhere.state().log.clear();

    let registry = TestRegistry::start(Options { auth: Auth::Basic, ..Options::default() }).await;
    let client = logged_in(&registry.host);
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    repository.head_manifest(By::Tag("a")).await.unwrap();
    let location = format!("http://{}/v2/team/app/blobs/{}?signature=s3cret", elsewhere.host, blob.digest);
    registry.fail(Fault { on: "GET", times: 1, action: Action::Answer(307, vec![("Location", location)], "") });
    assert_eq!(repository.read_blob(&blob, 10_000).await.unwrap(), super::noise(1, 5000));
    assert!(registry.seen("GET").last().unwrap().authorization.starts_with("Basic "));
    let followed = elsewhere.seen("GET");
    assert_eq!(followed.len(), 1);
    assert_eq!(followed[0].authorization, "");
}

#[tokio::test]
async fn uploads_sent_elsewhere_carry_no_credentials() {
    let elsewhere = TestRegistry::start(Options::default()).await;
    elsewhere.state().uploads.insert(77, Vec::new());
    let registry = TestRegistry::start(Options { auth: Auth::Basic, ..Options::default() }).await;
    let client = logged_in(&registry.host);
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    repository.head_manifest(By::Tag("a")).await.unwrap();
    let location = format!("http://{}/v2/team/app/blobs/uploads/77", elsewhere.host);
    registry.fail(Fault { on: "POST", times: 1, action: Action::Answer(202, vec![("Location", location)], "") });
    let folder = Folder::new();
    let blob = folder.blob(1, 5000).await;
    repository.ensure_blob(&blob, &folder.store.source(&blob.digest), &[]).await.unwrap();
    assert_eq!(elsewhere.seen("PUT")[0].authorization, "");
    assert!(elsewhere.state().repositories["team/app"].blobs.contains_key(&blob.digest));
}

#[tokio::test]
async fn identity_tokens_are_exchanged_and_registry_tokens_sent_as_they_are() {
    let registry = TestRegistry::start(Options { auth: Auth::Token { uses: 1000 }, ..Options::default() }).await;
    let client = logged_in_by(&registry.host, r#"{"identitytoken": "r3fresh"}"#);
    assert!(!client.blob_exists(&at(&registry, "team/app"), crate::digest::Digest::of(b"x")).await.unwrap());
    assert_eq!(registry.seen("POST /token").len(), 1);

    registry.state().tokens.insert("as-is".to_owned(), Default::default());
    registry.state().tokens.get_mut("as-is").unwrap().1 = 10;
    let client = logged_in_by(&registry.host, r#"{"registrytoken": "as-is"}"#);
    assert!(!client.blob_exists(&at(&registry, "team/app"), crate::digest::Digest::of(b"x")).await.unwrap());
    assert_eq!(client.counters().of(RequestKind::Token), 0);
}

#[tokio::test]
async fn a_stale_login_does_not_hide_what_everybody_may_read() {
    let options = Options { auth: Auth::Token { uses: 1000 }, anonymous_pull: true, ..Options::default() };
    let registry = TestRegistry::start(options).await;
    registry.state().password = "changed".to_owned();
    let client = logged_in(&registry.host);
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    assert_eq!(repository.head_manifest(By::Tag("a")).await.unwrap(), None);
    let folder = Folder::new();
    let image = folder.image(&[(1, 10)]).await;
    let error = push_image(&repository, &folder.store, &image, &[], 1).await.unwrap_err();
    assert_eq!(error.status(), Some(401), "for writing, the stale login is said: {error}");
}

/// Gives an old password until it is told that it was refused.
#[derive(Default)]
struct Renewing(std::sync::atomic::AtomicBool);

impl super::super::Credentials for Renewing {
    fn for_host<'a>(
        &'a self,
        _: &'a str,
        need: super::super::Need,
    ) -> futures::future::BoxFuture<'a, Result<Option<Credential>, super::super::CredentialError>> {
        let fresh = need == super::super::Need::Another;
        let renewed = self.0.fetch_or(fresh, std::sync::atomic::Ordering::Relaxed) || fresh;
        let password = Secret::new(if renewed { "hunter2" } else { "old" });
        Box::pin(std::future::ready(Ok(Some(Credential::Password { username: "ada".to_owned(), password }))))
    }
}

#[tokio::test]
async fn a_password_that_expired_is_asked_for_again() {
    let registry = TestRegistry::start(Options { auth: Auth::Basic, ..Options::default() }).await;
    let challenge = vec![("WWW-Authenticate", "Basic".to_owned())];
    registry.fail(Fault { on: "HEAD", times: 1, action: Action::Answer(401, challenge, "") });
    // As ECR answers to a token of yesterday.
    registry.fail(Fault { on: "HEAD", times: 1, action: Action::Answer(403, vec![], "") });
    let client = super::super::Client::new(super::quick(), std::sync::Arc::new(Renewing::default()));
    let repository = Repository::remote(&client, at(&registry, "team/app"));
    assert_eq!(repository.head_manifest(By::Tag("a")).await.unwrap(), None);
    assert_eq!(registry.seen("HEAD").len(), 3);
}
