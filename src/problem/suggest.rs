//! "Did you mean ...?"

/// The candidate nearest to `word`, as a sentence, if one is near enough to have been meant.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (word.chars().count().max(candidate.chars().count()) / 3).max(1))
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn only_near_words_are_offered() {
        assert_eq!(did_you_mean("ligth", ["heavy", "light"]).unwrap(), "did you mean `light`?");
        assert_eq!(did_you_mean("zebra", ["heavy", "light"]), None);
    }
}
