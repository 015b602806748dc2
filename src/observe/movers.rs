//! Who moved the tags that a plan would move.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ask::{AT_ONCE, ObserveError, Observer, cannot};
use crate::digest::Digest;
use crate::name::ImageName;
use crate::plan::{AskMover, Mover, Standing};
use crate::registry::MoveNote;
use crate::workspace::{Age, History};

impl Observer<'_> {
    /// The tags of `asked` whose last mover does not come before the commit that is checked out. An image that is asked about in several
    /// destinations is asked for in the first: runs move its tags alike, and each is read again just before it moves.
    ///
    /// # Errors
    /// The first registry that cannot be asked.
    pub async fn movers(
        &self,
        asked: &[AskMover],
        history: &History,
    ) -> Result<BTreeMap<(ImageName, usize, String), Standing>, ObserveError> {
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
        for AskMover { image, index, tag, digest } in asked {
            let known = notes.get(&(image.clone(), *digest)).map(Vec::as_slice).unwrap_or_default();
            if let Some(standing) = standing(known, tag, history) {
                movers.insert((image.clone(), *index, tag.clone()), standing);
            }
        }
        Ok(movers)
    }
}

/// Why a tag may not be moved away from where `notes` say that it was moved to; `None` if all of them come before this commit.
pub(super) fn standing(notes: &[MoveNote], tag: &str, history: &History) -> Option<Standing> {
    let mut unknown = None;
    for note in notes.iter().filter(|note| note.tags.iter().any(|other| other == tag)) {
        let mover = Mover { commit: note.commit.clone(), time: note.time };
        match history.age_of(&note.commit) {
            Age::Before => {}
            Age::After => return Some(Standing::Newer(mover)),
            Age::Unknown => unknown = Some(Standing::Unknown(mover)),
        }
    }
    unknown
}
