//! What the layers of a base hold: names, kinds, owners and hashes, without the bytes. Read once, then kept.

use std::io::Read;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::archive;
use super::error::Fault;
use super::files::Files;
use super::node::{Content, Device, FileNode, Identity, Meta, Node, NodeKind};
use super::owner::Owner;
use super::sparse::Whole;
use crate::digest::{ContentHash, Digest};
use crate::path::RelPath;

/// The entries of a layer's tar, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// Another number is another form.
    pub version: u32,
    entries: Vec<Entry>,
}

/// The present form of an index.
pub(super) const VERSION: u32 = 2;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    path: RelPath,
    /// How-manieth entry of the tar it is.
    at: usize,
    mode: u32,
    uid: u32,
    gid: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Kind {
    Folder,
    File { hash: ContentHash, size: u64 },
    Link { target: Vec<u8> },
    HardLink { target: RelPath },
    Device { flag: u8, major: u32, minor: u32 },
}

impl Index {
    /// Reads the whole tar once.
    pub(super) fn read(tar: Box<dyn Read + Send>) -> std::io::Result<Self> {
        let mut archive = tar::Archive::new(tar);
        let mut entries = Vec::new();
        for (at, entry) in archive.entries()?.enumerate() {
            let mut entry = entry?;
            let (name, mut whole) = Whole::of(&mut entry)?;
            let entry = whole.entry();
            let Some(path) = crate::pattern::inside(&name) else { continue };
            if path.as_bytes().len() > archive::LONGEST_PATH {
                let message = format!("a path of {} bytes in a layer", path.as_bytes().len());
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
            }
            let attributes = archive::attributes(entry)?.to_vec();
            let Meta { mode, uid, gid } = archive::meta(entry)?;
            let link = || entry.link_name_bytes().unwrap_or_default().into_owned();
            let kind = match entry.header().entry_type() {
                tar::EntryType::XGlobalHeader => continue,
                tar::EntryType::Directory => Kind::Folder,
                tar::EntryType::Symlink => Kind::Link { target: link() },
                tar::EntryType::Link => Kind::HardLink { target: crate::pattern::inside(&link()).unwrap_or_default() },
                tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
                    let Device { flag, major, minor } = archive::device(entry.header())?;
                    Kind::Device { flag, major, minor }
                }
                _ => {
                    let mut hasher = blake3::Hasher::new();
                    let size = std::io::copy(&mut whole, &mut hasher)?;
                    Kind::File { hash: ContentHash::from_bytes(*hasher.finalize().as_bytes()), size }
                }
            };
            entries.push(Entry { path, at, mode, uid, gid, attributes, kind });
        }
        Ok(Self { version: VERSION, entries })
    }

    /// Puts the layer `digest` on `files`.
    ///
    /// Source: OCI image specification, layer.md, "Applying Changesets".
    pub(super) fn apply(&self, digest: Digest, files: &mut Files) -> Result<(), Fault> {
        for entry in &self.entries {
            let Some(name) = entry.path.name().strip_prefix(b".wh.") else { continue };
            let parent = parent(files, &entry.path)?;
            if name == b".wh..opq" {
                for (path, _) in files.subtree(&parent) {
                    files.remove(&path);
                }
            } else if !name.starts_with(b".wh.") {
                files.remove(&parent.join(name));
            }
        }
        for entry in self.entries.iter().filter(|entry| !entry.path.name().starts_with(b".wh.")) {
            let meta = Meta { mode: entry.mode, uid: entry.uid, gid: entry.gid };
            let attributes = Arc::from(entry.attributes.as_slice());
            let kind = match &entry.kind {
                Kind::Folder => NodeKind::Folder,
                Kind::Link { target } => NodeKind::Link(target.as_slice().into()),
                Kind::Device { flag, major, minor } => {
                    NodeKind::Device(Device { flag: *flag, major: *major, minor: *minor })
                }
                Kind::File { hash, size } => NodeKind::File(FileNode {
                    content: Content::Layer(digest, entry.at),
                    hash: *hash,
                    size: *size,
                    identity: None,
                }),
                Kind::HardLink { target } => {
                    let first = parent(files, target)?.join(target.name());
                    let Some(mut node) = files.get(&first) else { continue };
                    if let NodeKind::File(file) = &mut node.kind {
                        file.identity.get_or_insert_with(Identity::fresh);
                        files.put(first, node.clone());
                    }
                    let folder = parent(files, &entry.path)?;
                    files.make_folders(&folder, (Some(Owner::ROOT), None))?;
                    files.put(folder.join(entry.path.name()), node);
                    continue;
                }
            };
            let node = Node { kind, meta, attributes };
            if entry.path.is_root() {
                continue;
            }
            let folder = parent(files, &entry.path)?;
            files.make_folders(&folder, (Some(Owner::ROOT), None))?;
            files.put(folder.join(entry.path.name()), node);
        }
        Ok(())
    }
}

/// Where the folder of an entry is: links on the way are followed.
fn parent(files: &Files, path: &RelPath) -> Result<RelPath, Fault> {
    files.resolve(&RelPath::root(), path.parent().unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_file_of_a_layer_is_whole() {
        let mut builder = tar::Builder::new(Vec::new());
        let records: [(&str, &[u8]); 3] =
            [("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"5,4"), ("GNU.sparse.name", b"usr/file")];
        builder.append_pax_extensions(records).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(4);
        header.set_mode(0o644);
        builder.append_data(&mut header, "GNUSparseFile.1/file", &b"part"[..]).unwrap();
        let index = Index::read(Box::new(std::io::Cursor::new(builder.into_inner().unwrap()))).unwrap();
        let [Entry { path, kind: Kind::File { hash, size }, .. }] = index.entries.as_slice() else {
            panic!("{index:?}")
        };
        assert_eq!((path.as_bytes(), *size), (&b"usr/file"[..], 9));
        assert_eq!(*hash, ContentHash::from_bytes(*blake3::hash(b"\0\0\0\0\0part").as_bytes()));
    }
}
