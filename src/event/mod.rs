//! What happens during a run: owned, serializable, one-way data. Reporters are functions of the stream.

mod kinds;
mod receipt;

pub use kinds::{Event, FORMAT, Kind, Phase, Stream};
pub use receipt::{ImageReceipt, Outcome, Published, Receipt, RunOutcome};
