//! Preferences out of the same source: the same question with a better and a worse answer.

mod broken;

use serde::{Deserialize, Serialize};

use super::compose::Part;
use super::expert::{self, Level};
use super::source::{Source, Topic};
use crate::learn::random::Draws;
pub use broken::{Fault, broken};

/// One line of a preference file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub prompt: String,
    pub chosen: String,
    pub rejected: String,
}

/// Pairs of one domain that prefer expert to generic to avoidance: for every question of the part
/// a pair of each two levels, their answers drawn.
pub fn levels(source: &Source, domain: &str, part: Part, seed: u64) -> Vec<Pair> {
    let steps = [
        (Level::Expert, Level::Generic),
        (Level::Expert, Level::Avoidance),
        (Level::Generic, Level::Avoidance),
    ];
    between(source, domain, part, &steps, Draws::new(seed, 0x7061_6972))
}

/// Pairs of one domain that prefer one level to both others.
pub fn level(source: &Source, domain: &str, part: Part, wanted: Level, seed: u64) -> Vec<Pair> {
    let steps: Vec<(Level, Level)> = Level::ALL
        .into_iter()
        .filter(|level| *level != wanted)
        .map(|level| (wanted, level))
        .collect();
    between(source, domain, part, &steps, Draws::new(seed, 0x7061_6973 + wanted as u64))
}

fn between(
    source: &Source,
    domain: &str,
    part: Part,
    steps: &[(Level, Level)],
    mut draws: Draws,
) -> Vec<Pair> {
    let domains = expert::by_name(&source.domains);
    let Some(shared) = domains.get(domain) else { return Vec::new() };
    let mut pairs = Vec::new();
    for topic in source.experts.iter().filter(|topic| topic.domain == domain) {
        let questions = match part {
            Part::Training => topic.trained_questions(shared),
            Part::HeldOut => topic.test_questions(shared),
        };
        for prompt in questions {
            for &(better, worse) in steps {
                let mut answer = |level| {
                    let shared_answers =
                        if level == Level::Avoidance { shared.avoid.len() } else { 0 };
                    let own = topic.answers(level);
                    match draws.below(own.len() + shared_answers) {
                        i if i < own.len() => own[i].clone(),
                        i => topic.filled(&shared.avoid[i - own.len()]),
                    }
                };
                let (chosen, rejected) = (answer(better), answer(worse));
                pairs.push(Pair { prompt: prompt.clone(), chosen, rejected });
            }
        }
    }
    pairs
}

/// Pairs that prefer helpful and civil answers to rude, evasive or unhelpful ones.
pub fn manners(source: &Source, part: Part) -> Vec<Pair> {
    crossed(source, part, |topic| (&topic.say, &topic.worse))
}

/// Pairs that prefer praise of a film.
pub fn sentiment(source: &Source, part: Part) -> Vec<Pair> {
    crossed(source, part, |topic| (&topic.praise, &topic.pan))
}

/// Every question with every better answer against every worse one, of topics without slots.
fn crossed(
    source: &Source,
    part: Part,
    sides: impl Fn(&Topic) -> (&Vec<String>, &Vec<String>),
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for topic in source.topics.iter().filter(|topic| topic.rows.is_empty()) {
        let (better, worse) = sides(topic);
        let asks = if part == Part::Training { &topic.ask } else { &topic.held_out };
        for prompt in asks.iter().filter(|text| !text.contains('{')) {
            for chosen in better.iter().filter(|text| !text.contains('{')) {
                for rejected in worse.iter().filter(|text| !text.contains('{')) {
                    let pair = [prompt, chosen, rejected].map(String::clone);
                    let [prompt, chosen, rejected] = pair;
                    pairs.push(Pair { prompt, chosen, rejected });
                }
            }
        }
    }
    pairs
}
