//! Ways to write several words as one.

/// The words of a text: split where it is neither letter nor digit, and where a lower-case letter meets an upper-case one.
fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut words = vec![String::new()];
    for (at, c) in characters.iter().enumerate() {
        if !c.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = at.checked_sub(1).map(|i| characters[i]);
        let after = characters.get(at + 1);
        let hump = before.is_some_and(|b| b.is_lowercase() || b.is_numeric()) && c.is_uppercase();
        let end_of_capitals =
            before.is_some_and(char::is_uppercase) && c.is_uppercase() && after.is_some_and(|a| a.is_lowercase());
        if hump || end_of_capitals {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(*c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters.flat_map(char::to_lowercase)).collect())
}

/// `media-lambda` to `MediaLambda`.
pub(super) fn pascal(text: &str) -> String {
    words(text).iter().map(|word| capitalized(word)).collect()
}

/// `media-lambda` to `mediaLambda`.
pub(super) fn camel(text: &str) -> String {
    let words = words(text);
    words.iter().enumerate().map(|(at, word)| if at == 0 { word.to_lowercase() } else { capitalized(word) }).collect()
}

/// `MediaLambda` to `media-lambda`, with another separator to `media_lambda`.
pub(super) fn joined(text: &str, separator: &str) -> String {
    words(text).iter().map(|word| word.to_lowercase()).collect::<Vec<_>>().join(separator)
}

/// Lower case with every run of characters that a tag may not hold as one dash: `feature/X_1` to `feature-x_1`.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_however_they_are_written() {
        for text in ["media-lambda", "media_lambda", "mediaLambda", "MediaLambda", "media lambda", "media/lambda"] {
            assert_eq!(pascal(text), "MediaLambda", "{text}");
            assert_eq!(camel(text), "mediaLambda", "{text}");
            assert_eq!(joined(text, "-"), "media-lambda", "{text}");
        }
        assert_eq!(joined("HTTPServer2Go", "_"), "http_server2_go");
        assert_eq!(slug("Feature/ABC  1_x."), "feature-abc-1_x");
    }
}
