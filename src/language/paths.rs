//! Paths as manifests write them.

use crate::path::RelPath;

/// `folder` and a path from there, which may hold `.` and `..`; `None` if it leads out of the context.
pub(super) fn join(folder: &RelPath, written: &str) -> Option<RelPath> {
    if written.starts_with('/') {
        return None;
    }
    let mut path = folder.clone();
    for name in written.split('/').filter(|name| !name.is_empty() && *name != ".") {
        path = if name == ".." { path.parent()? } else { path.join(name.as_bytes()) };
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_context() {
        let folder = RelPath::new(b"a/b").unwrap();
        for (written, want) in
            [("../c", Some("a/c")), ("./c//d/", Some("a/b/c/d")), ("../..", Some("")), ("", Some("a/b"))]
        {
            assert_eq!(join(&folder, written).map(|path| path.to_string()).as_deref(), want, "{written}");
        }
        assert_eq!(join(&folder, "../../../c"), None);
        assert_eq!(join(&folder, "/c"), None);
    }
}
