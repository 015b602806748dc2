//! What the disk says about a file without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// The part of `lstat` by which a changed file is noticed. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FileStat {
    /// The file system.
    pub dev: u64,
    /// The file in it.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// When its contents changed; anybody may set it.
    pub mtime_ns: i64,
    /// When anything about it changed; nobody can set it.
    pub ctime_ns: i64,
    /// Kind and permission bits.
    pub mode: u32,
}

const KIND_BITS: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

impl FileStat {
    /// The interesting part of what the system says.
    pub fn of(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self {
            dev: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.mode(),
        }
    }

    /// A folder that no disk holds: the parent of a part of an assembled context.
    pub const fn implied_folder() -> Self {
        Self { dev: 0, inode: 0, size: 0, mtime_ns: 0, ctime_ns: 0, mode: FOLDER | 0o755 }
    }

    /// Whether it is a regular file: neither folder, link, pipe nor device.
    pub const fn is_regular(&self) -> bool {
        self.mode & KIND_BITS == REGULAR
    }

    /// The permission bits, with setuid, setgid and sticky.
    pub const fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}
