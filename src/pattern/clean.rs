//! Go's `filepath.Clean` on bytes.

use crate::path::RelPath;

/// The shortest equal path: no empty and no `.` parts, `..` taken away with the part before it; `.` for nothing.
///
/// Source: Go's documentation of `path/filepath`, `Clean`.
pub fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// The place that `path` names when nothing can leave the root: `/a`, `../a` and `b/../a` are all `a`.
///
/// `None` if the path holds a NUL byte, which no name has.
pub fn inside(path: &[u8]) -> Option<RelPath> {
    let rooted = [b"/", path].concat();
    RelPath::new(&clean(&rooted)[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_does() {
        for (path, want) in [
            ("", "."),
            (".", "."),
            ("./", "."),
            ("a//b/", "a/b"),
            ("a/../..", ".."),
            ("../a/./b", "../a/b"),
            ("/..", "/"),
            ("/../a", "/a"),
            ("/", "/"),
            ("../../x", "../../x"),
            ("a/b/../../c", "c"),
        ] {
            assert_eq!(clean(path.as_bytes()), want.as_bytes(), "{path}");
        }
        for (path, want) in [("/a", "a"), ("../a", "a"), (".", ""), ("", ""), ("a/./b/", "a/b"), ("x/../../a", "a")] {
            assert_eq!(inside(path.as_bytes()).unwrap().as_bytes(), want.as_bytes(), "{path}");
        }
        assert!(inside(b"a\0").is_none());
    }
}
