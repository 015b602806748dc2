//! The names below a folder, without their contents: what selection by COPY sources and globs works on.

use crate::path::RelPath;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link and its target's bytes.
    Link(Box<[u8]>),
}

/// One name in a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it stands.
    pub path: RelPath,
    /// What it is.
    pub kind: NodeKind,
}

/// Names below a folder (itself not among them), sorted bytewise by path. All that lies below a folder is contiguous.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(Vec<Node>);

impl Tree {
    /// Sorts the nodes.
    pub fn new(mut nodes: Vec<Node>) -> Self {
        nodes.sort_by(|a, b| a.path.cmp(&b.path));
        Self(nodes)
    }

    /// All nodes, sorted by path.
    pub fn nodes(&self) -> &[Node] {
        &self.0
    }

    /// The index of the node at `path`.
    pub fn find(&self, path: &RelPath) -> Option<usize> {
        self.find_bytes(path.as_bytes())
    }

    /// The index of the node whose path has these bytes.
    pub fn find_bytes(&self, path: &[u8]) -> Option<usize> {
        self.0.binary_search_by(|node| node.path.as_bytes().cmp(path)).ok()
    }

    /// The indices of all that lies strictly below `folder`.
    pub fn below(&self, folder: &RelPath) -> std::ops::Range<usize> {
        if folder.is_root() {
            return 0..self.0.len();
        }
        let mut prefix = folder.as_bytes().to_vec();
        prefix.push(b'/');
        let start = self.0.partition_point(|node| node.path.as_bytes() < prefix.as_slice());
        let length = self.0[start..].partition_point(|node| node.path.as_bytes().starts_with(&prefix));
        start..start + length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_contiguous_among_look_alikes() {
        let paths = ["a", "a-b", "a/x", "a/x/y", "a.b", "ab", "b"];
        let node = |path: &&str| Node { path: RelPath::new(path.as_bytes()).unwrap(), kind: NodeKind::File };
        let tree = Tree::new(paths.iter().map(node).collect());
        let range = tree.below(&RelPath::new(b"a").unwrap());
        let below: Vec<_> = tree.nodes()[range].iter().map(|node| node.path.to_string()).collect();
        assert_eq!(below, ["a/x", "a/x/y"]);
    }
}
