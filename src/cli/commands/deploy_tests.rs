//! Deploying from the command line down, over a registry and an AWS in this process.

use super::testing::{Shop, message, tags};
use crate::aws::testing::{ACCOUNT, FakeFunction, SECRET_KEY, TestAws};
use crate::cli::exit::Exit;
use crate::digest::Digest;
use crate::event::{FunctionOutcome, FunctionReceipt, Receipt, RunOutcome};
use crate::plan::{Blocker, FunctionAction, FunctionBlocker, FunctionReason, Plan, Unfit};
use crate::registry::testing::{Options, TestRegistry};

/// A registry that stands for ECR, AWS, and a checkout with a manifest.
struct Scene {
    registry: TestRegistry,
    aws: TestAws,
    shop: Shop,
}

/// Images `app` and `web`, deployed as the text says.
fn manifest(host: &str, app: &str, web: &str) -> String {
    format!(
        "version: 1\nproject: shop\nregistries:\n  private: {{ kind: ecr, region: us-east-1, account: \"{ACCOUNT}\", url: \"http://{host}\" }}\n\
defaults: {{ platforms: [linux/arm64] }}\nimages:\n  app:\n    push: [{{ registry: private, repository: app, tags: [latest] }}]\n    {app}\n  \
web:\n    dockerfile: web/Dockerfile\n    push: [{{ registry: private, repository: web, tags: [latest] }}]\n    {web}\n"
    )
}

const NOTHING: &str = "deploy: []";

fn repository(name: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{name}")
}

impl Scene {
    async fn new(app: &str, web: &str) -> Self {
        Self::with(app, web, &["Api", "Web"]).await
    }

    /// A scene in which these functions are there, on arm64.
    async fn with(app: &str, web: &str, functions: &[&str]) -> Self {
        let (registry, aws) = (TestRegistry::start(Options::default()).await, TestAws::start().await);
        aws.state().registry = Some(registry.host.clone());
        for name in functions {
            let old = format!("{}@{}", repository("old"), Digest::of(b"old"));
            aws.state().functions.insert((*name).to_owned(), FakeFunction::running(&old, "arm64"));
        }
        let shop = Shop::new(&manifest(&registry.host, app, web)).at(aws.clients());
        std::fs::create_dir(shop.root().join("web")).unwrap();
        shop.write("web/Dockerfile", "FROM scratch\nCOPY b.txt /\n");
        shop.write("b.txt", "web");
        shop.commit("one");
        Self { registry, aws, shop }
    }

    async fn plan(&self, words: &[&str]) -> Plan {
        self.shop.planned(words).await.0.plan
    }

    async fn fails(&self, words: &[&str], exit: Exit) -> Receipt {
        assert_eq!(self.shop.run(words).await.unwrap(), exit);
        self.shop.receipt()
    }

    fn latest(&self, image: &str) -> Digest {
        tags(&self.registry, image)["latest"]
    }

    fn runs(&self, function: &str) -> Digest {
        self.aws.state().runs(function).unwrap()
    }

    /// What was asked of AWS since the last time.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.aws.state().log)
    }
}

fn outcomes(receipt: &Receipt) -> Vec<(&str, FunctionOutcome)> {
    let of = |one: &FunctionReceipt| (one.function.clone(), one.outcome);
    let mut all: Vec<_> = receipt.functions.iter().map(of).collect();
    all.sort();
    let known = |name: &str| receipt.functions.iter().find(|one| one.function == name).map(|one| one.function.as_str());
    all.into_iter().map(|(name, outcome)| (known(&name).unwrap(), outcome)).collect()
}

const API: &str = "deploy: { lambda: Api }";
const WEB: &str = "deploy: { lambda: Web }";

#[tokio::test]
async fn a_function_follows_its_image_and_a_second_run_only_reads() {
    let scene = Scene::new(API, WEB).await;
    let plan = scene.plan(&[]).await;
    assert!(plan.functions.iter().all(|one| one.action == FunctionAction::Deploy && one.to.is_none()));
    assert!(scene.aws.writes().is_empty(), "a plan only reads: {:?}", scene.aws.writes());
    scene.calls();

    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Deployed), ("Web", FunctionOutcome::Deployed)]);
    assert_eq!((scene.runs("Api"), scene.runs("Web")), (scene.latest("app"), scene.latest("web")));
    let calls = scene.calls();
    let at = |line: &str| calls.iter().position(|call| call == line).unwrap_or_else(|| panic!("{line}: {calls:?}"));
    for function in ["Api", "Web"] {
        let rehearsed = at(&format!("PUT functions/{function}/code (dry run)"));
        assert!(rehearsed < at("PUT functions/Api/code").min(at("PUT functions/Web/code")), "{calls:?}");
    }
    let api = receipt.functions.iter().find(|one| one.function == "Api").unwrap();
    assert_eq!((api.from, api.runs), (Some(Digest::of(b"old")), Some(scene.latest("app"))));
    assert_eq!(api.from_reference.as_deref(), Some(repository("old").as_str()));

    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Kept), ("Web", FunctionOutcome::Kept)]);
    let calls = scene.calls();
    println!("a second apply asks: {calls:#?}");
    let of_lambda = |call: &&String| call.contains("functions/");
    assert_eq!(calls.iter().filter(of_lambda).count(), 2, "one question for each function: {calls:?}");
    assert!(calls.iter().filter(of_lambda).all(|call| call.starts_with("GET functions/")), "{calls:?}");

    // One of the two images changes: one function is updated.
    scene.shop.commit("two");
    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Deployed), ("Web", FunctionOutcome::Kept)]);
    assert_eq!(scene.runs("Api"), scene.latest("app"));
    let writes = scene.aws.writes();
    assert_eq!(writes, ["PUT functions/Api/code"]);
}

#[tokio::test]
async fn a_refused_rehearsal_moves_no_tag() {
    let scene = Scene::new(API, WEB).await;
    let said = "Source image does not exist. Provide a valid source image.";
    scene.aws.state().fail("functions/Web/code (dry run)", 9, 400, "InvalidParameterValueException", said);
    let receipt = scene.fails(&["apply"], Exit::Failed).await;
    assert!(tags(&scene.registry, "app").is_empty() && tags(&scene.registry, "web").is_empty());
    assert!(scene.aws.writes().is_empty(), "{:?}", scene.aws.writes());
    assert_eq!((scene.runs("Api"), receipt.outcome), (Digest::of(b"old"), RunOutcome::Failed));
    let web = receipt.images.iter().find(|image| image.name.as_str() == "web").unwrap();
    assert!(web.error.as_ref().unwrap().contains(said), "{web:?}");
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Skipped), ("Web", FunctionOutcome::Skipped)]);

    // What can go on does, if that is asked for.
    let receipt = scene.fails(&["apply", "--publish-partial"], Exit::Failed).await;
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Deployed), ("Web", FunctionOutcome::Skipped)]);
    assert_eq!(scene.runs("Api"), scene.latest("app"));
}

#[tokio::test]
async fn one_function_that_fails_stops_no_other() {
    let scene = Scene::new("deploy: { lambda: { functions: [Api, Canary] } }", WEB).await;
    let canary = FakeFunction::running("x@y", "arm64");
    scene.aws.state().functions.insert("Canary".to_owned(), canary);
    scene.aws.state().fail("PUT functions/Api/code", 1, 400, "CodeStorageExceededException", "full");
    // The rehearsal comes first: it takes the fault, so that the next one hits the update itself.
    let receipt = scene.fails(&["apply"], Exit::Failed).await;
    assert!(receipt.functions.iter().all(|one| one.outcome == FunctionOutcome::Skipped));
    scene.aws.state().fail("PUT functions/Api/code", 2, 400, "CodeStorageExceededException", "full");
    scene.aws.state().faults[1].on = "PUT functions/Api/code$".to_owned();
    let receipt = scene.fails(&["apply"], Exit::Failed).await;
    let expected =
        [("Api", FunctionOutcome::Failed), ("Canary", FunctionOutcome::Deployed), ("Web", FunctionOutcome::Deployed)];
    assert_eq!(outcomes(&receipt), expected);
    let api = receipt.functions.iter().find(|one| one.function == "Api").unwrap();
    assert!(api.error.as_ref().unwrap().contains("CodeStorageExceededException"), "{api:?}");
    assert_eq!(api.runs, Some(Digest::of(b"old")), "the receipt says what it still runs");
    assert_eq!(scene.runs("Web"), scene.latest("web"), "tags moved, and the others followed");

    scene.aws.state().faults.clear();
    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt)[0], ("Api", FunctionOutcome::Deployed), "the same command goes on");
}

#[tokio::test]
async fn an_older_commit_leaves_what_a_newer_one_deployed() {
    let scene = Scene::new(API, NOTHING).await;
    let first = scene.shop.git(&["rev-parse", "HEAD"]);
    scene.shop.done(&["apply"]).await;
    let second = scene.shop.commit("two");
    scene.shop.done(&["apply"]).await;
    let newer = scene.runs("Api");
    scene.shop.git(&["checkout", "-q", "-b", "old", &first]);
    let plan = scene.plan(&[]).await;
    let function = &plan.functions[0];
    assert_eq!((function.action, function.newer.as_ref().unwrap().commit.as_str()), (FunctionAction::Keep, &*second));
    scene.calls();
    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Left)]);
    assert_eq!(scene.runs("Api"), newer);
    assert!(scene.aws.writes().is_empty());

    // Beside it: history does not tell.
    scene.shop.commit("beside");
    let plan = scene.plan(&[]).await;
    let unordered = |blocker: &Blocker| matches!(blocker, Blocker::Function { because: FunctionBlocker::Unordered { mover, .. }, .. } if mover.commit == second);
    assert!(plan.blockers.iter().any(unordered), "{:?}", plan.blockers);
    let (exit, _) = message(scene.shop.run(&["apply"]).await);
    assert_eq!((exit, scene.runs("Api")), (Exit::Wrong, newer));
    scene.shop.done(&["apply", "--allow-older"]).await;
    assert_ne!(scene.runs("Api"), newer);
}

#[tokio::test]
async fn a_saved_plan_knows_what_functions_ran() {
    let scene = Scene::new(API, NOTHING).await;
    let saved = format!("{}/.orchestrate/saved.json", scene.shop.root().display());
    scene.shop.run(&["plan", "--out", &saved]).await.unwrap();
    let other = format!("{}@{}", repository("app"), Digest::of(b"by hand"));
    scene.aws.state().functions.get_mut("Api").unwrap().image = other;
    let (exit, text) = message(scene.shop.run(&["apply", &saved]).await);
    assert_eq!(exit, Exit::Stale, "{text}");
    assert!(text.contains("the function `Api (lambda, us-east-1)` runs another image"), "{text}");
    assert!(scene.aws.writes().is_empty() && tags(&scene.registry, "app").is_empty());
}

#[tokio::test]
async fn what_cannot_run_is_refused_before_anything_is_touched() {
    let scene = Scene::new(API, "deploy: { lambda: Nowhere }").await;
    scene.aws.state().functions.get_mut("Api").unwrap().architecture = "x86_64".to_owned();
    let plan = scene.plan(&[]).await;
    let because: Vec<_> = plan
        .blockers
        .iter()
        .filter_map(|blocker| match blocker {
            Blocker::Function { because, .. } => Some(because.clone()),
            _ => None,
        })
        .collect();
    let unfit = Unfit::Architecture { function: "x86_64".to_owned(), image: "linux/arm64".to_owned() };
    assert_eq!(
        because,
        [
            FunctionBlocker::Unfit { function: "Api".to_owned(), because: unfit },
            FunctionBlocker::Missing { function: "Nowhere".to_owned(), region: "us-east-1".to_owned() },
        ]
    );
    let (exit, _) = message(scene.shop.run(&["apply"]).await);
    assert_eq!(exit, Exit::Wrong);
    assert!(scene.aws.writes().is_empty() && scene.registry.seen("PUT").is_empty());
}

#[tokio::test]
async fn a_function_is_made_once() {
    let app = "deploy: { lambda: { function: New, create: { memory: 256, url: true } } }";
    let scene = Scene::with(app, NOTHING, &[]).await;
    let plan = scene.plan(&[]).await;
    assert_eq!(plan.functions[0].action, FunctionAction::Create);
    assert_eq!(plan.functions[0].reasons, [FunctionReason::Missing]);
    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt), [("New", FunctionOutcome::Created)]);
    assert_eq!(receipt.functions[0].url.as_deref(), Some("https://new.lambda-url.us-east-1.on.aws/"));
    assert_eq!(scene.runs("New"), scene.latest("app"));
    assert_eq!(scene.aws.state().functions["New"].architecture, "arm64", "the image's");
    scene.calls();
    assert_eq!(outcomes(&scene.shop.done(&["apply"]).await), [("New", FunctionOutcome::Kept)]);
    assert!(scene.aws.writes().is_empty());
}

#[tokio::test]
async fn a_function_that_was_made_and_not_finished_is_finished() {
    let app = "deploy: { lambda: { function: New, create: { http_api: true } } }";
    let scene = Scene::with(app, NOTHING, &[]).await;
    let said = "User: arn:aws:iam::123456789012:user/tester is not authorized to perform: apigateway:POST";
    scene.aws.state().fail("POST /v2/apis", 9, 403, "AccessDeniedException", said);
    let receipt = scene.fails(&["apply"], Exit::Failed).await;
    assert_eq!(outcomes(&receipt), [("New", FunctionOutcome::Failed)]);
    assert!(receipt.functions[0].error.as_deref().unwrap().contains("no permission for `apigateway:POST`"));
    scene.aws.state().faults.clear();
    let plan = scene.plan(&[]).await;
    assert_eq!(plan.functions[0].action, FunctionAction::Deploy);
    assert_eq!(plan.functions[0].reasons, [FunctionReason::Unfinished]);
    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt), [("New", FunctionOutcome::Deployed)]);
    assert_eq!(receipt.functions[0].url.as_deref(), Some("https://api0.execute-api.us-east-1.amazonaws.com"));
    scene.calls();
    assert_eq!(outcomes(&scene.shop.done(&["apply"]).await), [("New", FunctionOutcome::Kept)]);
    assert!(scene.aws.writes().is_empty());
}

#[tokio::test]
async fn rollback_puts_back_tags_and_functions() {
    let scene = Scene::new(API, WEB).await;
    scene.shop.done(&["apply"]).await;
    let (tag, web) = (scene.latest("app"), scene.runs("Web"));
    scene.shop.commit("two");
    scene.shop.done(&["apply"]).await;
    assert_ne!(scene.latest("app"), tag);
    scene.shop.done(&["apply", "--rollback"]).await;
    assert_eq!((scene.latest("app"), scene.runs("Api"), scene.runs("Web")), (tag, tag, web));
    let receipt = scene.shop.receipt();
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Deployed)]);
    assert_eq!((receipt.moves.len(), receipt.moves[0].to), (1, tag));

    // And forward again: nothing is built.
    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Deployed), ("Web", FunctionOutcome::Kept)]);
    assert_eq!(scene.runs("Api"), scene.latest("app"));
    assert_ne!(scene.latest("app"), tag);
}

#[tokio::test]
async fn rollback_leaves_what_somebody_else_moved_and_needs_the_old_image() {
    let scene = Scene::new(API, NOTHING).await;
    scene.shop.done(&["apply"]).await;
    let first = scene.latest("app");
    scene.shop.commit("two");
    scene.shop.done(&["apply"]).await;
    let by_hand = format!("{}@{}", repository("app"), Digest::of(b"by hand"));
    let ours = std::mem::replace(&mut scene.aws.state().functions.get_mut("Api").unwrap().image, by_hand);
    let kept = std::fs::read(scene.shop.root().join(".orchestrate/receipt.json")).unwrap();
    let receipt = scene.shop.done(&["apply", "--rollback"]).await;
    assert!(receipt.functions.is_empty(), "somebody else deployed since: {receipt:?}");
    assert_eq!(scene.latest("app"), first);

    // The same receipt, with the function as it was and the old image gone: nothing is touched.
    scene.aws.state().functions.get_mut("Api").unwrap().image = ours;
    let (older, newer) = (first, scene.runs("Api"));
    {
        let mut state = scene.registry.state();
        let app = state.repositories.get_mut("app").unwrap();
        app.tags.insert("latest".to_owned(), newer);
        app.manifests.remove(&older);
    }
    let path = scene.shop.root().join("saved-receipt.json");
    std::fs::write(&path, kept).unwrap();
    scene.calls();
    let receipt = scene.fails(&["apply", "--rollback", path.to_str().unwrap()], Exit::Failed).await;
    assert!(receipt.moves.is_empty() && receipt.functions.is_empty());
    assert!(scene.aws.writes().is_empty());
    assert_eq!((scene.latest("app"), scene.runs("Api")), (newer, newer));
    assert!(scene.shop.events().contains("any more"), "{}", scene.shop.events());
}

#[tokio::test]
async fn shards_build_and_one_run_deploys() {
    let scene = Scene::new(API, WEB).await;
    let receipt = scene.shop.done(&["apply", "--build-only"]).await;
    assert!(receipt.functions.iter().all(|one| one.outcome == FunctionOutcome::Skipped), "{receipt:?}");
    assert!(scene.aws.seen("PUT").is_empty());
    scene.shop.done(&["apply", "--publish"]).await;
    assert_eq!((scene.runs("Api"), scene.runs("Web")), (scene.latest("app"), scene.latest("web")));
}

#[tokio::test]
async fn offline_says_what_it_could_not_see() {
    let scene = Scene::new(API, WEB).await;
    let plan = scene.plan(&["--offline"]).await;
    assert!(plan.functions.iter().all(|one| one.action == FunctionAction::Unknown));
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn an_image_for_two_architectures_gives_each_function_its_own() {
    let app = "platforms: [linux/amd64, linux/arm64]\n    deploy: { lambda: { functions: [Api, Old] } }";
    let scene = Scene::new(app, NOTHING).await;
    scene.aws.state().functions.insert("Old".to_owned(), FakeFunction::running("x@y", "x86_64"));
    scene.shop.done(&["apply"]).await;
    let (arm, amd, index) = (scene.runs("Api"), scene.runs("Old"), scene.latest("app"));
    assert!(arm != amd && arm != index && amd != index);
    scene.calls();
    let receipt = scene.shop.done(&["apply"]).await;
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Kept), ("Old", FunctionOutcome::Kept)]);
    assert!(scene.aws.writes().is_empty());
}

#[tokio::test]
async fn without_permission_a_plan_names_the_statement() {
    let scene = Scene::new(API, NOTHING).await;
    scene.aws.state().fail("GET functions/Api", 9, 403, "AccessDeniedException", "not authorized");
    let (exit, text) = message(scene.shop.run(&["plan"]).await);
    assert_eq!(exit, Exit::Surroundings);
    assert!(text.contains(&format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:Api")), "{text}");
    assert!(text.contains(r#""Action": "lambda:GetFunction""#), "{text}");
    scene.aws.state().faults.clear();
    scene.aws.state().fail("functions/Api/code (dry run)", 9, 403, "AccessDeniedException", "not authorized");
    let receipt = scene.fails(&["apply"], Exit::Failed).await;
    assert!(receipt.images[0].error.as_ref().unwrap().contains(r#""Action": "lambda:UpdateFunctionCode""#));
    assert!(tags(&scene.registry, "app").is_empty());
}

#[tokio::test]
async fn no_output_shows_a_secret() {
    let scene = Scene::new(API, WEB).await;
    scene.aws.state().fail("functions/Web/code (dry run)", 1, 403, "ExpiredTokenException", "expired");
    scene.fails(&["apply"], Exit::Failed).await;
    scene.shop.done(&["apply"]).await;
    let plan = scene.plan(&[]).await.to_json();
    let folder = scene.shop.root().join(".orchestrate");
    let texts = ["receipt.json", "events.jsonl"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    // `AWS:token`, as the registry's login has it, and the secret key of the calls.
    for text in texts.iter().chain([&plan]) {
        for secret in [SECRET_KEY, "QVdTOnRva2Vu", "AWS:token"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_function_that_does_not_serve_its_image_is_deployed_again() {
    let scene = Scene::new(API, NOTHING).await;
    scene.shop.done(&["apply"]).await;
    assert_eq!(scene.plan(&[]).await.functions[0].action, FunctionAction::Keep);

    for (state, failed, says) in [
        (Some("Failed"), None, "failed"),
        (Some("Inactive"), None, "inactive"),
        (None, Some("InvalidImage"), "update-failed"),
    ] {
        let change =
            |function: &mut FakeFunction| (function.state, function.failed) = (state, failed.map(str::to_owned));
        change(scene.aws.state().functions.get_mut("Api").unwrap());
        let plan = scene.plan(&[]).await;
        assert_eq!(plan.functions[0].action, FunctionAction::Deploy, "{says}");
        assert!(plan.to_json().contains(&format!(r#""state": "{says}""#)), "{}", plan.to_json());
        let receipt = scene.shop.done(&["apply"]).await;
        assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Deployed)], "{says}");
        assert_eq!(scene.plan(&[]).await.functions[0].action, FunctionAction::Keep, "{says}");
    }
}

#[tokio::test]
async fn a_function_that_never_comes_up_fails_each_run() {
    let scene = Scene::new(API, NOTHING).await;
    scene.shop.done(&["apply"]).await;
    let break_it = |state| {
        let mut aws = scene.aws.state();
        let function = aws.functions.get_mut("Api").unwrap();
        (function.state, function.never_comes_up) = (Some(state), true);
    };
    for (state, help) in [("Failed", "aws lambda delete-function"), ("Inactive", "aws lambda invoke")] {
        break_it(state);
        for run in 0..2 {
            let receipt = scene.fails(&["apply"], Exit::Failed).await;
            assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Failed)], "{state}, run {run}");
            let error = receipt.functions[0].error.clone().unwrap();
            assert!(error.contains(help) && error.contains(&format!("the fake says {state}")), "{error}");
            assert!(!error.contains("still runs"), "one that runs nothing: {error}");
        }
    }
}

#[tokio::test]
async fn a_build_that_gives_what_already_runs_keeps_the_function() {
    let scene = Scene::new(API, NOTHING).await;
    scene.shop.done(&["apply"]).await;
    let receipt = scene.shop.done(&["apply", "--rebuild", "app"]).await;
    assert_eq!(outcomes(&receipt), [("Api", FunctionOutcome::Kept)]);
    assert_eq!(receipt.functions[0].runs, Some(scene.latest("app")));
}

/// `url:` is in the manifest, which a pull request can change.
#[tokio::test]
async fn a_login_of_aws_goes_to_no_address_that_the_manifest_makes_up() {
    let aws = TestAws::start().await;
    for url in ["127.0.0.2:1", "registry.example.com", "123456789012.dkr.ecr.us-east-1.amazonaws.com.example.com"] {
        let shop = Shop::new(&manifest(url, API, NOTHING)).at(aws.clients());
        shop.commit("one");
        let (exit, text) = message(shop.run(&["plan"]).await);
        assert_eq!(exit, Exit::Wrong, "{text}");
        assert!(text.contains("`url:`") && text.contains("ORCHESTRATE_REGISTRY_ADDRESSES"), "{text}");
    }
    let calls = std::mem::take(&mut aws.state().log);
    assert!(!calls.iter().any(|call| call.contains("GetAuthorizationToken")), "{calls:?}");
}
