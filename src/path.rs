//! Paths as contexts know them: relative, with `/`, and not always UTF-8.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A path inside a context or a folder: relative, `/` between the parts, no empty part, no `.` and no `..`.
///
/// Names on disk are bytes, so a path is bytes too. As text (and in JSON) a byte that is not UTF-8 is written `\xNN`
/// and a backslash `\\`, so that no two paths have one text. The empty path is the folder itself.
///
/// Cheap to clone: the sets of files of a thousand images share the names of the files that they share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelPath(Arc<[u8]>);

impl RelPath {
    /// A path from bytes that already have the form; `None` otherwise.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let legal = bytes.is_empty()
            || bytes
                .split(|b| *b == b'/')
                .all(|part| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0));
        legal.then(|| Self(bytes.into()))
    }

    /// The folder itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// This path and one more name below it. The name must not hold a `/`.
    pub fn join(&self, name: &[u8]) -> Self {
        if self.0.is_empty() {
            return Self(name.into());
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self(bytes.into())
    }

    /// The bytes of the path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as UTF-8, where it is that.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether this is the folder itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }

    /// The folder that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// Whether it is `folder` or lies below it.
    pub fn starts_with(&self, folder: &Self) -> bool {
        folder.is_root()
            || (self.0.starts_with(&folder.0) && (self.0.len() == folder.0.len() || self.0[folder.0.len()] == b'/'))
    }

    /// What is left of it below `folder`; `None` if it does not lie there.
    pub fn relative_to(&self, folder: &Self) -> Option<Self> {
        let rest = self.starts_with(folder).then(|| &self.0[folder.0.len()..])?;
        Some(Self(rest.strip_prefix(b"/").unwrap_or(rest).into()))
    }

    /// The place on disk below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        if self.is_root() { root.to_owned() } else { root.join(OsStr::from_bytes(&self.0)) }
    }
}

/// Bytes as text: a byte that is not UTF-8 is written `\xNN` and a backslash `\\`, so that no two byte strings have one text.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for (index, part) in chunk.valid().split('\\').enumerate() {
            text.push_str(if index == 0 { "" } else { "\\\\" });
            text.push_str(part);
        }
        for byte in chunk.invalid() {
            text.push_str("\\x");
            text.push_str(&hex::encode([*byte]));
        }
    }
    text
}

/// The bytes of a text that [`escape`] made; `None` if it holds a backslash that `escape` does not write.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                bytes.push(b'\\');
                tail
            }
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let mut byte = [0];
                hex::decode_to_slice([*high, *low], &mut byte).ok()?;
                bytes.extend(byte);
                tail
            }
            (b'\\', _) => return None,
            (byte, tail) => {
                bytes.push(byte);
                tail
            }
        };
    }
    Some(bytes)
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for RelPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("`{text}` is not a relative path"));
        unescape(&text).and_then(|bytes| Self::new(&bytes)).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back_keeps_every_byte() {
        for bytes in [&b"a/b"[..], b"", b"\xff\xfe/x", b"back\\slash", b"a\\xff", "\u{fc}".as_bytes()] {
            let path = RelPath::new(bytes).unwrap();
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<RelPath>(&json).unwrap(), path, "{json}");
        }
        assert_eq!(RelPath::new(b"\xff").unwrap().to_string(), "\\xff");
    }

    #[test]
    fn only_clean_relative_paths_are_paths() {
        for bad in [&b"/a"[..], b"a/", b"a//b", b".", b"a/../b", b"a\0b"] {
            assert!(RelPath::new(bad).is_none(), "{}", String::from_utf8_lossy(bad));
        }
        let path = RelPath::new(b"a/bc").unwrap();
        assert!(path.starts_with(&RelPath::new(b"a").unwrap()) && path.starts_with(&RelPath::root()));
        assert!(!path.starts_with(&RelPath::new(b"a/b").unwrap()));
        assert_eq!(path.parent().unwrap().as_bytes(), b"a");
        assert_eq!(path.relative_to(&path.parent().unwrap()).unwrap().as_bytes(), b"bc");
        assert_eq!(path.relative_to(&RelPath::root()), Some(path.clone()));
        assert_eq!(path.relative_to(&RelPath::new(b"a/b").unwrap()), None);
    }
}
