//! Words that nobody has ever written. A name learnt by heart teaches nothing about the next one;
//! a name that was never there before can only be taken up from the question.

use crate::learn::random::Draws;

/// The slot such a word fills.
pub const SLOT: &str = "coined";

const ONSETS: [&str; 34] = [
    "b", "bl", "br", "c", "ch", "cl", "cr", "d", "dr", "f", "fl", "g", "gl", "gr", "h", "j", "k",
    "l", "m", "n", "p", "pl", "pr", "qu", "r", "s", "sh", "st", "t", "th", "tr", "v", "w", "z",
];
const VOWELS: [&str; 14] =
    ["a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "oo", "ou", "y"];
/// Without those that make the coarse words of English.
const CODAS: [&str; 16] =
    ["", "", "", "", "", "l", "n", "r", "s", "m", "x", "nd", "rt", "ng", "ll", "st"];
const ENDS: [&str; 16] = [
    "", "", "", "ia", "um", "is", "on", "a", "er", "ine", "ol", "ith", "osis", "ette", "ado", "im",
];

/// Two or three syllables and perhaps an ending; half of them with a capital.
pub fn word(draws: &mut Draws) -> String {
    let mut word = String::new();
    for _ in 0..2 + draws.below(2) {
        for parts in [&ONSETS[..], &VOWELS, &CODAS] {
            word.push_str(draws.pick(parts).copied().unwrap_or_default());
        }
    }
    word.push_str(draws.pick(&ENDS).copied().unwrap_or_default());
    if draws.chance(0.5) {
        word[..1].make_ascii_uppercase();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hardly_ever_come_twice() {
        let mut draws = Draws::new(1, 1);
        let words: std::collections::HashSet<String> =
            (0..5000).map(|_| word(&mut draws)).collect();
        assert!(words.len() > 4950, "{}", words.len());
        assert!(words.iter().all(|word| word.len() >= 3 && word.is_ascii()));
    }
}
