//! Sparse files in archives, as `tar -S` writes them: only the parts that hold something are there, and a list of them.
//!
//! The old GNU form (type `S`) is the tar reader's business. The forms of PAX are not, and to a reader that does not know them the
//! parts are the file: a shorter one, under another name.
//!
//! Source: GNU tar manual, "Storing Sparse Files" (0.0, 0.1 and 1.0); what is refused is what Go's `archive/tar` refuses.

use std::borrow::Cow;
use std::io::{self, Read};

/// The unit in which the list of a 1.0 file is filled up.
const BLOCK: usize = 512;
/// No list is longer than this many parts.
const MOST_PARTS: usize = 1 << 20;

/// What PAX records say of an entry that is a sparse file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sparse {
    /// The file's name; the header has another one.
    name: Option<Vec<u8>>,
    /// The whole file's size.
    size: u64,
    /// The list of parts; `None`: it stands before the content (1.0).
    parts: Option<Vec<(u64, u64)>>,
}

/// An entry of an archive with its name and its whole content.
pub struct Whole<'a, 'e, R: Read> {
    entry: &'a mut tar::Entry<'e, R>,
    sparse: Option<Parts>,
}

/// The parts that hold something, and how far the file was read.
struct Parts {
    parts: std::vec::IntoIter<(u64, u64)>,
    /// The present part, or the end of the file.
    next: (u64, u64),
    at: u64,
    size: u64,
}

impl Sparse {
    /// Reads the records; `None` for a file that is not sparse.
    fn of<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Option<Self>> {
        let Some(extensions) = entry.pax_extensions()? else { return Ok(None) };
        let (mut name, mut size, mut real, mut major, mut minor) = (None, None, None, None, None);
        let (mut map, mut offset, mut parts) = (None, None, Vec::new());
        for extension in extensions {
            let extension = extension?;
            let Some(key) = extension.key_bytes().strip_prefix(b"GNU.sparse.") else { continue };
            let value = extension.value_bytes();
            match key {
                b"name" => name = Some(value.to_vec()).filter(|name| !name.is_empty()),
                b"size" => size = Some(number(value)?),
                b"realsize" => real = Some(number(value)?),
                b"major" => major = Some(number(value)?),
                b"minor" => minor = Some(number(value)?),
                b"map" => map = Some(list(value)?),
                b"offset" => offset = Some(number(value)?),
                b"numbytes" => parts.push((offset.take().ok_or_else(broken)?, number(value)?)),
                _ => {}
            }
        }
        let size = size.or(real);
        let parts = match (major, minor, map) {
            (Some(1), Some(0), _) => None,
            (Some(0), Some(0 | 1), map) => Some(map.unwrap_or(parts)),
            // Of a form that is not known, the content is taken as it is.
            (Some(_), ..) | (_, Some(_), _) => return Ok(None),
            (None, None, Some(map)) => Some(map),
            (None, None, None) if !parts.is_empty() => Some(parts),
            // A sparse file of 0.0 without any part is one hole.
            (None, None, None) if size.is_some() => Some(parts),
            (None, None, None) => return Ok(None),
        };
        let size = match size {
            Some(size) => size,
            None => entry.size(),
        };
        Ok(Some(Self { name, size, parts }))
    }
}

impl<'a, 'e, R: Read> Whole<'a, 'e, R> {
    /// The name of the entry, and the entry to be read as a whole.
    ///
    /// # Errors
    /// A list of parts that is none.
    pub fn of(entry: &'a mut tar::Entry<'e, R>) -> io::Result<(Cow<'static, [u8]>, Self)> {
        let path = entry.path_bytes().into_owned();
        let Some(Sparse { name, size, parts }) = Sparse::of(entry)? else {
            return Ok((Cow::Owned(path), Self { entry, sparse: None }));
        };
        let parts = match parts {
            Some(parts) => parts,
            None => list_of_content(entry)?,
        };
        check(&parts, size)?;
        let mut parts = parts.into_iter();
        let next = parts.next().unwrap_or((size, 0));
        Ok((Cow::Owned(name.unwrap_or(path)), Self { entry, sparse: Some(Parts { parts, next, at: 0, size }) }))
    }

    /// The entry.
    pub const fn entry(&mut self) -> &mut tar::Entry<'e, R> {
        self.entry
    }
}

impl<R: Read> Read for Whole<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.sparse else { return self.entry.read(buffer) };
        while file.at < file.size && file.at == file.next.0 + file.next.1 {
            file.next = file.parts.next().unwrap_or((file.size, 0));
        }
        let (start, length) = file.next;
        let in_hole = file.at < start;
        let left = if in_hole { start - file.at } else { start + length - file.at };
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = if in_hole {
            buffer[..wanted].fill(0);
            wanted
        } else {
            self.entry.read(&mut buffer[..wanted])?
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.at += count as u64;
        Ok(count)
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a sparse file whose list of parts cannot be read")
}

fn number(text: &[u8]) -> io::Result<u64> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<u64>().ok());
    // Sizes and places are signed numbers where they come from.
    number.filter(|number| i64::try_from(*number).is_ok()).ok_or_else(broken)
}

fn list(text: &[u8]) -> io::Result<Vec<(u64, u64)>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let numbers = text.split(|byte| *byte == b',').map(number).collect::<io::Result<Vec<u64>>>()?;
    if numbers.len() % 2 != 0 {
        return Err(broken());
    }
    Ok(numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect())
}

/// The list that stands before the content: how many parts, then place and size of each, a number a line.
fn list_of_content(entry: &mut impl Read) -> io::Result<Vec<(u64, u64)>> {
    let mut block = [0; BLOCK];
    let mut at = BLOCK;
    let mut next = || {
        let mut digits = Vec::new();
        loop {
            if at == BLOCK {
                entry.read_exact(&mut block)?;
                at = 0;
            }
            let byte = block[at];
            at += 1;
            match byte {
                b'\n' => return number(&digits),
                _ if digits.len() >= 20 => return Err(broken()),
                byte => digits.push(byte),
            }
        }
    };
    let count = usize::try_from(next()?).map_err(|_| broken())?;
    if count > MOST_PARTS {
        return Err(broken());
    }
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push((next()?, next()?));
    }
    Ok(parts)
}

/// Parts are in order, do not overlap, and end within the file.
fn check(parts: &[(u64, u64)], size: u64) -> io::Result<()> {
    let mut end = 0;
    for (start, length) in parts {
        if *start < end {
            return Err(broken());
        }
        end = start.checked_add(*length).filter(|end| *end <= size).ok_or_else(broken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 5000;

    /// A file of 5000 bytes: a hole, `part`, a hole, `end`.
    fn whole() -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        bytes[1000..1004].copy_from_slice(b"part");
        bytes[SIZE - 3..].copy_from_slice(b"end");
        bytes
    }

    fn archive(records: &[(&str, &[u8])], content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions(records.iter().copied()).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, "GNUSparseFile.1/file", content).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(5);
        header.set_mode(0o644);
        builder.append_data(&mut header, "after", &b"after"[..]).unwrap();
        builder.into_inner().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut archive = tar::Archive::new(bytes);
        let mut found = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let (name, mut whole) = Whole::of(&mut entry)?;
            let mut content = Vec::new();
            whole.read_to_end(&mut content)?;
            found.push((String::from_utf8_lossy(&name).into_owned(), content));
        }
        Ok(found)
    }

    fn in_content(list: &str) -> Vec<u8> {
        let mut content = list.as_bytes().to_vec();
        content.resize(content.len().next_multiple_of(BLOCK), 0);
        content.extend(b"partend");
        content
    }

    #[test]
    fn all_forms_give_the_whole_file() {
        let size = SIZE.to_string();
        let size = size.as_bytes();
        let forms = [
            archive(
                &[
                    ("GNU.sparse.size", size),
                    ("GNU.sparse.numblocks", b"2"),
                    ("GNU.sparse.offset", b"1000"),
                    ("GNU.sparse.numbytes", b"4"),
                    ("GNU.sparse.offset", b"4997"),
                    ("GNU.sparse.numbytes", b"3"),
                    ("GNU.sparse.name", b"file"),
                ],
                b"partend",
            ),
            archive(
                &[
                    ("GNU.sparse.size", size),
                    ("GNU.sparse.numblocks", b"2"),
                    ("GNU.sparse.map", b"1000,4,4997,3"),
                    ("GNU.sparse.name", b"file"),
                ],
                b"partend",
            ),
            archive(
                &[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.name", b"file"),
                    ("GNU.sparse.realsize", size),
                ],
                &in_content("2\n1000\n4\n4997\n3\n"),
            ),
        ];
        let expected = vec![("file".to_owned(), whole()), ("after".to_owned(), b"after".to_vec())];
        for bytes in forms {
            assert_eq!(read(&bytes).unwrap(), expected);
        }
    }

    #[test]
    fn a_file_of_one_hole_and_one_without_are_whole_too() {
        let one_zero = |realsize: &'static [u8], content: &[u8]| {
            let records: [(&str, &[u8]); 4] = [
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"file"),
                ("GNU.sparse.realsize", realsize),
            ];
            read(&archive(&records, content)).unwrap().remove(0).1
        };
        let list = |text: &str| in_content(text)[..BLOCK].to_vec();
        assert_eq!(one_zero(b"700", &list("1\n700\n0\n")), vec![0; 700]);
        assert_eq!(one_zero(b"700", &list("0\n")), vec![0; 700]);
        assert_eq!(one_zero(b"0", &list("1\n0\n0\n")), b"");
        assert_eq!(one_zero(b"7", &in_content("1\n0\n7\n")), b"partend");
        let plain = archive(&[("mtime", b"1")], b"plain");
        assert_eq!(read(&plain).unwrap()[0], ("GNUSparseFile.1/file".to_owned(), b"plain".to_vec()));
    }

    #[test]
    fn lists_that_are_none_are_refused() {
        let map = |map: &'static [u8], size: &'static [u8]| {
            read(&archive(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)], b"partend")).is_err()
        };
        assert!(!map(b"0,4,4,3", b"7"));
        let bad: [(&[u8], &[u8]); 7] = [
            (b"0,4,4", b"7"),
            (b"4,3,0,4", b"7"),
            (b"0,5,4,3", b"7"),
            (b"0,8", b"7"),
            (b"0,x", b"7"),
            (b"0,4,4,9", b"13"), // more than there is
            (b"9223372036854775807,9223372036854775807", b"9223372036854775807"),
        ];
        for (list, size) in bad {
            assert!(map(list, size), "{}", String::from_utf8_lossy(list));
        }
        for list in ["2\n0\n4\n", "9999999999\n", "x\n", "111111111111111111111111\n"] {
            let records: [(&str, &[u8]); 3] =
                [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"7")];
            assert!(read(&archive(&records, &in_content(list))).is_err(), "{list}");
        }
    }
}
