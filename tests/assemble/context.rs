//! The context of all cases: every kind of name, file, link, mode and archive.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use orchestrate::digest::ContentHash;
use orchestrate::fingerprint::{FileEntry, FileKind, FileSet};
use orchestrate::path::{RelPath, escape};
use orchestrate::workspace::{Origin, Snapshot};

/// Text files and their modes.
const FILES: &[(&str, u32)] = &[
    ("a.txt", 0o644),
    ("b.txt", 0o644),
    ("bin/run", 0o755),
    ("dir/.hidden", 0o644),
    ("dir/one.txt", 0o644),
    ("dir/two.md", 0o644),
    ("dir/sub/deep.txt", 0o644),
    ("dir/sub/deeper/deepest.txt", 0o644),
    ("dir/sub2/deep.txt", 0o600),
    ("dir-two/x.txt", 0o644),
    ("modes/private.txt", 0o600),
    ("modes/setuid", 0o4755),
    ("names/-dash", 0o644),
    ("names/with space.txt", 0o644),
    ("names/h\u{e4}\u{df}.txt", 0o644),
    ("names/[x].txt", 0o644),
    ("names/q?.txt", 0o644),
    ("names/.wherever", 0o644),
    ("conflict/dir/one.txt/inner", 0o644),
    ("conflict/file/dir", 0o644),
    ("etc/passwd", 0o644),
    ("notes.tar", 0o644),
    ("usr/lib/lib.so", 0o755),
];

/// Writes the context below `root`.
pub fn write(root: &Path) {
    for (path, mode) in FILES {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, format!("content of {path}\n")).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(*mode)).unwrap();
    }
    let long = root.join("long").join("d".repeat(200));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join(format!("{}.txt", "f".repeat(150))), "long\n").unwrap();
    for (folder, mode) in
        [("empty", 0o755), ("empties/inner", 0o755), ("modes/sticky", 0o1777), ("modes/group", 0o2775)]
    {
        fs::create_dir_all(root.join(folder)).unwrap();
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (link, target) in [
        ("link", "a.txt"),
        ("linkdir", "dir"),
        ("broken", "nowhere"),
        ("outside", "../../etc/hostname"),
        ("absolute", "/dir/one.txt"),
        ("links/up", "../b.txt"),
        ("links/dir", "../dir/sub"),
        ("links/chain", "up"),
    ] {
        fs::create_dir_all(root.join(link).parent().unwrap()).unwrap();
        symlink(target, root.join(link)).unwrap();
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1234:5678:App:/home/app:/bin/sh\n";
    fs::write(root.join("etc/passwd"), passwd).unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:5678:\nstaff:x:50:app\n").unwrap();
    fs::create_dir_all(root.join("big")).unwrap();
    fs::write(root.join("big/three-blocks"), (0..600_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    archives(root);
}

struct Entry<'a>(&'a [u8], tar::EntryType, &'a str, u32, u64);

fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for Entry(path, kind, text, mode, owner) in entries {
        let mut header = tar::Header::new_ustar();
        // The names are written as they are, also those that no sane archive has.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path);
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(*owner);
        header.set_gid(*owner + u64::from(*owner > 0));
        header.set_mtime(1);
        let is_file = *kind == tar::EntryType::Regular;
        header.set_size(if is_file { text.len() as u64 } else { 0 });
        if !is_file && !text.is_empty() {
            header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
        }
        if *kind == tar::EntryType::Char {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_cksum();
        builder.append(&header, if is_file { text.as_bytes() } else { &[] }).unwrap();
    }
    builder.into_inner().unwrap()
}

fn archives(root: &Path) {
    use tar::EntryType::{Char, Directory, Fifo, Link, Regular, Symlink};
    let plain = tar_of(&[
        Entry(b"./", Directory, "", 0o700, 0),
        Entry(b"./top.txt", Regular, "top\n", 0o640, 1000),
        Entry(b"./folder/", Directory, "", 0o750, 1000),
        Entry(b"./folder/inner.txt", Regular, "inner\n", 0o4711, 0),
        Entry(b"./folder/link", Symlink, "inner.txt", 0o777, 7),
        Entry(b"./implied/parent/file", Regular, "implied\n", 0o644, 0),
    ]);
    let folder = root.join("archives");
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    write("plain.tar", &plain);
    write("plain.tar.gz", &gzip(&plain));
    write("odd-name", &gzip(&plain));
    let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bzip.write_all(&plain).unwrap();
    write("plain.tar.bz2", &bzip.finish().unwrap());
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default()).unwrap();
    xz.write_all(&plain).unwrap();
    write("plain.tar.xz", &xz.finish().unwrap());
    write("plain.tar.zst", &zstd::bulk::compress(&plain, 3).unwrap());
    write("text.gz", &gzip(b"no archive\n"));
    write("zeros.tar", &[0; 1024]);
    write("cut.tar", &plain[..plain.len() - 2500]);
    write(
        "hard.tar",
        &tar_of(&[
            Entry(b"first", Regular, "shared\n", 0o644, 0),
            Entry(b"z/second", Link, "first", 0o644, 0),
            Entry(b"a-third", Link, "first", 0o644, 0),
        ]),
    );
    write(
        "dots.tar",
        &tar_of(&[Entry(b"../../out.txt", Regular, "out\n", 0o644, 0), Entry(b"in.txt", Regular, "in\n", 0o644, 0)]),
    );
    write(
        "latin.tar",
        &tar_of(&[
            Entry(b"caf\xe9/", Directory, "", 0o755, 0),
            Entry(b"caf\xe9/\xff.txt", Regular, "latin\n", 0o644, 0),
            Entry(b"caf\xe9/link", Symlink, "there", 0o777, 0),
        ]),
    );
    let mut blank = tar_of(&[Entry(b"blank.txt", Regular, "blank\n", 0o644, 0)]);
    blank[100..124].fill(0);
    blank[148..156].fill(b' ');
    let sum: u32 = blank[..512].iter().map(|byte| u32::from(*byte)).sum();
    blank[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    write("blank.tar", &blank);
    write("rooted.tar", &tar_of(&[Entry(b"/etc/rooted", Regular, "rooted\n", 0o644, 0)]));
    write(
        "through.tar",
        &tar_of(&[
            Entry(b"real/", Directory, "", 0o755, 0),
            Entry(b"alias", Symlink, "real", 0o777, 0),
            Entry(b"alias/file", Regular, "through\n", 0o644, 0),
        ]),
    );
    write(
        "away.tar",
        &tar_of(&[Entry(b"away", Symlink, "/usr", 0o777, 0), Entry(b"away/file", Regular, "away\n", 0o644, 0)]),
    );
    write("escape-link.tar", &tar_of(&[Entry(b"up", Symlink, "../../../../etc", 0o777, 0)]));
    write("bad-hard.tar", &tar_of(&[Entry(b"x", Link, "missing", 0o644, 0)]));
    write("outside-hard.tar", &tar_of(&[Entry(b"x", Link, "../../etc/passwd", 0o644, 0)]));
    write(
        "replace.tar",
        &tar_of(&[Entry(b"dir", Regular, "now a file\n", 0o644, 0), Entry(b"a.txt/", Directory, "", 0o711, 3)]),
    );
    write("special.tar", &tar_of(&[Entry(b"pipe", Fifo, "", 0o644, 0), Entry(b"null", Char, "", 0o666, 0)]));
    write("sparse.tar", &sparse());
    write("old-sparse.tar", &old_sparse());
    write("base.tar", &base());
}

/// A file of 5000 bytes with two holes in each form that `tar -S` knows, and one that is a hole.
fn sparse() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, records: &[(&str, &str)], content: &[u8]| {
        builder.append_pax_extensions(records.iter().map(|(key, value)| (*key, value.as_bytes()))).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o640);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1);
        builder.append_data(&mut header, path, content).unwrap();
    };
    let size = ("GNU.sparse.size", "5000");
    let numbers = ["1000", "4", "4997", "3"];
    let (place, length) = ("GNU.sparse.offset", "GNU.sparse.numbytes");
    let blocks = ("GNU.sparse.numblocks", "2");
    let old = [size, blocks, (place, numbers[0]), (length, numbers[1]), (place, numbers[2]), (length, numbers[3])];
    add("zero-zero", &old, b"partend");
    add(
        "GNUSparseFile.1/zero-one",
        &[size, blocks, ("GNU.sparse.map", "1000,4,4997,3"), ("GNU.sparse.name", "named/zero-one")],
        b"partend",
    );
    let one = |name: &'static str, size: &'static str| {
        [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", name), ("GNU.sparse.realsize", size)]
    };
    let mut content = b"2\n1000\n4\n4997\n3\n".to_vec();
    content.resize(512, 0);
    content.extend(b"partend");
    add("GNUSparseFile.1/one-zero", &one("named/one-zero", "5000"), &content);
    let mut content = b"1\n700000\n0\n".to_vec();
    content.resize(512, 0);
    add("GNUSparseFile.1/hole", &one("hole", "700000"), &content);
    builder.into_inner().unwrap()
}

/// A sparse file in GNU's old form.
fn old_sparse() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_path("gnu").unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(515);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_real_size(5123);
    for (part, (place, length)) in gnu.sparse.iter_mut().zip([(1024, 512), (5120, 3)]) {
        part.set_offset(place);
        part.set_length(length);
    }
    header.set_cksum();
    builder.append(&header, &[7; 515][..]).unwrap();
    builder.into_inner().unwrap()
}

/// What the bases of the cases hold.
fn base() -> Vec<u8> {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    tar_of(&[
        Entry(b"bin", Symlink, "usr/bin", 0o777, 0),
        Entry(b"usr/", Directory, "", 0o755, 0),
        Entry(b"usr/bin/", Directory, "", 0o755, 0),
        Entry(b"usr/bin/tool", Regular, "tool\n", 0o755, 0),
        Entry(b"usr/bin/tool2", Link, "usr/bin/tool", 0o755, 0),
        Entry(b"tmp/", Directory, "", 0o1777, 0),
        Entry(b"srv/", Directory, "", 0o2750, 33),
        Entry(b"srv/file", Regular, "srv\n", 0o600, 33),
        Entry(b"var/", Directory, "", 0o755, 0),
        Entry(b"var/run", Symlink, "/run", 0o777, 0),
        Entry(b"run/", Directory, "", 0o711, 0),
        Entry(b"loop", Symlink, "loop", 0o777, 0),
        Entry(b"dangling", Symlink, "/not/yet/there", 0o777, 0),
        Entry(b"current.txt", Symlink, "srv/file", 0o777, 0),
        Entry(b"etc/", Directory, "", 0o755, 0),
        Entry(b"etc/passwd", Regular, "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n", 0o644, 0),
        Entry(b"etc/group", Regular, "root:x:0:\nweb:x:44:\nstaff:x:50:web\n", 0o644, 0),
    ])
}

/// All that lies below `root`, with the real modes.
pub fn snapshot(root: &Path) -> Snapshot {
    let mut entries = Vec::new();
    let mut folders = vec![(root.to_owned(), RelPath::root())];
    while let Some((folder, at)) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = at.join(entry.file_name().as_bytes());
            let metadata = entry.metadata().unwrap();
            let mut mode = metadata.permissions().mode() & 0o7777;
            let kind = if metadata.is_dir() {
                folders.push((entry.path(), path.clone()));
                FileKind::Folder
            } else if metadata.is_symlink() {
                mode = 0o777;
                FileKind::Link { target: escape(fs::read_link(entry.path()).unwrap().as_os_str().as_bytes()) }
            } else {
                let content = fs::read(entry.path()).unwrap();
                FileKind::File {
                    hash: ContentHash::from_bytes(*blake3::hash(&content).as_bytes()),
                    size: metadata.len(),
                }
            };
            entries.push(FileEntry { path, kind, mode });
        }
    }
    Snapshot::new(Arc::new(FileSet::new(entries)), Arc::new(Origin::Folder(root.to_owned())))
}
