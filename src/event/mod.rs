//! What happens during a run: owned, serializable, one-way data. Reporters are functions of the stream.

mod kinds;
mod receipt;
mod schema;

pub use kinds::{Event, FORMAT, Kind, Phase, Stream};
pub use receipt::{
    FunctionOutcome, FunctionReceipt, ImageReceipt, LeftReceipt, Outcome, Published, Receipt, RepositoryOutcome,
    RepositoryReceipt, RunOutcome, TagReceipt,
};
pub use schema::schema;
