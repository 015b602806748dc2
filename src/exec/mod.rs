//! What turns a planned image into blobs on disk: the executors. They return digests and never see a tag.

pub mod assemble;
pub mod buildkit;
