//! Who moved the tags that a plan would move.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ask::{AT_ONCE, ObserveError, Observer, cannot};
use crate::digest::Digest;
use crate::name::ImageName;
use crate::plan::{AskMover, Moved, carried};
use crate::project::Order;
use crate::registry::{MoveNote, Repository};
use crate::workspace::History;

impl Observer<'_> {
    /// Who moved the tags of `asked`, and what that says of moving them on. An image that is asked about in several
    /// destinations is asked for in the first: runs move its tags alike, and each is read again just before it moves.
    /// With `deepens`, git is asked for more history where times say too little.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn movers(
        &self,
        asked: &[AskMover],
        history: &History,
        deepens: bool,
    ) -> Result<BTreeMap<(ImageName, usize, String), Moved>, ObserveError> {
        let mut missing: BTreeMap<(&ImageName, Digest), usize> = BTreeMap::new();
        {
            let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            for question in
                asked.iter().filter(|question| !notes.contains_key(&(question.image.clone(), question.digest)))
            {
                missing.entry((&question.image, question.digest)).or_insert(question.index);
            }
        }
        let found: Vec<_> = stream::iter(missing.into_iter().map(|((image, digest), index)| async move {
            let Some(repository) = self.open(image, index) else { return Ok(None) };
            let attached = repository.attached(digest).await.map_err(|error| cannot(image, &repository, error))?;
            Ok::<_, ObserveError>(Some(((image.clone(), digest), attached.moves)))
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.extend(found.into_iter().flatten());
        let mut movers = BTreeMap::new();
        for AskMover { image, index, tag, digest, order } in asked {
            let known = notes.get(&(image.clone(), *digest)).map(Vec::as_slice).unwrap_or_default();
            let Some(repository) = self.open(image, *index) else { continue };
            let moved = moved(known, tag, history, &repository, order, deepens);
            movers.insert((image.clone(), *index, tag.clone()), moved);
        }
        Ok(movers)
    }
}

/// What `notes` beside an image in `repository` say of moving a tag away from it.
pub(super) fn moved(
    notes: &[MoveNote],
    tag: &str,
    history: &History,
    repository: &Repository,
    order: &Order,
    deepens: bool,
) -> Moved {
    let claims = MoveNote::claims(notes, tag);
    if claims.is_empty() {
        return Moved::default();
    }
    let here = history.here(repository.now());
    let standing = history.judge(&claims, repository.now(), order, deepens);
    Moved { standing, over: carried(&claims, &here, order) }
}
