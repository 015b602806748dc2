//! `--set` in a saved plan: what was given is given again when the plan is applied.

use std::collections::BTreeMap;

use super::exit::Failure;
use crate::manifest::looks_secret;
use crate::plan::SetValue;
use crate::project::Project;

/// What `--set` gave, as a plan may keep it: by name, the last value of each, and none of a secret.
pub fn kept(set: &[(String, String)], project: &Project) -> Vec<SetValue> {
    // `vars.x` is `x`.
    let named = set.iter().map(|(name, value)| (name.strip_prefix("vars.").unwrap_or(name), value));
    let last: BTreeMap<&str, &String> = named.collect();
    let one = |(name, value): (&str, &String)| {
        let value = Some(value.clone()).filter(|value| !is_secret(name, value, project));
        SetValue { name: name.to_owned(), value }
    };
    last.into_iter().map(one).collect()
}

/// Whether a value is named like a secret, or stands in an arg that is one.
fn is_secret(name: &str, value: &str, project: &Project) -> bool {
    let args = project.images.values().flat_map(|image| image.args.values()).filter(|arg| arg.sensitive);
    let mut texts = args.flat_map(|arg| arg.value.iter().chain(arg.per_platform.values()));
    looks_secret(name) || texts.any(|text| !value.is_empty() && text.render(|_| String::new()).contains(value))
}

/// The values of a saved plan, with those of the command line over them.
///
/// # Errors
/// A secret that the plan was made with is not given again.
pub fn given_again(saved: &[SetValue], command_line: &[(String, String)]) -> Result<Vec<(String, String)>, Failure> {
    let is_given =
        |wanted: &str| command_line.iter().any(|(name, _)| name.strip_prefix("vars.").unwrap_or(name) == wanted);
    let mut set = Vec::new();
    for SetValue { name, value } in saved {
        match value {
            Some(value) => set.push((name.clone(), value.clone())),
            None if is_given(name) => {}
            None => {
                return Err(Failure::wrong(
                    format!("the plan was made with `--set {name}=...`, and it keeps no secrets"),
                    format!("give `--set {name}=...` again; nothing was touched"),
                ));
            }
        }
    }
    set.extend(command_line.iter().cloned());
    Ok(set)
}
