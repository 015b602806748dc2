//! What source files say of each other, remembered by content: so that a warm plan follows imports without reading a file.
//!
//! One file beside the stat cache. It is keyed by the blake3 of a file's bytes, so it cannot be stale; one that is missing,
//! of another version or damaged is an empty one.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::digest::ContentHash;
use crate::language::Parsed;

/// The first line begins with this; a change to what [`Parsed`] means changes it.
const MAGIC: &str = "orchestrate sources 1 ";
/// More than this are not carried on from run to run.
const MOST: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Digests {
    file: PathBuf,
    known: HashMap<String, Parsed>,
    fresh: HashMap<String, Parsed>,
}

impl Digests {
    /// The cache in `folder`.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join("sources");
        let known = std::fs::read_to_string(&file).ok().and_then(|text| read(&text)).unwrap_or_default();
        Self { file, known, fresh: HashMap::new() }
    }

    /// What a file of this name with this content says, if it is remembered.
    pub fn get(&self, name: &[u8], hash: ContentHash) -> Option<&Parsed> {
        let key = key(name, hash);
        self.known.get(&key).or_else(|| self.fresh.get(&key))
    }

    /// Remembers what is worth it.
    pub fn put(&mut self, name: &[u8], hash: ContentHash, parsed: &Parsed) {
        if parsed.is_digest() {
            self.fresh.insert(key(name, hash), parsed.clone());
        }
    }

    /// Writes what is new; what does not work is left undone, since a cache is never needed.
    pub fn save(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        if self.known.len() + self.fresh.len() > MOST {
            self.known.clear();
        }
        self.known.extend(self.fresh.drain());
        let Ok(body) = serde_json::to_string(&self.known) else { return };
        let _ = write(&self.file, &body);
    }
}

fn key(name: &[u8], hash: ContentHash) -> String {
    format!("{hash} {}", String::from_utf8_lossy(Parsed::form(name)))
}

fn read(text: &str) -> Option<HashMap<String, Parsed>> {
    let (checksum, body) = text.strip_prefix(MAGIC)?.split_once('\n')?;
    let whole = blake3::hash(body.as_bytes()).to_hex().as_str() == checksum;
    if whole { serde_json::from_str(body).ok() } else { None }
}

fn write(file: &Path, body: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new().prefix("sources.").tempfile_in(folder)?;
    writeln!(temporary, "{MAGIC}{}", blake3::hash(body.as_bytes()).to_hex())?;
    temporary.write_all(body.as_bytes())?;
    temporary.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_found_and_damage_makes_it_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (hash, name) = (ContentHash::from_bytes([7; 32]), b"a/x.go");
        let parsed = Parsed::of(name, b"package x\nimport \"a\"\n");
        let mut cache = Digests::open(folder.path());
        cache.put(name, hash, &parsed);
        cache.put(b"x.rs", hash, &Parsed::Unclear("no text".to_owned()));
        cache.save();
        let cache = Digests::open(folder.path());
        assert_eq!(cache.get(b"b/y.go", hash), Some(&parsed));
        assert!(cache.get(b"x.rs", hash).is_none());
        assert!(cache.get(name, ContentHash::from_bytes([8; 32])).is_none());
        let file = folder.path().join("sources");
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert!(Digests::open(folder.path()).get(name, hash).is_none());
    }
}
