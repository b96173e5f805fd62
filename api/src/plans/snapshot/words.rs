//! Sets of words such as cuisines, compared without looking at the letters.

use std::collections::HashMap;

/// Words numbered so far: below this they are bits, above it numbers in a list.
const BITS: usize = 256;
/// No vocabulary has as many words: stands for one that it does not have.
const UNKNOWN: usize = usize::MAX;

/// All words of a catalogue, numbered.
#[derive(Debug, Default)]
pub(in crate::plans) struct Vocabulary(HashMap<String, usize>);

impl Vocabulary {
    /// The set of these words, which the vocabulary learns. They are normalised already.
    pub(in crate::plans) fn learn(&mut self, words: &[String]) -> WordSet {
        for word in words {
            let next = self.0.len();
            self.0.entry(word.clone()).or_insert(next);
        }
        self.set(words)
    }

    /// The set of these words; those that the vocabulary does not have are in no other set.
    pub(in crate::plans) fn set(&self, words: &[String]) -> WordSet {
        let mut set = WordSet::default();
        for word in words {
            let number = self.0.get(word).copied().unwrap_or(UNKNOWN);
            match set.bits.get_mut(number / (BITS / 4)) {
                Some(bits) => *bits |= 1 << (number % (BITS / 4)),
                None => set.others.push(number),
            }
        }
        set
    }
}

/// Some words of one vocabulary.
#[derive(Debug, Clone, Default)]
pub(in crate::plans) struct WordSet {
    bits: [u64; 4],
    others: Vec<usize>,
}

impl WordSet {
    pub(in crate::plans) fn is_empty(&self) -> bool {
        self.bits == [0; 4] && self.others.is_empty()
    }

    /// Whether all words of `wanted` are here.
    pub(in crate::plans) fn has_all(&self, wanted: &Self) -> bool {
        let missing = (0..4).any(|number| wanted.bits[number] & !self.bits[number] != 0);
        !missing && wanted.others.iter().all(|number| self.has(*number))
    }

    /// How many words of `wanted` are here.
    pub(in crate::plans) fn matches(&self, wanted: &Self) -> usize {
        let bits = (0..4).map(|number| wanted.bits[number] & self.bits[number]);
        let common: u32 = bits.map(u64::count_ones).sum();
        common as usize
            + wanted
                .others
                .iter()
                .filter(|number| self.has(**number))
                .count()
    }

    fn has(&self, number: usize) -> bool {
        number != UNKNOWN && self.others.contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_vocabulary_is_as_exact_as_a_small_one() {
        let words: Vec<_> = (0..600).map(|number| format!("word_{number}")).collect();
        let mut vocabulary = Vocabulary::default();
        for word in &words {
            vocabulary.learn(std::slice::from_ref(word));
        }
        let even: Vec<_> = words.iter().step_by(2).cloned().collect();
        let every_third: Vec<_> = words.iter().step_by(3).cloned().collect();
        let unknown = vocabulary.set(&["nobody_offers_this".to_owned()]);
        let (even, every_third) = (vocabulary.set(&even), vocabulary.set(&every_third));
        assert_eq!(even.matches(&every_third), 100);
        assert!(!even.has_all(&every_third));
        assert!(vocabulary.set(&words).has_all(&every_third));
        assert!(!even.has_all(&unknown) && !unknown.has_all(&unknown));
        assert!(WordSet::default().is_empty() && !unknown.is_empty());
    }
}
