//! Conduct: does what a plan says, and nothing else. The only module that publishes and the only one that moves tags.
//!
//! [`run`] is one loop that owns the state of the run; workers return results and send events. Before all images, repositories are made
//! and set ([`establish`](mod@establish)). For each image: [`make`](mod@make)
//! (keep, copy, adopt, or build), then [`publish`](mod@publish) (blobs, manifest) and [`commit`](mod@commit) (record, key). After all images,
//! [`verify`](mod@verify), a rehearsal of all [`functions`], [`tags`](mod@tags), and then the functions.

mod assemble;
mod build;
mod buildkit;
mod commit;
mod compare;
mod days;
mod error;
mod establish;
mod events;
mod functions;
mod lend;
mod made;
mod make;
mod parents;
mod pinned;
mod publish;
mod remove;
mod rollback;
mod run;
mod schedule;
mod sources;
mod tags;
mod together;
mod trial;
mod verify;
mod work;

pub use compare::{FileDifference, compare};
pub use error::ApplyError;
pub use establish::ChangeRepository;
pub use events::Events;
pub use remove::remove;
pub use rollback::Rollback;
pub use run::{Options, run};
pub use sources::Sources;
pub use trial::Trial;
pub use work::{Builder, ImageWork, PlatformWork, Repositories, Rules, Work, masks_of};
