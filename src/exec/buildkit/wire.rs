//! Messages that the published BuildKit protocol crate lacks, or whose text fields must hold any bytes.
//!
//! Sources: fsutil's `types/wire.proto` and `types/stat.proto`, with `bytes` where they say `string`, which is the same on
//! the wire (names on disk need not be UTF-8); containerd's `services/content/v1/content.proto`, the two calls that are asked.

use bytes::Bytes;

/// One message of a file transfer, in both directions.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Packet {
    #[prost(enumeration = "PacketKind", tag = "1")]
    pub(super) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) stat: Option<Stat>,
    #[prost(uint32, tag = "3")]
    pub(super) id: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) data: Bytes,
}

/// What a [`Packet`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum PacketKind {
    /// One entry; without a stat: there are no more.
    Stat = 0,
    /// The receiver wants the bytes of the file with this id (its number among the entries).
    Request = 1,
    /// Bytes of a file; without bytes: the end of the file.
    Data = 2,
    /// The receiver has all that it wants; echoed by the sender.
    Finish = 3,
    /// The other side gave up.
    Error = 4,
}

/// One entry of a folder.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Stat {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) path: Vec<u8>,
    /// Go's `os.FileMode`, not the bits of `st_mode`.
    #[prost(uint32, tag = "2")]
    pub(super) mode: u32,
    #[prost(uint32, tag = "3")]
    pub(super) uid: u32,
    #[prost(uint32, tag = "4")]
    pub(super) gid: u32,
    #[prost(int64, tag = "5")]
    pub(super) size: i64,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "6")]
    pub(super) modified: i64,
    #[prost(bytes = "vec", tag = "7")]
    pub(super) link: Vec<u8>,
}

/// containerd's `InfoRequest`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct BlobInfoRequest {
    #[prost(string, tag = "1")]
    pub(super) digest: String,
}

/// containerd's `InfoResponse`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct BlobInfoResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) info: Option<BlobInfo>,
}

/// containerd's `Info`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct BlobInfo {
    #[prost(string, tag = "1")]
    pub(super) digest: String,
    #[prost(int64, tag = "2")]
    pub(super) size: i64,
    #[prost(message, optional, tag = "3")]
    pub(super) created_at: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "4")]
    pub(super) updated_at: Option<prost_types::Timestamp>,
}

/// containerd's `ReadContentRequest`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct ReadBlobRequest {
    #[prost(string, tag = "1")]
    pub(super) digest: String,
    #[prost(int64, tag = "2")]
    pub(super) offset: i64,
    /// All if zero.
    #[prost(int64, tag = "3")]
    pub(super) size: i64,
}

/// containerd's `ReadContentResponse`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct ReadBlobResponse {
    #[prost(int64, tag = "1")]
    pub(super) offset: i64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) data: Bytes,
}

/// containerd's `WriteContentRequest`, without the labels.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct WriteBlobRequest {
    #[prost(enumeration = "WriteAction", tag = "1")]
    pub(super) action: i32,
    /// Names the write, not the blob.
    #[prost(string, tag = "2")]
    pub(super) r#ref: String,
    /// Not known if zero.
    #[prost(int64, tag = "3")]
    pub(super) total: i64,
    #[prost(string, tag = "4")]
    pub(super) expected: String,
    #[prost(int64, tag = "5")]
    pub(super) offset: i64,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) data: Bytes,
}

/// containerd's `WriteContentResponse`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct WriteBlobResponse {
    #[prost(enumeration = "WriteAction", tag = "1")]
    pub(super) action: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) started_at: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "3")]
    pub(super) updated_at: Option<prost_types::Timestamp>,
    #[prost(int64, tag = "4")]
    pub(super) offset: i64,
    #[prost(int64, tag = "5")]
    pub(super) total: i64,
    #[prost(string, tag = "6")]
    pub(super) digest: String,
}

/// containerd's `WriteAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum WriteAction {
    Stat = 0,
    Write = 1,
    Commit = 2,
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::fsutil::types::{Packet as Published, Stat as PublishedStat};
    use prost::Message as _;

    use super::*;

    #[test]
    fn our_packet_is_fsutils_packet() {
        let stat =
            Stat { path: b"a/b".to_vec(), mode: 0o644, uid: 1, gid: 2, size: 3, modified: -4, link: b"l".to_vec() };
        let ours = Packet { kind: PacketKind::Data.into(), stat: Some(stat), id: 7, data: Bytes::from_static(b"x") };
        let theirs = Published {
            r#type: 2,
            stat: Some(PublishedStat {
                path: "a/b".to_owned(),
                mode: 0o644,
                uid: 1,
                gid: 2,
                size: 3,
                mod_time: -4,
                linkname: "l".to_owned(),
                ..PublishedStat::default()
            }),
            id: 7,
            data: b"x".to_vec(),
        };
        assert_eq!(ours.encode_to_vec(), theirs.encode_to_vec());
    }
}
