//! `orchestrate apply --rollback`.

use std::path::Path;

use super::apply::{exit_of, reporters};
use super::receipts::{keep, to_undo};
use crate::apply::{Events, Rollback};
use crate::cli::args::ApplyArguments;
use crate::cli::eprint;
use crate::cli::exit::{Exit, Failure};
use crate::cli::load::load;
use crate::cli::promotion::repositories;
use crate::cli::registries::Registries;
use crate::cli::settings::Settings;
use crate::event::{FORMAT, Receipt};

/// Puts back the tags and functions that a run moved. `path` is its receipt; that of the last run that moved or deployed something if there
/// is none.
pub async fn roll_back(settings: &Settings, arguments: &ApplyArguments, path: Option<&Path>) -> Result<Exit, Failure> {
    let loaded = load(settings)?;
    let state = loaded.workspace.make_state_folder();
    let state = state.map_err(|error| Failure::surroundings(error.to_string(), None))?;
    let receipt = read_receipt(&path.map_or_else(|| to_undo(&state), Path::to_path_buf))?;
    if receipt.project != loaded.project.name {
        return Err(Failure::wrong(
            format!("the receipt is of the project `{}`, not of `{}`", receipt.project, loaded.project.name),
            "run this where the receipt was written",
        ));
    }
    if !settings.quiet && !settings.json {
        eprint(&format!("putting back what the run {} did\n", of_commit(&receipt)));
    }
    let registries = Registries::new(settings, &loaded.project).await?;
    let repositories = repositories(&loaded.project, &registries.client, loaded.workspace.root());
    let functions = settings.cloud.functions();
    let (events, shown) = Events::start(reporters(settings, &state)?);
    let calls = || {
        let counted = registries.client.counters().counts().requests;
        let requests = counted.into_iter().map(|(kind, count)| (kind.to_owned(), count));
        requests.chain(settings.cloud.calls()).collect()
    };
    let rollback = Rollback {
        project: &loaded.project,
        repositories: &repositories,
        functions: &*functions,
        events: &events,
        calls: &calls,
    };
    let after = rollback.run(&receipt).await;
    drop(events);
    let _ = shown.await;
    keep(&state, &after, arguments.receipt.as_deref())?;
    Ok(exit_of(&after))
}

/// Which run a receipt is of.
fn of_commit(receipt: &Receipt) -> String {
    match receipt.commit.as_deref() {
        Some(commit) => format!("of commit {}", commit.get(..7).unwrap_or(commit)),
        None => "before".to_owned(),
    }
}

fn read_receipt(path: &Path) -> Result<Receipt, Failure> {
    let help = "`apply` writes one to .orchestrate/receipt.json, and with --receipt FILE elsewhere too";
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::wrong(format!("cannot read the receipt `{}`: {error}", path.display()), help))?;
    let receipt: Receipt = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::wrong(format!("`{}` is not a receipt: {error}", path.display()), help))?;
    if receipt.format != FORMAT {
        let message = format!("the receipt has format {}, this program reads {FORMAT}", receipt.format);
        return Err(Failure::wrong(message, "roll back with the version that wrote it"));
    }
    Ok(receipt)
}
