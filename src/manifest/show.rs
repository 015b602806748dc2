//! The resolved manifest as data: what `orchestrate show` prints.

use serde_json::{Map, Value, json};

use crate::project::{
    Arg, AwsLogin, Context, CreateRepository, Deployment, Destination, Elsewhere, FunctionAddress, Functions, Image,
    Keep, Located, NamedContext, Order, Project, Registry, RegistryKind, Role, Runner, Secret, TagRule, TagText, Text,
};

/// Stands for every sensitive value.
const MASK: &str = "***";

/// The project as data, in a stable order. Empty and default parts are left out; sensitive values are masked.
pub fn show(project: &Project) -> Value {
    let part = |role: Role| {
        let images = project.images.values().filter(|image| image.role == role);
        images.map(|image| (image.name.to_string(), image_value(image))).collect::<Map<_, _>>()
    };
    let mut value = json!({ "version": 1, "project": project.name });
    put(&mut value, "profile", json!(project.profile));
    let registries = project.registries.values().map(|registry| (registry.name.to_string(), registry_value(registry)));
    put(&mut value, "registries", Value::Object(registries.collect()));
    put(&mut value, "bases", Value::Object(part(Role::Base)));
    put(&mut value, "images", Value::Object(part(Role::Image)));
    put(&mut value, "outside", texts(&project.outside));
    put_keep(&mut value, &project.keep);
    value
}

/// The same as YAML.
///
/// # Errors
/// None is known: the value holds only what YAML can say. The serializer's message, if it has one.
pub fn to_yaml(value: &Value) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|error| error.to_string())
}

/// Adds what says something.
fn put(to: &mut Value, key: &str, value: Value) {
    let says_nothing = match &value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if !says_nothing {
        to[key] = value;
    }
}

fn texts(items: &[Located<String>]) -> Value {
    items.iter().map(|item| item.value.as_str()).collect()
}

fn put_keep(to: &mut Value, keep: &Keep) {
    if let Some(retain) = &keep.retain {
        let mut value = json!({});
        put(&mut value, "commits", json!(retain.commits));
        put(&mut value, "untagged_days", json!(retain.untagged_days));
        put(&mut value, "min_age", json!(retain.min_age.map(seconds)));
        put(to, "retain", value);
    }
    put(to, "price", json!(keep.price));
    put(to, "in_use_by", json!(keep.in_use_by));
}

fn put_order(to: &mut Value, order: Option<&Order>) {
    let Some(order) = order else { return };
    match &order.branch {
        Some(branch) => put(to, "order", json!({ "branch": branch })),
        None if order.history => put(to, "order", json!("history")),
        None => {}
    }
}

fn seconds(length: std::time::Duration) -> String {
    if length.subsec_millis() == 0 { format!("{}s", length.as_secs()) } else { format!("{}ms", length.as_millis()) }
}

fn registry_value(registry: &Registry) -> Value {
    let mut value = match &registry.kind {
        RegistryKind::Ecr { region, account, create, url, login, cross_account } => {
            let mut value = json!({ "kind": "ecr", "region": region });
            put(&mut value, "account", json!(account));
            if let Some(create) = create {
                value["create"] = create_value(create);
            }
            put(&mut value, "url", json!(url));
            put_login(&mut value, login);
            put(&mut value, "cross_account", json!(cross_account.then_some(true)));
            value
        }
        RegistryKind::EcrPublic { alias, create, url, login } => {
            let mut value = json!({ "kind": "ecr-public", "alias": alias });
            if let Some(create) = create {
                value["create"] = public_create_value(create);
            }
            put(&mut value, "url", json!(url));
            put_login(&mut value, login);
            value
        }
        RegistryKind::Oci { scheme, host, prefix } => {
            let slash = if prefix.is_empty() { "" } else { "/" };
            json!({ "kind": "oci", "url": format!("{scheme}://{host}{slash}{prefix}") })
        }
        RegistryKind::Layout { path } => json!({ "kind": "layout", "path": path }),
        RegistryKind::Docker => json!({ "kind": "docker" }),
    };
    put(&mut value, "public", registry.public.into());
    put_keep(&mut value, &registry.keep);
    put_order(&mut value, registry.order.as_ref());
    value
}

fn create_value(create: &CreateRepository) -> Value {
    let immutable = if create.except.is_empty() { json!(create.immutable) } else { json!({ "except": create.except }) };
    let mut value = json!({ "scan_on_push": create.scan_on_push, "immutable": immutable });
    put(&mut value, "encryption", json!(create.encryption));
    put(&mut value, "tags", json!(create.tags));
    put(&mut value, "allow", json!(create.allow));
    value
}

fn public_create_value(create: &CreateRepository) -> Value {
    let mut value = json!({});
    put(&mut value, "tags", json!(create.tags));
    put(&mut value, "description", json!(create.description));
    put(&mut value, "about", json!(create.about));
    put(&mut value, "usage", json!(create.usage));
    value
}

fn put_login(value: &mut Value, login: &AwsLogin) {
    put(value, "profile", json!(login.profile));
    put(value, "role", json!(login.role));
}

fn image_value(image: &Image) -> Value {
    let mut value = json!({});
    put(&mut value, "groups", json!(image.groups));
    put(&mut value, "variant", json!(image.variant));
    put(&mut value, "dockerfile", json!(image.dockerfile.value));
    put(&mut value, "context", context_value(&image.context.value));
    let contexts = image.contexts.iter().map(|(name, context)| (name.clone(), named_context_value(&context.value)));
    put(&mut value, "contexts", Value::Object(contexts.collect()));
    put(&mut value, "target", json!(image.target.as_ref().map(|target| &target.value)));
    put(&mut value, "platforms", json!(image.platforms));
    let args = image.args.iter().map(|(name, arg)| (name.clone(), arg_value(arg)));
    put(&mut value, "args", Value::Object(args.collect()));
    let labels = image.labels.iter().map(|(name, label)| {
        let shown =
            if label.volatile { json!({ "value": label.shown(), "volatile": true }) } else { json!(label.value) };
        (name.clone(), shown)
    });
    put(&mut value, "labels", Value::Object(labels.collect()));
    put(&mut value, "annotations", json!(image.annotations));
    let secrets = image.secrets.iter().map(|(id, secret)| {
        let source = match secret {
            Secret::File(path) => json!({ "file": path }),
            Secret::Env(variable) => json!({ "env": variable }),
        };
        (id.clone(), source)
    });
    put(&mut value, "secrets", Value::Object(secrets.collect()));
    put(&mut value, "ssh", json!(image.ssh));
    put(&mut value, "allow", json!(image.allow));
    put(&mut value, "inputs", inputs_value(image));
    put(&mut value, "modes", if image.modes == crate::project::Modes::Exact { json!("exact") } else { Value::Null });
    let generated = image.generated.iter().map(|file| json!({ "path": file.value.path, "by": file.value.by }));
    put(&mut value, "generated", generated.collect());
    put(&mut value, "push", image.destinations.iter().map(destination_value).collect());
    put(&mut value, "deploy", image.deploy.iter().map(|deployment| deployment_value(&deployment.value)).collect());
    put_build(&mut value, image);
    value
}

/// The keys that say how it is built rather than what.
fn put_build(value: &mut Value, image: &Image) {
    let mut cache = json!({});
    put(&mut cache, "from", json!(image.cache.from));
    put(&mut cache, "to", json!(image.cache.to));
    put(value, "cache", cache);
    let mut output = json!({});
    if image.output.compression != crate::project::Compression::Gzip {
        put(&mut output, "compression", json!(image.output.compression));
    }
    put(&mut output, "level", json!(image.output.level));
    put(&mut output, "sbom", image.output.sbom.into());
    put(&mut output, "provenance", image.output.provenance.into());
    put(value, "output", output);
    put(value, "timeout", seconds(image.timeout).into());
    put(value, "push_timeout", seconds(image.push_timeout).into());
    put(value, "weight", image.weight.into());
    put(value, "rebuild_every", json!(image.rebuild_every.as_ref().map(|every| seconds(every.value))));
    put(value, "verify", json!(image.verify.as_ref().map(|command| &command.value)));
    put(value, "discloses", texts(&image.discloses));
    put(value, "outside", texts(&image.outside));
    put(value, "parents", if image.parents_published { json!("published") } else { Value::Null });
    let executor = match image.executor {
        crate::project::ExecutorChoice::Auto => Value::Null,
        crate::project::ExecutorChoice::Buildkit => json!("buildkit"),
        crate::project::ExecutorChoice::Assemble => json!("assemble"),
    };
    put(value, "executor", executor);
}

fn context_value(context: &Context) -> Value {
    match context {
        Context::Folder(path) => json!(path),
        Context::Assembled(parts) => {
            let part = |part: &crate::project::ContextPart| {
                let mut value = json!({ "from": part.from, "to": part.to });
                put(&mut value, "only", json!(part.only));
                value
            };
            json!({ "paths": parts.iter().map(part).collect::<Vec<_>>() })
        }
    }
}

fn named_context_value(context: &NamedContext) -> Value {
    match context {
        NamedContext::Folder(path) => json!(path),
        NamedContext::Image(name) => json!({ "image": name }),
        NamedContext::Outside(reference) => json!(format!("docker-image://{reference}")),
    }
}

fn written(text: &Text) -> String {
    text.render(|name| format!("{{{{ref '{name}'}}}}"))
}

fn arg_value(arg: &Arg) -> Value {
    let shown = |text: &Text| if arg.sensitive { MASK.to_owned() } else { written(text) };
    let value = arg.value.as_ref().map(shown);
    if !arg.volatile && !arg.sensitive && arg.per_platform.is_empty() {
        return json!(value);
    }
    let mut full = json!({});
    put(&mut full, "value", json!(value));
    put(&mut full, "volatile", arg.volatile.into());
    put(&mut full, "sensitive", arg.sensitive.into());
    let platforms = arg.per_platform.iter().map(|(platform, text)| (platform.to_string(), json!(shown(text))));
    put(&mut full, "per_platform", Value::Object(platforms.collect()));
    full
}

fn inputs_value(image: &Image) -> Value {
    let inputs = &image.inputs;
    let mut value = json!({});
    put(&mut value, "include", texts(&inputs.include));
    put(&mut value, "exclude", texts(&inputs.exclude));
    put(&mut value, "extra", texts(&inputs.extra));
    for language in &inputs.languages {
        let mut packages: Value = language.packages.iter().map(|package| package.value.path.as_str()).collect();
        if let [one] = &language.packages[..] {
            packages = json!(one.value.path);
        }
        if language.tags.is_some() || language.cgo.is_some() {
            packages = json!({ "package": packages });
            packages["tags"] = json!(language.tags);
            packages["cgo"] = json!(language.cgo);
        }
        put(&mut value, language.language.as_str(), packages);
    }
    value
}

fn destination_value(destination: &Destination) -> Value {
    let mut value = json!({ "registry": destination.registry, "repository": destination.repository });
    let tags: Vec<Value> = destination.tags.iter().flat_map(tag_values).collect();
    value["tags"] = Value::Array(tags);
    put_keep(&mut value, &destination.keep);
    put_order(&mut value, destination.order.as_ref());
    value
}

fn tag_values(rule: &TagRule) -> Vec<Value> {
    let tags = match &rule.text {
        TagText::Rendered(tags) => tags.clone(),
        TagText::Late { template, .. } => vec![template.clone()],
    };
    let one = |tag: String| {
        if !rule.on_change && !rule.immutable {
            return json!(tag);
        }
        let mut value = json!({ "tag": tag });
        put(&mut value, "on", if rule.on_change { json!("change") } else { Value::Null });
        put(&mut value, "immutable", rule.immutable.into());
        value
    };
    tags.into_iter().map(one).collect()
}

fn deployment_value(deployment: &Deployment) -> Value {
    let lambda = match &deployment.runner {
        Runner::Lambda(lambda) => lambda,
        Runner::AgentCore(runtime) => {
            return json!({ "agentcore": { "runtime": runtime, "region": deployment.region } });
        }
    };
    let mut value = match &lambda.functions {
        Functions::Named(names) => match &names[..] {
            [one] => json!({ "function": one }),
            many => json!({ "functions": many }),
        },
        Functions::Output { stack, output } => json!({ "stack": stack, "output": output }),
        Functions::Logical { stack, logical } => json!({ "stack": stack, "logical": logical }),
    };
    put(&mut value, "region", json!(deployment.region));
    if let Some(Elsewhere { login, account }) = &deployment.elsewhere {
        put(&mut value, "account", json!(account));
        put(&mut value, "profile", json!(login.profile));
        put(&mut value, "role", json!(login.role));
    }
    put(&mut value, "publish", lambda.publish.into());
    put(&mut value, "alias", json!(lambda.alias));
    if let Some(create) = &lambda.create {
        let mut made = json!({ "architecture": create.architecture.as_str() });
        put(&mut made, "role", json!(create.role));
        put(&mut made, "memory", json!(create.memory));
        put(&mut made, "timeout", json!(create.timeout.map(|seconds| format!("{seconds}s"))));
        put(&mut made, "env", json!(create.env));
        put(&mut made, "url", (create.address == Some(FunctionAddress::Url)).into());
        put(&mut made, "http_api", (create.address == Some(FunctionAddress::HttpApi)).into());
        value["create"] = made;
    }
    json!({ "lambda": value })
}
