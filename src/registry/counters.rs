use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal,)*) => {
        /// What a request is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RequestKind {
            $($(#[doc = $doc])* $variant,)*
        }

        impl RequestKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The kind as written in receipts.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    /// Ask the token service for a token.
    Token = "token",
    /// Ask whether a manifest is there.
    ManifestHead = "manifest-head",
    /// Read a manifest.
    ManifestGet = "manifest-get",
    /// Write a manifest or a tag.
    ManifestPut = "manifest-put",
    /// Delete a manifest or a tag.
    ManifestDelete = "manifest-delete",
    /// Ask whether a blob is there.
    BlobHead = "blob-head",
    /// Read a blob.
    BlobGet = "blob-get",
    /// Ask for a blob of another repository.
    BlobMount = "blob-mount",
    /// Begin an upload.
    UploadStart = "upload-start",
    /// Send a part of a blob.
    UploadChunk = "upload-chunk",
    /// Send a whole blob, or end its upload.
    UploadFinish = "upload-finish",
    /// Ask how much of an upload has arrived.
    UploadStatus = "upload-status",
    /// Give up an upload.
    UploadCancel = "upload-cancel",
    /// List tags.
    Tags = "tags",
    /// List what refers to a manifest.
    Referrers = "referrers",
}

/// How many requests were sent, of each kind, and how many bytes of blobs went each way. Shared by all clones of a client.
#[derive(Debug, Default)]
pub struct Counters {
    requests: [AtomicU64; RequestKind::ALL.len()],
    retries: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// The state of [`Counters`] at one moment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Requests by kind, repeated ones included; kinds that did not occur are left out.
    pub requests: BTreeMap<&'static str, u64>,
    /// How many of them were repetitions after something that can heal.
    pub retries: u64,
    /// Bytes of blobs sent, those of failed attempts included.
    pub blob_bytes_sent: u64,
    /// Bytes of blobs received.
    pub blob_bytes_received: u64,
}

impl Counters {
    pub(super) fn request(&self, kind: RequestKind) {
        self.requests[kind as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// How many requests of `kind` were sent.
    pub fn of(&self, kind: RequestKind) -> u64 {
        self.requests[kind as usize].load(Relaxed)
    }

    /// How many requests were sent.
    pub fn total(&self) -> u64 {
        RequestKind::ALL.iter().map(|kind| self.of(*kind)).sum()
    }

    /// Everything, to be printed.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: RequestKind::ALL
                .iter()
                .map(|kind| (kind.as_str(), self.of(*kind)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            retries: self.retries.load(Relaxed),
            blob_bytes_sent: self.sent.load(Relaxed),
            blob_bytes_received: self.received.load(Relaxed),
        }
    }
}
