//! Saying something back: an exchange that can only be answered by taking up the words of the
//! question, whatever they are. It teaches what a name in a question needs, with more to learn from.

use serde::Deserialize;

use super::coined;
use crate::learn::random::Draws;

/// How it is asked and answered; `{words}` stands for what is said back.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    #[serde(default)]
    ask: Vec<String>,
    #[serde(default)]
    say: Vec<String>,
}

impl Echo {
    /// The ways of another file beside these.
    pub fn extend(&mut self, other: Self) {
        self.ask.extend(other.ask);
        self.say.extend(other.say);
    }

    /// A way without the words, if there is one.
    pub fn mistake(&self) -> Option<&str> {
        let mut all = self.ask.iter().chain(&self.say);
        all.find(|text| text.matches("{words}").count() != 1).map(String::as_str)
    }

    /// A question and its answer about one to six words: some of `known`, some nobody ever wrote.
    /// Nothing when there is no way to ask.
    pub fn exchange(&self, known: &[&str], draws: &mut Draws) -> Option<(String, String)> {
        let (ask, say) = (draws.pick(&self.ask)?.clone(), draws.pick(&self.say)?.clone());
        let count = 1 + draws.below(6);
        let word = |draws: &mut Draws| match draws.pick(known) {
            Some(word) if draws.chance(0.5) => (*word).to_owned(),
            _ => coined::word(draws),
        };
        let words: Vec<String> = (0..count).map(|_| word(draws)).collect();
        let words = words.join(" ");
        Some((ask.replace("{words}", &words), say.replace("{words}", &words)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_words_of_the_question() {
        let echo: Echo = toml::from_str("ask = ['Say {words}']\nsay = ['So: {words}']").unwrap();
        let mut draws = Draws::new(2, 1);
        for _ in 0..200 {
            let (ask, say) = echo.exchange(&["tree", "sea"], &mut draws).unwrap();
            assert_eq!(ask.strip_prefix("Say "), say.strip_prefix("So: "));
            assert!((2..=7).contains(&ask.split(' ').count()), "{ask}");
        }
        assert_eq!(Echo::default().exchange(&["tree"], &mut draws), None);
    }
}
