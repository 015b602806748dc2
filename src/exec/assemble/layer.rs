//! A layer: the changes of one instruction as a deterministic tar, compressed and hashed while it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::compress::{Compressor, Method};
use super::error::AssembleError;
use super::files::Files;
use super::header::{BLOCK, Header};
use super::node::{FileNode, Identity, Meta, Node, NodeKind};
use crate::digest::Digest;
use crate::oci::Descriptor;
use crate::path::RelPath;

/// What the bytes of our layers depend on besides their entries. Whoever changes headers, order or compression changes this.
const FORMAT: &str = "orchestrate 2026-11 layer v1";

/// The entries of a layer, sorted by path: parents stand before what they hold.
#[derive(Clone, Debug)]
pub(super) struct Layer(Vec<(RelPath, Change)>);

/// One entry of a layer.
#[derive(Clone, Debug)]
enum Change {
    Put(Node),
    /// A whiteout.
    Gone,
}

/// A layer that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub blob: Descriptor,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
}

/// What the bytes of a layer depend on besides its entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub method: Method,
    /// The time of every entry, in seconds since 1970.
    pub epoch: u64,
}

impl Layer {
    /// The changes that `files` has on what is below it. The folders around a change are part of it, as they are: an unpacker
    /// that does not see the layers below would else make them anew with permissions of its own.
    pub(super) fn of(files: &Files) -> Self {
        let mut entries = BTreeMap::new();
        let mut around = BTreeSet::new();
        for (path, change) in files.changes() {
            match change {
                Some(node) => {
                    entries.insert(path.clone(), Change::Put(node.clone()));
                }
                None => {
                    let parent = path.parent().unwrap_or_default();
                    let folder_stays = files.get(&parent).is_some_and(|node| node.is_folder());
                    if !folder_stays || files.get_below(path).is_none() {
                        continue;
                    }
                    entries.insert(path.clone(), Change::Gone);
                }
            }
            let mut folder = path.parent();
            while let Some(path) = folder.filter(|path| !path.is_root()) {
                folder = path.parent();
                if !around.insert(path) {
                    break;
                }
            }
        }
        for path in around {
            if let Some(node) = files.get(&path) {
                entries.entry(path).or_insert(Change::Put(node));
            }
        }
        entries.remove(&RelPath::root());
        Self(entries.into_iter().collect())
    }

    /// The files, in the order of their paths.
    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut FileNode> {
        self.0.iter_mut().filter_map(|(_, change)| match change {
            Change::Put(Node { kind: NodeKind::File(file), .. }) => Some(file),
            _ => None,
        })
    }

    /// The hash of all that the bytes of the layer depend on.
    pub(super) fn key(&self, style: Style) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key(FORMAT);
        hasher.update(format!("{:?} {}\n", style.method, style.epoch).as_bytes());
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        let mut first_names: BTreeMap<Identity, &RelPath> = BTreeMap::new();
        for (path, change) in &self.0 {
            field(path.as_bytes());
            let Change::Put(node) = change else {
                field(b"gone");
                continue;
            };
            let Meta { mode, uid, gid } = node.meta;
            field(format!("{mode:o} {uid} {gid} {}", node.attributes.len()).as_bytes());
            for (name, value) in &*node.attributes {
                field(name);
                field(value);
            }
            match &node.kind {
                NodeKind::Folder => field(b"folder"),
                NodeKind::Link(target) => {
                    field(b"link");
                    field(target);
                }
                NodeKind::Device(device) => field(format!("{device:?}").as_bytes()),
                NodeKind::File(file) => {
                    field(format!("file {}", file.size).as_bytes());
                    field(file.hash.as_bytes());
                    let first = file.identity.map(|identity| *first_names.entry(identity).or_insert(path));
                    field(first.filter(|first| *first != path).map_or(b"", RelPath::as_bytes));
                }
            }
        }
        hasher.finalize()
    }

    /// Writes the layer into the folder of blobs `folder`, under its digest. Needs memory for some blocks, whatever the size.
    pub(super) fn write(
        &self,
        folder: &Path,
        style: Style,
        cancel: &CancellationToken,
    ) -> Result<Written, AssembleError> {
        std::fs::create_dir_all(folder).map_err(AssembleError::io("create", folder))?;
        let temporary = tempfile::Builder::new()
            .prefix(".partial-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(AssembleError::io("write to", folder))?;
        let (file, path) = temporary.into_parts();
        let failed = AssembleError::io("write", &path);
        let blob = Hashed::new(io::BufWriter::with_capacity(128 * 1024, file));
        let compressed = Compressor::new(blob, style.method).map_err(failed)?;
        let mut tar = Hashed::new(compressed);
        self.write_entries(&mut tar, style, cancel)?;
        let failed = AssembleError::io("write", &path);
        let (compressed, diff_id, _) = tar.finish();
        let (mut buffered, digest, size) = compressed.finish().map_err(failed)?.finish();
        buffered.flush().map_err(AssembleError::io("write", &path))?;
        let target = folder.join(digest.hex());
        if !target.is_file() {
            path.persist(&target).map_err(|error| AssembleError::io("write", &target)(error.error))?;
        }
        Ok(Written { blob: Descriptor::new(style.method.media_type(), digest, size), diff_id })
    }

    fn write_entries(
        &self,
        to: &mut impl Write,
        style: Style,
        cancel: &CancellationToken,
    ) -> Result<(), AssembleError> {
        let mut first_names: BTreeMap<Identity, &RelPath> = BTreeMap::new();
        let mut buffer = vec![0; 128 * 1024];
        for (path, change) in &self.0 {
            let here = std::path::PathBuf::from(path.to_string());
            let failed = || AssembleError::io("write", &here);
            let Change::Put(node) = change else {
                let name = whiteout(path);
                to.write_all(&header(&name, b'0', Meta { mode: 0, uid: 0, gid: 0 }, style).encode())
                    .map_err(failed())?;
                continue;
            };
            let mut name = path.as_bytes().to_vec();
            let mut head = header(&name, b'0', node.meta, style);
            head.attributes = &node.attributes;
            match &node.kind {
                NodeKind::Folder => {
                    name.push(b'/');
                    let head = Header {
                        path: &name,
                        flag: b'5',
                        attributes: &node.attributes,
                        ..header(b"", b'5', node.meta, style)
                    };
                    to.write_all(&head.encode()).map_err(failed())?;
                }
                NodeKind::Link(target) => {
                    let head = Header { flag: b'2', target, ..head };
                    to.write_all(&head.encode()).map_err(failed())?;
                }
                NodeKind::Device(device) => {
                    let head = Header { flag: device.flag, device: Some(*device), ..head };
                    to.write_all(&head.encode()).map_err(failed())?;
                }
                NodeKind::File(file) => {
                    let first = file.identity.map(|identity| *first_names.entry(identity).or_insert(path));
                    if let Some(first) = first.filter(|first| *first != path) {
                        let head = Header { flag: b'1', target: first.as_bytes(), attributes: &[], ..head };
                        to.write_all(&head.encode()).map_err(failed())?;
                        continue;
                    }
                    let head = Header { size: file.size, ..head };
                    to.write_all(&head.encode()).map_err(failed())?;
                    write_content(file, to, &mut buffer, cancel).map_err(|error| match error {
                        Stopped::Cancelled => AssembleError::Cancelled,
                        Stopped::Failed(error) => error,
                        Stopped::Io(error) => failed()(error),
                    })?;
                }
            }
        }
        to.write_all(&[0; 2 * BLOCK]).map_err(AssembleError::io("write", Path::new("the end of the layer")))
    }
}

enum Stopped {
    Cancelled,
    Failed(AssembleError),
    Io(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes the bytes of a file and fills the last block. The reader is read to its end, where it may find that it was changed.
fn write_content(
    file: &FileNode,
    to: &mut impl Write,
    buffer: &mut [u8],
    cancel: &CancellationToken,
) -> Result<(), Stopped> {
    let mut reader = file.open().map_err(Stopped::Failed)?;
    let mut left = file.size;
    loop {
        if cancel.is_cancelled() {
            return Err(Stopped::Cancelled);
        }
        let count = match reader.read(buffer) {
            Ok(0) if left == 0 => break,
            Ok(0) => return Err(Stopped::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stopped::Io(error)),
        };
        left = left.checked_sub(count as u64).ok_or_else(|| io::Error::other("it is longer than it was"))?;
        to.write_all(&buffer[..count])?;
    }
    let odd = usize::try_from(file.size % BLOCK as u64).expect("less than a block");
    if odd > 0 {
        to.write_all(&[0; BLOCK][odd..])?;
    }
    Ok(())
}

fn header(path: &[u8], flag: u8, meta: Meta, style: Style) -> Header<'_> {
    Header { path, flag, meta, size: 0, time: style.epoch, target: b"", device: None, attributes: &[] }
}

/// Source: OCI image specification, layer.md, "Whiteouts".
fn whiteout(path: &RelPath) -> Vec<u8> {
    let name = [b".wh.", path.name()].concat();
    path.parent().unwrap_or_default().join(&name).as_bytes().to_vec()
}

/// Hashes and counts what goes through it.
struct Hashed<W> {
    to: W,
    hasher: Sha256,
    size: u64,
}

impl<W> Hashed<W> {
    fn new(to: W) -> Self {
        Self { to, hasher: Sha256::new(), size: 0 }
    }

    fn finish(self) -> (W, Digest, u64) {
        (self.to, Digest::from_bytes(self.hasher.finalize().into()), self.size)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
