//! Composing conversations: which topics follow each other, which words fill the slots, and how
//! people really type.

use std::collections::BTreeMap;

use super::source::{Place, Source, Topic, normal, slots_of};
use super::sums;
use crate::learn::base::corpus::Message;
use crate::learn::random::Draws;

/// Which questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Training,
    /// Phrasings that training never sees, where a topic has some.
    HeldOut,
}

/// Draws conversations from a source.
pub struct Composer<'a> {
    source: &'a Source,
    part: Part,
    draws: Draws,
    held_out: Vec<String>,
}

impl<'a> Composer<'a> {
    pub fn new(source: &'a Source, part: Part, seed: u64) -> Self {
        let stream = if part == Part::Training { 1 } else { 2 };
        let held_out = source
            .topics
            .iter()
            .flat_map(Topic::turns)
            .flat_map(|(_, held, _)| held.iter().map(|h| normal(h)))
            .collect();
        Self { source, part, draws: Draws::new(seed, 0x7465_7874 + stream), held_out }
    }

    /// One conversation of one to about six exchanges.
    pub fn conversation(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.draws.chance(0.2)
            && let Some(system) = self.draws.pick(&self.source.system)
        {
            messages.push(message("system", system.clone()));
        }
        let mut places = vec![Place::Anywhere; 1 + self.draws.below(4)];
        if self.draws.chance(0.3) {
            places.insert(0, Place::Opening);
        }
        if self.draws.chance(0.15) {
            places.push(Place::Closing);
        }
        for (index, mut place) in places.into_iter().enumerate() {
            if place == Place::Anywhere && index > 0 && self.draws.chance(0.12) {
                place = Place::Later;
            }
            if place == Place::Anywhere && self.draws.chance(0.05) && self.part == Part::Training {
                let (ask, say) = sums::question(&mut self.draws);
                messages.push(message("user", ask));
                messages.push(message("assistant", say));
                continue;
            }
            if let Some(topic) = self.topic(place) {
                self.exchange(topic, &mut messages);
            }
        }
        messages
    }

    /// A topic of this place, by weight.
    fn topic(&mut self, place: Place) -> Option<&'a Topic> {
        let fits = |topic: &&Topic| {
            topic.place == place && (self.part == Part::Training || !topic.held_out.is_empty())
        };
        let topics: Vec<&'a Topic> = self.source.topics.iter().filter(fits).collect();
        let mut left = self.draws.unit() * topics.iter().map(|t| t.weight).sum::<f64>();
        for topic in &topics {
            left -= topic.weight;
            if left <= 0.0 {
                return Some(topic);
            }
        }
        topics.last().copied()
    }

    /// The topic's turn and some of its follow-ups.
    fn exchange(&mut self, topic: &'a Topic, messages: &mut Vec<Message>) {
        let mut filled: BTreeMap<String, String> =
            self.draws.pick(&topic.rows).cloned().unwrap_or_default();
        for (index, (ask, held_out, say)) in topic.turns().into_iter().enumerate() {
            if index > 0 && !self.draws.chance(0.45) {
                continue;
            }
            let asks = match self.part {
                Part::HeldOut if !held_out.is_empty() => held_out,
                _ => ask,
            };
            let (Some(ask), Some(say)) = (self.draws.pick(asks), self.draws.pick(say)) else {
                continue;
            };
            let ask = self.fill(ask, &mut filled);
            let ask = match self.part {
                Part::Training => self.typed(&ask),
                Part::HeldOut => ask,
            };
            let say = self.fill(say, &mut filled);
            messages.push(message("user", ask));
            messages.push(message("assistant", say));
        }
    }

    /// Puts words into slots; a slot keeps its word for the whole exchange.
    fn fill(&mut self, text: &str, filled: &mut BTreeMap<String, String>) -> String {
        let mut out = text.to_owned();
        for slot in slots_of(text) {
            if !filled.contains_key(slot)
                && let Some(value) =
                    self.source.slots.get(slot).and_then(|values| self.draws.pick(values))
            {
                filled.insert(slot.to_owned(), value.clone());
            }
            if let Some(value) = filled.get(slot) {
                out = out.replace(&format!("{{{slot}}}"), value);
            }
        }
        out
    }

    /// A question as it might be typed: often exactly so, sometimes without capitals or the last
    /// mark, now and then with two letters swapped. Never one of the held-out questions.
    fn typed(&mut self, question: &str) -> String {
        let mut out = question.to_owned();
        if self.draws.chance(0.25) {
            out = out.to_lowercase();
        }
        if self.draws.chance(0.25) {
            let bare = out.trim_end_matches(['?', '.', '!']);
            if !bare.is_empty() {
                out = bare.to_owned();
            }
        }
        if self.draws.chance(0.05) {
            out = self.swapped(&out);
        }
        if self.held_out.contains(&normal(&out)) { question.to_owned() } else { out }
    }

    fn swapped(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        if letters.len() > 4 {
            let at = 1 + self.draws.below(letters.len() - 3);
            if letters[at].is_alphabetic() && letters[at + 1].is_alphabetic() {
                letters.swap(at, at + 1);
            }
        }
        letters.into_iter().collect()
    }
}

fn message(role: &str, content: String) -> Message {
    Message { role: role.to_owned(), content }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn starter() -> Source {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter/source");
        Source::read(&folder).unwrap()
    }

    fn conversations(part: Part, seed: u64, count: usize) -> Vec<Vec<Message>> {
        let source = starter();
        let mut composer = Composer::new(&source, part, seed);
        (0..count).map(|_| composer.conversation()).collect()
    }

    #[test]
    fn a_seed_fixes_the_text() {
        assert_eq!(conversations(Part::Training, 3, 50), conversations(Part::Training, 3, 50));
        assert_ne!(conversations(Part::Training, 3, 50), conversations(Part::Training, 4, 50));
    }

    #[test]
    fn turns_alternate_and_no_slot_stays_open() {
        for conversation in conversations(Part::Training, 1, 2000) {
            let turns: Vec<&Message> =
                conversation.iter().skip_while(|m| m.role == "system").collect();
            assert!(!turns.is_empty() && turns.len().is_multiple_of(2));
            for (index, turn) in turns.iter().enumerate() {
                let role = if index % 2 == 0 { "user" } else { "assistant" };
                assert_eq!(turn.role, role);
                assert!(!turn.content.is_empty());
                assert!(!turn.content.contains(['{', '}']), "{}", turn.content);
            }
        }
    }

    #[test]
    fn held_out_phrasings_are_asked_but_never_trained_on() {
        let source = starter();
        let held_out: Vec<String> = source
            .topics
            .iter()
            .flat_map(Topic::turns)
            .flat_map(|(_, held, _)| held.iter().map(|h| normal(h)))
            .collect();
        assert!(held_out.len() >= 20, "{} held-out phrasings", held_out.len());
        let asked = |part| {
            conversations(part, 1, 3000)
                .into_iter()
                .flatten()
                .filter(|m| m.role == "user")
                .any(|m| held_out.contains(&normal(&m.content)))
        };
        assert!(!asked(Part::Training));
        assert!(asked(Part::HeldOut));
    }
}
