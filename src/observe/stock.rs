//! What a repository holds: as far as its tags lead to it, and all of it where the registry lists that.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::digest::Digest;
use crate::fingerprint::Document;
use crate::oci::{Contents, RawManifest};
use crate::registry::{Attached, By, Error, Held, Repository};
use crate::storage::{Blob, Item, ItemKind, Stock, TagKind, tag_kind};

/// How many questions are asked at once. A host bounds its own.
const AT_ONCE: usize = 16;

/// Everything that the tags of a repository lead to: images, indexes, their children, and what is attached to them.
///
/// # Errors
/// If the registry refuses or cannot be reached.
pub async fn stock_of(repository: &Repository) -> Result<Stock, Error> {
    let held = repository.inventory().await?;
    let mut stock = Stock { tags: tags(repository, held.as_deref()).await?, ..Stock::default() };
    let pushed: BTreeMap<Digest, Option<i64>> =
        held.into_iter().flatten().map(|held| (held.digest, held.pushed)).collect();
    let belongs: BTreeMap<Digest, Digest> = stock
        .tags
        .iter()
        .filter_map(|(tag, digest)| match tag_kind(tag) {
            TagKind::Belongs(to) => Some((*digest, to)),
            _ => None,
        })
        .collect();
    let mut known: BTreeSet<Digest> = BTreeSet::new();
    let mut queue: Vec<Digest> = stock.tags.values().chain(pushed.keys()).copied().collect();
    while !queue.is_empty() {
        queue.retain(|digest| known.insert(*digest));
        let read = stream::iter(std::mem::take(&mut queue))
            .map(|digest| read(repository, digest, belongs.get(&digest).copied()));
        let read: Vec<Option<Read>> = read.buffer_unordered(AT_ONCE).try_collect().await?;
        for Read { digest, mut item, leads } in read.into_iter().flatten() {
            item.published = item.published.or_else(|| pushed.get(&digest).copied().flatten());
            stock.items.insert(digest, item);
            queue.extend(leads);
        }
    }
    Ok(stock)
}

/// Where the tags point: asked one by one, unless all that lies there is known.
async fn tags(repository: &Repository, held: Option<&[Held]>) -> Result<BTreeMap<String, Digest>, Error> {
    if let Some(held) = held {
        return Ok(held.iter().flat_map(|held| held.tags.iter().map(|tag| (tag.clone(), held.digest))).collect());
    }
    let tags = repository.tags().await?;
    let found = stream::iter(tags.into_iter().map(|tag| async move {
        let found = repository.head_manifest(By::Tag(&tag)).await?;
        Ok::<_, Error>(found.map(|found| (tag, found.digest)))
    }));
    let found: Vec<_> = found.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

struct Read {
    digest: Digest,
    item: Item,
    /// Children and what is attached.
    leads: Vec<Digest>,
}

/// One manifest; `None` if it is not there, or is none that can be read.
async fn read(repository: &Repository, digest: Digest, belongs: Option<Digest>) -> Result<Option<Read>, Error> {
    let raw = match repository.get_manifest(By::Digest(digest)).await {
        Ok(Some(raw)) => raw,
        Ok(None) | Err(Error::NotAManifest { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some((mut item, mut leads)) = item_of(&raw, belongs) else { return Ok(None) };
    if !matches!(item.kind, ItemKind::Attached { .. }) {
        let referrers = repository.all_referrers(digest).await?;
        leads.extend(referrers.iter().map(|entry| entry.digest));
        let record = repository.first_sound(digest, &Attached::of(referrers)).await?;
        if let Some(document) = record.and_then(|bytes| Document::from_bytes(&bytes)) {
            item.published = document.published;
            item.image = Some(document.image);
        }
    }
    Ok(Some(Read { digest, item, leads }))
}

fn item_of(raw: &RawManifest, belongs: Option<Digest>) -> Option<(Item, Vec<Digest>)> {
    let attached = |to: Option<Digest>| to.map(|to| ItemKind::Attached { to });
    let (kind, blobs, leads) = match raw.contents().ok()? {
        Contents::Index(index) => {
            let children: Vec<Digest> = index.manifests.iter().map(|child| child.digest).collect();
            (attached(belongs).unwrap_or_else(|| ItemKind::Index(children.clone())), Vec::new(), children)
        }
        Contents::Manifest(manifest) => {
            let blobs = [&manifest.config].into_iter().chain(&manifest.layers);
            let blobs = blobs.map(|blob| Blob { digest: blob.digest, size: blob.size }).collect();
            let to = manifest.subject.as_ref().map(|subject| subject.digest).or(belongs);
            (attached(to).unwrap_or(ItemKind::Image), blobs, Vec::new())
        }
    };
    let item = Item { kind, bytes: raw.bytes().len() as u64, blobs, published: None, image: None };
    Some((item, leads))
}
