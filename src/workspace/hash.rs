//! Reading files and hashing them: never through a link, never mapped into memory.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::digest::ContentHash;

use super::stat::FileStat;

/// Reads are this large: few system calls for large files, and small enough for the processor's cache.
const BUFFER: usize = 128 * 1024;

/// A Git LFS pointer is smaller than this.
///
/// Source: Git LFS specification, "The Pointer": pointer files must be less than 1024 bytes.
const POINTER_LIMIT: u64 = 1024;

/// The first line of a Git LFS pointer. Source: Git LFS specification, "The Pointer".
const POINTER_START: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

thread_local! {
    static BYTES: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

/// What reading a file gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// blake3 of its bytes.
    pub hash: ContentHash,
    /// Whether the bytes are a Git LFS pointer.
    pub pointer: bool,
}

/// What reading a file gave, and what is known about the file at that time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    pub content: Content,
    /// The number of bytes read.
    pub size: u64,
    /// Whether the file was the one that `expected` describes, before and after it was read.
    pub stable: bool,
}

/// Opens a regular file; a link is an error.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // Non-blocking, so that a pipe which took the file's place cannot hang us; it means nothing for regular files.
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

/// Reads the file once and hashes it.
pub(super) fn hash_file(path: &Path, expected: &FileStat) -> io::Result<Hashed> {
    BYTES.with_borrow_mut(|buffer| hash_into(path, expected, buffer))
}

/// Reads the file once, hashes it and keeps its bytes.
pub(super) fn read_file(path: &Path, expected: &FileStat) -> io::Result<(Vec<u8>, Hashed)> {
    let mut file = open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(expected.size).unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    let content = Content {
        hash: ContentHash::from_bytes(*blake3::hash(&bytes).as_bytes()),
        pointer: size < POINTER_LIMIT && bytes.starts_with(POINTER_START),
    };
    let stable = FileStat::of(&file.metadata()?) == *expected && size == expected.size;
    Ok((bytes, Hashed { content, size, stable }))
}

fn hash_into(path: &Path, expected: &FileStat, buffer: &mut [u8]) -> io::Result<Hashed> {
    let mut file = open(path)?;
    let mut hasher = blake3::Hasher::new();
    let (mut size, mut pointer, mut checked) = (0_u64, false, None);
    loop {
        let count = match file.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count == 0 {
            break;
        }
        pointer = size == 0 && (count as u64) < POINTER_LIMIT && buffer[..count].starts_with(POINTER_START);
        hasher.update(&buffer[..count]);
        size += count as u64;
        if size == expected.size {
            // As long as expected and still untouched: the read that would only find the end is saved.
            let stable = FileStat::of(&file.metadata()?) == *expected;
            checked = Some(stable);
            if stable {
                break;
            }
        }
    }
    let stable = match checked {
        Some(stable) => stable,
        None => FileStat::of(&file.metadata()?) == *expected && size == expected.size,
    };
    Ok(Hashed {
        content: Content { hash: ContentHash::from_bytes(*hasher.finalize().as_bytes()), pointer },
        size,
        stable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(bytes: &[u8]) -> Hashed {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let stat = FileStat::of(&std::fs::symlink_metadata(&path).unwrap());
        hash_file(&path, &stat).unwrap()
    }

    #[test]
    fn every_length_around_the_buffer_is_hashed_whole() {
        for length in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let hashed = hashed(&bytes);
            assert_eq!(hashed.content.hash.as_bytes(), blake3::hash(&bytes).as_bytes(), "{length}");
            assert!(hashed.stable && hashed.size == length as u64);
        }
    }

    #[test]
    fn pointers_are_small_and_begin_with_the_version() {
        let mut pointer = POINTER_START.to_vec();
        pointer.extend(b"oid sha256:00\nsize 1\n");
        assert!(hashed(&pointer).content.pointer);
        assert!(!hashed(b"version https://git-lfs.github.com/spec/v2\n").content.pointer);
        pointer.resize(POINTER_LIMIT as usize, b'\n');
        assert!(!hashed(&pointer).content.pointer);
    }

    #[test]
    fn another_file_than_expected_is_hashed_as_it_is_and_not_stable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"one").unwrap();
        let stat = FileStat::of(&std::fs::symlink_metadata(&path).unwrap());
        std::fs::write(&path, b"longer").unwrap();
        let hashed = hash_file(&path, &stat).unwrap();
        assert!(!hashed.stable && hashed.size == 6);
        assert_eq!(hashed.content.hash.as_bytes(), blake3::hash(b"longer").as_bytes());
    }

    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"x").unwrap();
        std::os::unix::fs::symlink("file", folder.path().join("link")).unwrap();
        assert!(hash_file(&folder.path().join("link"), &FileStat::default()).is_err());
    }
}
