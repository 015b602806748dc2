//! The one owner of the order of events: workers send what happened, this numbers it and shows it.

use std::time::Instant;

use tokio::sync::mpsc;

use crate::event::{Event, FORMAT, Kind};
use crate::report::Reporter;

/// Where workers send what happened. Cheap to clone.
#[derive(Clone)]
pub struct Events(mpsc::UnboundedSender<Kind>);

impl Events {
    /// Starts the owner; it ends when the last sender is gone, and gives the reporters back.
    pub fn start(mut reporters: Vec<Box<dyn Reporter>>) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let began = Instant::now();
        let task = tokio::spawn(async move {
            let mut seq = 0;
            let mut show = |kind: Kind| {
                let at = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let event = Event { seq, at, event: kind };
                seq += 1;
                for reporter in &mut reporters {
                    reporter.event(&event);
                }
            };
            show(Kind::Version { format: FORMAT });
            while let Some(kind) = receiver.recv().await {
                show(kind);
            }
        });
        (Self(sender), task)
    }

    /// Sends an event. Nobody listening is nobody's failure.
    pub fn send(&self, kind: Kind) {
        let _ = self.0.send(kind);
    }
}
