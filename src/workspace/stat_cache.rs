//! The stat cache: hashes of files that have not been touched since they were hashed, so that a warm plan reads no file.
//!
//! One flat file, a set of (identity, content) pairs. An [`Identity`] is a hash of all that `lstat` and the path say about a
//! file; where it is equal the content is equal, because nothing can write to a file without moving its ctime.
//! The exception is a write within the grain of the file system's clock, so the rule of the git index holds
//! (git, Documentation/technical/racy-git): a file whose mtime or ctime is not older than the moment this run began, by the
//! file system's own clock, is never put into the cache.
//!
//! A cache that is missing, of another version, truncated or damaged is an empty one. It is written beside its place and
//! renamed, so that two plans at once lose at most each other's additions.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::ContentHash;

use super::hash::Content;
use super::stat::FileStat;

const MAGIC: [u8; 8] = *b"orc-sc\x00\x01";
/// magic, number of records, run, checksum of the records and the run.
const HEADER: usize = 8 + 8 + 4 + 32;
/// identity, content hash, the run that last saw it with the flag of a pointer.
const RECORD: usize = 16 + 32 + 4;
const POINTER: u32 = 1 << 31;
/// Records that this run did not see are kept while they are not more than this, or than twice those that it saw.
const KEEP_UNSEEN: usize = 65_536;
/// A file on another file system than the cache must be this much older, since the grains of two clocks differ
/// (the coarsest in use is FAT's two seconds).
const FOREIGN_MARGIN_NS: i64 = 3_000_000_000;

/// All that path and `lstat` say about a file, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Identity([u8; 16]);

impl Identity {
    /// Of the file at `path`, which is relative to the root where it lies below it, so that a moved checkout stays warm.
    pub fn new(folder: &[u8], path: &[u8], stat: &FileStat) -> Self {
        let mut all = Vec::with_capacity(5 * 8 + 4 + folder.len() + 1 + path.len());
        for number in [stat.dev, stat.inode, stat.size, stat.mtime_ns.cast_unsigned(), stat.ctime_ns.cast_unsigned()] {
            all.extend(number.to_le_bytes());
        }
        all.extend(stat.mode.to_le_bytes());
        all.extend(folder);
        if !folder.is_empty() {
            all.push(b'/');
        }
        all.extend(path);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(&all).as_bytes()[..16]);
        Self(bytes)
    }
}

/// A moment of a file system's clock.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    dev: u64,
    ns: i64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct StatCache {
    file: PathBuf,
    /// The records as read, sorted by identity.
    records: Vec<u8>,
    /// Where in `records` the identities with these first two bytes begin; one more for the end.
    buckets: Vec<u32>,
    /// The records that this run asked for.
    seen: Vec<AtomicU64>,
    run: u32,
    fresh: HashMap<Identity, Content>,
    /// When this run began; `None` where nothing can be written.
    stamp: Option<Stamp>,
}

impl StatCache {
    /// The cache in `folder`, which is made if it can be.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join("files");
        let (run, records) = std::fs::read(&file).ok().and_then(read).unwrap_or_default();
        let stamp = stamp(folder);
        let count = records.len() / RECORD;
        let seen = std::iter::repeat_with(AtomicU64::default).take(count.div_ceil(64)).collect();
        Self { file, buckets: buckets(&records), records, seen, run, fresh: HashMap::new(), stamp }
    }

    /// The content of the file with this identity, if it is known.
    pub fn get(&self, identity: &Identity) -> Option<Content> {
        if let Some(content) = self.fresh.get(identity) {
            return Some(*content);
        }
        let bucket = usize::from(u16::from_be_bytes([identity.0[0], identity.0[1]]));
        let (start, end) = (*self.buckets.get(bucket)? as usize, *self.buckets.get(bucket + 1)? as usize);
        let index = (start..end).find(|index| self.record(*index)[..16] == identity.0)?;
        self.seen[index / 64].fetch_or(1 << (index % 64), Ordering::Relaxed);
        let (content, _) = content(self.record(index));
        Some(content)
    }

    /// Remembers a content for the rest of the run.
    pub fn put(&mut self, identity: Identity, content: Content) {
        self.fresh.insert(identity, content);
    }

    /// Whether a file with this stat may be trusted by later runs: the racily-clean rule.
    pub fn is_settled(&self, stat: &FileStat) -> bool {
        self.stamp.is_some_and(|stamp| {
            let limit = if stat.dev == stamp.dev { stamp.ns } else { stamp.ns.saturating_sub(FOREIGN_MARGIN_NS) };
            stat.mtime_ns < limit && stat.ctime_ns < limit
        })
    }

    /// Writes the cache if `settled` holds something new; what does not work is left undone, since a cache is never needed.
    pub fn save(&mut self, settled: &[Identity]) {
        if self.stamp.is_none() || settled.is_empty() {
            return;
        }
        let run = (self.run + 1) & !POINTER;
        let (mut seen, mut unseen) = (Vec::with_capacity(settled.len()), Vec::new());
        for index in 0..self.records.len() / RECORD {
            let mut record = [0; RECORD];
            record.copy_from_slice(self.record(index));
            if self.seen[index / 64].load(Ordering::Relaxed) & (1 << (index % 64)) == 0 {
                unseen.push(record);
            } else {
                let (content, _) = content(&record);
                seen.push(encode(&record[..16], &content, run));
            }
        }
        let new = settled.iter().filter_map(|identity| Some((identity, self.fresh.get(identity)?)));
        seen.extend(new.map(|(identity, content)| encode(&identity.0, content, run)));
        let room = KEEP_UNSEEN.max(2 * seen.len());
        if unseen.len() > room {
            unseen.sort_unstable_by_key(|record| std::cmp::Reverse(content(record).1));
            unseen.truncate(room);
        }
        seen.append(&mut unseen);
        seen.sort_unstable();
        seen.dedup_by(|a, b| a[..16] == b[..16]);
        if write(&self.file, run, seen.as_flattened()).is_err() {
            // A full or read-only disk: the next run hashes again.
            self.stamp = None;
        }
    }

    fn record(&self, index: usize) -> &[u8] {
        &self.records[index * RECORD..][..RECORD]
    }
}

fn encode(identity: &[u8], content: &Content, run: u32) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..16].copy_from_slice(identity);
    record[16..48].copy_from_slice(content.hash.as_bytes());
    let flag = if content.pointer { POINTER } else { 0 };
    record[48..].copy_from_slice(&(run | flag).to_le_bytes());
    record
}

/// The content of a record, and the run that last saw it.
fn content(record: &[u8]) -> (Content, u32) {
    let mut hash = [0; 32];
    hash.copy_from_slice(&record[16..48]);
    let mut run = [0; 4];
    run.copy_from_slice(&record[48..52]);
    let run = u32::from_le_bytes(run);
    (Content { hash: ContentHash::from_bytes(hash), pointer: run & POINTER != 0 }, run & !POINTER)
}

fn checksum(run: [u8; 4], records: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&run);
    hasher.update(records);
    hasher.finalize()
}

/// The run and the records of a cache file; `None` if it is not exactly one that [`write`] wrote.
fn read(mut bytes: Vec<u8>) -> Option<(u32, Vec<u8>)> {
    let header = bytes.get(..HEADER)?;
    let count = u64::from_le_bytes(header[8..16].try_into().ok()?);
    let run: [u8; 4] = header[16..20].try_into().ok()?;
    let length = usize::try_from(count).ok()?.checked_mul(RECORD)?;
    let whole = header[..8] == MAGIC && bytes.len() - HEADER == length && u32::try_from(count).is_ok();
    if !whole || checksum(run, &bytes[HEADER..]) != blake3::Hash::from_slice(&header[20..HEADER]).ok()? {
        return None;
    }
    bytes.drain(..HEADER);
    Some((u32::from_le_bytes(run), bytes))
}

fn write(file: &Path, run: u32, records: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new().prefix("files.").tempfile_in(folder)?;
    let run = run.to_le_bytes();
    temporary.write_all(&MAGIC)?;
    temporary.write_all(&((records.len() / RECORD) as u64).to_le_bytes())?;
    temporary.write_all(&run)?;
    temporary.write_all(checksum(run, records).as_bytes())?;
    temporary.write_all(records)?;
    temporary.persist(file)?;
    Ok(())
}

fn buckets(records: &[u8]) -> Vec<u32> {
    let mut starts = Vec::with_capacity((1 << 16) + 1);
    for (index, record) in records.chunks_exact(RECORD).enumerate() {
        let bucket = usize::from(u16::from_be_bytes([record[0], record[1]]));
        while starts.len() <= bucket {
            starts.push(index as u32);
        }
    }
    starts.resize((1 << 16) + 1, (records.len() / RECORD) as u32);
    starts
}

/// The time by the clock of the file system that holds `folder`: that of a file made there now.
fn stamp(folder: &Path) -> Option<Stamp> {
    std::fs::create_dir_all(folder).ok()?;
    let mut file = tempfile::tempfile_in(folder).ok()?;
    file.write_all(b"x").ok()?;
    let stat = FileStat::of(&file.metadata().ok()?);
    Some(Stamp { dev: stat.dev, ns: stat.mtime_ns.min(stat.ctime_ns) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity(number: u64) -> Identity {
        Identity::new(b"", b"path", &FileStat { inode: number, ..FileStat::default() })
    }

    fn content_of(number: u64) -> Content {
        let hash = ContentHash::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
        Content { hash, pointer: number.is_multiple_of(3) }
    }

    fn fill(folder: &Path, numbers: std::ops::Range<u64>) {
        let mut cache = StatCache::open(folder);
        let all: Vec<Identity> = numbers.clone().map(identity).collect();
        for number in numbers {
            cache.put(identity(number), content_of(number));
        }
        cache.save(&all);
    }

    #[test]
    fn what_is_saved_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 0..1000);
        fill(folder.path(), 1000..1500);
        let cache = StatCache::open(folder.path());
        assert!((0..1500).all(|number| cache.get(&identity(number)) == Some(content_of(number))));
        assert!((1500..3000).all(|number| cache.get(&identity(number)).is_none()));
    }

    #[test]
    fn each_field_and_the_path_make_the_identity() {
        let stat = FileStat { dev: 1, inode: 2, size: 3, mtime_ns: 4, ctime_ns: 5, mode: 6 };
        let others = [
            FileStat { dev: 9, ..stat },
            FileStat { inode: 9, ..stat },
            FileStat { size: 9, ..stat },
            FileStat { mtime_ns: 9, ..stat },
            FileStat { ctime_ns: 9, ..stat },
            FileStat { mode: 9, ..stat },
        ];
        let first = Identity::new(b"a", b"b", &stat);
        assert!(others.iter().all(|other| Identity::new(b"a", b"b", other) != first));
        assert_ne!(Identity::new(b"a", b"c", &stat), first);
        assert_eq!(Identity::new(b"", b"a/b", &stat), first);
    }

    #[test]
    fn files_as_young_as_the_run_are_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let cache = StatCache::open(folder.path());
        let Stamp { dev, ns } = cache.stamp.unwrap();
        let at = |mtime_ns, ctime_ns, dev| FileStat { mtime_ns, ctime_ns, dev, ..FileStat::default() };
        assert!(cache.is_settled(&at(ns - 1, ns - 1, dev)));
        assert!(!cache.is_settled(&at(ns, ns - 1, dev)));
        assert!(!cache.is_settled(&at(ns - 1, ns, dev)));
        assert!(!cache.is_settled(&at(ns - 1, ns - 1, dev + 1)));
        assert!(cache.is_settled(&at(ns - FOREIGN_MARGIN_NS - 1, ns - FOREIGN_MARGIN_NS - 1, dev + 1)));
    }

    #[test]
    fn growth_is_bounded_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let step = KEEP_UNSEEN as u64;
        fill(folder.path(), 0..step);
        fill(folder.path(), step..step + 100);
        fill(folder.path(), 2 * step..2 * step + 100);
        let cache = StatCache::open(folder.path());
        assert_eq!(cache.records.len() / RECORD, KEEP_UNSEEN + 100);
        assert!((step..step + 100).all(|number| cache.get(&identity(number)).is_some()));
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"").unwrap();
        let mut cache = StatCache::open(&folder.path().join("file/below"));
        cache.put(identity(1), content_of(1));
        assert!(!cache.is_settled(&FileStat::default()));
        cache.save(&[identity(1)]);
        assert_eq!(cache.get(&identity(1)), Some(content_of(1)), "known to this run all the same");
    }

    proptest! {
        #[test]
        fn damage_gives_an_empty_cache(at in 0_usize..1_000_000, bit in 0_u8..8, cut in any::<bool>()) {
            let folder = tempfile::tempdir().unwrap();
            fill(folder.path(), 0..50);
            let file = folder.path().join("files");
            let mut bytes = std::fs::read(&file).unwrap();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
            std::fs::write(&file, bytes).unwrap();
            let cache = StatCache::open(folder.path());
            prop_assert!((0..50).all(|number| cache.get(&identity(number)).is_none()));
        }
    }
}
