//! The headers of a tar, by hand: every byte of them is part of our format.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".

use super::node::{Device, Meta};

/// Tar's unit: headers are one, contents are filled up to one.
pub(super) const BLOCK: usize = 512;

/// The largest number that fits a field of so many octal digits.
const fn largest(digits: u32) -> u64 {
    (1 << (3 * digits)) - 1
}

/// What a header says.
#[derive(Clone, Debug)]
pub(super) struct Header<'a> {
    /// Without a `/` in front; a folder's ends with one.
    pub path: &'a [u8],
    /// The type: `0` file, `1` hard link, `2` symbolic link, `3`, `4` and `6` devices, `5` folder.
    pub flag: u8,
    pub meta: Meta,
    pub size: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// The target of a link; else empty.
    pub target: &'a [u8],
    pub device: Option<Device>,
    /// Extended attributes.
    pub attributes: &'a [(Vec<u8>, Vec<u8>)],
}

impl Header<'_> {
    /// The blocks that stand before the content. What ustar cannot hold goes into an extended header in front.
    pub(super) fn encode(&self) -> Vec<u8> {
        let records = self.records();
        let mut blocks = Vec::with_capacity(BLOCK);
        if !records.is_empty() {
            let extended = Header {
                path: b"PaxHeaders.0/entry",
                flag: b'x',
                meta: Meta { mode: 0o644, uid: 0, gid: 0 },
                size: records.len() as u64,
                time: self.time,
                target: b"",
                device: None,
                attributes: &[],
            };
            blocks.extend(extended.ustar());
            blocks.extend(&records);
            blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
        }
        blocks.extend(self.ustar());
        blocks
    }

    fn records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut number = |key: &[u8], value: u64, digits: u32| {
            if value > largest(digits) {
                record(&mut records, key, value.to_string().as_bytes());
            }
        };
        number(b"gid", u64::from(self.meta.gid), 7);
        number(b"mtime", self.time, 11);
        number(b"size", self.size, 11);
        number(b"uid", u64::from(self.meta.uid), 7);
        for (key, text) in [(&b"linkpath"[..], self.target), (b"path", self.path)] {
            if text.len() > 100 || !text.is_ascii() {
                record(&mut records, key, text);
            }
        }
        for (name, value) in self.attributes {
            record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
        }
        records
    }

    fn ustar(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        text(&mut block[0..100], self.path);
        octal(&mut block[100..108], u64::from(self.meta.mode & 0o7777));
        octal(&mut block[108..116], u64::from(self.meta.uid));
        octal(&mut block[116..124], u64::from(self.meta.gid));
        octal(&mut block[124..136], self.size);
        octal(&mut block[136..148], self.time);
        block[156] = self.flag;
        text(&mut block[157..257], self.target);
        block[257..265].copy_from_slice(b"ustar\x0000");
        if let Some(device) = self.device {
            octal(&mut block[329..337], u64::from(device.major));
            octal(&mut block[337..345], u64::from(device.minor));
        }
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut block[148..155], sum);
        block
    }
}

/// Text cut to its field; bytes that are not ASCII are left out, since the extended header has them.
fn text(field: &mut [u8], text: &[u8]) {
    for (to, from) in field.iter_mut().zip(text.iter().filter(|byte| byte.is_ascii())) {
        *to = *from;
    }
}

/// Octal digits with zeros in front and one NUL at the end; a number that does not fit is 0, since the extended header has it.
fn octal(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    let fits = number <= largest(u32::try_from(digits).expect("fields are at most 12 bytes long"));
    let mut rest = if fits { number } else { 0 };
    for byte in field[..digits].iter_mut().rev() {
        *byte = b'0' + u8::try_from(rest % 8).expect("less than 8");
        rest /= 8;
    }
    field[digits] = 0;
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend(length.to_string().as_bytes());
    records.push(b' ');
    records.extend(key);
    records.push(b'=');
    records.extend(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(path: &'a [u8], target: &'a [u8]) -> Header<'a> {
        let meta = Meta { mode: 0o4755, uid: 7, gid: 8 };
        Header { path, flag: b'0', meta, size: 5, time: 0, target, device: None, attributes: &[] }
    }

    fn read(bytes: &[u8]) -> (Vec<u8>, Vec<u8>, u64) {
        let mut bytes = bytes.to_vec();
        bytes.extend([b'x'; BLOCK]);
        bytes.extend([0; 2 * BLOCK]);
        let mut archive = tar::Archive::new(&bytes[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        (entry.path_bytes().into_owned(), link, entry.header().uid().unwrap())
    }

    #[test]
    fn a_short_name_takes_one_block() {
        let bytes = header(b"bin/sh", b"").encode();
        assert_eq!(bytes.len(), BLOCK);
        assert_eq!(&bytes[100..156], b"0004755\x000000007\x000000010\x0000000000005\x0000000000000\x00007064\x00 ");
        assert_eq!(read(&bytes), (b"bin/sh".to_vec(), vec![], 7));
    }

    #[test]
    fn long_and_odd_names_and_large_numbers_come_back() {
        for length in [100, 101, 155, 255, 980, 990, 1000, 5000] {
            let name = vec![b'n'; length];
            assert_eq!(read(&header(&name, &name).encode()), (name.clone(), name, 7), "{length}");
        }
        let name = b"caf\xe9/\xff\xfe".to_vec();
        assert_eq!(read(&header(&name, b"").encode()).0, name);
        let mut large = header(b"x", b"");
        large.meta.uid = 3_000_000;
        assert_eq!(read(&large.encode()).2, 3_000_000);
    }
}
