//! Which entries a request of BuildKit is about.
//!
//! BuildKit names the paths that the Dockerfile copies from (`followpaths`, `include-patterns`). An entry outside them is
//! not sent; one too many does no harm, because a COPY picks its sources again from what was sent. So wildcards are not
//! matched here: the folder before the first one is sent whole, and what the links in it lead to, because a wildcard that matches a
//! link takes what it leads to. `exclude-patterns` are not looked at, because the ignore
//! file was applied when the snapshot was taken, and applying it again would hide what an assembled context shows on purpose.

use super::folder::{Content, Folder};

/// How many links one path may lead through; Linux stops at 40.
const LINKS: usize = 40;

/// The indices of the entries to send, in order; all of them if no path is named.
pub(super) fn selected(folder: &Folder, paths: &[Vec<u8>]) -> Vec<usize> {
    let count = folder.entries().len();
    let mut roots = Vec::new();
    let all = paths.is_empty() || paths.iter().any(|path| !follow(folder, path, LINKS, &mut roots));
    if all {
        return (0..count).collect();
    }
    let mut wanted = vec![false; count];
    for root in roots {
        wanted[folder.at_and_below(&root)].fill(true);
        for (at, _) in root.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if let Some(parent) = folder.find(&root[..at]) {
                wanted[parent] = true;
            }
        }
    }
    (0..count).filter(|index| wanted[*index]).collect()
}

/// Adds to `roots` what `path` leads to, and every link on the way. False if that is the whole folder.
fn follow(folder: &Folder, path: &[u8], links: usize, roots: &mut Vec<Vec<u8>>) -> bool {
    match walk(folder, path, links, roots) {
        Reached::All => false,
        Reached::Some => true,
        Reached::Wild(head) => {
            let below = &folder.entries()[folder.at_and_below(&head)];
            let links = below.iter().filter(|entry| matches!(entry.content, Content::Link(_)));
            // Where such a link leads to a name with a wildcard in it, the folder before that is enough.
            !links.into_iter().any(|link| matches!(walk(folder, link.path.as_bytes(), LINKS, roots), Reached::All))
        }
    }
}

/// Where a path ends.
enum Reached {
    /// At the folder itself.
    All,
    /// At something in it, or nowhere.
    Some,
    /// At a wildcard below this.
    Wild(Vec<u8>),
}

fn walk(folder: &Folder, path: &[u8], links: usize, roots: &mut Vec<Vec<u8>>) -> Reached {
    let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    let mut reached: Vec<u8> = Vec::new();
    while let Some(part) = parts.next() {
        if part == b".." {
            reached.truncate(reached.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
            continue;
        }
        if part.iter().any(|byte| b"*?[\\!".contains(byte)) {
            if reached.is_empty() {
                return Reached::All;
            }
            roots.push(reached.clone());
            return Reached::Wild(reached);
        }
        let above = reached.len();
        if above > 0 {
            reached.push(b'/');
        }
        reached.extend_from_slice(part);
        match folder.find(&reached).map(|index| &folder.entries()[index].content) {
            Some(Content::Link(target)) => {
                roots.push(reached.clone());
                if links == 0 {
                    return Reached::Some;
                }
                let mut next = if target.starts_with(b"/") { Vec::new() } else { reached[..above].to_vec() };
                for part in std::iter::once(target.as_slice()).chain(parts) {
                    next.push(b'/');
                    next.extend_from_slice(part);
                }
                return walk(folder, &next, links - 1, roots);
            }
            Some(_) => {}
            None => return Reached::Some,
        }
    }
    if reached.is_empty() {
        return Reached::All;
    }
    roots.push(reached);
    Reached::Some
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fingerprint::{FileEntry, FileKind, FileSet};
    use crate::path::RelPath;
    use crate::workspace::{Origin, Snapshot};

    fn select(paths: &[&str]) -> Vec<String> {
        let link = |target: &str| FileKind::Link { target: target.to_owned() };
        let entry = |(path, kind): (&str, FileKind)| FileEntry {
            path: RelPath::new(path.as_bytes()).unwrap(),
            kind,
            mode: 0o755,
        };
        let entries = [
            ("a/b/c", FileKind::Folder),
            ("a/b/d", FileKind::Folder),
            ("a-b", FileKind::Folder),
            ("link", link("a/b")),
            ("loop", link("loop")),
            ("up", link("../../a-b")),
            ("deep/rooted", link("/a/b")),
            ("z", FileKind::Folder),
        ];
        let files = FileSet::new(entries.into_iter().map(entry).collect());
        let folder = Folder::of_snapshot(Snapshot::new(Arc::new(files), Arc::new(Origin::Folder("/nowhere".into()))));
        let paths: Vec<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
        selected(&folder, &paths).into_iter().map(|index| folder.entries()[index].path.to_string()).collect()
    }

    #[test]
    fn no_path_and_the_root_mean_everything() {
        let all = select(&[]);
        assert_eq!(all.len(), 11);
        for root in [".", "/", "*", "a/../", "z/../*.go"] {
            assert_eq!(select(&["z", root]), all, "{root}");
        }
    }

    #[test]
    fn a_path_brings_its_parents_and_what_lies_below() {
        assert_eq!(select(&["a/b/c"]), ["a", "a/b", "a/b/c"]);
        assert_eq!(select(&["a", "z"]), ["a", "a/b", "a/b/c", "a/b/d", "z"]);
        assert_eq!(select(&["a/b/*.go"]), ["a", "a/b", "a/b/c", "a/b/d"]);
        assert_eq!(select(&["missing"]), [""; 0]);
    }

    #[test]
    fn links_are_followed_inside_the_folder() {
        assert_eq!(select(&["link/c"]), ["a", "a/b", "a/b/c", "link"]);
        assert_eq!(select(&["deep/rooted/d"]), ["a", "a/b", "a/b/d", "deep", "deep/rooted"]);
        assert_eq!(select(&["up"]), ["a-b", "up"]);
        assert_eq!(select(&["loop"]), ["loop"]);
        // A wildcard may match the link.
        assert_eq!(select(&["deep/r*"]), ["a", "a/b", "a/b/c", "a/b/d", "deep", "deep/rooted"]);
    }
}
