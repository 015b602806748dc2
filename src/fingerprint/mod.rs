//! What an image is made from: a labelled record first, a hash second.

mod files;

pub use files::{FileEntry, FileKind, FileSet};
