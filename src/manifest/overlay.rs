//! Merging as RFC 7386 (JSON Merge Patch) says: maps merge by key, null deletes, everything else replaces.

use super::node::{Kind, Node};

/// `base` with `patch` laid over it. Keys keep the order of `base`, new ones follow.
pub(crate) fn merge(mut base: Node, patch: &Node) -> Node {
    let Kind::Mapping(changes) = &patch.kind else { return patch.clone() };
    if base.mapping().is_none() {
        base = Node::empty(patch.location.clone());
    }
    let Kind::Mapping(result) = &mut base.kind else { return base };
    for (key, change) in changes.iter() {
        if change.kind == Kind::Null {
            result.remove(&key.text);
            continue;
        }
        let before = result.get(&key.text).cloned().unwrap_or_else(|| Node::empty(change.location.clone()));
        result.set(key.clone(), merge(before, change));
    }
    base
}
