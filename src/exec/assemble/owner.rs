//! Who owns what COPY, ADD and WORKDIR make: numbers, or names looked up in the image's own passwd and group.
//!
//! As BuildKit does it: `root` is 0 and never looked up; a number without a group is the group too; a user that is not found is root, and a
//! group that is missing, empty or not found is the user's own.
//!
//! Source: BuildKit, `llb.parseUID` and `ops.readUser`; `user:` with an empty group is the user's own since frontend 1.28.

use std::io::Read;

use super::error::Fault;
use super::files::Files;
use super::node::{FileNode, NodeKind};
use crate::path::RelPath;

/// A user and a group by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// How a file of the image is read as a whole.
pub(super) type ReadFile<'a> = dyn FnMut(&FileNode) -> Result<Vec<u8>, Fault> + 'a;

impl Owner {
    /// Who owns what nobody else does.
    pub(super) const ROOT: Self = Self { uid: 0, gid: 0 };

    /// The owner, where nothing has to be looked up.
    pub(super) fn of_numbers(text: &str) -> Option<Self> {
        let (user, group) = parts(text);
        Some(Self { uid: number(user)?, gid: number(group.unwrap_or(user))? })
    }

    /// The owner that `user[:group]` means in `files`.
    pub(super) fn look_up(text: &str, files: &Files, read: &mut ReadFile<'_>) -> Result<Self, Fault> {
        let (user, group) = parts(text);
        let mut owner = match number(user) {
            Some(number) => Self { uid: number, gid: number },
            None => {
                let line = find(files, "etc/passwd", user, read)?;
                let field = |index: usize| line.get(index).and_then(|field| field.parse().ok()).unwrap_or(0);
                Self { uid: field(2), gid: field(3) }
            }
        };
        if let Some(group) = group {
            owner.gid = match number(group) {
                Some(number) => number,
                None => {
                    let line = find(files, "etc/group", group, read)?;
                    line.get(2).and_then(|field| field.parse().ok()).unwrap_or(owner.gid)
                }
            };
        }
        Ok(owner)
    }
}

/// The user, and the group if there is one.
fn parts(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group).filter(|group| !group.is_empty())))
}

/// The number of a user or a group that needs no looking up.
fn number(text: &str) -> Option<u32> {
    if text == "root" { Some(0) } else { text.parse().ok() }
}

/// The fields of the line that begins with `name`; none if there is no such line or file.
fn find(files: &Files, path: &str, name: &str, read: &mut ReadFile<'_>) -> Result<Vec<String>, Fault> {
    let path = files.resolve(&RelPath::root(), path.as_bytes())?;
    let Some(NodeKind::File(file)) = files.get(&path).map(|node| node.kind) else { return Ok(Vec::new()) };
    let bytes = read(&file)?;
    let text = String::from_utf8_lossy(&bytes);
    let fields = |line: &str| line.trim().split(':').map(str::to_owned).collect::<Vec<_>>();
    Ok(text.lines().map(fields).find(|fields| fields[0] == name).unwrap_or_default())
}

/// All bytes of a file, which must not be in a layer.
pub(super) fn read_whole(file: &FileNode) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let mut reader = file.open()?;
    reader
        .read_to_end(&mut bytes)
        .map_err(super::error::AssembleError::io("read", std::path::Path::new("a file of the image")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[test]
    fn root_and_numbers_need_no_files() {
        for (text, uid, gid) in [
            ("root", 0, 0),
            ("root:root", 0, 0),
            ("0:root", 0, 0),
            ("root:0", 0, 0),
            ("root:", 0, 0),
            ("7:", 7, 7),
            ("7", 7, 7),
            ("7:root", 7, 0),
            ("root:7", 0, 7),
        ] {
            assert_eq!(Owner::of_numbers(text), Some(Owner { uid, gid }), "{text}");
        }
        for text in ["web", "web:", "7:staff", "root:staff", "web:0"] {
            assert_eq!(Owner::of_numbers(text), None, "{text}");
        }
    }
}
