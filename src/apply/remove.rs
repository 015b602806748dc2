//! Does what `prune` decided. The only module that deletes.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::registry::{By, Error, Repository};
use crate::storage::{Pruning, Removed, Stock, Why};

/// Deletes what goes, images before what is attached to them and indexes before their children, and takes old tags from what stays.
/// `moving` are the tags that something may move while this runs.
///
/// # Errors
/// If the registry refuses or cannot be reached; what is gone by then is gone.
pub async fn remove(
    repository: &Repository,
    stock: &Stock,
    pruning: &Pruning,
    moving: &BTreeSet<String>,
) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    let rank = |why: &Why| match why {
        Why::OldCommits | Why::Untagged => 0,
        Why::PartOf(_) => 1,
        Why::BelongsTo(_) => 2,
    };
    let mut going: Vec<(Digest, &Why)> = pruning.going().map(|(digest, why)| (*digest, why)).collect();
    going.sort_by_key(|(digest, why)| (rank(why), *digest));
    // Between two of these the moving tags are looked at again.
    for batch in going.chunks(repository.delete_at_once()) {
        let standing = standing(repository, moving).await?;
        let mut doomed = Vec::new();
        for (digest, why) in batch {
            let depends = match why {
                Why::PartOf(on) | Why::BelongsTo(on) => removed.spared.contains(on),
                Why::OldCommits | Why::Untagged => false,
            };
            if depends || standing.contains(digest) {
                removed.spared.insert(*digest);
                continue;
            }
            doomed.push(*digest);
        }
        // What is gone already was deleted with its subject, or by another run.
        removed.deleted += repository.delete_manifests(&doomed).await?;
    }
    for tag in pruning.untagged() {
        match untag(repository, stock, tag).await? {
            None => removed.untagged += 1,
            Some(why) => {
                removed.cannot_untag = Some(why);
                break;
            }
        }
    }
    Ok(removed)
}

/// What the moving tags stand on now.
async fn standing(repository: &Repository, moving: &BTreeSet<String>) -> Result<BTreeSet<Digest>, Error> {
    let mut found = BTreeSet::new();
    for tag in moving {
        found.extend(repository.head_manifest(By::Tag(tag)).await?.map(|found| found.digest));
    }
    Ok(found)
}

/// Takes a tag away; gives the reason if the registry cannot do that. Some delete the whole image then: it is put back.
async fn untag(repository: &Repository, stock: &Stock, tag: &str) -> Result<Option<String>, Error> {
    let Some(digest) = stock.tags.get(tag) else { return Ok(None) };
    let Some(raw) = repository.get_manifest(By::Tag(tag)).await? else { return Ok(None) };
    if raw.digest() != *digest {
        return Ok(None);
    }
    match repository.delete_manifest(By::Tag(tag)).await {
        Ok(_) => {}
        Err(Error::Refused { answer, .. }) => {
            return Ok(Some(format!(
                "this registry cannot take a tag away from an image that stays (it answered {answer})"
            )));
        }
        Err(error) => return Err(error),
    }
    if repository.head_manifest(By::Digest(*digest)).await?.is_some() {
        let gone = repository.head_manifest(By::Tag(tag)).await?.is_none();
        return Ok((!gone).then(|| "the tag is still there".to_owned()));
    }
    for tag in stock.tags.iter().filter(|(other, at)| *at == digest && *other != tag).map(|(tag, _)| tag) {
        repository.put_manifest(By::Tag(tag), &raw).await?;
    }
    Ok(Some("the registry deletes the whole image with one of its tags; it was put back".to_owned()))
}
