//! The services around Lambda, as far as deploying needs them.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::state::{ACCOUNT, State};
use super::{Answer, Request};

pub(super) fn sts() -> Answer {
    Answer::xml(format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/tester</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    ))
}

pub(super) fn iam(request: &Request, state: &mut State) -> Answer {
    let name = request.form("RoleName");
    let role = format!(
        "<Role><Path>/orchestrate/</Path><RoleName>{name}</RoleName><RoleId>AROA</RoleId>\
         <Arn>arn:aws:iam::{ACCOUNT}:role/orchestrate/{name}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>"
    );
    match request.form("Action").as_str() {
        "CreateRole" if state.roles.contains(&name) => {
            Answer::xml_error(409, "EntityAlreadyExists", &format!("Role with name {name} already exists."))
        }
        "CreateRole" => {
            state.roles.push(name);
            Answer::xml(format!("<CreateRoleResponse><CreateRoleResult>{role}</CreateRoleResult></CreateRoleResponse>"))
        }
        "GetRole" => Answer::xml(format!("<GetRoleResponse><GetRoleResult>{role}</GetRoleResult></GetRoleResponse>")),
        other => Answer::xml(format!("<{other}Response></{other}Response>")),
    }
}

pub(super) fn cloudformation(request: &Request, state: &State) -> Answer {
    let name = request.form("StackName");
    let Some((resources, outputs)) = state.stacks.get(&name) else {
        return Answer::xml_error(400, "ValidationError", &format!("Stack with id {name} does not exist"));
    };
    if request.form("Action") == "DescribeStacks" {
        let member = |(key, value): (&String, &String)| {
            format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>")
        };
        let outputs: String = outputs.iter().map(member).collect();
        return Answer::xml(format!(
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{name}</StackName>\
             <StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime>\
             <Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        ));
    }
    let member = |(logical, physical): (&String, &String)| {
        let kind = if logical.ends_with("Role") { "AWS::IAM::Role" } else { "AWS::Lambda::Function" };
        format!(
            "<member><LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
             <ResourceType>{kind}</ResourceType><LastUpdatedTimestamp>2026-01-01T00:00:00Z</LastUpdatedTimestamp>\
             <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
        )
    };
    let resources: String = resources.iter().map(member).collect();
    Answer::xml(format!(
        "<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries>{resources}\
         </StackResourceSummaries></ListStackResourcesResult></ListStackResourcesResponse>"
    ))
}

pub(super) fn agentcore(request: &Request, state: &mut State) -> Answer {
    let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let gone = || Answer::error(404, "ResourceNotFoundException", "Agent runtime not found");
    match (request.method.as_str(), &parts[..]) {
        ("POST", ["runtimes"]) => {
            let all: Vec<Value> = state.runtimes.values().cloned().collect();
            Answer::json(200, &json!({ "agentRuntimes": all }))
        }
        ("POST", ["runtimes", id, "versions"]) => match state.runtimes.get(*id) {
            Some(runtime) => Answer::json(200, &json!({ "agentRuntimes": [runtime] })),
            None => gone(),
        },
        ("GET", ["runtimes", id]) => {
            let busy = state.runtime_busy > 0;
            state.runtime_busy = state.runtime_busy.saturating_sub(1);
            let Some(runtime) = state.runtimes.get(*id) else { return gone() };
            let mut answer = runtime.clone();
            if busy {
                answer["status"] = json!("UPDATING");
            }
            Answer::json(200, &answer)
        }
        ("PUT", ["runtimes", id]) => {
            let takes = state.update_takes;
            let Some(runtime) = state.runtimes.get_mut(*id) else { return gone() };
            let next = runtime["agentRuntimeVersion"].as_str().and_then(|old| old.parse::<u32>().ok()).unwrap_or(0) + 1;
            // An update replaces all that it does not name.
            let kept =
                ["agentRuntimeArn", "agentRuntimeName", "agentRuntimeId", "createdAt", "lastUpdatedAt", "status"];
            let mut updated = request.json();
            for field in kept {
                updated[field] = runtime[field].clone();
            }
            updated["agentRuntimeVersion"] = json!(next.to_string());
            *runtime = updated.clone();
            state.runtime_busy = takes;
            Answer::json(202, &updated)
        }
        _ => Answer::error(404, "NotFound", &format!("{} {parts:?}", request.method)),
    }
}

/// HTTP APIs.
pub(super) fn api_gateway(request: &Request, state: &mut State) -> Answer {
    if request.method == "GET" {
        return Answer::json(200, &json!({ "items": state.apis }));
    }
    let mut api = request.json();
    let id = format!("api{}", state.apis.len());
    api["apiEndpoint"] = json!(format!("https://{id}.execute-api.us-east-1.amazonaws.com"));
    api["apiId"] = json!(id);
    state.apis.push(api.clone());
    Answer::json(201, &api)
}

/// Bulk questions, answered from the registry that stands for ECR.
pub(super) async fn ecr(request: &Request, registry: Option<&str>) -> Answer {
    let body = request.json();
    let operation = request.target.rsplit('.').next().unwrap_or_default();
    let Some(registry) = registry else { return Answer::error(400, "ServerException", "there is no registry") };
    match operation {
        "BatchGetImage" => {
            let repository = body["repositoryName"].as_str().unwrap_or_default();
            let (mut images, mut failures) = (Vec::new(), Vec::new());
            for id in body["imageIds"].as_array().into_iter().flatten() {
                let tag = id["imageTag"].as_str().unwrap_or_default();
                match digest_of(registry, repository, tag).await {
                    Some(digest) => images.push(json!({ "imageId": { "imageTag": tag, "imageDigest": digest } })),
                    None => failures.push(json!({ "imageId": id, "failureCode": "ImageNotFound" })),
                }
            }
            Answer::json(200, &json!({ "images": images, "failures": failures }))
        }
        "GetAuthorizationToken" => {
            let entry = json!({ "authorizationToken": "QVdTOnRva2Vu", "expiresAt": 4_000_000_000_u64 });
            Answer::json(200, &json!({ "authorizationData": [entry] }))
        }
        "DescribeRepositories" => {
            let told = |name: &Value| {
                let name = name.as_str().unwrap_or_default();
                json!({
                    "repositoryName": name,
                    "registryId": ACCOUNT,
                    "repositoryArn": format!("arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{name}"),
                    "repositoryUri": format!("{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{name}"),
                    "imageTagMutability": "MUTABLE",
                })
            };
            let all: Vec<Value> = body["repositoryNames"].as_array().into_iter().flatten().map(told).collect();
            Answer::json(200, &json!({ "repositories": all }))
        }
        "DescribeImages" => Answer::error(400, "ImageNotFoundException", "there is no such image"),
        "GetRepositoryPolicy" => Answer::error(400, "RepositoryPolicyNotFoundException", "it has no policy"),
        "GetLifecyclePolicy" => Answer::error(400, "LifecyclePolicyNotFoundException", "it has no rules"),
        other => Answer::error(400, "UnknownOperationException", other),
    }
}

async fn digest_of(registry: &str, repository: &str, tag: &str) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(registry).await.ok()?;
    let accept = crate::oci::media_type::ACCEPT;
    let head =
        format!("HEAD /v2/{repository}/manifests/{tag} HTTP/1.1\r\nHost: {registry}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next_line().await.ok()??;
    while let Some(line) = lines.next_line().await.ok()?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        if status.contains(" 200 ") && name.eq_ignore_ascii_case("docker-content-digest") {
            return Some(value.to_owned());
        }
    }
    None
}
