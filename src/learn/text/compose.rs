//! Composing conversations: which topics follow each other, which words fill the slots, and how
//! people really type.

use std::collections::{BTreeMap, HashSet};

use super::coined;
use super::expert::{Domain, Expert, Level};
use super::held_out::{self, QuestionHash};
use super::source::{Place, Source, Topic, slots_of};
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

/// Of the exchanges that may stand anywhere, how many are on an expert domain.
const EXPERT_SHARE: f64 = 0.18;
/// Of the same, how many are a sum, and how many ask for words to be said back.
const SUM_SHARE: f64 = 0.02;
const ECHO_SHARE: f64 = 0.10;
/// Where else a topic may stand.
const PLACES: [Place; 3] = [Place::Opening, Place::Later, Place::Closing];
/// How often a mixed topic is answered badly.
const WORSE_SHARE: f64 = 0.25;
/// How often a question is the domain's way to ask rather than the topic's own.
const WAY_SHARE: f64 = 0.6;

/// Draws conversations from a source.
pub struct Composer<'a> {
    source: &'a Source,
    part: Part,
    draws: Draws,
    held_out: HashSet<QuestionHash>,
    /// What may be said back.
    words: Vec<&'a str>,
}

impl<'a> Composer<'a> {
    pub fn new(source: &'a Source, part: Part, seed: u64) -> Self {
        let stream = if part == Part::Training { 1 } else { 2 };
        let held_out = held_out::hashes(source);
        let words = source.words().into_iter().collect();
        Self { source, part, draws: Draws::new(seed, 0x7465_7874 + stream), held_out, words }
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
        if self.draws.chance(0.12) {
            places.insert(0, Place::Opening);
        }
        if self.draws.chance(0.06) {
            places.push(Place::Closing);
        }
        for (index, mut place) in places.into_iter().enumerate() {
            if place == Place::Anywhere && index > 0 && self.draws.chance(0.05) {
                place = Place::Later;
            }
            // People greet, thank and leave whenever they like.
            if place == Place::Anywhere && self.draws.chance(0.04) {
                place = *self.draws.pick(&PLACES).unwrap_or(&place);
            }
            if place == Place::Anywhere
                && let Some((ask, say)) = self.made_up()
            {
                messages.push(message("user", ask));
                messages.push(message("assistant", say));
                continue;
            }
            if place == Place::Anywhere
                && self.draws.chance(EXPERT_SHARE)
                && let Some((topic, domain)) = self.expert()
            {
                self.expert_exchange(topic, domain, &mut messages);
            } else if let Some(topic) = self.topic(place) {
                self.exchange(topic, &mut messages);
            }
        }
        messages
    }

    /// Now and then an exchange that nobody wrote: a sum, or words to say back.
    fn made_up(&mut self) -> Option<(String, String)> {
        if self.part == Part::HeldOut {
            return None;
        }
        let drawn = self.draws.unit();
        if drawn < SUM_SHARE {
            return Some(sums::question(&mut self.draws));
        }
        (drawn < SUM_SHARE + ECHO_SHARE)
            .then(|| self.source.echo.exchange(&self.words, &mut self.draws))?
    }

    /// A topic of this place, by weight and by how much there is to say, of which the root is
    /// taken: a topic with a single answer must be met often enough to be told from the others.
    fn topic(&mut self, place: Place) -> Option<&'a Topic> {
        let fits = |topic: &&Topic| {
            topic.place == place && (self.part == Part::Training || !topic.held_out.is_empty())
        };
        let topics: Vec<&'a Topic> = self.source.topics.iter().filter(fits).collect();
        let share = |topic: &Topic| topic.weight * (topic.answer_count() as f64).sqrt();
        let mut left = self.draws.unit() * topics.iter().map(|t| share(t)).sum::<f64>();
        for topic in &topics {
            left -= share(topic);
            if left <= 0.0 {
                return Some(topic);
            }
        }
        topics.last().copied()
    }

    /// A topic of an expert domain; those held out as a whole are in neither part.
    fn expert(&mut self) -> Option<(&'a Expert, &'a Domain)> {
        let source = self.source;
        let domain = self.draws.pick(&source.domains)?;
        let topics: Vec<&'a Expert> =
            source.experts.iter().filter(|t| t.domain == domain.name && !t.unseen).collect();
        self.draws.pick(&topics).map(|topic| (*topic, domain))
    }

    /// A question and an answer of any level, then perhaps a wish for another level.
    fn expert_exchange(&mut self, topic: &Expert, domain: &Domain, messages: &mut Vec<Message>) {
        let way = self.draws.chance(WAY_SHARE);
        let asks = match (self.part, way) {
            (Part::Training, true) => &domain.ask,
            (Part::Training, false) => &topic.ask,
            (Part::HeldOut, true) => &domain.held_out,
            (Part::HeldOut, false) => &topic.held_out,
        };
        let Some(ask) = self.draws.pick(asks) else { return };
        let ask = topic.filled(ask);
        let ask = if self.part == Part::Training { self.typed(&ask) } else { ask };
        let level = Level::ALL[self.draws.below(Level::ALL.len())];
        messages.push(message("user", ask));
        messages.push(message("assistant", self.answer(topic, domain, level)));
        if !self.draws.chance(0.2) {
            return;
        }
        let detail = &self.source.detail;
        let (wishes, wanted) = match level {
            Level::Expert => (&detail.simpler, Level::Generic),
            _ => (&detail.more, Level::Expert),
        };
        if let Some(wish) = self.draws.pick(wishes).cloned() {
            let wish = if self.part == Part::Training { self.typed(&wish) } else { wish };
            messages.push(message("user", wish));
            messages.push(message("assistant", self.answer(topic, domain, wanted)));
        }
    }

    /// One of the answers of a level; declining is mostly said in the domain's words.
    fn answer(&mut self, topic: &Expert, domain: &Domain, level: Level) -> String {
        let shared = level == Level::Avoidance && self.draws.chance(0.6);
        let answers = if shared { &domain.avoid } else { topic.answers(level) };
        let answer = self.draws.pick(answers).cloned().unwrap_or_default();
        topic.filled(&answer)
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
            let badly = index == 0 && topic.mixed && self.draws.chance(WORSE_SHARE);
            let say =
                if badly { self.draws.pick(&topic.worse) } else { self.draws.pick(&say).copied() };
            let (Some(ask), Some(say)) = (self.draws.pick(asks), say) else {
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
                && let Some(value) = self.value(slot)
            {
                filled.insert(slot.to_owned(), value);
            }
            if let Some(value) = filled.get(slot) {
                out = out.replace(&format!("{{{slot}}}"), value);
            }
        }
        out
    }

    /// A word for a slot; the slots in it are filled in their turn.
    fn value(&mut self, slot: &str) -> Option<String> {
        if slot == coined::SLOT {
            return Some(coined::word(&mut self.draws));
        }
        let source = self.source;
        let mut value = self.draws.pick(source.slots.get(slot)?)?.clone();
        loop {
            let inner = slots_of(&value).next().map(str::to_owned);
            let Some(inner) = inner else { return Some(value) };
            let word = self.value(&inner)?;
            value = value.replacen(&format!("{{{inner}}}"), &word, 1);
        }
    }

    /// A question as it might be typed: often exactly so, sometimes put another way, without
    /// capitals or the last mark, now and then with two letters swapped. Never one of the held-out
    /// questions.
    fn typed(&mut self, question: &str) -> String {
        let mut out = self.source.wording.reworded(question, &mut self.draws);
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
        if self.held_out.contains(&held_out::hash(&out)) { question.to_owned() } else { out }
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
    fn no_test_question_and_no_answer_of_a_test_topic_is_trained_on() {
        let source = starter();
        let tests = held_out::hashes(&source);
        assert!(tests.len() >= 200, "{} test questions", tests.len());
        let asked = |part| {
            let turns = conversations(part, 1, 12_000).into_iter().flatten();
            let users = turns.filter(|m| m.role == "user");
            users.filter(|m| tests.contains(&held_out::hash(&m.content))).count()
        };
        assert_eq!(asked(Part::Training), 0);
        assert!(asked(Part::HeldOut) > 1000, "the same check finds them where they are");

        let unseen = source.experts.iter().filter(|topic| topic.unseen);
        let answers: HashSet<&String> =
            unseen.flat_map(|t| Level::ALL.into_iter().flat_map(|l| t.answers(l))).collect();
        assert!(answers.len() >= 60, "{} answers of test topics", answers.len());
        let trained = conversations(Part::Training, 1, 12_000).into_iter().flatten();
        assert!(!trained.into_iter().any(|m| answers.contains(&m.content)));
    }

    #[test]
    fn the_levels_come_equally_often() {
        let source = starter();
        let mut counts = [0_usize; 3];
        for message in conversations(Part::Training, 2, 4000).into_iter().flatten() {
            for topic in &source.experts {
                for (level, count) in Level::ALL.into_iter().zip(&mut counts).skip(1) {
                    *count += usize::from(topic.answers(level).contains(&message.content));
                }
            }
        }
        let [_, generic, expert] = counts;
        let ratio = generic as f64 / expert as f64;
        assert!(expert > 500 && (0.8..1.25).contains(&ratio), "{generic} generic, {expert} expert");
    }
}
