//! `deploy:`: what runs an image, and whether it can.

use super::aws::{self, ACCOUNT_HELP, is_account, login};
use super::read;
use super::registries::{Registries, order_of};
use crate::manifest::node::Node;
use crate::manifest::render::Renderer;
use crate::problem::{Code, Problem};
use crate::project::{
    Architecture, AwsLogin, Compression, CreateFunction, Deployment, Elsewhere, FunctionAddress, Functions, Image,
    Lambda, Located, RegistryKind, Runner,
};

/// The longest call that Lambda allows, in seconds, and the bounds of its memory in MB.
///
/// Source: docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const LONGEST_CALL: u64 = 900;
const MEMORY: std::ops::RangeInclusive<i32> = 128..=10_240;

/// The deployments of an image; those with a mistake are reported and left out.
pub(super) fn deployments(
    node: Option<&Node>,
    image: &Image,
    registries: &Registries,
    renderer: &mut Renderer,
) -> Vec<Located<Deployment>> {
    let items = node.map(Node::items).unwrap_or_default();
    items.iter().filter_map(|item| deployment(item, image, registries, renderer)).collect()
}

fn deployment(
    item: &Node,
    image: &Image,
    registries: &Registries,
    renderer: &mut Renderer,
) -> Option<Located<Deployment>> {
    let errors = renderer.errors();
    let (runner, node) = match (item.get("lambda"), item.get("agentcore")) {
        (Some(lambda), None) => (Runner::Lambda(self::lambda(lambda, image, renderer)?), lambda),
        (None, Some(runtime)) => (Runner::AgentCore(self::runtime(runtime, image, renderer)?), runtime),
        _ => {
            let problem = Problem::error(Code::InvalidDeploy, "a deployment is one of `lambda` and `agentcore`");
            renderer.report(problem.at(&item.location, "").help("give each its own entry of `deploy:`"));
            return None;
        }
    };
    // The name, where there is one: it says more than the first key.
    let named = ["function", "functions", "logical", "output", "runtime"].into_iter().find_map(|key| node.get(key));
    let location = named.unwrap_or(node).location.clone();
    if image.output.compression == Compression::Zstd {
        renderer.report(
            Problem::error(Code::FunctionUnfit, format!("`{}` has zstd layers, which AWS does not run", image.name))
                .at(&location, "deployed here")
                .help("leave `output: { compression: zstd }` out of this image"),
        );
    }
    let region = aws::region(node.get("region"), renderer);
    let elsewhere = elsewhere(node, renderer);
    let wanted = Wanted { region, account: elsewhere.as_ref().map(|elsewhere| elsewhere.account.as_str()) };
    let (region, source) = source(&runner, &wanted, image, registries, &location, renderer)?;
    let value = Deployment { runner, region, source, elsewhere, order: order_of(node) };
    (renderer.errors() == errors).then_some(Located { value, location })
}

/// Where a function is that does not go by its registry.
fn elsewhere(node: &Node, renderer: &mut Renderer) -> Option<Elsewhere> {
    let login = login(node, renderer);
    let of_role = login.role.as_deref().and_then(|role| role.split(':').nth(4)).map(str::to_owned);
    let place = node.get("account").filter(|place| place.text().is_some_and(|text| !text.is_empty()));
    let written = place.and_then(|place| Some((place, place.text()?.to_owned())));
    match (written, of_role) {
        (Some((place, account)), _) if !is_account(&account) => {
            let message = format!("`{account}` is not an AWS account");
            read::invalid(place, &message, Some(ACCOUNT_HELP), renderer);
            None
        }
        (Some((place, account)), Some(of_role)) if account != of_role => {
            let message = format!("the role is of the account {of_role}, not of {account}");
            read::invalid(place, &message, Some("leave `account` out: the role says it"), renderer);
            None
        }
        (Some((_, account)), _) | (None, Some(account)) => Some(Elsewhere { login, account }),
        (None, None) => {
            if let (Some(place), true) = (node.get("profile"), login != AwsLogin::default()) {
                let help = "write `account:` beside it: the manifest is resolved before that profile is asked";
                read::invalid(place, "a function with a `profile` needs its `account`", Some(help), renderer);
            }
            None
        }
    }
}

/// Where an image has to be for a function.
struct Wanted<'a> {
    region: Option<String>,
    account: Option<&'a str>,
}

/// The region, and the destination in it: AWS takes images from the private ECR of the region alone. One of the function's own account
/// comes first.
fn source(
    runner: &Runner,
    wanted: &Wanted<'_>,
    image: &Image,
    registries: &Registries,
    location: &crate::problem::Location,
    renderer: &mut Renderer,
) -> Option<(String, usize)> {
    let destinations = image.destinations.iter().enumerate();
    let mut serving =
        destinations.filter_map(|(index, destination)| match &registries.declared.get(&destination.registry)?.kind {
            RegistryKind::Ecr { region, account, .. }
                if wanted.region.as_ref().is_none_or(|wanted| wanted == region) =>
            {
                Some((region.clone(), index, account.as_deref()))
            }
            _ => None,
        });
    let first = serving.next();
    let own = wanted
        .account
        .and_then(|account| first.clone().into_iter().chain(serving).find(|(_, _, found)| *found == Some(account)));
    let served = own.or(first).map(|(region, index, _)| (region, index));
    if served.is_none() {
        let place = wanted.region.as_ref().map_or_else(|| "its region".to_owned(), |region| format!("`{region}`"));
        let what = match runner {
            Runner::Lambda(lambda) => format!("the function `{}`", lambda.functions.described()),
            Runner::AgentCore(runtime) => format!("the runtime `{runtime}`"),
        };
        let message = format!("{what} has no image in the private ECR of {place}");
        renderer.report(
            Problem::error(Code::LambdaWithoutEcr, message).at(location, format!("runs `{}`", image.name)).help(
                "add a destination of `kind: ecr` in the function's region, or `deploy: []` where nothing is deployed",
            ),
        );
    }
    served
}

fn lambda(node: &Node, image: &Image, renderer: &mut Renderer) -> Option<Lambda> {
    let architectures: Vec<Architecture> = architectures(image);
    if architectures.is_empty() {
        unfit(node, image, "AWS Lambda runs linux/amd64 and linux/arm64", renderer);
    }
    if node.text().is_some() {
        let functions = Functions::Named(vec![function_name(node, renderer)?]);
        return Some(Lambda { functions, publish: false, alias: None, create: None });
    }
    let functions = functions(node, renderer)?;
    let alias = node.get("alias").and_then(|alias| alias_name(alias, renderer));
    let create = node.get("create").filter(|create| create.truth() != Some(false));
    let create = match (create, &functions) {
        (Some(create), Functions::Named(_)) => Some(self::create(create, image, &architectures, renderer)),
        (Some(create), _) => {
            let problem = Problem::error(Code::InvalidDeploy, "the functions of a stack are made by the stack");
            renderer.report(problem.at(&create.location, "").help("leave `create` out, or name the function itself"));
            None
        }
        (None, _) => None,
    };
    Some(Lambda { functions, publish: read::flag(node.get("publish")) || alias.is_some(), alias, create })
}

/// The architectures of Lambda that the image is made for.
fn architectures(image: &Image) -> Vec<Architecture> {
    let runs = |one: &Architecture| image.platforms.iter().any(|platform| one.runs(platform));
    Architecture::ALL.into_iter().filter(runs).collect()
}

fn functions(node: &Node, renderer: &mut Renderer) -> Option<Functions> {
    let text = |key: &str| node.get(key).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned);
    let invalid = |message: &str, help: &str, renderer: &mut Renderer| {
        renderer.report(Problem::error(Code::InvalidDeploy, message).at(&node.location, "").help(help));
        None
    };
    let names: Vec<&Node> = ["function", "functions"].into_iter().filter_map(|key| node.get(key)).collect();
    match (&names[..], text("stack"), text("output"), text("logical")) {
        ([names], None, None, None) => {
            let written = names.items().len();
            let names: Vec<String> = names.items().iter().filter_map(|item| function_name(item, renderer)).collect();
            if written == 0 {
                return invalid("`lambda` names no function", "`deploy: []` deploys nothing", renderer);
            }
            (names.len() == written).then_some(Functions::Named(names))
        }
        ([], Some(stack), Some(output), None) => Some(Functions::Output { stack, output }),
        ([], Some(stack), None, Some(logical)) => Some(Functions::Logical { stack, logical }),
        ([], Some(_), ..) => invalid(
            "`stack` says only where the function is declared",
            "add `output:` (an output that holds its name) or `logical:` (its name in the stack, `*` allowed)",
            renderer,
        ),
        _ => invalid(
            "`lambda` takes one of `function`, `functions` and `stack`",
            "write `lambda: NAME`, or `lambda: { stack: NAME, logical: \"Api*\" }`",
            renderer,
        ),
    }
}

/// A name as Lambda takes it: 1 to 64 letters, digits, `-` and `_`.
///
/// Source: docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html, `FunctionName`.
fn function_name(node: &Node, renderer: &mut Renderer) -> Option<String> {
    let name = node.text().unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=64).contains(&name.len()) && name.bytes().all(legal) {
        return Some(name.to_owned());
    }
    let help = if name.starts_with("arn:") {
        "write the name that the ARN ends with, and its `region:` where it is another than the registry's"
    } else {
        "a name has 1 to 64 letters, digits, `-` and `_`"
    };
    let problem = Problem::error(Code::InvalidDeploy, format!("`{name}` is not the name of a Lambda function"));
    renderer.report(problem.at(&node.location, "").help(help));
    None
}

/// Source: docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html, `Name`.
fn alias_name(node: &Node, renderer: &mut Renderer) -> Option<String> {
    let name = node.text().unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let number = name.bytes().all(|byte| byte.is_ascii_digit());
    if (1..=128).contains(&name.len()) && name.bytes().all(legal) && !number {
        return Some(name.to_owned());
    }
    let problem = Problem::error(Code::InvalidDeploy, format!("`{name}` cannot be an alias"));
    renderer.report(
        problem
            .at(&node.location, "")
            .help("an alias has letters, digits, `-` and `_`, and is no number: versions are"),
    );
    None
}

fn create(node: &Node, image: &Image, made_for: &[Architecture], renderer: &mut Renderer) -> CreateFunction {
    let mut invalid = |node: &Node, message: String, help: &str| {
        renderer.report(Problem::error(Code::InvalidDeploy, message).at(&node.location, "").help(help));
    };
    let role = node.get("role").and_then(|role| Some((role, role.text()?.to_owned())));
    if let Some((place, role)) = &role
        && !(role.starts_with("arn:") && role.contains(":iam::") && role.contains(":role/"))
    {
        invalid(
            place,
            format!("`{role}` is not the ARN of a role"),
            "it looks like `arn:aws:iam::123456789012:role/NAME`",
        );
    }
    let written = node.get("architecture").and_then(|place| Some((place, Architecture::from_word(place.text()?)?)));
    let architecture = match (written, made_for) {
        (Some((place, wanted)), _) if !made_for.contains(&wanted) => {
            let message = format!("`{}` is not made for {wanted}", image.name);
            let problem = Problem::error(Code::FunctionUnfit, message).at(&place.location, "");
            renderer.report(problem.help("let `platforms` of the image and `architecture` agree"));
            wanted
        }
        (Some((_, wanted)), _) => wanted,
        (None, [only]) => *only,
        (None, several) => {
            if several.len() > 1 {
                let message = format!("`{}` is made for several architectures", image.name);
                invalid(node, message, "say which the function has: `architecture: arm64` or `x86_64`");
            }
            Architecture::default()
        }
    };
    let memory: Option<i32> = read::number(node.get("memory"), renderer);
    if let (Some(memory), Some(place)) = (memory, node.get("memory"))
        && !MEMORY.contains(&memory)
    {
        read::invalid(place, "`memory` goes from 128 to 10240 MB", None, renderer);
    }
    let timeout = node.get("timeout").and_then(|place| Some((place, read::duration(place, renderer)?.as_secs())));
    if let Some((place, seconds)) = timeout
        && !(1..=LONGEST_CALL).contains(&seconds)
    {
        read::invalid(place, "`timeout` of a function goes from 1s to 15m", None, renderer);
    }
    CreateFunction {
        role: role.map(|(_, role)| role),
        memory,
        timeout: timeout.and_then(|(_, seconds)| i32::try_from(seconds).ok()),
        architecture,
        env: read::text_map(node.get("env")),
        address: address(node, renderer),
    }
}

/// Where everybody may call a function that is made.
fn address(node: &Node, renderer: &mut Renderer) -> Option<FunctionAddress> {
    match (read::flag(node.get("url")), read::flag(node.get("http_api"))) {
        (true, true) => {
            let problem = Problem::error(Code::InvalidDeploy, "a function is made with one address");
            let place = &node.get("http_api").unwrap_or(node).location;
            renderer.report(problem.at(place, "beside `url: true`").help("leave `url` or `http_api` out"));
            None
        }
        (true, false) => Some(FunctionAddress::Url),
        (false, true) => Some(FunctionAddress::HttpApi),
        (false, false) => None,
    }
}

/// A runtime's name or id; runtimes run on arm64 alone.
///
/// Source: docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-service-contract.html ("Container requirements").
fn runtime(node: &Node, image: &Image, renderer: &mut Renderer) -> Option<String> {
    let place = node.get("runtime").unwrap_or(node);
    let name = place.text().unwrap_or_default();
    if !image.platforms.iter().any(|platform| Architecture::Arm64.runs(platform)) {
        unfit(place, image, "AgentCore runs linux/arm64 alone", renderer);
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || !name.bytes().all(legal) {
        let problem =
            Problem::error(Code::InvalidDeploy, format!("`{name}` is neither the name nor the id of a runtime"));
        renderer.report(problem.at(&place.location, "").help("ids look like `my_agent-AbCdEf1234`"));
        return None;
    }
    Some(name.to_owned())
}

fn unfit(node: &Node, image: &Image, runs: &str, renderer: &mut Renderer) {
    let platforms: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
    let message = format!("`{}` is made for {}, but {runs}", image.name, platforms.join(", "));
    let problem = Problem::error(Code::FunctionUnfit, message).at(&node.location, "deployed here");
    renderer.report(problem.help("set `platforms:` of the image: `platforms: [linux/arm64]`"));
}
