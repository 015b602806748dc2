//! Repositories of AWS: made and set before the first build, so that what is missing there costs nobody a build.

use std::time::Instant;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};

use super::error::ApplyError;
use super::make::Shared;
use crate::event::{Kind, RepositoryOutcome, RepositoryReceipt};
use crate::plan::{RepositoryAction, RepositoryChange, RepositoryStep};
use crate::registry::ControlError;

/// How many repositories have their turn at the same time.
const AT_ONCE: usize = 8;

/// Makes one change to a repository, through its registry's own API.
pub type ChangeRepository = Box<
    dyn for<'a> Fn(&'a RepositoryStep, &'a RepositoryChange) -> BoxFuture<'a, Result<(), ControlError>> + Send + Sync,
>;

/// Does to the repositories what the plan says. One that fails stops no other: a run says all that is missing. What a repository gets comes
/// in the order of the plan, and ends with the first change that fails.
pub async fn establish(shared: &Shared) -> Vec<RepositoryReceipt> {
    let due = shared.plan.repositories.iter().filter(|step| !step.changes.is_empty());
    stream::iter(due.map(|step| turn(shared, step))).buffered(AT_ONCE).collect().await
}

async fn turn(shared: &Shared, step: &RepositoryStep) -> RepositoryReceipt {
    let mut receipt = RepositoryReceipt {
        reference: step.reference.clone(),
        registry: step.registry.clone(),
        outcome: if step.action == RepositoryAction::Create {
            RepositoryOutcome::Created
        } else {
            RepositoryOutcome::Changed
        },
        changes: Vec::new(),
        error: None,
    };
    if shared.cancel.is_cancelled() {
        receipt.outcome = RepositoryOutcome::Skipped;
        return receipt;
    }
    shared.events.send(Kind::RepositoryStarted {
        reference: step.reference.clone(),
        registry: step.registry.clone(),
        action: step.action,
    });
    let began = Instant::now();
    for change in &step.changes {
        if let Err(error) = (shared.work.change_repository)(step, change).await {
            let error = ApplyError::Control { what: step.reference.clone(), error };
            (receipt.outcome, receipt.error) = (RepositoryOutcome::Failed, Some(error.to_string()));
            break;
        }
        receipt.changes.push(change.clone());
    }
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    shared.events.send(Kind::RepositoryFinished { repository: receipt.clone(), milliseconds });
    receipt
}
