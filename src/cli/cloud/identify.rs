//! The number of the account, before the manifest is resolved.

use crate::cli::args::{Choose, Command};
use crate::cli::exit::Failure;
use crate::cli::settings::Settings;
use crate::manifest;
use crate::workspace::Workspace;

/// Stands for the account in what only looks at the manifest: it is no account.
const NO_ACCOUNT: &str = "000000000000";

/// The settings with the number of the AWS account, if resolving the manifest for this command takes it and the manifest does not say.
/// What is wrong with the manifest is left for whoever reads it next.
///
/// # Errors
/// There are no credentials, or they are no longer good.
pub async fn identified(settings: &Settings, command: &Command) -> Result<Settings, Failure> {
    let mut settings = settings.clone();
    let (asks, from) = match command {
        Command::Init | Command::Schema(_) | Command::Completions(_) => return Ok(settings),
        Command::Check(_) | Command::Show | Command::Graph => (false, None),
        Command::Doctor(_) => {
            // What is wrong with the credentials is one finding of several.
            if needed(&settings, None) {
                let account = settings.cloud.account().await;
                settings.account = Some(account.unwrap_or_else(|_| NO_ACCOUNT.to_owned()));
            }
            return Ok(settings);
        }
        Command::Plan(arguments) => (true, from(&arguments.choose)),
        Command::Apply(arguments) => (true, from(&arguments.choose)),
        _ => (true, None),
    };
    if !asks {
        settings.account = Some(NO_ACCOUNT.to_owned());
        return Ok(settings);
    }
    if !settings.offline && needed(&settings, from) {
        settings.account = Some(settings.cloud.account().await?);
    }
    Ok(settings)
}

fn from(choose: &Choose) -> Option<&str> {
    choose.from.as_deref()
}

fn needed(settings: &Settings, from: Option<&str>) -> bool {
    let source = Workspace::open(&settings.root).and_then(|workspace| workspace.read_anywhere(&settings.file));
    let Ok(Some(source)) = source else { return false };
    if !["ecr", "aws.account"].iter().any(|word| source.text().contains(word)) {
        return false;
    }
    let Ok((manifest, _)) = manifest::parse_all(&source) else { return false };
    manifest.needs_aws_account(settings.profile.as_deref()) || (from.is_some() && manifest.needs_aws_account(from))
}
