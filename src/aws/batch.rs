//! Deletion in batches.

use super::error::{Call, Error};

/// How many images one call may name.
///
/// Source: BatchGetImage and BatchDeleteImage, Amazon ECR and Amazon ECR Public API references.
pub(super) const AT_ONCE: usize = 100;

/// Deletion a hundred at a time; what something still refers to is tried once more when the rest is gone.
pub(super) struct Batches<I> {
    pending: Vec<I>,
    referenced: Vec<I>,
    last_round: bool,
    gone: usize,
}

impl<I> Batches<I> {
    pub(super) fn new(all: Vec<I>) -> Self {
        Self { pending: all, referenced: Vec::new(), last_round: false, gone: 0 }
    }

    /// What to delete with the next call; nothing if that is all.
    pub(super) fn next(&mut self) -> Option<Vec<I>> {
        if self.pending.is_empty() && !self.last_round {
            self.last_round = true;
            self.pending = std::mem::take(&mut self.referenced);
        }
        let size = self.pending.len().min(AT_ONCE);
        (size > 0).then(|| self.pending.drain(..size).collect())
    }

    /// A call deleted so many, and left what something refers to.
    pub(super) fn done(&mut self, deleted: usize, referenced: Vec<I>) {
        self.gone += deleted;
        self.referenced.extend(referenced);
    }

    /// How many were there.
    ///
    /// # Errors
    /// Something still refers to one of them: then `call` is what was refused.
    pub(super) fn finish(self, call: Call) -> Result<usize, Error> {
        match self.referenced.len() {
            0 => Ok(self.gone),
            left => Err(Error::Refused {
                call,
                code: "ImageReferencedByManifestList".to_owned(),
                said: format!("{left} of them belong to an index that stays"),
                request: "answered in part".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deletes all, where 0 is part of the index 249; the sizes of the calls.
    fn run(all: Vec<u32>, index_goes: bool) -> (Vec<usize>, Result<usize, Error>) {
        let (mut batches, mut sizes, mut index) = (Batches::new(all), Vec::new(), true);
        while let Some(ids) = batches.next() {
            sizes.push(ids.len());
            let (kept, gone): (Vec<u32>, Vec<u32>) = ids.into_iter().partition(|id| *id == 0 && index);
            index &= !(index_goes && gone.contains(&249));
            batches.done(gone.len(), kept);
        }
        (sizes, batches.finish(Call::new("ecr:BatchDeleteImage", "us-east-1")))
    }

    #[test]
    fn what_an_index_refers_to_goes_after_it() {
        assert_eq!(run((0..250).collect(), true), (vec![100, 100, 50, 1], Ok(250)));
        assert_eq!(run(Vec::new(), true), (Vec::new(), Ok(0)));
        let (sizes, refused) = run(vec![0, 1], false);
        assert_eq!(sizes, [2, 1]);
        assert!(refused.unwrap_err().is("ImageReferencedByManifestList"));
    }
}
