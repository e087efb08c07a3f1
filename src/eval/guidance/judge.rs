//! The judge: a naive Bayes classifier over words, fitted to texts of two kinds. Texts of a topic
//! are judged by what all the other topics say, so that it has never seen what a model may recite.

use std::collections::{BTreeSet, HashMap};

/// A text of a known kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    pub topic: String,
    pub text: String,
    /// Of the kind that replies are steered towards.
    pub wanted: bool,
}

/// How many texts there are of each kind, and in how many of them a word stands.
#[derive(Debug, Clone, Default)]
struct Counts {
    texts: [f64; 2],
    words: HashMap<String, [f64; 2]>,
}

/// The classifier.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    all: Counts,
    by_topic: HashMap<String, Counts>,
}

impl Counts {
    fn take(&mut self, text: &str, wanted: bool) {
        let kind = usize::from(wanted);
        self.texts[kind] += 1.0;
        for word in words(text) {
            self.words.entry(word).or_default()[kind] += 1.0;
        }
    }
}

impl Judge {
    /// Counts words of texts.
    pub fn fit(texts: &[Labelled]) -> Self {
        let mut judge = Self::default();
        for one in texts {
            judge.all.take(&one.text, one.wanted);
            judge.by_topic.entry(one.topic.clone()).or_default().take(&one.text, one.wanted);
        }
        judge
    }

    /// The log-odds, in nats, that a text on this topic is of the wanted kind, were both kinds as
    /// common: the sum over its different words. Counts are brought to kinds of equal size and half
    /// a text is added to each, so that a word nobody has said counts nothing.
    pub fn log_odds(&self, text: &str, topic: &str) -> f64 {
        let own = self.by_topic.get(topic);
        let texts =
            [0, 1].map(|kind| self.all.texts[kind] - own.map_or(0.0, |own| own.texts[kind]));
        let even = f64::midpoint(texts[0], texts[1]);
        let count = |word: &str, kind: usize| {
            let of = |counts: &Counts| counts.words.get(word).map_or(0.0, |count| count[kind]);
            let count = of(&self.all) - own.map_or(0.0, of);
            if texts[kind] > 0.0 { count * even / texts[kind] } else { 0.0 }
        };
        let odds = |word: &String| ((count(word, 1) + 0.5) / (count(word, 0) + 0.5)).ln();
        words(text).iter().map(odds).sum()
    }

    /// Of all pairs of a wanted and an unwanted text the share it puts in order, each text judged by
    /// what the other topics say; ties count half.
    pub fn order(&self, texts: &[Labelled]) -> f64 {
        let judged = |wanted: bool| -> Vec<f64> {
            let some = texts.iter().filter(|one| one.wanted == wanted);
            some.map(|one| self.log_odds(&one.text, &one.topic)).collect()
        };
        let (wanted, unwanted) = (judged(true), judged(false));
        let below = |value: &f64| -> f64 {
            let rank = |other: &f64| 0.5 * f64::from((value - other).signum() as i8 + 1);
            unwanted.iter().map(|other| if value == other { 0.5 } else { rank(other) }).sum()
        };
        wanted.iter().map(below).sum::<f64>() / (wanted.len() * unwanted.len()).max(1) as f64
    }
}

/// The different words of a text: letters, digits and apostrophes, in lower case.
pub fn words(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '\'';
    let parts = text.split(|c| !is_part(c)).map(str::to_lowercase);
    parts.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(topic: &str, text: &str, wanted: bool) -> Labelled {
        Labelled { topic: topic.into(), text: text.into(), wanted }
    }

    #[test]
    fn a_topic_is_judged_by_the_others() {
        let texts = [
            text("a", "A fine film, warm and kind.", true),
            text("a", "A zebra film.", false),
            text("b", "Warm, and fine acting.", true),
            text("b", "Dull and cold.", false),
            text("c", "Warm at last.", true),
            text("c", "Cold, dull, long.", false),
        ];
        let judge = Judge::fit(&texts);
        assert!(judge.log_odds("a warm film", "a") > 0.5);
        assert!(judge.log_odds("a dull, cold film", "a") < -0.5);
        // Only topic a has said the word: elsewhere it counts, there it does not.
        let odds = |topic| judge.log_odds("zebra", topic);
        assert!(odds("b") < 0.0 && odds("a") == 0.0, "{} {}", odds("b"), odds("a"));
        assert_eq!(judge.log_odds("", "b"), 0.0);
        assert!(judge.order(&texts) > 0.5);
    }

    #[test]
    fn a_word_counts_once_however_it_is_written() {
        let got: Vec<String> = words("Don't! DON'T, so 2 so").into_iter().collect();
        assert_eq!(got, ["2", "don't", "so"]);
    }
}
