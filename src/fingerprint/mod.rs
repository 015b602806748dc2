//! What an image is made from: a labelled record first, a hash second.
//!
//! The record ([`Fingerprint`]) is what is compared and stored beside the image; the [`Key`](crate::digest::Key) is its hash.
//! Never in it: a clock, an mtime, a host name, an absolute path, a secret, a volatile value, the order of a directory walk.

mod difference;
mod document;
mod encode;
mod files;
mod record;

pub use difference::{Difference, FileChange, difference};
pub use document::{Document, day_of};
pub use encode::Encoder;
pub use files::{FileEntry, FileKind, FileSet};
pub use record::{BuiltOn, FORMAT, Fingerprint, Parent, Pin, Record, StageRecord, image_key};
