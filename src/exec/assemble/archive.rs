//! ADD of archives: a tar, plain or compressed, is unpacked at the destination.
//!
//! As BuildKit does it: whatever holds a readable first header is an archive, whatever its name; the entries keep their owners;
//! names and links are taken below the destination, and neither `..` nor a link leads out of it.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use super::error::{AssembleError, Fault};
use super::files::Files;
use super::node::{Attributes, Device, FileNode, Identity, Meta, Node, NodeKind, PackWriter};
use super::owner::Owner;
use super::sparse::Whole;
use crate::path::RelPath;
use crate::problem::Code;

/// What `reader` holds, whatever its compression: gzip, bzip2, xz or zstd by their first bytes, else as it is.
pub fn decompressed(reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = BufReader::with_capacity(128 * 1024, reader);
    let start = reader.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b, 0x08]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(reader))
    } else if start.starts_with(b"BZh") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(reader))
    } else if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        Box::new(lzma_rust2::XzReader::new(reader, true))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || (start.len() > 3 && start[0] & 0xf0 == 0x50 && start[1..4] == [0x2a, 0x4d, 0x18])
    {
        Box::new(zstd::stream::read::Decoder::with_buffer(reader)?)
    } else {
        Box::new(reader)
    })
}

/// Whether the file is a tar, plain or compressed.
fn is_archive(file: &FileNode) -> Result<bool, Fault> {
    let Ok(reader) = decompressed(file.open()?) else { return Ok(false) };
    let mut archive = tar::Archive::new(reader);
    let Ok(mut entries) = archive.entries() else { return Ok(false) };
    Ok(matches!(entries.next(), Some(Ok(_))))
}

/// Unpacks `file` at `destination` if it is an archive, and says whether it is. With an `owner`, all that it holds and the folders on
/// the way to the destination are that one's (since BuildKit 0.23); folders that no entry describes are root's.
pub(super) fn unpack(
    into: &mut Files,
    file: &FileNode,
    destination: &[u8],
    owner: Option<Owner>,
) -> Result<bool, Fault> {
    if !is_archive(file)? {
        return Ok(false);
    }
    let folder = into.resolve(&RelPath::root(), destination)?;
    into.make_folders(&folder, (owner, None))?;
    let mut pack = PackWriter::new()?;
    let mut archive = tar::Archive::new(decompressed(file.open()?).map_err(broken)?);
    for entry in archive.entries().map_err(broken)? {
        unpack_entry(into, &folder, &mut entry.map_err(broken)?, owner, &mut pack)?;
    }
    // The reader of a context finds at its end whether the bytes were the hashed ones; what follows the tar is not our business.
    if io::copy(&mut archive.into_inner(), &mut io::sink()).is_err() {
        io::copy(&mut file.open()?, &mut io::sink()).map_err(broken)?;
    }
    Ok(true)
}

/// The longest path that an archive or a layer may have, in bytes: nobody could unpack a longer one. It also bounds how deep folders lie in
/// folders, which is how deep the functions go that walk them.
///
/// Source: Linux, `PATH_MAX` in include/uapi/linux/limits.h, without the zero at the end.
pub(super) const LONGEST_PATH: usize = 4095;

fn broken(error: io::Error) -> Fault {
    match AssembleError::io("read", Path::new("an archive"))(error) {
        AssembleError::Io { source, .. } => {
            Fault::new(Code::BadArchive, format!("the archive cannot be unpacked: {source}"))
        }
        changed => Fault::Other(changed),
    }
}

fn unpack_entry<R: Read>(
    into: &mut Files,
    folder: &RelPath,
    entry: &mut tar::Entry<'_, R>,
    owner: Option<Owner>,
    pack: &mut PackWriter,
) -> Result<(), Fault> {
    let kind = entry.header().entry_type();
    if matches!(kind, tar::EntryType::XGlobalHeader) {
        return Ok(());
    }
    let (name, mut entry) = Whole::of(entry).map_err(broken)?;
    let clean = crate::pattern::clean(&[b"/", &*name].concat());
    let Some(path) = RelPath::new(&clean[1..]).filter(|path| !path.is_root()) else { return Ok(()) };
    if clean.len() > LONGEST_PATH {
        let message = format!("the archive cannot be unpacked: it has a path of {} bytes", clean.len());
        let help = format!("Linux takes {LONGEST_PATH} bytes at most");
        return Err(Fault::new(Code::BadArchive, message).help(help));
    }
    let parent = reach(into, folder, &path.parent().unwrap_or_default())?;
    let place = parent.join(path.name());
    let attributes = attributes(entry.entry()).map_err(broken)?;
    let mut meta = meta(entry.entry()).map_err(broken)?;
    if let Some(Owner { uid, gid }) = owner {
        meta = Meta { uid, gid, ..meta };
    }
    let node = |kind| Node { kind, meta, attributes };
    let new = match kind {
        tar::EntryType::Directory => node(NodeKind::Folder),
        tar::EntryType::Symlink => {
            let target = entry.entry().link_name_bytes().unwrap_or_default();
            node(NodeKind::Link(Arc::from(&*target)))
        }
        tar::EntryType::Link => {
            let target = entry.entry().link_name_bytes().unwrap_or_default().into_owned();
            hard_link(into, folder, &place, &target)?
        }
        tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
            node(NodeKind::Device(device(entry.entry().header()).map_err(broken)?))
        }
        tar::EntryType::GNUSparse => {
            let message = format!("the archive cannot be unpacked: `{path}` is a sparse file of GNU's old form");
            return Err(Fault::new(Code::BadArchive, message).help("write the archive with `tar --format=pax`"));
        }
        _ => node(NodeKind::File(pack.add(&mut entry).map_err(broken)?)),
    };
    if into.get(&place).is_some_and(|old| !(old.is_folder() && new.is_folder())) {
        into.remove(&place);
    }
    into.put(place, new);
    Ok(())
}

/// The folder `path` below `folder`, made where it is missing. Links on the way are followed, but must lead to something.
fn reach(into: &mut Files, folder: &RelPath, path: &RelPath) -> Result<RelPath, Fault> {
    let mut place = folder.clone();
    for part in path.as_bytes().split(|b| *b == b'/').filter(|part| !part.is_empty()) {
        let next = place.join(part);
        let way = next.relative_to(folder).unwrap_or_default();
        place = match into.get(&next) {
            None => next,
            Some(_) => {
                let led = into.resolve(folder, way.as_bytes())?;
                if !into.get(&led).is_some_and(|node| node.is_folder()) {
                    let message = format!("the archive cannot be unpacked: `{path}` is not a folder");
                    return Err(Fault::new(Code::BadArchive, message));
                }
                led
            }
        };
    }
    into.make_folders(&place, (Some(Owner::ROOT), None))?;
    Ok(place)
}

/// Another name for the file that `target` names below `folder`.
fn hard_link(into: &mut Files, folder: &RelPath, place: &RelPath, target: &[u8]) -> Result<Node, Fault> {
    let clean = crate::pattern::clean(&[b"/", target].concat());
    let target = RelPath::new(&clean[1..]).unwrap_or_default();
    let parent = into.resolve(folder, target.parent().unwrap_or_default().as_bytes())?;
    let first = parent.join(target.name());
    let found = into.get(&first).filter(|node| !node.is_folder());
    let Some(mut node) = found else {
        let message = format!("the archive cannot be unpacked: `{place}` is a link to `{target}`, which is not there");
        return Err(Fault::new(Code::BadArchive, message));
    };
    if let NodeKind::File(file) = &mut node.kind
        && file.identity.is_none()
    {
        file.identity = Some(Identity::fresh());
        into.put(first, node.clone());
    }
    Ok(node)
}

/// Permissions and owner of an entry.
pub(super) fn meta<R: Read>(entry: &tar::Entry<'_, R>) -> io::Result<Meta> {
    let header = entry.header();
    let number = |value: u64| u32::try_from(value).map_err(|_| io::Error::other(format!("{value} is no owner")));
    let fields = header.as_old();
    let mode = match header.entry_type().is_symlink() {
        true => 0o777,
        false if is_blank(&fields.mode) => 0,
        false => header.mode()? & 0o7777,
    };
    let uid = if is_blank(&fields.uid) { 0 } else { number(header.uid()?)? };
    let gid = if is_blank(&fields.gid) { 0 } else { number(header.gid()?)? };
    Ok(Meta { mode, uid, gid })
}

/// A number that was not written is 0, as Go's `archive/tar` reads it.
fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|byte| matches!(byte, 0 | b' '))
}

/// The extended attributes of an entry.
pub(super) fn attributes<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Attributes> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(Attributes::default()) };
    let mut found = Vec::new();
    for extension in extensions {
        let extension = extension?;
        if let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") {
            found.push((name.to_vec(), extension.value_bytes().to_vec()));
        }
    }
    found.sort();
    Ok(found.into())
}

/// The device that a header describes.
pub(super) fn device(header: &tar::Header) -> io::Result<Device> {
    if header.entry_type().is_fifo() {
        return Ok(Device { flag: b'6', major: 0, minor: 0 });
    }
    let (major, minor) = (header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0));
    Ok(Device { flag: header.entry_type().as_byte(), major, minor })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(builder: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, link: &str, text: &[u8]) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        builder.append_data(&mut header, name, text).unwrap();
    }

    fn unpacked(tar: &[u8]) -> Result<Files, Fault> {
        let mut files = Files::default();
        let meta = Meta { mode: 0o644, uid: 0, gid: 0 };
        let NodeKind::File(file) = Node::bytes(tar, meta).kind else { panic!("bytes are a file") };
        assert!(unpack(&mut files, &file, b"/x/", None)?);
        Ok(files)
    }

    /// Folders in folders without end would end the stack of whoever walks them.
    #[test]
    fn a_path_that_is_too_long_is_refused() {
        let deep = |parts: usize| {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(0o644);
            header.set_size(0);
            builder.append_data(&mut header, "d/".repeat(parts) + "f", &b""[..]).unwrap();
            unpacked(&builder.into_inner().unwrap())
        };
        assert!(deep(2000).is_ok());
        let refused = deep(20_000).unwrap_err();
        assert!(matches!(&refused, Fault::Refused { code: Code::BadArchive, .. }), "{refused:?}");
    }

    #[test]
    fn archives_that_cannot_be_unpacked_are_refused() {
        let mut whole = tar::Builder::new(Vec::new());
        entry(&mut whole, "a", tar::EntryType::Regular, "", &[7; 2000]);
        entry(&mut whole, "b", tar::EntryType::Link, "a", b"");
        let whole = whole.into_inner().unwrap();
        let path = RelPath::new(b"x/b").unwrap();
        assert!(unpacked(&whole).unwrap().get(&path).is_some());

        let mut dangling = tar::Builder::new(Vec::new());
        entry(&mut dangling, "b", tar::EntryType::Link, "a", b"");
        for bad in [&whole[..1000], &dangling.into_inner().unwrap()] {
            let refused = unpacked(bad).unwrap_err();
            assert!(matches!(refused, Fault::Refused { code: Code::BadArchive, .. }), "{refused:?}");
        }
    }
}
