//! Repository policies of Amazon ECR: who may pull.
//!
//! Sources: "Amazon ECR permissions" and "Amazon ECR cross-account permissions", AWS Lambda developer guide; "Private repository policies",
//! Amazon ECR user guide.

use serde_json::{Map, Value, json};

use super::lifecycle::Strange;

/// What pulling takes.
const PULL: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

/// The policy that lets pull whom it does not yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) lambda: bool,
    pub(super) accounts: Vec<String>,
    pub(super) policy: String,
}

/// Who is to pull.
pub(super) struct Pullers<'a> {
    /// The region of the registry.
    pub(super) region: &'a str,
    /// The account of which the Lambda service is to pull.
    pub(super) lambda: Option<&'a str>,
    /// Other accounts; the Lambda service of each as well.
    pub(super) accounts: &'a [String],
    /// What stands second in ARNs.
    pub(super) partition: &'a str,
}

/// A policy in which these may pull; `None` if they may already. Statements of others stay.
pub(super) fn with_pullers(policy: Option<&str>, pullers: &Pullers<'_>) -> Result<Option<Granted>, Strange> {
    let mut document = match policy {
        None => Map::from_iter([("Version".to_owned(), json!("2012-10-17"))]),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(document)) => document,
            _ => return Err(Strange),
        },
    };
    let statements: Vec<Value> = match document.get("Statement") {
        None => Vec::new(),
        Some(Value::Array(statements)) => statements.clone(),
        // A lone statement needs no list.
        Some(one @ Value::Object(_)) => vec![one.clone()],
        Some(_) => return Err(Strange),
    };
    let function = |account: &str| format!("arn:{}:lambda:{}:{account}:function:*", pullers.partition, pullers.region);
    let root = |account: &str| format!("arn:{}:iam::{account}:root", pullers.partition);
    let lambda = pullers.lambda.filter(|account| !lets_lambda(&statements, &function(account)));
    let absent = |account: &&String| {
        !lets_account(&statements, account, &root(account)) || !lets_lambda(&statements, &function(account))
    };
    let accounts: Vec<String> = pullers.accounts.iter().filter(absent).cloned().collect();
    if lambda.is_none() && accounts.is_empty() {
        return Ok(None);
    }
    // Ours are written anew as a whole, so that they do not add up.
    let is_ours = |statement: &Value| statement["Sid"].as_str().is_some_and(|sid| sid.starts_with("Orchestrate"));
    let mut kept: Vec<Value> = statements.into_iter().filter(|statement| !is_ours(statement)).collect();
    if let Some(account) = pullers.lambda {
        kept.push(of_lambda("OrchestrateLambdaPull", &function(account)));
    }
    for account in pullers.accounts {
        kept.push(json!({
            "Sid": format!("OrchestratePull{account}"),
            "Effect": "Allow",
            "Principal": { "AWS": root(account) },
            "Action": PULL,
        }));
        kept.push(of_lambda(&format!("OrchestrateLambdaPull{account}"), &function(account)));
    }
    document.insert("Statement".to_owned(), Value::Array(kept));
    Ok(Some(Granted { lambda: lambda.is_some(), accounts, policy: Value::Object(document).to_string() }))
}

fn of_lambda(sid: &str, functions: &str) -> Value {
    json!({
        "Sid": sid,
        "Effect": "Allow",
        "Principal": { "Service": "lambda.amazonaws.com" },
        "Action": PULL,
        "Condition": { "StringLike": { "aws:sourceArn": functions } },
    })
}

/// Whether some statement lets the Lambda service pull for these functions.
fn lets_lambda(statements: &[Value], functions: &str) -> bool {
    allowing(statements).any(|statement| {
        let principal = &statement["Principal"];
        let service = texts(&principal["Service"]).contains(&"lambda.amazonaws.com") || is_all(principal);
        service && conditions_hold(&statement["Condition"], functions)
    })
}

/// Whether some statement lets the whole account pull.
fn lets_account(statements: &[Value], account: &str, root: &str) -> bool {
    allowing(statements).any(|statement| {
        let principal = &statement["Principal"];
        let names = texts(&principal["AWS"]);
        let named = names.contains(&account) || names.contains(&root) || is_all(principal);
        named && statement.get("Condition").is_none()
    })
}

fn is_all(principal: &Value) -> bool {
    principal.as_str() == Some("*") || texts(&principal["AWS"]).contains(&"*")
}

fn allowing(statements: &[Value]) -> impl Iterator<Item = &Value> {
    statements.iter().filter(|statement| {
        let actions = texts(&statement["Action"]);
        let all = actions.iter().any(|action| matches!(*action, "*" | "ecr:*"));
        statement["Effect"].as_str() == Some("Allow") && (all || PULL.iter().all(|needed| actions.contains(needed)))
    })
}

/// Whether a condition lets these functions through: there is none, or it is about their ARN and matches them all.
fn conditions_hold(condition: &Value, functions: &str) -> bool {
    let Some(operators) = condition.as_object() else { return condition.is_null() };
    operators.iter().all(|(operator, keys)| {
        let of_arn = matches!(operator.as_str(), "StringLike" | "ArnLike");
        let keys = keys.as_object().into_iter().flatten();
        let mut keys = keys.peekable();
        of_arn
            && keys.peek().is_some()
            && keys.all(|(key, values)| {
                key.eq_ignore_ascii_case("aws:sourceArn")
                    && texts(values).iter().any(|pattern| *pattern == functions || covers(pattern, functions))
            })
    })
}

/// Whether a pattern that ends with `*` matches all that another does.
fn covers(pattern: &str, other: &str) -> bool {
    pattern.strip_suffix('*').is_some_and(|start| !start.contains(['*', '?']) && other.starts_with(start))
}

/// A text, or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pullers<'a>(lambda: Option<&'a str>, accounts: &'a [String]) -> Pullers<'a> {
        Pullers { region: "us-east-1", lambda, accounts, partition: "aws" }
    }

    #[test]
    fn lambda_is_let_in_once() {
        let ours = pullers(Some("123456789012"), &[]);
        let granted = with_pullers(None, &ours).unwrap().unwrap();
        assert!(granted.lambda);
        assert_eq!(with_pullers(Some(&granted.policy), &ours), Ok(None));
        // What Lambda itself writes when a function is created in the console.
        let own = r#"{"Version":"2008-10-17","Statement":[{"Sid":"LambdaECRImageRetrievalPolicy","Effect":"Allow",
            "Principal":{"Service":"lambda.amazonaws.com"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],
            "Condition":{"StringLike":{"aws:sourceArn":"arn:aws:lambda:us-east-1:123456789012:function:*"}}}]}"#;
        assert_eq!(with_pullers(Some(own), &ours), Ok(None));
        let of_another = own.replace("123456789012", "999999999999");
        assert!(with_pullers(Some(&of_another), &ours).unwrap().is_some());
        let in_part = own.replace(r#""ecr:BatchGetImage","#, "");
        assert!(with_pullers(Some(&in_part), &ours).unwrap().is_some());
    }

    #[test]
    fn accounts_are_let_in_and_statements_of_others_stay() {
        let accounts = ["210987654321".to_owned()];
        let wanted = pullers(None, &accounts);
        let theirs = r#"{"Version":"2012-10-17","Id":"x","Statement":{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"ecr:DeleteRepository"}}"#;
        let granted = with_pullers(Some(theirs), &wanted).unwrap().unwrap();
        assert_eq!((granted.lambda, &granted.accounts[..]), (false, &accounts[..]));
        let document: Value = serde_json::from_str(&granted.policy).unwrap();
        let sids: Vec<&str> = document["Statement"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|statement| statement["Sid"].as_str())
            .collect();
        assert_eq!(sids, ["Theirs", "OrchestratePull210987654321", "OrchestrateLambdaPull210987654321"]);
        assert_eq!(document["Id"], "x");
        assert_eq!(with_pullers(Some(&granted.policy), &wanted), Ok(None));
        assert_eq!(with_pullers(Some("[]"), &wanted), Err(Strange));
    }
}
