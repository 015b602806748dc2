//! Repositories of AWS's registries: what `apply` creates and changes before the first push. Pure: what was seen in, steps out.
//!
//! Only where the manifest says `create:` does anything change. A repository that exists keeps its settings; what is added to it is the
//! rule that lets untagged images go (`retain.untagged_days`) and the statements that let Lambda and other accounts pull. Rules and
//! statements of others stay as they are.

mod decide;
mod lifecycle;
mod model;
mod policy;
mod seen;

pub(super) use decide::MOST_TAGS;
pub use decide::{decide_repositories, repositories_to_ask};
pub use model::{RepositoryAction, RepositoryChange, RepositoryNote, RepositoryStep};
pub use seen::{AskRepository, Seen, SeenRepositories, SeenRepository, SeenSettings};
