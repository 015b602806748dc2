//! Repository policies of Amazon ECR: who may pull.
//!
//! Sources: "Amazon ECR permissions" and "Amazon ECR cross-account permissions", AWS Lambda developer guide; "Private repository policies",
//! Amazon ECR user guide.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::lifecycle::Strange;

/// What pulling takes.
const PULL: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

/// The policy that lets pull whom it does not yet, and nobody whom an earlier run let in and who is not to pull any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) lambda: bool,
    pub(super) accounts: Vec<String>,
    pub(super) revoked: Vec<String>,
    /// `None`: no statement is left.
    pub(super) policy: Option<String>,
}

/// How the statements written here are called: that of Lambda in the registry's own account, and two for each other account.
const OF_LAMBDA: &str = "OrchestrateLambdaPull";
const OF_ACCOUNT: &str = "OrchestratePull";

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

/// A policy in which these may pull; `None` if they may already and no other account may that an earlier run let in. Statements of others
/// stay, and that of Lambda in the registry's own account too: a function that this manifest does not know may need it.
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
    let let_in: BTreeSet<&str> = statements.iter().filter_map(account_of).collect();
    let revoked = let_in.into_iter().filter(|account| !pullers.accounts.iter().any(|allowed| allowed == account));
    let revoked: Vec<String> = revoked.map(str::to_owned).collect();
    if lambda.is_none() && accounts.is_empty() && revoked.is_empty() {
        return Ok(None);
    }
    // Ours are written anew, so that they do not add up.
    let is_rewritten = |statement: &Value| {
        let of_lambda = pullers.lambda.is_some() && statement["Sid"] == OF_LAMBDA;
        of_lambda || account_of(statement).is_some()
    };
    let lets_lambda_in = pullers.lambda.is_some_and(|account| {
        let others: Vec<Value> = statements.iter().filter(|statement| !is_rewritten(statement)).cloned().collect();
        lets_lambda(&others, &function(account))
    });
    let mut kept: Vec<Value> = statements.iter().filter(|statement| !is_rewritten(statement)).cloned().collect();
    if let Some(account) = pullers.lambda.filter(|_| !lets_lambda_in) {
        kept.push(of_lambda(OF_LAMBDA, &function(account)));
    }
    for account in pullers.accounts {
        kept.push(json!({
            "Sid": format!("{OF_ACCOUNT}{account}"),
            "Effect": "Allow",
            "Principal": { "AWS": root(account) },
            "Action": PULL,
        }));
        kept.push(of_lambda(&format!("{OF_LAMBDA}{account}"), &function(account)));
    }
    let is_empty = kept.is_empty();
    document.insert("Statement".to_owned(), Value::Array(kept));
    let policy = Some(Value::Object(document).to_string()).filter(|_| !is_empty);
    Ok(Some(Granted { lambda: lambda.is_some(), accounts, revoked, policy }))
}

/// The other account that a statement of an earlier run lets in.
fn account_of(statement: &Value) -> Option<&str> {
    let sid = statement["Sid"].as_str()?;
    let account = sid.strip_prefix(OF_LAMBDA).or_else(|| sid.strip_prefix(OF_ACCOUNT))?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

/// The other accounts of which the functions may not pull.
pub(super) fn shut_out(policy: Option<&str>, pullers: &Pullers<'_>) -> Result<Vec<String>, Strange> {
    let granted = with_pullers(policy, &Pullers { lambda: None, ..*pullers })?;
    Ok(granted.map(|granted| granted.accounts).unwrap_or_default())
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
        assert_eq!(with_pullers(granted.policy.as_deref(), &ours), Ok(None));
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
        let document: Value = serde_json::from_str(granted.policy.as_deref().unwrap()).unwrap();
        let sids: Vec<&str> = document["Statement"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|statement| statement["Sid"].as_str())
            .collect();
        assert_eq!(sids, ["Theirs", "OrchestratePull210987654321", "OrchestrateLambdaPull210987654321"]);
        assert_eq!(document["Id"], "x");
        assert_eq!(with_pullers(granted.policy.as_deref(), &wanted), Ok(None));
        assert_eq!(with_pullers(Some("[]"), &wanted), Err(Strange));
    }

    fn sids(policy: Option<&str>) -> Vec<String> {
        let document: Value = serde_json::from_str(policy.unwrap()).unwrap();
        let statements = document["Statement"].as_array().unwrap().iter();
        statements.map(|statement| statement["Sid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn an_account_that_is_allowed_no_more_is_shut_out() {
        let two = ["210987654321".to_owned(), "333333333333".to_owned()];
        let (both, one, none) = (pullers(Some("123456789012"), &two), pullers(None, &two[..1]), pullers(None, &[]));
        let first = with_pullers(None, &both).unwrap().unwrap().policy;
        let fewer = with_pullers(first.as_deref(), &one).unwrap().unwrap();
        assert_eq!((fewer.accounts.len(), &fewer.revoked[..]), (0, &two[1..]));
        // Whether a function of the own account still needs it is not for this manifest to say.
        let expected = ["OrchestrateLambdaPull", "OrchestratePull210987654321", "OrchestrateLambdaPull210987654321"];
        assert_eq!(sids(fewer.policy.as_deref()), expected);
        assert_eq!(with_pullers(fewer.policy.as_deref(), &one), Ok(None));

        let alone = with_pullers(None, &one).unwrap().unwrap().policy;
        let gone = with_pullers(alone.as_deref(), &none).unwrap().unwrap();
        assert_eq!((&gone.revoked[..], gone.policy), (&two[..1], None));
        let theirs = r#"{"Statement":[{"Sid":"OrchestratePullers","Effect":"Allow","Principal":"*","Action":"ecr:ListImages"}]}"#;
        assert_eq!(with_pullers(Some(theirs), &none), Ok(None), "a statement of somebody else with a like name");
    }
}
