//! Deploying over the wire: what is sent, what is waited for, what is said when it fails.

use std::time::Duration;

use serde_json::json;

use super::testing::{ACCOUNT, TestAws};
use super::{AwsFunctions, Pace};
use crate::digest::Digest;
use crate::functions::{Deployed, FunctionError, Functions as _, Look, Order, Rehearsed};
use crate::plan::{FunctionId, Observation, Service};
use crate::project::{Architecture, AwsLogin, CreateFunction, Deployment, FunctionAddress, Functions, Lambda, Runner};

const QUICK: Pace =
    Pace { first: Duration::from_millis(2), longest: Duration::from_millis(10), limit: Duration::from_secs(5) };

fn repository() -> String {
    format!("{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/app")
}

fn image(content: &str) -> String {
    format!("{}@{}", repository(), Digest::of(content.as_bytes()))
}

fn order(name: &str, content: &str) -> Order {
    Order {
        id: FunctionId {
            service: Service::Lambda,
            region: "us-east-1".to_owned(),
            account: None,
            name: name.to_owned(),
        },
        login: AwsLogin::default(),
        repository: repository(),
        digest: Digest::of(content.as_bytes()),
        publish: false,
        alias: None,
        create: None,
    }
}

/// AWS with one function on arm64 that runs the image `old`.
async fn aws() -> (TestAws, AwsFunctions) {
    let aws = TestAws::start().await;
    let function = super::testing::FakeFunction::running(&image("old"), "arm64");
    aws.state().functions.insert("Api".to_owned(), function);
    let services = AwsFunctions::new(aws.clients()).at_pace(QUICK);
    (aws, services)
}

async fn deploy(services: &AwsFunctions, order: &Order) -> Result<Deployed, FunctionError> {
    let look = services.look(order).await?;
    services.deploy(order, &look).await
}

#[tokio::test]
async fn an_update_is_sent_by_digest_waited_for_and_read_back() {
    let (aws, services) = aws().await;
    aws.state().update_takes = 3;
    let order = order("Api", "new");
    let deployed = deploy(&services, &order).await.unwrap();
    assert_eq!(deployed, Deployed { digest: Some(order.digest), version: None, url: None });
    assert_eq!(aws.state().functions["Api"].image, image("new"));
    let calls = aws.seen("functions/Api");
    let asked = |line: &str| calls.iter().filter(|call| call.as_str() == line).count();
    assert_eq!(asked("PUT functions/Api/code"), 1);
    assert_eq!(asked("GET functions/Api/configuration"), 4, "three times in the middle of it, once done: {calls:?}");
    assert_eq!(calls.last().unwrap(), "GET functions/Api", "it is read back");
}

#[tokio::test]
async fn a_rehearsal_changes_nothing() {
    let (aws, services) = aws().await;
    assert_eq!(services.rehearse(&order("Api", "new")).await.unwrap(), Rehearsed::Accepted);
    assert_eq!(aws.seen("PUT"), ["PUT functions/Api/code (dry run)"]);
    assert!(aws.writes().is_empty());
    assert_eq!(aws.state().functions["Api"].image, image("old"));
}

#[tokio::test]
async fn a_function_in_the_middle_of_another_change_is_waited_for() {
    let (aws, services) = aws().await;
    aws.state().functions.get_mut("Api").unwrap().busy = 3;
    deploy(&services, &order("Api", "new")).await.unwrap();
    assert_eq!(aws.seen("PUT functions/Api/code").len(), 4, "three refusals: ResourceConflictException");
    assert_eq!(aws.state().runs("Api"), Some(Digest::of(b"new")));
}

#[tokio::test]
async fn throttling_passes() {
    let (aws, services) = aws().await;
    aws.state().fail("GET functions/Api", 2, 429, "TooManyRequestsException", "Rate exceeded");
    aws.state().fail("PUT functions/Api/code", 2, 429, "TooManyRequestsException", "Rate exceeded");
    deploy(&services, &order("Api", "new")).await.unwrap();
    assert_eq!(aws.state().runs("Api"), Some(Digest::of(b"new")));
}

#[tokio::test]
async fn a_function_that_does_not_come_up_says_why() {
    let (aws, services) = aws().await;
    aws.state().updates_fail = Some("The image could not be unpacked".to_owned());
    let error = deploy(&services, &order("Api", "new")).await.unwrap_err();
    assert_eq!(error.message, "`Api` did not take the image: The image could not be unpacked");
    assert!(error.help.unwrap().contains("still runs the code from before"));
}

#[tokio::test]
async fn a_function_that_is_never_done_is_given_up() {
    let (aws, services) = aws().await;
    aws.state().update_takes = u32::MAX;
    let services = services.at_pace(Pace { limit: Duration::from_millis(60), ..QUICK });
    let error = deploy(&services, &order("Api", "new")).await.unwrap_err();
    assert!(error.message.starts_with("`Api` is not done with its update after"), "{error}");
}

#[tokio::test]
async fn no_permission_names_the_action_the_function_and_the_statement() {
    let (aws, services) = aws().await;
    let said = "User: arn:aws:iam::123456789012:user/tester is not authorized to perform: lambda:UpdateFunctionCode";
    aws.state().fail("PUT functions/Api/code", 9, 403, "AccessDeniedException", said);
    let error = services.rehearse(&order("Api", "new")).await.unwrap_err();
    assert!(error.message.starts_with("no permission for `lambda:UpdateFunctionCode` on `arn:aws:lambda:us-east-1:"));
    let help = error.help.unwrap();
    assert!(help.contains(r#""Action": "lambda:UpdateFunctionCode""#) && help.contains(":function:Api"), "{help}");
}

#[tokio::test]
async fn an_expired_token_says_so() {
    let (aws, services) = aws().await;
    let said = "The security token included in the request is expired";
    aws.state().fail("GET functions/Api", 9, 403, "ExpiredTokenException", said);
    let error = services.look(&order("Api", "new")).await.unwrap_err();
    assert!(error.message.contains("credentials have expired"), "{error}");
    assert!(error.help.unwrap().contains("log in again"));
}

#[tokio::test]
async fn an_image_that_is_gone_and_one_of_another_kind() {
    for (said, what) in [
        ("Source image 1234.dkr.ecr/app@sha256:1 does not exist. Provide a valid source image.", "gone from ECR"),
        ("The image manifest, config or layer media type for the source image is not supported.", "single manifest"),
        (
            "Lambda does not have permission to access the ECR image. Check the ECR permissions.",
            "`lambda.amazonaws.com` lacks access",
        ),
    ] {
        let (aws, services) = aws().await;
        aws.state().fail("functions/Api/code", 1, 400, "InvalidParameterValueException", said);
        let error = services.rehearse(&order("Api", "new")).await.unwrap_err();
        assert!(error.message.contains(said), "{error}");
        assert!(error.help.as_deref().unwrap().contains(what), "{error}");
    }
}

#[tokio::test]
async fn an_image_of_a_public_registry_is_refused_as_lambda_does() {
    let (_aws, services) = aws().await;
    let public = Order { repository: "public.ecr.aws/a1b2c3d4/app".to_owned(), ..order("Api", "new") };
    let error = services.rehearse(&public).await.unwrap_err();
    assert!(error.message.contains("Source image is not valid"), "{error}");
}

#[tokio::test]
async fn somebody_else_comes_between() {
    let (aws, services) = aws().await;
    let order = order("Api", "new");
    let look = services.look(&order).await.unwrap();
    assert_eq!(look.revision.as_deref(), Some("revision-1"));
    aws.state().functions.get_mut("Api").unwrap().revision = 2;
    let error = services.deploy(&order, &look).await.unwrap_err();
    assert!(error.overtaken, "{error}");
    assert_eq!(aws.state().runs("Api"), Some(Digest::of(b"old")));
}

#[tokio::test]
async fn a_version_is_published_and_the_alias_moves() {
    let (aws, services) = aws().await;
    let order = Order { publish: true, alias: Some("live".to_owned()), ..order("Api", "new") };
    let look = services.look(&order).await.unwrap();
    assert!(look.facts().unwrap().alias_missing);
    let deployed = services.deploy(&order, &look).await.unwrap();
    assert_eq!((deployed.digest, deployed.version.as_deref()), (Some(order.digest), Some("1")));
    assert_eq!(aws.state().functions["Api"].aliases["live"], "1");
    let next = Order { digest: Digest::of(b"next"), ..order.clone() };
    let deployed = deploy(&services, &next).await.unwrap();
    assert_eq!((deployed.digest, deployed.version.as_deref()), (Some(next.digest), Some("2")));
    let look = services.look(&order).await.unwrap();
    assert_eq!(look.facts().unwrap().digest, Some(next.digest), "the alias is what is asked");
}

#[tokio::test]
async fn an_alias_that_alone_is_missing_needs_no_update() {
    let (aws, services) = aws().await;
    let order = Order { publish: true, alias: Some("live".to_owned()), ..order("Api", "old") };
    deploy(&services, &order).await.unwrap();
    assert!(aws.seen("/code").is_empty());
    assert_eq!(aws.state().functions["Api"].aliases["live"], "1");
}

fn creating(address: Option<FunctionAddress>) -> Order {
    let env = [("STAGE".to_owned(), "test".to_owned())].into();
    let create = CreateFunction {
        memory: Some(512),
        timeout: Some(30),
        architecture: Architecture::Arm64,
        env,
        address,
        ..CreateFunction::default()
    };
    Order { create: Some(create), ..order("New", "new") }
}

#[tokio::test]
async fn a_function_is_made_with_its_role_and_its_address() {
    let (aws, services) = aws().await;
    let refused = "The role defined for the function cannot be assumed by Lambda.";
    aws.state().fail("POST functions", 2, 400, "InvalidParameterValueException", refused);
    let order = creating(Some(FunctionAddress::Url));
    assert_eq!(services.rehearse(&order).await.unwrap(), Rehearsed::NotPossible);
    let deployed = deploy(&services, &order).await.unwrap();
    assert_eq!(deployed.digest, Some(order.digest));
    assert_eq!(deployed.url.as_deref(), Some("https://new.lambda-url.us-east-1.on.aws/"));
    let state = aws.state();
    assert_eq!(state.roles, ["New-us-east-1"]);
    assert!(state.log.contains(&"iam AttachRolePolicy".to_owned()));
    let function = &state.functions["New"];
    assert_eq!(function.made["Role"], format!("arn:aws:iam::{ACCOUNT}:role/orchestrate/New-us-east-1"));
    assert_eq!(function.made["PackageType"], "Image");
    assert_eq!((&function.made["MemorySize"], &function.made["Timeout"]), (&json!(512), &json!(30)));
    assert_eq!(function.made["Environment"]["Variables"]["STAGE"], "test");
    let allowed: Vec<_> = function.permissions.iter().map(|one| one["Action"].as_str().unwrap()).collect();
    assert_eq!(allowed, ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]);
}

#[tokio::test]
async fn what_a_run_did_not_finish_is_finished_by_the_next() {
    for (address, url) in [
        (FunctionAddress::Url, "https://new.lambda-url.us-east-1.on.aws/"),
        (FunctionAddress::HttpApi, "https://api0.execute-api.us-east-1.amazonaws.com"),
    ] {
        // Cut off at each of its calls in turn.
        for call in ["functions/New/configuration", "functions/New/versions", "functions/New/policy", "DELETE tags"] {
            let (aws, services) = aws().await;
            let order = Order { publish: true, ..creating(Some(address)) };
            aws.state().fail(call, 1, 400, "ServiceException", "the run was killed");
            deploy(&services, &order).await.unwrap_err();
            let look = services.look(&order).await.unwrap();
            assert!(look.facts().unwrap().unfinished, "after {call}");
            let deployed = deploy(&services, &order).await.unwrap();
            assert_eq!(deployed.url.as_deref(), Some(url), "after {call}");
            assert_eq!(deployed.version.as_deref(), Some("1"), "after {call}");
            assert!(!services.look(&order).await.unwrap().facts().unwrap().unfinished);
            let (statements, apis) = {
                let state = aws.state();
                (state.functions["New"].permissions.len(), state.apis.len())
            };
            assert_eq!(statements, if address == FunctionAddress::Url { 2 } else { 1 });
            assert!(apis <= 1, "one API, not two");
            // And no more after that.
            aws.state().log.clear();
            deploy(&services, &Order { publish: false, ..order }).await.unwrap();
            assert!(aws.writes().is_empty(), "{:?}", aws.writes());
        }
    }
}

#[tokio::test]
async fn an_api_in_front_of_a_function_may_call_it_and_nobody_else() {
    let (aws, services) = aws().await;
    let order = Order { publish: true, alias: Some("live".to_owned()), ..creating(Some(FunctionAddress::HttpApi)) };
    deploy(&services, &order).await.unwrap();
    let state = aws.state();
    let target = format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:New:live");
    assert_eq!((&state.apis[0]["target"], &state.apis[0]["protocolType"]), (&json!(target), &json!("HTTP")));
    let allowed = &state.functions["New"].permissions[0];
    assert_eq!(allowed["Principal"], "apigateway.amazonaws.com");
    assert_eq!(allowed["SourceArn"], format!("arn:aws:execute-api:us-east-1:{ACCOUNT}:api0/*"));
    assert!(state.log.contains(&"POST functions/New/policy?live".to_owned()), "{:?}", state.log);
}

#[tokio::test]
async fn a_role_of_an_earlier_run_or_of_the_manifest_is_taken() {
    let (aws, services) = aws().await;
    aws.state().roles.push("New-us-east-1".to_owned());
    deploy(&services, &creating(None)).await.unwrap();
    assert!(aws.state().log.contains(&"iam GetRole".to_owned()));
    let mut named = Order { id: FunctionId { name: "Other".to_owned(), ..creating(None).id }, ..creating(None) };
    named.create.as_mut().unwrap().role = Some("arn:aws:iam::123456789012:role/mine".to_owned());
    aws.state().log.clear();
    deploy(&services, &named).await.unwrap();
    assert!(aws.seen("iam").is_empty());
    assert_eq!(aws.state().functions["Other"].made["Role"], "arn:aws:iam::123456789012:role/mine");
}

#[tokio::test]
async fn a_function_that_somebody_made_meanwhile_is_looked_at_again() {
    let (aws, services) = aws().await;
    let order = Order { create: creating(None).create, ..order("Api", "new") };
    let missing = Look { observation: Observation::Missing, revision: None };
    let error = services.deploy(&order, &missing).await.unwrap_err();
    assert!(error.overtaken, "{error}");
    assert_eq!(aws.state().runs("Api"), Some(Digest::of(b"old")));
}

fn lambda(functions: Functions) -> Deployment {
    let runner = Runner::Lambda(Lambda { functions, publish: false, alias: None, create: None });
    Deployment { runner, region: "us-east-1".to_owned(), source: 0, elsewhere: None, order: None }
}

#[tokio::test]
async fn stacks_name_functions_and_are_asked_once() {
    let (aws, services) = aws().await;
    let resources = [("APICrudLambda1A2B", "Api"), ("APICrudLambdaServiceRole", "role"), ("WebLambda", "Gone")];
    let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let outputs = [("ApiArn", "arn:aws:lambda:us-east-1:123456789012:function:Api")];
    aws.state().stacks.insert("media".to_owned(), (owned(&resources), owned(&outputs)));
    let login = AwsLogin::default();
    let logical = |logical: &str| Functions::Logical { stack: "media".to_owned(), logical: logical.to_owned() };
    let output = |output: &str| Functions::Output { stack: "media".to_owned(), output: output.to_owned() };
    let found = async |functions: Functions| {
        let found = services.observe(&login, &lambda(functions)).await.unwrap();
        found.into_iter().map(|(name, found)| (name, matches!(found, Observation::Found(_)))).collect::<Vec<_>>()
    };
    assert_eq!(found(logical("APICrudLambda*")).await, [("Api".to_owned(), true)]);
    assert_eq!(found(logical("*Lambda*")).await, [("Api".to_owned(), true), ("Gone".to_owned(), false)]);
    assert_eq!(found(output("ApiArn")).await, [("Api".to_owned(), true)]);
    assert_eq!(found(output("Nothing")).await, []);
    let nowhere = Functions::Logical { stack: "nowhere".to_owned(), logical: "*".to_owned() };
    assert_eq!(found(nowhere).await, [], "a stack that is not there has no functions");
    let asked = aws.seen("cloudformation");
    assert_eq!(asked.len(), 3, "{asked:?}");
}

fn runtime(status: &str) -> serde_json::Value {
    json!({
        "agentRuntimeArn": "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/agent-AbCdEf1234",
        "agentRuntimeName": "agent",
        "agentRuntimeId": "agent-AbCdEf1234",
        "agentRuntimeVersion": "3",
        "createdAt": "2026-01-01T00:00:00Z",
        "lastUpdatedAt": "2026-01-01T00:00:00Z",
        "description": "answers",
        "roleArn": "arn:aws:iam::123456789012:role/agent",
        "networkConfiguration": { "networkMode": "VPC", "networkModeConfig": { "securityGroups": ["sg-1"], "subnets": ["subnet-1"] } },
        "protocolConfiguration": { "serverProtocol": "MCP" },
        "lifecycleConfiguration": { "idleRuntimeSessionTimeout": 900, "maxLifetime": 3600 },
        "environmentVariables": { "STAGE": "test" },
        "agentRuntimeArtifact": { "containerConfiguration": { "containerUri": image("old") } },
        "status": status,
    })
}

#[tokio::test]
async fn a_runtime_is_given_its_image_and_keeps_all_else() {
    for named in ["agent", "agent-AbCdEf1234"] {
        let (aws, services) = aws().await;
        aws.state().runtimes.insert("agent-AbCdEf1234".to_owned(), runtime("READY"));
        aws.state().update_takes = 2;
        let id = FunctionId {
            service: Service::Agentcore,
            region: "us-east-1".to_owned(),
            account: None,
            name: named.to_owned(),
        };
        let order = Order { id, ..order("", "new") };
        let deployed = deploy(&services, &order).await.unwrap();
        assert_eq!((deployed.digest, deployed.version.as_deref()), (Some(order.digest), Some("4")));
        let mut expected = runtime("READY");
        expected["agentRuntimeVersion"] = json!("4");
        expected["agentRuntimeArtifact"]["containerConfiguration"]["containerUri"] = json!(image("new"));
        let mut found = aws.state().runtimes["agent-AbCdEf1234"].clone();
        found.as_object_mut().unwrap().remove("clientToken");
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_runtime_that_fails_says_why() {
    let (aws, services) = aws().await;
    let failed = runtime("CREATE_FAILED");
    aws.state().runtimes.insert("agent-AbCdEf1234".to_owned(), failed);
    let id = FunctionId {
        service: Service::Agentcore,
        region: "us-east-1".to_owned(),
        account: None,
        name: "agent".to_owned(),
    };
    let error = deploy(&services, &Order { id, ..order("", "new") }).await.unwrap_err();
    assert!(error.message.contains("the runtime `agent-AbCdEf1234` is CREATE_FAILED"), "{error}");
}

#[tokio::test]
async fn everything_that_runs_is_in_use() {
    let (aws, services) = aws().await;
    {
        let mut state = aws.state();
        let function = state.functions.get_mut("Api").unwrap();
        function.versions = vec![image("first"), image("second")];
        function.aliases.insert("live".to_owned(), "1".to_owned());
        let mut zip = super::testing::FakeFunction::running("", "x86_64");
        zip.zip = true;
        state.functions.insert("Zip".to_owned(), zip);
        state.runtimes.insert("agent-AbCdEf1234".to_owned(), runtime("READY"));
    }
    let used = services.in_use(&AwsLogin::default(), "us-east-1").await.unwrap();
    let used: Vec<_> = used.into_iter().map(|used| (used.reference, used.by)).collect();
    let by = |content: &str, by: &str| (image(content), by.to_owned());
    let mut expected = vec![
        by("first", "lambda Api:1 (us-east-1)"),
        by("second", "lambda Api:2 (us-east-1)"),
        by("old", "lambda Api:$LATEST (us-east-1)"),
        by("old", "agentcore agent:3 (us-east-1)"),
    ];
    expected.sort();
    assert_eq!(used, expected);
}
