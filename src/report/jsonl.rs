//! Events as JSON lines on stdout.

use std::io::Write;

use super::Reporter;
use crate::event::Event;

/// Writes each event as one line and flushes it.
pub struct JsonLines<W>(pub W);

impl<W: Write + Send> Reporter for JsonLines<W> {
    fn event(&mut self, event: &Event) {
        let line = serde_json::to_string(event).expect("an event has only string keys and plain values");
        // A reader that went away must not end the run: what is under way is finished and the receipt written.
        let _ = writeln!(self.0, "{line}").and_then(|()| self.0.flush());
    }
}
