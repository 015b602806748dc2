//! Which policy has to change when AWS denies a call: it is often not the one of the credentials.

use super::error::Call;

/// Actions that know no resource: IAM takes `*` for them and nothing else.
///
/// Source: "Actions, resources, and condition keys" of each service, Service Authorization Reference.
const WITHOUT_RESOURCE: &[&str] = &[
    "bedrock-agentcore:ListAgentRuntimes",
    "cloudformation:ListStacks",
    "ecr-public:GetAuthorizationToken",
    "ecr:GetAuthorizationToken",
    "lambda:ListFunctions",
    "sts:GetCallerIdentity",
    "sts:GetServiceBearerToken",
];

/// The resource that a statement about `action` may name.
pub(super) fn resource_of<'a>(action: &str, resource: &'a str) -> &'a str {
    if WITHOUT_RESOURCE.contains(&action) { "*" } else { resource }
}

/// A kind of policy, as AWS names it in "because no ... policy allows" and "with an explicit deny in a ...", and how to change it.
///
/// Source: "Troubleshoot access denied error messages", IAM user guide.
const KINDS: &[(&str, &str)] = &[
    ("identity-based polic", "the policy of these credentials"),
    ("resource-based polic", "the policy of the resource itself (its owner writes that)"),
    ("role trust polic", "the trust policy of the role"),
    ("permissions boundar", "the permissions boundary of these credentials"),
    ("session polic", "the session policy with which the role was assumed"),
    ("service control polic", "the service control policy of the organization (its administrator writes that)"),
    ("resource control polic", "the resource control policy of the organization (its administrator writes that)"),
    ("VPC endpoint polic", "the policy of the VPC endpoint"),
];

fn kind_in(text: &str) -> Option<&'static (&'static str, &'static str)> {
    KINDS.iter().filter_map(|kind| Some((text.find(kind.0)?, kind))).min_by_key(|(at, _)| *at).map(|(_, kind)| kind)
}

/// What to do about a denial.
pub(super) fn help(call: &Call, said: &str) -> String {
    if let Some(help) = of_another_principal(said) {
        return help;
    }
    if let Some((_, rest)) = said.split_once("explicit deny") {
        let place = kind_in(rest).map_or("a policy", |(_, place)| *place);
        return format!("{place} denies `{}`; no other policy can allow it: remove that denial", call.action);
    }
    let missing = said.split_once("because no ").and_then(|(_, rest)| kind_in(rest));
    let statement = call.statement();
    match missing {
        Some(("resource-based polic", _)) => {
            let principal = principal_of(said).unwrap_or("the principal of these credentials");
            format!(
                "the policy of `{}` itself must allow `{}` for {principal}; the owner of the resource writes that policy",
                call.resource, call.action
            )
        }
        Some(("identity-based polic", _)) | None if &*call.action == "sts:AssumeRole" => format!(
            "allow it on both sides: add this statement to the policy of these credentials: {statement}; and name them as \
             a principal in the trust policy of the role"
        ),
        Some(("role trust polic", _)) => {
            let principal = principal_of(said).unwrap_or("the principal of these credentials");
            format!("add {principal} as a principal of `sts:AssumeRole` to the trust policy of the role")
        }
        Some(("identity-based polic", _)) | None => format!("add this statement to the policy: {statement}"),
        Some((_, place)) => format!("{place} must allow it too: {statement}"),
    }
}

/// The principal that a denial names.
fn principal_of(said: &str) -> Option<&str> {
    let rest = said.split_once("User: ")?.1;
    rest.split(' ').next().filter(|arn| arn.starts_with("arn:"))
}

/// A denial whose subject is not the credentials of the call: a service, or the role of a function.
///
/// AWS gives some of these with the code of a denied call and some as an invalid parameter.
pub(super) fn of_another_principal(said: &str) -> Option<String> {
    let has = |words: &str| said.contains(words);
    let help = if has("permission to access the ECR image") {
        "the service `lambda.amazonaws.com` lacks access, not these credentials: let the repository's policy allow it \
         `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer` (docs/functions.md has the statement)"
    } else if has("cannot be assumed by Lambda") {
        "the role's trust policy must name the service `lambda.amazonaws.com` as a principal of `sts:AssumeRole`"
    } else if has("execution role does not have permissions") {
        "the function's own role lacks that permission, not these credentials: add it to a policy of that role"
    } else if has("KMS") && (has("ccess denied") || has("ccessDenied") || has("not able to")) {
        "the key's policy in KMS must allow the service or role that AWS names; a policy of these credentials alone does not do"
    } else {
        return None;
    };
    Some(help.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(action: &str, resource: &str, why: &str) -> String {
        let user = "arn:aws:sts::123456789012:assumed-role/ci/run";
        let said = format!("User: {user} is not authorized to perform: {action} on resource: {resource} {why}");
        help(&Call::new(action, "us-east-1").on(resource), &said)
    }

    const REPOSITORY: &str = "arn:aws:ecr:us-east-1:210987654321:repository/app";

    #[test]
    fn each_kind_of_policy_has_its_own_advice() {
        let cases = [
            ("because no identity-based policy allows the ecr:PutImage action", "add this statement to the policy: {"),
            (
                "because no resource-based policy allows the ecr:PutImage action",
                "must allow `ecr:PutImage` for arn:aws:sts::",
            ),
            (
                "because no permissions boundary allows the ecr:PutImage action",
                "permissions boundary of these credentials must",
            ),
            ("because no session policy allows the ecr:PutImage action", "the session policy with which"),
            ("because no service control policy allows the ecr:PutImage action", "its administrator writes that) must"),
            ("because no VPC endpoint policy allows the ecr:PutImage action", "the policy of the VPC endpoint must"),
            (
                "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/x",
                "organization (its",
            ),
            (
                "with an explicit deny in an identity-based policy",
                "the policy of these credentials denies `ecr:PutImage`",
            ),
            ("with an explicit deny", "a policy denies `ecr:PutImage`"),
            ("", "add this statement to the policy: {"),
        ];
        for (why, wanted) in cases {
            let help = advice("ecr:PutImage", REPOSITORY, why);
            assert!(help.contains(wanted), "{why}: {help}");
        }
    }

    #[test]
    fn a_role_is_assumed_from_two_sides() {
        let role = "arn:aws:iam::210987654321:role/deploy";
        let help = advice("sts:AssumeRole", role, "");
        assert!(help.contains(r#""Action": "sts:AssumeRole""#) && help.contains("trust policy of the role"), "{help}");
        let help = advice("sts:AssumeRole", role, "because no role trust policy allows the sts:AssumeRole action");
        assert!(help.starts_with("add arn:aws:sts::123456789012:assumed-role/ci/run as a principal"), "{help}");
    }

    #[test]
    fn a_denial_of_another_principal_is_not_answered_with_ours() {
        for (said, wanted) in [
            (
                "Lambda does not have permission to access the ECR image. Check the ECR permissions.",
                "repository's policy",
            ),
            ("The role defined for the function cannot be assumed by Lambda.", "trust policy"),
            ("The provided execution role does not have permissions to call CreateNetworkInterface on EC2", "own role"),
            (
                "Lambda was unable to decrypt the environment variables because KMS access was denied. KMS Exception: AccessDeniedException",
                "key's policy",
            ),
        ] {
            let help = help(&Call::new("lambda:UpdateFunctionCode", "us-east-1"), said);
            assert!(help.contains(wanted) && !help.contains("Effect"), "{said}: {help}");
        }
    }

    #[test]
    fn actions_without_a_resource_take_a_star() {
        let call = Call::new("lambda:ListFunctions", "us-east-1").on("arn:aws:lambda:us-east-1:1:function:*");
        assert_eq!(call.statement(), r#"{ "Effect": "Allow", "Action": "lambda:ListFunctions", "Resource": "*" }"#);
    }
}
