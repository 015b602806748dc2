use super::Reporter;
use crate::event::{Event, FunctionOutcome, Kind, RepositoryOutcome, RunOutcome};

/// `--quiet`: what went wrong, and nothing else.
pub struct Failures<R>(pub R);

impl<R: Reporter> Reporter for Failures<R> {
    fn event(&mut self, event: &Event) {
        let shown = match &event.event {
            Kind::StepFailed { .. } | Kind::StepSkipped { .. } => true,
            Kind::RepositoryFinished { repository, .. } => repository.outcome == RepositoryOutcome::Failed,
            Kind::FunctionFinished { function, .. } => function.outcome == FunctionOutcome::Failed,
            Kind::RunFinished { receipt } => receipt.outcome != RunOutcome::Succeeded,
            _ => false,
        };
        if shown {
            self.0.event(event);
        }
    }
}
