//! `orchestrate show`.

use crate::cli::exit::{Exit, Failure};
use crate::cli::load::load;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::manifest;

/// Prints the resolved manifest.
pub async fn show(settings: &Settings) -> Result<Exit, Failure> {
    let loaded = load(settings)?;
    let value = manifest::show(&loaded.project);
    if settings.json {
        print(&format!("{value:#}\n"));
    } else {
        let text = manifest::to_yaml(&value).map_err(|error| Failure::wrong(error, "use --json"))?;
        print(&text);
    }
    Ok(Exit::Done)
}
