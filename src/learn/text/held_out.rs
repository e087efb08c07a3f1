//! What must never be trained on: every test question, known by the hash of its words.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::expert;
use super::source::{Source, Topic, normal, slots_of};

/// The hash of a question as it is compared: words only, in lower case.
pub type QuestionHash = [u8; 32];

/// The hash of a question.
pub fn hash(question: &str) -> QuestionHash {
    Sha256::digest(normal(question).as_bytes()).into()
}

/// A question of the evaluation, with what its answer should be about.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// `medical`, `legal`, `financial`, or `everyday`.
    pub domain: String,
    pub topic: String,
    pub text: String,
    /// Lower case; an answer on the topic has one of them.
    pub keywords: Vec<String>,
    /// Nothing of the whole topic was trained on.
    pub unseen_topic: bool,
}

/// Every test question of the source, in its order: those of the expert domains (own ones and the
/// domain's held-out ways, whole topics included), then those of the everyday topics.
pub fn questions(source: &Source) -> Vec<Question> {
    let domains = expert::by_name(&source.domains);
    let mut all = Vec::new();
    for topic in &source.experts {
        let Some(domain) = domains.get(topic.domain.as_str()) else { continue };
        all.extend(topic.test_questions(domain).into_iter().map(|text| Question {
            domain: topic.domain.clone(),
            topic: topic.name.clone(),
            text,
            keywords: topic.keywords.clone(),
            unseen_topic: topic.unseen,
        }));
    }
    for topic in source.topics.iter().filter(|topic| !topic.keywords.is_empty()) {
        all.extend(everyday(source, topic));
    }
    all
}

/// A topic's held-out questions, its slots filled with their first values.
fn everyday<'a>(source: &'a Source, topic: &'a Topic) -> impl Iterator<Item = Question> + 'a {
    let first = |slot: &str| {
        let own = topic.rows.first().and_then(|row| row.get(slot));
        own.or_else(|| source.slots.get(slot).and_then(|values| values.first())).cloned()
    };
    let filled = move |text: &str| {
        let fill = |text: String, slot| match first(slot) {
            Some(value) => text.replace(&format!("{{{slot}}}"), &value),
            None => text,
        };
        slots_of(text).fold(text.to_owned(), fill)
    };
    topic.held_out.iter().map(move |text| Question {
        domain: "everyday".to_owned(),
        topic: topic.name.clone(),
        text: filled(text),
        keywords: topic.keywords.iter().map(|k| filled(k).to_lowercase()).collect(),
        unseen_topic: false,
    })
}

/// The hashes of every text that must not be asked in training.
pub fn hashes(source: &Source) -> HashSet<QuestionHash> {
    let mut all: HashSet<QuestionHash> = questions(source).iter().map(|q| hash(&q.text)).collect();
    for topic in &source.topics {
        for (_, held_out, _) in topic.turns() {
            all.extend(held_out.iter().map(|text| hash(text)));
        }
    }
    all
}
