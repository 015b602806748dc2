//! Reading an entry of a snapshot while checking that it still is what was hashed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::digest::ContentHash;

use super::error::Error;
use super::hash;

/// A file's bytes. Where they are not the recorded ones the last read is an error (its source an [`Error::Changed`])
/// instead of the end, so whoever copies all of it cannot miss it.
#[derive(Debug)]
pub struct Verified {
    /// `None` for a placeholder, which has no bytes.
    file: Option<File>,
    path: PathBuf,
    hasher: blake3::Hasher,
    expected: ContentHash,
    left: u64,
}

impl Verified {
    /// Opens a file of `size` bytes with this hash; links are not followed.
    ///
    /// # Errors
    /// [`Error::Changed`] if there is no regular file of that size, [`Error::Io`] if it cannot be opened.
    pub fn open(path: &Path, expected: ContentHash, size: u64) -> Result<Self, Error> {
        let changed = || Error::Changed { path: path.to_owned() };
        let file = hash::open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP | libc::ENOENT | libc::ENOTDIR) => changed(),
            _ => Error::io("read", path)(error),
        })?;
        let metadata = file.metadata().map_err(Error::io("read", path))?;
        if !metadata.is_file() || metadata.len() != size {
            return Err(changed());
        }
        Ok(Self { file: Some(file), path: path.to_owned(), hasher: blake3::Hasher::new(), expected, left: size })
    }

    /// A file without bytes, which no disk holds.
    pub(super) fn empty() -> Self {
        let expected = ContentHash::from_bytes(*blake3::hash(b"").as_bytes());
        Self { file: None, path: PathBuf::new(), hasher: blake3::Hasher::new(), expected, left: 0 }
    }

    fn changed(&self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, Error::Changed { path: self.path.clone() })
    }
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        let count = file.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| self.changed())?;
        self.hasher.update(&buffer[..count]);
        if count == 0 && (self.left > 0 || *self.hasher.finalize().as_bytes() != *self.expected.as_bytes()) {
            return Err(self.changed());
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn hash(bytes: &[u8]) -> ContentHash {
        ContentHash::from_bytes(*blake3::hash(bytes).as_bytes())
    }

    #[test]
    fn the_recorded_bytes_come_through_and_others_do_not() {
        let (_folder, path) = file(b"hello");
        let mut bytes = Vec::new();
        Verified::open(&path, hash(b"hello"), 5).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"hello");

        let error = Verified::open(&path, hash(b"hellO"), 5).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("changed since it was hashed"), "{error}");
        assert!(matches!(Verified::open(&path, hash(b"hello"), 4), Err(Error::Changed { .. })));
    }

    #[test]
    fn a_file_that_grows_shrinks_or_goes_is_noticed() {
        let (_folder, path) = file(b"hello");
        let mut grown = Verified::open(&path, hash(b"hello"), 5).unwrap();
        let mut shrunk = Verified::open(&path, hash(b"hello"), 5).unwrap();
        std::fs::write(&path, b"hello, world").unwrap();
        assert!(grown.read_to_end(&mut Vec::new()).is_err());
        std::fs::write(&path, b"hell").unwrap();
        assert!(shrunk.read_to_end(&mut Vec::new()).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Verified::open(&path, hash(b""), 0), Err(Error::Changed { .. })));
    }
}
