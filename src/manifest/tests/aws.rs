//! Values that AWS would refuse are refused where they are written.

use super::support::case;

/// The codes that a registry and a repository in it give.
fn codes(registry: &str, repository: &str) -> Vec<String> {
    let text = format!(
        "registries:\n  r: {{ {registry} }}\nimages:\n  api:\n    push: {{ registry: r, repository: {repository} }}\n"
    );
    let all = case(&text).problems();
    all.iter().map(|problem| problem.split(' ').next().unwrap().to_owned()).collect()
}

const ECR: &str = "kind: ecr, region: eu-west-1";

#[test]
fn registries() {
    let ecr = |more: &str| codes(&format!("{ECR}, {more}"), "api");
    for sound in [
        "url: 'http://127.0.0.1:5000'",
        "create: { encryption: KMS }",
        "create: { encryption: 'arn:aws:kms:eu-west-1:123456789012:key/1-2' }",
        "create: { encryption: 'arn:aws-cn:kms:eu-west-1:123456789012:alias/images', tags: { team: aws } }",
    ] {
        assert_eq!(ecr(sound), [""; 0], "{sound}");
    }
    for wrong in [
        "create: { encryption: aes }",
        "create: { encryption: 'arn:aws:kms:us-east-1:123456789012:key/1-2' }",
        "create: { encryption: 'arn:aws:iam::123456789012:role/x' }",
        "create: { tags: { 'aws:x': y } }",
    ] {
        assert_eq!(ecr(wrong), ["invalid-value"], "{wrong}");
    }
    for url in ["127.0.0.1:5000", "https://", "ftp://x", "https://u:p@x"] {
        assert_eq!(ecr(&format!("url: '{url}'")), ["invalid-registry"], "{url}");
    }
}

#[test]
fn regions_and_aliases() {
    for region in ["us-east-1", "us-gov-west-1", "ap-southeast-10", "cn-north-1", "eusc-de-east-1"] {
        assert_eq!(codes(&format!("kind: ecr, region: {region}"), "api"), [""; 0], "{region}");
    }
    for region in ["mars-1", "US-EAST-1", "us-east", "us-east-1a", "us--1", "'us-east-1 '"] {
        assert_eq!(codes(&format!("kind: ecr, region: {region}"), "api"), ["invalid-value"], "{region}");
    }
    assert_eq!(codes("kind: ecr-public, alias: a1b2_c3-d4", "api"), [""; 0]);
    assert_eq!(codes("kind: ecr-public, alias: a1b2/c3", "api"), ["invalid-value"]);
}

#[test]
fn names_that_ecr_does_not_take() {
    for name in ["ab", "team/api", "a.b_c-d/e"] {
        assert_eq!(codes(ECR, name), [""; 0], "{name}");
    }
    for name in ["a", "a__b", "a--b/c", &"x".repeat(257)] {
        assert_eq!(codes(ECR, name), ["invalid-repository"], "{name}");
    }
    assert_eq!(codes("kind: ecr-public, alias: abc", &"x".repeat(206)), ["invalid-repository"]);
    assert_eq!(codes("kind: oci, url: 'https://r.example.com'", "a__b"), [""; 0], "others take it");
}
