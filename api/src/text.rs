//! Comparing text as people do: without regard to case, accents or spacing.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use validator::ValidationError;

/// The key under which two spellings of one name meet: `São  Paulo`, `sao paulo` → `sao paulo`.
pub fn fold(text: &str) -> String {
    let plain: String = text.nfkd().filter(|c| !is_combining_mark(*c)).collect();
    plain
        .to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Validates that a text has something to read.
pub fn not_blank(text: &str) -> Result<(), ValidationError> {
    if !text.is_empty() && text.trim().is_empty() {
        return Err(ValidationError::new("blank").with_message("must not be blank".into()));
    }
    Ok(())
}

/// A list of words such as cuisines: lower case, trimmed, sorted, each once.
pub fn word_list(words: &[String]) -> Vec<String> {
    let mut words: Vec<String> = words
        .iter()
        .map(|word| word.trim().to_lowercase().replace([' ', '-'], "_"))
        .filter(|word| !word.is_empty())
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_city_meet() {
        assert_eq!(fold(" São  Paulo"), fold("sao paulo"));
        assert_eq!(fold("MÜNCHEN"), "munchen");
        assert_eq!(fold("Tōkyō"), "tokyo");
    }

    #[test]
    fn a_word_list_holds_each_word_once() {
        let words = ["Gluten free", "vegan", "gluten-free", " "].map(String::from);
        assert_eq!(word_list(&words), ["gluten_free", "vegan"]);
    }
}
