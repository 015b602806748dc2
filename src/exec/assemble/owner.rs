//! Who owns what COPY, ADD and WORKDIR make: numbers, or names looked up in the image's own passwd and group.
//!
//! As BuildKit does it: `root` is 0 and needs no file; a number without a group is the group too; a user that is not found is root, and a group
//! that is not found is the user's. An empty group (`web:`) counts as none, as since Dockerfile frontend 1.28.
//!
//! Source: BuildKit, `parseUID` in client/llb/fileop.go and `readUser` in solver/llbsolver/ops/user_linux.go.

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
        let uid = number(user)?;
        Some(Self { uid, gid: group.map_or(Some(uid), number)? })
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
            let found = match number(group) {
                Some(number) => Some(number),
                None => find(files, "etc/group", group, read)?.get(2).and_then(|field| field.parse().ok()),
            };
            owner.gid = found.unwrap_or(owner.gid);
        }
        Ok(owner)
    }
}

/// `user[:group]`; an empty group is none.
fn parts(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    }
}

/// A number, or `root`. What does not fit into 31 bits is a name.
fn number(text: &str) -> Option<u32> {
    if text == "root" {
        return Some(0);
    }
    text.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok())
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
    use super::*;

    #[test]
    fn what_needs_no_file() {
        let of = |text: &str| Owner::of_numbers(text).map(|owner| (owner.uid, owner.gid));
        for (text, owner) in [
            ("root", (0, 0)),
            ("root:root", (0, 0)),
            ("0:root", (0, 0)),
            ("7:", (7, 7)),
            ("7:root", (7, 0)),
            ("7:8", (7, 8)),
        ] {
            assert_eq!(of(text), Some(owner), "{text}");
        }
        for text in ["web", "web:0", "0:staff", "root:staff", "4294967295"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
