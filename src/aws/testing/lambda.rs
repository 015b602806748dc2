//! Lambda's REST API, as far as deploying needs it.
//!
//! Source: the Lambda API reference; "Lambda function states".

use serde_json::{Value, json};

use super::state::{ACCOUNT, FakeFunction, State};
use super::{Answer, Request};

pub(super) fn answer(request: &Request, state: &mut State) -> Answer {
    let parts: Vec<&str> = request.path[1..].iter().map(String::as_str).collect();
    let body = request.json();
    match (request.method.as_str(), &parts[..]) {
        ("GET", ["functions"]) => list(state),
        ("POST", ["functions"]) => create(&body, state),
        ("GET", ["functions", name]) => get(name, request.parameter("Qualifier"), state),
        ("GET", ["functions", name, "configuration"]) => configuration(name, state),
        ("PUT", ["functions", name, "code"]) => update(name, &body, state),
        ("POST", ["functions", name, "versions"]) => publish(name, state),
        (method, ["functions", name, "aliases", ..]) => {
            let alias = parts.get(3).copied().unwrap_or_else(|| body["Name"].as_str().unwrap_or_default());
            point(method, name, alias, &body, state)
        }
        (method, ["functions", name, "url"]) => url(method, name, state),
        ("POST", ["functions", name, "policy"]) => {
            let Some(function) = state.functions.get_mut(*name) else { return missing(name) };
            if function.permissions.iter().any(|one| one["StatementId"] == body["StatementId"]) {
                return conflict("The statement id provided already exists");
            }
            function.permissions.push(body.clone());
            Answer::json(201, &json!({ "Statement": "{}" }))
        }
        ("DELETE", ["tags", resource]) => {
            let name = resource.rsplit(':').next().unwrap_or_default();
            let Some(function) = state.functions.get_mut(name) else { return missing(name) };
            function.tags = Value::Null;
            Answer::json(200, &json!({}))
        }
        _ => Answer::error(404, "NotFound", &format!("{} {parts:?}", request.method)),
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}")
}

fn missing(name: &str) -> Answer {
    Answer::error(404, "ResourceNotFoundException", &format!("Function not found: {}", arn(name)))
}

fn told(name: &str, function: &FakeFunction, version: &str) -> Value {
    let status = match (function.busy, &function.failed) {
        (1.., _) => "InProgress",
        (0, Some(_)) => "Failed",
        (0, None) => "Successful",
    };
    json!({
        "FunctionName": name,
        "FunctionArn": arn(name),
        "PackageType": if function.zip { "Zip" } else { "Image" },
        "Architectures": [function.architecture],
        "RevisionId": format!("revision-{}", function.revision),
        "State": function.state.unwrap_or("Active"),
        "StateReason": function.state.map(|state| format!("the fake says {state}")),
        "LastUpdateStatus": status,
        "LastUpdateStatusReason": function.failed,
        "Version": version,
        "CodeSha256": function.image.rsplit(':').next(),
    })
}

fn conflict(message: &str) -> Answer {
    Answer::error(409, "ResourceConflictException", message)
}

fn url(method: &str, name: &str, state: &mut State) -> Answer {
    let Some(function) = state.functions.get_mut(name) else { return missing(name) };
    if method == "POST" && function.url.is_some() {
        return conflict("FunctionUrlConfig exists for this Lambda function");
    }
    let url = format!("https://{}.lambda-url.us-east-1.on.aws/", name.to_lowercase());
    function.url = Some(url.clone());
    let told = json!({
        "FunctionUrl": url,
        "FunctionArn": arn(name),
        "AuthType": "NONE",
        "CreationTime": "2026-01-01T00:00:00.000+0000",
        "LastModifiedTime": "2026-01-01T00:00:00.000+0000",
    });
    Answer::json(if method == "POST" { 201 } else { 200 }, &told)
}

fn list(state: &State) -> Answer {
    let mut all = Vec::new();
    for (name, function) in &state.functions {
        all.push(told(name, function, "$LATEST"));
        let versions = 1..=function.versions.len();
        all.extend(versions.map(|version| told(name, function, &version.to_string())));
    }
    Answer::json(200, &json!({ "Functions": all }))
}

fn get(name: &str, qualifier: Option<&str>, state: &State) -> Answer {
    let Some(function) = state.functions.get(name) else { return missing(name) };
    let version = qualifier.map(|qualifier| function.aliases.get(qualifier).map_or(qualifier, String::as_str));
    let image = match version {
        None | Some("$LATEST") => Some(&function.image),
        Some(number) => number.parse().ok().and_then(|number: usize| function.versions.get(number.checked_sub(1)?)),
    };
    let Some(image) = image else { return missing(&format!("{name}:{}", qualifier.unwrap_or_default())) };
    let code = if function.zip {
        json!({ "RepositoryType": "S3", "Location": "https://example.com" })
    } else {
        json!({ "RepositoryType": "ECR", "ImageUri": image, "ResolvedImageUri": image })
    };
    // Only the function itself tells its tags.
    let tags = if version.is_none() { &function.tags } else { &Value::Null };
    let configuration = told(name, function, version.unwrap_or("$LATEST"));
    Answer::json(200, &json!({ "Configuration": configuration, "Code": code, "Tags": tags }))
}

fn configuration(name: &str, state: &mut State) -> Answer {
    let Some(function) = state.functions.get_mut(name) else { return missing(name) };
    let answer = told(name, function, "$LATEST");
    function.busy = function.busy.saturating_sub(1);
    Answer::json(200, &answer)
}

fn update(name: &str, body: &Value, state: &mut State) -> Answer {
    let (takes, fails) = (state.update_takes, state.updates_fail.clone());
    let Some(function) = state.functions.get_mut(name) else { return missing(name) };
    let image = body["ImageUri"].as_str().unwrap_or_default();
    if !image.contains(".dkr.ecr.us-east-1.amazonaws.com/") {
        let message =
            "Source image is not valid. Provide a valid source image URI of a private repository of your region.";
        return Answer::error(400, "InvalidParameterValueException", message);
    }
    if let Some(architecture) = body["Architectures"][0].as_str()
        && architecture != function.architecture
    {
        return Answer::error(
            400,
            "InvalidParameterValueException",
            "The architecture of a function cannot be changed",
        );
    }
    if function.busy > 0 {
        function.busy -= 1;
        let message = format!(
            "The operation cannot be performed at this time. An update is in progress for resource: {}",
            arn(name)
        );
        return Answer::error(409, "ResourceConflictException", &message);
    }
    if body["RevisionId"].as_str().is_some_and(|wanted| wanted != format!("revision-{}", function.revision)) {
        let message = "The RevisionId provided does not match the latest RevisionId.";
        return Answer::error(412, "PreconditionFailedException", message);
    }
    if body["DryRun"] == true {
        return Answer::json(200, &told(name, function, "$LATEST"));
    }
    function.revision += 1;
    function.busy = takes;
    function.failed.clone_from(&fails);
    function.state = function.state.filter(|_| function.never_comes_up);
    if fails.is_none() {
        image.clone_into(&mut function.image);
    }
    Answer::json(200, &told(name, function, "$LATEST"))
}

fn create(body: &Value, state: &mut State) -> Answer {
    let name = body["FunctionName"].as_str().unwrap_or_default().to_owned();
    if state.functions.contains_key(&name) {
        return Answer::error(409, "ResourceConflictException", &format!("Function already exist: {name}"));
    }
    let image = body["Code"]["ImageUri"].as_str().unwrap_or_default();
    let architecture = body["Architectures"][0].as_str().unwrap_or("x86_64");
    let function = FakeFunction {
        made: body.clone(),
        busy: state.update_takes,
        tags: body["Tags"].clone(),
        ..FakeFunction::running(image, architecture)
    };
    let answer = Answer::json(201, &told(&name, &function, "$LATEST"));
    state.functions.insert(name, function);
    answer
}

fn publish(name: &str, state: &mut State) -> Answer {
    let Some(function) = state.functions.get_mut(name) else { return missing(name) };
    // What did not change since the last version is that version.
    if function.versions.last() != Some(&function.image) {
        function.versions.push(function.image.clone());
    }
    let version = function.versions.len().to_string();
    Answer::json(201, &told(name, function, &version))
}

fn point(method: &str, name: &str, alias: &str, body: &Value, state: &mut State) -> Answer {
    let Some(function) = state.functions.get_mut(name) else { return missing(name) };
    let version = body["FunctionVersion"].as_str().unwrap_or_default().to_owned();
    if method == "PUT" && !function.aliases.contains_key(alias) {
        return missing(&format!("{name}:{alias}"));
    }
    function.aliases.insert(alias.to_owned(), version.clone());
    Answer::json(200, &json!({ "Name": alias, "FunctionVersion": version, "AliasArn": arn(name) }))
}
