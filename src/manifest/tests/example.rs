//! The example of the documentation, whole.

use super::support::{Case, arg, case, choices, image, tags};
use crate::project::{Deployment, Functions, Lambda, RegistryKind, Role, Runner};

fn example() -> Case {
    Case { text: include_str!("example.yaml").to_owned(), choices: choices(), ..case("") }
}

#[test]
fn five_lambdas_and_two_bases() {
    let project = example().project();
    let names: Vec<&str> = project.images.keys().map(crate::name::ImageName::as_str).collect();
    assert_eq!(names, ["dynamo", "label", "api", "enhance", "thumb", "select", "video"]);
    let api = image(&project, "api");
    assert_eq!(api.role, Role::Image);
    assert_eq!(api.groups, ["lambdas"]);
    assert_eq!(api.variant.as_deref(), Some("light"));
    assert_eq!(api.dockerfile.value, "cmd/media-lambda/Dockerfile.light");
    assert_eq!(arg(api, "CMD_TARGET"), "media-lambda");
    assert_eq!(api.inputs.languages[0].packages[0].value.path, "cmd/media-lambda");
    assert_eq!(api.platforms, ["linux/arm64".parse().unwrap()]);
    assert!(api.args["COMMIT_HASH"].volatile && api.args["COMMIT_HASH"].inherited && !api.args["CMD_TARGET"].inherited);
    assert_eq!(
        tags(api),
        ["private/ai-social-media-lambda-light:api-0123456", "private/ai-social-media-lambda-light:api-latest"]
    );
    let thumb = image(&project, "thumb");
    assert_eq!(thumb.weight, 2);
    assert_eq!(arg(thumb, "ECR_ACCOUNT_ID"), "123456789012");
    assert_eq!(
        tags(thumb),
        [
            "private/ai-social-media-lambda-heavy:thumb-0123456",
            "private/ai-social-media-lambda-heavy:thumb-latest",
            "public/lambda-heavy:thumb-0123456",
            "public/lambda-heavy:thumb-latest"
        ]
    );
    let functions = Functions::Named(vec!["AiSocialMediaThumb".to_owned()]);
    let runner = Runner::Lambda(Lambda { functions, publish: false, alias: None, create: None });
    assert_eq!(
        thumb.deploy[0].value,
        Deployment { runner, region: "us-east-1".to_owned(), source: 0, elsewhere: None, order: None }
    );
    let label = image(&project, "label");
    assert_eq!(label.role, Role::Base);
    assert_eq!(arg(label, "BASE_IMAGE"), "<dynamo>");
    let rules = &thumb.destinations[0].tags;
    assert!(rules[0].fixed && rules[0].uses_git && !rules[1].fixed && !rules[1].uses_git);
}

#[test]
fn registries_are_what_they_say() {
    let project = example().project();
    let registry = |name: &str| &project.registries[&crate::name::RegistryName::new(name)];
    assert_eq!(registry("private").reference_prefix().unwrap(), "123456789012.dkr.ecr.us-east-1.amazonaws.com");
    assert!(registry("public").public && !registry("private").public);
    assert_eq!(registry("disk").kind, RegistryKind::Layout { path: ".orchestrate/images".to_owned() });
    assert_eq!(registry("local").reference_prefix().unwrap(), "127.0.0.1:5000");
}

#[test]
fn it_is_shown_the_same_twice() {
    let (first, second) = (super::super::show(&example().project()), super::super::show(&example().project()));
    assert_eq!(first.to_string(), second.to_string());
    assert_eq!(first["images"]["api"]["args"]["CMD_TARGET"], "media-lambda");
    assert_eq!(first["bases"]["label"]["args"]["BASE_IMAGE"], "{{ref 'dynamo'}}");
    let yaml = super::super::to_yaml(&first).unwrap();
    assert!(yaml.contains("CMD_TARGET: media-lambda"), "{yaml}");
}
