//! Functions in another account than the registry.

use super::support::{Case, case, image};
use crate::project::{AwsLogin, Deployment};

const REGISTRIES: &str = "registries:\n  shared: { kind: ecr, region: us-east-1, account: '111111111111', profile: shared }\n  \
    own: { kind: ecr, region: us-east-1, account: '222222222222', role: 'arn:aws:iam::222222222222:role/push' }\n";

fn deployed(push: &str, lambda: &str) -> Case {
    let image =
        format!("images:\n  api:\n    push: [{push}]\n    deploy: {{ lambda: {{ function: Api, {lambda} }} }}\n");
    case(&format!("{REGISTRIES}{image}"))
}

/// Where the function is, who we are there, and the destination that it takes the image from.
fn where_is(push: &str, lambda: &str) -> (Option<String>, AwsLogin, usize) {
    let project = deployed(push, lambda).project();
    let api = image(&project, "api");
    let deployment: &Deployment = &api.deploy[0].value;
    let account = project.account_of(api, deployment).map(str::to_owned);
    (account, project.login_of(api, deployment), deployment.source)
}

fn login(profile: Option<&str>, role: Option<&str>) -> AwsLogin {
    AwsLogin { profile: profile.map(str::to_owned), role: role.map(str::to_owned) }
}

const SHARED: &str = "{ registry: shared, repository: api }";
const BOTH: &str = "{ registry: shared, repository: api }, { registry: own, repository: api }";
const ROLE: &str = "arn:aws:iam::222222222222:role/deploy";

#[test]
fn a_function_is_where_its_registry_is_unless_it_says_where() {
    let account = |number: &str| Some(number.to_owned());
    assert_eq!(where_is(SHARED, "publish: true"), (account("111111111111"), login(Some("shared"), None), 0));
    let role = format!("role: '{ROLE}'");
    assert_eq!(where_is(SHARED, &role), (account("222222222222"), login(None, Some(ROLE)), 0));
    let profile = "account: '222222222222', profile: live";
    assert_eq!(where_is(SHARED, profile), (account("222222222222"), login(Some("live"), None), 0));
    assert_eq!(where_is(SHARED, "account: '222222222222'"), (account("222222222222"), login(None, None), 0));
}

#[test]
fn an_image_of_the_own_account_comes_first() {
    assert_eq!(where_is(BOTH, "account: '222222222222'").2, 1);
    assert_eq!(where_is(BOTH, "account: '333333333333'").2, 0);
    assert_eq!(where_is(BOTH, "publish: true").2, 0);
}

#[test]
fn what_does_not_say_where_is_refused() {
    for (lambda, column) in [
        ("profile: live", 49),
        ("account: '22222'", 49),
        ("role: deploy", 46),
        (&format!("role: '{ROLE}', account: '333333333333'"), 96),
    ] {
        assert_eq!(deployed(SHARED, lambda).problems(), [format!("invalid-value 9:{column}")], "{lambda}");
    }
}

#[test]
fn one_name_in_two_accounts_is_two_functions() {
    let two = |first: &str, second: &str| {
        let one = |name: &str, account: &str| {
            format!("  {name}:\n    push: [{SHARED}]\n    deploy: {{ lambda: {{ function: Api{account} }} }}\n")
        };
        case(&format!("{REGISTRIES}images:\n{}{}", one("a", first), one("b", second))).problems()
    };
    assert_eq!(two("", ", account: '222222222222'"), [""; 0]);
    assert_eq!(two("", ", account: '111111111111'").len(), 1, "the registry's own account, said twice");
    assert_eq!(two(", account: '222222222222'", &format!(", role: '{ROLE}'")).len(), 1);
}
