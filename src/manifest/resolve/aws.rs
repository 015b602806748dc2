//! Values that AWS would refuse later: said where they are written.

use super::read;
use crate::manifest::node::{Mapping, Node};
use crate::manifest::render::Renderer;
use crate::problem::{Code, Location, Problem};
use crate::project::{AwsLogin, Registry, RegistryKind};

/// What an account looks like.
pub(super) const ACCOUNT_HELP: &str = "an AWS account is a number of 12 digits; write it in quotes if it begins with 0";

/// Whether a text is the number of an account.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Who we are at a registry of AWS, or where a function is.
pub(super) fn login(node: &Node, renderer: &mut Renderer) -> AwsLogin {
    let text = |key: &str| node.get(key).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned);
    let login = AwsLogin { profile: text("profile"), role: text("role") };
    if let (Some(place), Some(role)) = (node.get("role"), &login.role) {
        let parts: Vec<&str> = role.splitn(6, ':').collect();
        let sound = matches!(parts[..], ["arn", _, "iam", "", account, name] if account.len() == 12 && name.starts_with("role/"));
        if !sound {
            let help = "a role is `arn:aws:iam::<account>:role/<name>`";
            read::invalid(place, &format!("`{role}` is not the ARN of a role"), Some(help), renderer);
        }
    }
    login
}

/// A region: `eu-west-1`, `us-gov-east-1`. (Which there are changes; how they are written does not.)
pub(super) fn region(node: Option<&Node>, renderer: &mut Renderer) -> Option<String> {
    let node = node?;
    let text = node.text().filter(|text| !text.is_empty())?;
    let parts: Vec<&str> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let sound = matches!(&parts[..], [words @ .., number] if words.len() >= 2 && words.iter().all(word)
        && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    if !sound {
        let help = "a region is written as in `us-east-1`";
        read::invalid(node, &format!("`{text}` is not an AWS region"), Some(help), renderer);
    }
    Some(text.to_owned())
}

/// Another address for the data plane.
pub(super) fn url(node: Option<&Node>, renderer: &mut Renderer) -> Option<String> {
    let node = node?;
    let text = node.text().filter(|text| !text.is_empty())?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if !rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', '?', '#', ' '])) {
        let problem = Problem::error(Code::InvalidRegistry, "`url` is not the address of a registry");
        let help = "write `https://` or `http://` before the host; without `url` the address is that of AWS";
        renderer.report(problem.at(&node.location, "").help(help));
    }
    Some(text.to_owned())
}

/// The alias of a public registry, which has one part.
pub(super) fn alias(node: Option<&Node>, renderer: &mut Renderer) -> String {
    let text = node.and_then(Node::text).unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if let Some(node) = node.filter(|_| !text.bytes().all(legal)) {
        let help = "it is what stands in `public.ecr.aws/<alias>`, without the rest";
        read::invalid(node, &format!("`{text}` is not the alias of a public registry"), Some(help), renderer);
    }
    text.to_owned()
}

/// How new repositories are encrypted.
///
/// Source: EncryptionConfiguration, Amazon ECR API reference (a key is of the repository's own region).
pub(super) fn encryption(node: Option<&Node>, region: &str, renderer: &mut Renderer) -> Option<String> {
    let node = node?;
    let text = node.text().filter(|text| !text.is_empty())?;
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts[..] {
        ["AES256" | "KMS"] => {}
        ["arn", _, "kms", of, _, key] if key.starts_with("key/") || key.starts_with("alias/") => {
            if of != region {
                let message = format!("the key is of {of}, the registry of {region}");
                read::invalid(node, &message, Some("a repository is encrypted with a key of its own region"), renderer);
            }
        }
        _ => {
            let help = "it is `AES256`, `KMS` (AWS's own key), or `arn:aws:kms:<region>:<account>:key/<id>`";
            read::invalid(node, &format!("`{text}` is no way to encrypt a repository"), Some(help), renderer);
        }
    }
    Some(text.to_owned())
}

/// Names of tags that AWS keeps for itself.
///
/// Source: "Tag naming and usage conventions", Tagging AWS Resources user guide.
pub(super) fn resource_tags(node: Option<&Node>, renderer: &mut Renderer) {
    for (key, _) in node.and_then(Node::mapping).into_iter().flat_map(Mapping::iter) {
        if key.text.to_ascii_lowercase().starts_with("aws:") {
            let problem = Problem::error(Code::InvalidValue, format!("`{}` cannot be a tag", key.text));
            renderer.report(problem.at(&key.location, "").help("names that begin with `aws:` are AWS's own"));
        }
    }
}

/// A repository of a registry of AWS: its names are narrower than those of others.
///
/// Source: CreateRepository, Amazon ECR API reference (`repositoryName`).
pub(super) fn repository(name: &str, registry: &Registry, place: &Location, renderer: &mut Renderer) {
    let most = match registry.kind {
        RegistryKind::Ecr { .. } => 256,
        RegistryKind::EcrPublic { .. } => 205,
        _ => return,
    };
    let separator = |byte: u8| matches!(byte, b'.' | b'_' | b'-');
    let doubled = name.as_bytes().windows(2).any(|two| two.iter().all(|byte| separator(*byte)));
    let why = match name.len() {
        _ if doubled => "`.`, `_` and `-` stand alone there".to_owned(),
        2.. if name.len() <= most => return,
        _ => format!("it takes 2 to {most} characters"),
    };
    let problem = Problem::error(Code::InvalidRepository, format!("`{name}` cannot be a repository of ECR: {why}"));
    renderer.report(problem.at(place, "").help("other registries may have it; ECR has no such name"));
}
