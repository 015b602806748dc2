//! What lies in a repository: what of it may go, and what it weighs. Pure: a [`Stock`] in, a decision or a sum out.

#[cfg(test)]
mod properties;
mod prune;
mod sizes;
mod stock;

pub use prune::{Pattern, Pruning, Removed, Rules, Stays, Verdict, Why, prune};
pub use sizes::{ImageSize, Price, Sizes, sizes};
pub use stock::{Blob, Item, ItemKind, Stock, TagKind, tag_kind};
